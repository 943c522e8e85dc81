"""From samples to scores. No torch: anybody's samples file is scored without it."""

from __future__ import annotations

import functools
import gzip
import hashlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from bench.record import Score, write_atomic
from bench.task import TextData, Vocabulary, rows
from metrics.common.base import MetricInputs, SentenceLogProb
from metrics.common.rewriting import Answers
from metrics.common.tokens import Tokens

if TYPE_CHECKING:
    from bench.score.drawing import Likelihood

__all__ = ["held_out_text", "metric_inputs", "real_text", "score", "write_samples"]


def metric_inputs(
    data: TextData,
    samples: Tokens,
    likelihood: SentenceLogProb | Likelihood | None = None,
    temperature: float = 1.0,
    vocabulary: Vocabulary | None = None,
) -> MetricInputs:
    """All that the metrics may look at for these samples.

    `likelihood`: of the model that wrote them, at `temperature`. `vocabulary`: of the samples, if it is another one.
    """
    sample_ids, fitting = rows(samples, data.spec)
    named = vocabulary or data.vocabulary
    tempered = cast("Likelihood", likelihood) if getattr(likelihood, "has_temperature", False) else None
    at_one = likelihood if temperature == 1 else None
    own = at_one or (functools.partial(tempered, temperature=temperature) if tempered else None)
    return MetricInputs(
        samples=samples,
        references=data.references,
        training=data.training if len(data.training) else None,
        validation=data.validation if len(data.validation) else None,
        words=named.words + named.unseen,
        sample_ids=sample_ids if fitting.all() else None,
        reference_ids=data.test,
        training_ids=data.train,
        eos_id=data.spec.eos_id,
        validation_ids=data.valid if len(data.valid) else None,
        oracle_log_prob=None if data.oracle_log_prob is None else data.true_log_prob,
        model_log_prob=at_one,
        own_log_prob=own,
        log_prob_at=tempered,
        is_valid=data.is_valid,
    )


def score(metrics: Iterable[Any], inputs: MetricInputs) -> tuple[dict[str, Score], dict[str, str]]:
    """Scores by key, and why the other metrics are absent. A value that is not finite is absent, never a number."""
    scores: dict[str, Score] = {}
    skipped: dict[str, str] = {}
    for metric in metrics:
        if reason := metric.missing(inputs):
            skipped[metric.name] = reason
            continue
        settings, directions = metric.settings(inputs), metric.keys()
        estimates = metric.estimates(inputs)
        if unsaid := [key for key in directions if key not in estimates]:
            reasons = metric.absent(inputs)
            skipped |= {key: reasons.get(key, f"{metric.name} has no value for these samples") for key in unsaid}
        for key, (value, error) in estimates.items():
            if math.isfinite(value):
                known = None if error is None or not math.isfinite(error) else float(error)
                scores[key] = Score(
                    value=float(value),
                    metric=metric.name,
                    settings=settings,
                    better=directions.get(key, metric.better),
                    standard_error=known,
                )
            else:
                skipped[key] = f"{key} is {value}"
    return scores, skipped


def write_samples(path: Path, sentences: Sequence[str]) -> str:
    """Write one sentence a line, atomically; return the SHA-256 of the (uncompressed) text. `.gz` compresses."""
    content = "".join(f"{sentence}\n" for sentence in sentences).encode()
    write_atomic(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return hashlib.sha256(content).hexdigest()


def real_text(data: TextData, n: int) -> Tokens:
    """What a perfect copy of the training distribution would hand in: n real sentences, none twice, none of the test.

    The training and validation sentences, in that order: all of them where there are at most n, otherwise n spread
    evenly over them. Where sentences are rewritten: what people wrote, one answer for each input.
    """
    if isinstance(data.references, Answers) and data.references.sets:
        return data.references.sets[data.references.shown]
    return _evenly(Tokens.from_rows(np.concatenate([data.train, data.valid]), data.spec.eos_id), n)


def held_out_text(data: TextData, n: int) -> Tokens:
    """Real text that nobody trained on: n test sentences, spread evenly; all of them where there are at most n."""
    return _evenly(data.references, n)


def _evenly(text: Tokens, n: int) -> Tokens:
    chosen: NDArray[np.int64] = np.arange(len(text), dtype=np.int64)
    if n < len(chosen):
        chosen = np.linspace(0, len(chosen) - 1, n).round().astype(np.int64)
    return text.select(chosen)
