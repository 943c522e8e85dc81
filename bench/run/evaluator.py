"""Draw from a model that is being trained, score what was drawn, and keep the sentences beside the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray

from baselines.common.interface import TextGenerator
from bench.config import Resolved
from bench.labels.inputs import inputs_of
from bench.randomness import derive
from bench.record import Evaluation, write_atomic
from bench.rewriting.data import RewritingText
from bench.rewriting.drawing import rewrite
from bench.run.hardware import exact_products
from bench.run_folder import INPUTS, log_probs_name, samples_name
from bench.score.drawing import Ids, bound_of, collapse, draw, likelihood_of, state_problem
from bench.score.log_probs import LABEL, OWN, TEST, pack_log_probs
from bench.score.scoring import score, write_samples
from bench.task import TextData
from metrics.common.base import MetricInputs
from metrics.common.bound import bounded
from metrics.common.labels import LabelledInputs, without_label
from metrics.common.likelihood import evenly, nats, scored_tokens
from metrics.common.tokens import Tokens

__all__ = ["At", "DivergedError", "Evaluating", "Evaluator", "OnEvaluating"]


@dataclass(frozen=True)
class Evaluating:
    """How far an evaluation is."""

    phase: str
    what: str
    """`drawing`, `scoring bleu`."""
    done: float
    """Share of it, 0 to 1."""
    left: int
    """Evaluations that follow at once, at other temperatures."""


OnEvaluating = Callable[[Evaluating], None]
"""Called between its parts; it may raise, which ends the evaluation and disturbs nothing."""
_DRAWING = 0.3
"""Share of an evaluation that is called done when its sentences are drawn: a guess, for the bar alone."""

At = Literal["cadence", "phase_end", "end"]


class DivergedError(RuntimeError):
    """The model can no longer be sampled."""


class Evaluator:
    """Evaluations of one run. None of them disturbs the training.

    Beside the samples that are kept lie the log-probabilities that the model gave there, so that likelihoods can be
    computed again without it.
    """

    def __init__(self, resolved: Resolved, data: TextData, model: TextGenerator, folder: Path) -> None:
        self._resolved = resolved
        self._run = resolved.run
        self._data = data
        self._model = model
        self._folder = folder

    def validation_nll(self) -> float:
        """Nats per token of the validation sentences, at most 2,000 of them, spread evenly."""
        likelihood = likelihood_of(self._model, torch.device(self._resolved.device))
        assert likelihood is not None
        with exact_products(otherwise=self._run.fp32_precision):
            rows = evenly(self._data.valid)
            return float(nats(likelihood(rows), rows).sum() / scored_tokens(rows, self._data.spec.eos_id).sum())

    def evaluate(
        self, phase: str, step: int, at: At, told: OnEvaluating = lambda _: None
    ) -> tuple[list[Evaluation], str | None]:
        """Draw and score, at every temperature at the end; and what looks like a collapse. Raises `DivergedError`."""
        if broken := state_problem(self._model):
            raise DivergedError(f"{broken} is not finite after step {step}, so the model cannot be sampled")
        evaluations, collapsed = [], None
        temperatures = self._run.temperatures if at == "end" else (1.0,)
        for left, temperature in zip(reversed(range(len(temperatures))), temperatures, strict=True):

            def tell(what: str, done: float, left: int = left) -> None:
                told(Evaluating(phase, what, done, left))

            with exact_products(otherwise=self._run.fp32_precision):
                evaluation, samples = self._evaluate_at(phase, step, at, temperature, tell)
            tell("done", 1.0)
            evaluations.append(evaluation)
            if samples is not None and temperature == 1.0:
                collapsed = collapse(samples, self._data.training, self._run.alarm_unique, self._run.alarm_entropy)
        return evaluations, collapsed

    def _evaluate_at(
        self, phase: str, step: int, at: At, temperature: float, tell: Callable[[str, float], None]
    ) -> tuple[Evaluation, Tokens | None]:
        metrics = self._resolved.metrics
        seed = derive(self._run.seed, "samples", step, round(1000 * temperature))
        place: dict[str, Any] = {"phase": phase, "step": step, "at": at, "temperature": temperature}
        try:
            ids = self._drawn(seed, temperature, tell)
        except ValueError as error:
            if temperature == 1.0:
                raise
            return Evaluation(**place, scores={}, skipped={metric.name: str(error) for metric in metrics}), None
        samples = Tokens.from_rows(ids, self._data.spec.eos_id)
        if isinstance(self._data, RewritingText):  # the label that was asked for is no word of the answer
            samples = without_label(samples, self._data.spec.class_ids)[1]
        likelihood = likelihood_of(self._model, torch.device(self._resolved.device))
        inputs = inputs_of(self._data, samples, likelihood, temperature)
        if temperature == 1.0:
            inputs = bounded(inputs, bound_of(self._model, torch.device(self._resolved.device)))
        if at == "cadence":  # a fit asks for the likelihood of the validation text a dozen times
            inputs = replace(inputs, log_prob_at=None)
        scores, skipped = score(_told(metrics, tell), inputs)
        name, sha256 = None, None
        if at != "cadence":
            name = samples_name(phase, at, temperature)
            sha256 = write_samples(self._folder / name, self._data.vocabulary.sentences(samples))
            if isinstance(self._data, RewritingText) and not (self._folder / INPUTS).is_file():
                write_samples(self._folder / INPUTS, self._data.vocabulary.sentences(self._data.references.inputs))
            of_model = any(
                m.needs_model(key) for m in metrics for key, found in scores.items() if found.metric == m.name
            )
            if inputs.model_log_prob is not None and of_model:
                given = {TEST: inputs.references_log_prob, OWN: _of_samples(inputs, ids)}
                if isinstance(inputs, LabelledInputs) and inputs.model_label_log_prob is not None:
                    given[LABEL + TEST] = inputs.model_label_log_prob(self._data.test)
                    given[LABEL + OWN] = inputs.model_label_log_prob(ids)
                write_atomic(self._folder / log_probs_name(name), pack_log_probs(given))
        return Evaluation(**place, scores=scores, skipped=skipped, samples_file=name, samples_sha256=sha256), samples

    def _drawn(self, seed: int, temperature: float, tell: Callable[[str, float], None]) -> Ids:
        """(N, T) sentences: as many as the run asks for, or the answer to each input of a task of rewriting."""
        if isinstance(self._data, RewritingText):
            n = len(self._data.input_ids)
            return rewrite(
                self._model, self._data.input_ids, self._data.references.wanted, seed=seed, temperature=temperature,
                told=partial(_drawn, tell, n),
            )  # fmt: skip
        n = self._run.n_samples
        return draw(self._model, n, seed=seed, temperature=temperature, told=partial(_drawn, tell, n))


def _of_samples(inputs: MetricInputs, ids: Ids) -> NDArray[np.float64]:
    """(N, T) samples -> (N,): the model's log-probabilities at temperature 1, which a metric may have asked for."""
    assert inputs.model_log_prob is not None
    asked = inputs.own_log_prob is inputs.model_log_prob and inputs.sample_ids is not None
    if asked and np.array_equal(cast("Ids", inputs.sample_ids), ids):
        return inputs.samples_own_log_prob
    return inputs.model_log_prob(ids)


def _drawn(tell: Callable[[str, float], None], n: int, drawn: int) -> None:
    tell("drawing", _DRAWING * drawn / n)


def _told(metrics: Sequence[Any], tell: Callable[[str, float], None]) -> Iterator[Any]:
    """The metrics one by one, each told of before it is computed."""
    for i, metric in enumerate(metrics):
        tell(f"scoring {metric.name}", _DRAWING + (1 - _DRAWING) * i / len(metrics))
        yield metric
