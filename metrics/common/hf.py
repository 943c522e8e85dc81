"""What the doors for Hugging Face `evaluate` share. A door is `metrics/<name>/<name>.py`; only doors import this.

`evaluate` copies the door's file into its own cache and runs it there, so a door imports by full names, one module a
line. Sentences of another number than the predictions cannot be a column of `evaluate`: they are keywords of `compute`.
Every keyword reaches every module of an `evaluate.combine`, so a door passes over the keywords it does not know.
What is no list of sentences is refused by name and place: a string is a list of letters to Python, and would be scored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from operator import index
from typing import Any, ClassVar

import datasets  # type: ignore[import-untyped]
import evaluate  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from metrics.common.base import Metric, MetricInputs, SentenceLogProb
from metrics.common.labels import Judge, as_labelled
from metrics.common.tokens import Tokens

__all__ = ["IdsDoor", "LabelledTextDoor", "TextDoor"]

Sentence = str | Sequence[str]
"""Text to be tokenised, or the tokens."""


def _by_sentence(
    is_valid: Callable[[Sequence[Any]], bool] | None, samples: Sequence[Sequence[Any]]
) -> Callable[[Tokens], NDArray[np.bool_]] | None:
    """A judge of one sentence as a judge of all of these samples."""
    return None if is_valid is None else lambda _: np.array([is_valid(sample) for sample in samples], np.bool_)


def _listed(name: str, values: Any, what: str) -> list[Any]:
    """The items of a list of `what`, or of any other iterable of them; ValueError for what only looks like one."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise ValueError(f"{name} is a list of {what}, got {_short(values)}: put a single one in a list")
    if not (items := list(values)) and name == "predictions":
        raise ValueError(f"{name} is an empty list: expected {what}")
    return items


def _words(where: str, sentence: Any, tokenizer: Callable[[str], Sequence[str]]) -> Sequence[str]:
    """The tokens of a sentence, which is text or its tokens. ValueError for anything else."""
    if isinstance(sentence, str):
        return tokenizer(sentence)
    if sentence is None or isinstance(sentence, bytes | Mapping) or not isinstance(sentence, Iterable):
        raise ValueError(f'{where} is a text or a list of tokens, got {_short(sentence)}; an empty sentence is ""')
    words = list(sentence)
    for word in words:
        if not isinstance(word, str):
            raise ValueError(f"{where} is a list of tokens, and {_short(word)} is none: a token is a text")
        if len(word.split()) > 1:
            raise ValueError(
                f"{where} is a list of tokens, and {_short(word)} is none, for it holds a blank: all references are "
                "one list of sentences, not a list for each prediction"
            )
    return words


def _id_rows(name: str, rows: Any) -> NDArray[np.int64]:
    """(N, T) ids. ValueError for rows of several lengths and for what is no integer."""
    found = [_listed(f"{name}[{i}]", row, "ids") for i, row in enumerate(_listed(name, rows, "rows of ids"))]
    for i, row in enumerate(found):
        if len(row) != len(found[0]):
            raise ValueError(
                f"{name}[{i}] has {len(row)} ids, {name}[0] has {len(found[0])}: all rows have one length; fill "
                "shorter ones up with eos_id, and name it"
            )
        for value in row:
            if isinstance(value, bool) or not hasattr(value, "__index__"):
                raise ValueError(f"{name}[{i}] is a row of ids, and {_short(value)} is none: an id is an integer")
    return np.array([[index(value) for value in row] for row in found], np.int64).reshape(len(found), -1)


def _short(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text[:40]}{'…' * (len(text) > 40)}" if value is not None else "None"


class _Door(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """A metric of this project as a metric of `evaluate`. Keywords named like a setting of the metric set it."""

    definition: ClassVar[type[Metric]]

    def add_batch(self, **columns: Any) -> None:
        """Take predictions (`compute` calls this); refuse what `evaluate` would take for something else."""
        given = {name: values for name, values in columns.items() if values is not None}
        super().add_batch(**{name: self._checked(name, values) for name, values in given.items()})

    def _checked(self, name: str, values: Any) -> Any:
        raise NotImplementedError

    def _metric(self, keywords: Mapping[str, Any]) -> Metric:
        """The metric with the settings among the keywords, each in its own type: a list of orders is a tuple."""
        chosen = {f.name: keywords[f.name] for f in fields(self.definition) if f.name in keywords}
        try:
            return TypeAdapter(self.definition).validate_python(chosen)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            said = str(first["ctx"]["error"]) if first["type"] == "value_error" else f"{where}: {first['msg']}"
            raise ValueError(f"{said}, got {_short(first['input'])}") from error

    def _module_info(self, *columns: Mapping[str, Any]) -> evaluate.MetricInfo:
        schemas = [datasets.Features(dict(column)) for column in columns]
        return evaluate.MetricInfo(description=self.definition.__doc__ or "", citation="", features=schemas)

    def _scores(self, inputs: MetricInputs, keywords: Mapping[str, Any]) -> dict[str, float | str]:
        """The scores, and the signature under `<name>_signature`. ValueError where the metric would be absent."""
        metric = self._metric(keywords)
        reason = metric.missing(inputs)
        if reason is not None:
            raise ValueError(f"{reason}; `compute` takes {self.takes}")
        return {**metric.compute(inputs), f"{metric.name}_signature": metric.signature(inputs)}

    takes: ClassVar[str]
    """The keywords, for the error message."""


class TextDoor(_Door):
    """Door of a metric on text: predictions are sentences, or lists of tokens."""

    takes = "predictions=, reference_corpus=, training_corpus=, validation_corpus=, is_valid=, tokenizer="

    def _checked(self, name: str, values: Any) -> list[Any]:
        listed = _listed(name, values, "sentences")
        for i, sentence in enumerate(listed):
            _words(f"{name}[{i}]", sentence, str.split)
            if isinstance(sentence, str) != isinstance(listed[0], str):
                raise ValueError(f"{name}[{i}] and {name}[0] are not both texts, or both lists of tokens")
        return [sentence if isinstance(sentence, str) else list(sentence) for sentence in listed]

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

        def cut(name: str, sentences: Iterable[Sentence]) -> list[Sequence[str]]:
            listed = _listed(name, sentences, "sentences")
            return [_words(f"{name}[{i}]", sentence, tokenizer) for i, sentence in enumerate(listed)]

        def tokens(name: str, sentences: Iterable[Sentence] | None) -> Tokens | None:
            return None if sentences is None else Tokens.from_words(cut(name, sentences), numbering)

        samples = cut("predictions", predictions)
        inputs = MetricInputs(
            samples=Tokens.from_words(samples, numbering),
            references=tokens("reference_corpus", reference_corpus),
            training=tokens("training_corpus", training_corpus),
            validation=tokens("validation_corpus", validation_corpus),
            words=list(numbering),
            is_valid=_by_sentence(is_valid, samples),
        )
        return self._scores(inputs, keywords)


class LabelledTextDoor(TextDoor):
    """Door of a metric on text with classes: the label of each sentence stands beside it, not in it."""

    takes = "predictions=, labels=, reference_corpus=, reference_labels=, posteriors=, judge=, tokenizer="

    def _scores(self, inputs: MetricInputs, keywords: Mapping[str, Any]) -> dict[str, float | str]:
        """`labels` and `reference_labels` are a class for each sentence, whole numbers from 0.

        `posteriors` is p(class | prediction), (N, K), by the judge that `judge` names.
        """
        labels, of_references = (
            np.asarray(keywords.get(f"{which}labels", ()), np.int64) for which in ("", "reference_")
        )
        n = int(max(labels.max(initial=-1), of_references.max(initial=-1))) + 1
        for text, given in ((inputs.samples, labels), (inputs.references, of_references)):
            if len(given) and len(given) != len(text or ()):
                raise ValueError(
                    f"there is one label for each sentence: {len(text or ())} sentences, {len(given)} labels"
                )
        found = keywords.get("posteriors")
        judge = None
        if found is not None:
            posteriors = np.asarray(found, np.float64)
            if posteriors.shape != (len(inputs.samples), max(n, posteriors.shape[-1])):
                raise ValueError(f"posteriors are a row of {n} classes for each prediction, got {posteriors.shape}")
            judge = Judge(name=str(keywords.get("judge", "given")), posteriors=lambda _: posteriors)
        classes = tuple(map(str, range(n)))
        with_labels = as_labelled(
            inputs, classes=classes, sample_labels=labels, reference_labels=of_references, judge=judge
        )
        return super()._scores(with_labels, keywords)


class IdsDoor(_Door):
    """Door of a likelihood: one column of (N, T) ids, the sentences whose probability is asked."""

    takes = "predictions= or references= (ids), oracle_log_prob=, model_log_prob=, is_valid=, eos_id="
    column: ClassVar[str]
    """ "predictions" where samples are judged, "references" where real text is."""

    def _checked(self, name: str, values: Any) -> list[Any]:
        return _id_rows(name, values).tolist()

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
        ids = _id_rows(self.column, predictions if self.column == "predictions" else references)
        samples = Tokens.from_rows(ids, eos_id)
        inputs = MetricInputs(
            samples=samples,
            sample_ids=ids,
            reference_ids=ids,
            training_ids=ids,
            eos_id=eos_id,
            oracle_log_prob=oracle_log_prob,
            model_log_prob=model_log_prob,
            is_valid=_by_sentence(is_valid, [samples.sentence(i).tolist() for i in range(len(samples))]),
        )
        return self._scores(inputs, keywords)
