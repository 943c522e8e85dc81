"""Sentences that begin with a label: the label apart from the words, and what metrics may look at of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import MetricInputs, SentenceLogProb
from metrics.common.tokens import Tokens

__all__ = [
    "NO_CLASS",
    "Judge",
    "LabelledInputs",
    "as_labelled",
    "hits",
    "labelled",
    "no_sample_of",
    "not_labelled",
    "of_class",
    "with_label",
    "without_label",
]

Labels = NDArray[np.int64]

NO_CLASS = -1
"""The label of a sentence whose first word names no class."""


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Who says which class a text is of, without having seen its label."""

    name: str
    """`bayes`: the true distribution itself, which nobody can better. Else what was trained, with its version."""
    posteriors: Callable[[Tokens], NDArray[np.float64]]
    """Texts without their labels -> (N, K): p(class | text); a row of zeros: no class can have written it."""
    accuracy: float | None = None
    """Share of real sentences, which the judge was not made of, that it puts into their class; a tie counts in part."""
    sha256: str = ""
    """Of all that it judges by."""


def without_label(tokens: Tokens, class_ids: Sequence[int]) -> tuple[Labels, Tokens]:
    """N sentences -> (N,) the class of each, from 0, and the sentences without their labels.

    A sentence whose first word is no class has the label `NO_CLASS` and stays as it is.
    """
    first = np.full(len(tokens), -1, np.int64)
    some = tokens.lengths > 0
    first[some] = tokens.flat[tokens.offsets[:-1][some]]
    labels = np.where((first >= class_ids[0]) & (first <= class_ids[-1]), first - class_ids[0], NO_CLASS)
    kept = np.ones(len(tokens.flat), bool)
    kept[tokens.offsets[:-1][labels != NO_CLASS]] = False
    lengths = tokens.lengths - (labels != NO_CLASS)
    return labels, Tokens(tokens.flat[kept], np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def with_label(tokens: Tokens, labels: Labels, class_ids: Sequence[int]) -> Tokens:
    """The reverse: N sentences and their classes (N,), from 0 -> sentences that begin with their label."""
    flat = np.insert(tokens.flat, tokens.offsets[:-1], class_ids[0] + labels)
    return Tokens(flat, tokens.offsets + np.arange(len(tokens) + 1))


def of_class(tokens: Tokens, labels: Labels, label: int) -> Tokens:
    """The sentences of one class."""
    return tokens.select(np.flatnonzero(labels == label))


@dataclass(frozen=True, kw_only=True)
class LabelledInputs(MetricInputs):
    """The inputs of a metric on a task with classes.

    `samples`, `references`, `training` and `validation` are without their labels: no metric of text counts a label as a
    word. Rows of ids (`sample_ids` and the like) are as a model reads and writes them, the label first, and likelihoods
    are of label and words together.
    """

    classes: tuple[str, ...] = ()
    """Their names."""
    sample_labels: Labels = field(default_factory=lambda: np.empty(0, np.int64))
    """(N,) of the samples: the class that was asked for, or that the model wrote; `NO_CLASS` where it wrote none."""
    reference_labels: Labels = field(default_factory=lambda: np.empty(0, np.int64))
    """(M,) of the references."""
    judge: Judge | None = None
    """Who says which class a text is of."""
    model_label_log_prob: SentenceLogProb | None = None
    """(N, T) rows -> (N,): the part of the model's log-probability that is the label's, at temperature 1; None: the
    model cannot be told a class, or has no likelihood."""
    oracle_label_log_prob: SentenceLogProb | None = None
    """The same of the true distribution, where the task knows it."""

    @cached_property
    def sample_posteriors(self) -> NDArray[np.float64]:
        """(N, K) what the judge says of the samples; asked for once."""
        assert self.judge is not None
        return self.judge.posteriors(self.samples)


def as_labelled(inputs: MetricInputs, **of_labels: Any) -> LabelledInputs:
    """The same inputs, with the fields that only `LabelledInputs` has."""
    return LabelledInputs(**{f.name: getattr(inputs, f.name) for f in fields(MetricInputs)}, **of_labels)


def labelled(
    inputs: MetricInputs,
    class_ids: Sequence[int],
    classes: tuple[str, ...],
    *,
    judge: Judge | None = None,
    model_label_log_prob: SentenceLogProb | None = None,
    oracle_label_log_prob: SentenceLogProb | None = None,
) -> LabelledInputs:
    """Inputs whose sentences begin with their label -> the same with labels and words apart."""
    assert inputs.references is not None
    sample_labels, samples = without_label(inputs.samples, class_ids)
    reference_labels, references = without_label(inputs.references, class_ids)
    training, validation = (
        None if text is None else without_label(text, class_ids)[1] for text in (inputs.training, inputs.validation)
    )
    return as_labelled(
        replace(inputs, samples=samples, references=references, training=training, validation=validation),
        classes=classes,
        sample_labels=sample_labels,
        reference_labels=reference_labels,
        judge=judge,
        model_label_log_prob=model_label_log_prob,
        oracle_label_log_prob=oracle_label_log_prob,
    )


def hits(posteriors: NDArray[np.float64], labels: Labels) -> NDArray[np.float64]:
    """(N, K) p(class | text) and the classes meant (N,) -> (N,): 1 where it is the most probable one, else 0.

    Where several are most probable, each of them counts in part; a text that no class can have written is wrong, and so
    is one that was meant for no class.
    """
    best = posteriors.max(axis=1, initial=0.0)
    among = (posteriors == best[:, None]) & (best > 0)[:, None]
    meant = among[np.arange(len(labels)), np.maximum(labels, 0)] & (labels != NO_CLASS)
    return meant / np.maximum(1, among.sum(axis=1))


def not_labelled(metric: str, inputs: MetricInputs) -> str | None:
    """Why a metric of classes cannot be computed where there are none."""
    return None if isinstance(inputs, LabelledInputs) and inputs.classes else f"{metric} needs a task with classes"


def no_sample_of(inputs: LabelledInputs) -> str | None:
    """Why something about every class cannot be said: there is a class of which there is no sample."""
    there = set(inputs.sample_labels.tolist())
    lacking = next((name for i, name in enumerate(inputs.classes) if i not in there), None)
    return None if lacking is None else f"no sample is of class {lacking}"
