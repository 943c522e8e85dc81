"""What the doors for Hugging Face `evaluate` share. A door is `metrics/<name>/<name>.py`; only doors import this.

`evaluate` copies the door's file into its own cache and runs it there, so a door imports by full names, one module a
line. Sentences of another number than the predictions cannot be a column of `evaluate`: they are keywords of `compute`.
Every keyword reaches every module of an `evaluate.combine`, so a door passes over the keywords it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar

import datasets  # type: ignore[import-untyped]
import evaluate  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Metric, MetricInputs, SentenceLogProb
from metrics.common.tokens import Tokens

__all__ = ["IdsDoor", "TextDoor"]

Sentence = str | Sequence[str]
"""Text to be tokenised, or the tokens."""


def _by_sentence(
    is_valid: Callable[[Sequence[Any]], bool] | None, samples: Sequence[Sequence[Any]]
) -> Callable[[Tokens], NDArray[np.bool_]] | None:
    """A judge of one sentence as a judge of all of these samples."""
    return None if is_valid is None else lambda _: np.array([is_valid(sample) for sample in samples], np.bool_)


class _Door(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """A metric of this project as a metric of `evaluate`. Keywords named like a setting of the metric set it."""

    definition: ClassVar[type[Metric]]

    def _module_info(self, *columns: Mapping[str, Any]) -> evaluate.MetricInfo:
        schemas = [datasets.Features(dict(column)) for column in columns]
        return evaluate.MetricInfo(description=self.definition.__doc__ or "", citation="", features=schemas)

    def _scores(self, inputs: MetricInputs, keywords: Mapping[str, Any]) -> dict[str, float | str]:
        """The scores, and the signature under `<name>_signature`. ValueError where the metric would be absent."""
        metric = self.definition(**{f.name: keywords[f.name] for f in fields(self.definition) if f.name in keywords})
        reason = metric.missing(inputs)
        if reason is not None:
            raise ValueError(f"{reason}; `compute` takes {self.takes}")
        return {**metric.compute(inputs), f"{metric.name}_signature": metric.signature(inputs)}

    takes: ClassVar[str]
    """The keywords, for the error message."""


class TextDoor(_Door):
    """Door of a metric on text: predictions are sentences, or lists of tokens."""

    takes = "predictions=, reference_corpus=, training_corpus=, validation_corpus=, is_valid=, tokenizer="

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return self._module_info({"predictions": datasets.Sequence(text)}, {"predictions": text})

    def _compute(
        self,
        *,
        predictions: Sequence[Sentence],
        reference_corpus: Iterable[Sentence] | None = None,
        training_corpus: Iterable[Sentence] | None = None,
        validation_corpus: Iterable[Sentence] | None = None,
        is_valid: Callable[[Sequence[str]], bool] | None = None,
        tokenizer: Callable[[str], Sequence[str]] = str.split,
        **keywords: Any,
    ) -> dict[str, float | str]:
        """`tokenizer` cuts what is not cut yet; `is_valid` judges the tokens of one sentence."""
        numbering: dict[str, int] = {}

        def words(sentence: Sentence) -> Sequence[str]:
            return tokenizer(sentence) if isinstance(sentence, str) else sentence

        def tokens(sentences: Iterable[Sentence] | None) -> Tokens | None:
            return None if sentences is None else Tokens.from_words(map(words, sentences), numbering)

        samples = [words(sentence) for sentence in predictions]
        inputs = MetricInputs(
            samples=Tokens.from_words(samples, numbering),
            references=tokens(reference_corpus),
            training=tokens(training_corpus),
            validation=tokens(validation_corpus),
            words=list(numbering),
            is_valid=_by_sentence(is_valid, samples),
        )
        return self._scores(inputs, keywords)


class IdsDoor(_Door):
    """Door of a likelihood: one column of (N, T) ids, the sentences whose probability is asked."""

    takes = "predictions= or references= (ids), oracle_log_prob=, model_log_prob=, is_valid=, eos_id="
    column: ClassVar[str]
    """ "predictions" where samples are judged, "references" where held-out text is."""

    def _info(self) -> evaluate.MetricInfo:
        return self._module_info({self.column: datasets.Sequence(datasets.Value("int64"))})

    def _compute(
        self,
        *,
        predictions: Sequence[Sequence[int]] | None = None,
        references: Sequence[Sequence[int]] | None = None,
        oracle_log_prob: SentenceLogProb | None = None,
        model_log_prob: SentenceLogProb | None = None,
        eos_id: int | None = None,
        is_valid: Callable[[Sequence[Any]], bool] | None = None,
        **keywords: Any,
    ) -> dict[str, float | str]:
        """`oracle_log_prob` and `model_log_prob` map (N, T) ids to (N,) natural log-probabilities."""
        ids = np.array(predictions if self.column == "predictions" else references, np.int64)
        samples = Tokens.from_rows(ids, eos_id)
        inputs = MetricInputs(
            samples=samples,
            sample_ids=ids,
            reference_ids=ids,
            eos_id=eos_id,
            oracle_log_prob=oracle_log_prob,
            model_log_prob=model_log_prob,
            is_valid=_by_sentence(is_valid, [samples.sentence(i).tolist() for i in range(len(samples))]),
        )
        return self._scores(inputs, keywords)
