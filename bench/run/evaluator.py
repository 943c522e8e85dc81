"""Draw from a model that is being trained, score what was drawn, and keep the sentences beside the record."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch

from baselines.common.interface import TextGenerator
from bench.config import Resolved
from bench.randomness import derive
from bench.record import Evaluation, write_atomic
from bench.run.hardware import exact_products
from bench.run_folder import log_probs_name, samples_name
from bench.score.drawing import collapse, draw, log_prob_of, state_problem
from bench.score.log_probs import OWN, TEST, pack_log_probs
from bench.score.scoring import metric_inputs, score, write_samples
from bench.task import TextData
from metrics.common.tokens import Tokens

__all__ = ["At", "DivergedError", "Evaluator"]

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

    def evaluate(self, phase: str, step: int, at: At) -> tuple[list[Evaluation], str | None]:
        """Draw and score, at every temperature at the end; and what looks like a collapse. Raises `DivergedError`."""
        if broken := state_problem(self._model):
            raise DivergedError(f"{broken} is not finite after step {step}, so the model cannot be sampled")
        evaluations, collapsed = [], None
        for temperature in self._run.temperatures if at == "end" else (1.0,):
            with exact_products(otherwise=self._run.fp32_precision):
                evaluation, samples = self._evaluate_at(phase, step, at, temperature)
            evaluations.append(evaluation)
            if samples is not None and temperature == 1.0:
                collapsed = collapse(samples, self._data.training, self._run.alarm_unique, self._run.alarm_entropy)
        return evaluations, collapsed

    def _evaluate_at(self, phase: str, step: int, at: At, temperature: float) -> tuple[Evaluation, Tokens | None]:
        metrics = self._resolved.metrics
        seed = derive(self._run.seed, "samples", step, round(1000 * temperature))
        place: dict[str, Any] = {"phase": phase, "step": step, "at": at, "temperature": temperature}
        try:
            ids = draw(self._model, self._run.n_samples, seed=seed, temperature=temperature)
        except ValueError as error:
            if temperature == 1.0:
                raise
            return Evaluation(**place, scores={}, skipped={metric.name: str(error) for metric in metrics}), None
        samples = Tokens.from_rows(ids, self._data.spec.eos_id)
        likelihood = log_prob_of(self._model, torch.device(self._resolved.device)) if temperature == 1.0 else None
        inputs = metric_inputs(self._data, samples, likelihood)
        scores, skipped = score(metrics, inputs)
        if temperature != 1.0:
            for metric in metrics:
                if "model_log_prob" in metric.needs:
                    skipped[metric.name] = f"{metric.name} is measured at temperature 1 only"
        name, sha256 = None, None
        if at != "cadence":
            name = samples_name(phase, at, temperature)
            sha256 = write_samples(self._folder / name, self._data.vocabulary.sentences(samples))
            if likelihood is not None and any("model_log_prob" in m.needs and m.name not in skipped for m in metrics):
                own = {OWN: likelihood(ids)} if at == "end" else {}
                given = pack_log_probs({TEST: inputs.references_log_prob, **own})
                write_atomic(self._folder / log_probs_name(name), given)
        return Evaluation(**place, scores=scores, skipped=skipped, samples_file=name, samples_sha256=sha256), samples
