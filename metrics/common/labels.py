"""Sentences that begin with a label: the label apart from the words, and what metrics may look at of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import MetricInputs, SentenceLogProb
from metrics.common.tokens import Tokens

__all__ = ["NO_CLASS", "Judge", "LabelledInputs", "labelled", "of_class", "with_label", "without_label"]

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
    accuracy: float
    """Share of real sentences, which the judge was not made of, that it puts into their class; a tie counts in part."""
    sha256: str
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
    given = {f.name: getattr(inputs, f.name) for f in fields(MetricInputs)}
    sample_labels, given["samples"] = without_label(inputs.samples, class_ids)
    assert inputs.references is not None
    reference_labels, given["references"] = without_label(inputs.references, class_ids)
    for name in ("training", "validation"):
        if given[name] is not None:
            given[name] = without_label(given[name], class_ids)[1]
    return LabelledInputs(
        **given,
        classes=classes,
        sample_labels=sample_labels,
        reference_labels=reference_labels,
        judge=judge,
        model_label_log_prob=model_label_log_prob,
        oracle_label_log_prob=oracle_label_log_prob,
    )
