"""What `lm_score` and `reverse_lm_score` share: the settings of their language model and which real text it meets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Metric, MetricInputs
from metrics.common.kneser_ney import KneserNey, Ngrams, model_of
from metrics.common.tokens import Tokens

__all__ = ["Kind", "LanguageModelMetric", "RealText", "known_costs", "of_all_and_without_each"]

_GROUPS = 20

Kind = Literal["kneser_ney"]
"""An n-gram model with interpolated Kneser-Ney smoothing, exact and fast."""

RealText = Literal["references", "training"]
"""Held-out text, or the text that the GAN was trained on."""


@dataclass(frozen=True, kw_only=True)
class LanguageModelMetric(Metric):
    """A metric that asks an n-gram model of one text what another text costs; one of the two is the samples.

    The model's vocabulary is the words of the real text whichever of the two it is trained on, so it does not depend
    on the samples; all other words are one class.
    """

    corpus: RealText = "references"
    """The real text, by the name of the field that holds it."""
    model: Kind = "kneser_ney"
    """Which language model; there is one. It stands in the signature, so that another would not be taken for it."""
    order: int = 4
    """Words that the model looks at: the one that is predicted and those before it."""
    discount: float = 0.85
    """Taken off each count that is not 0, for what was not seen; above 0 and below 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.order, int) or self.order < 2:
            raise ValueError(f"{self.name}: order must be a whole number from 2, got {self.order!r}")
        if not 0 < self.discount < 1:
            raise ValueError(f"{self.name}: discount must be above 0 and below 1, got {self.discount!r}")

    @property
    def needs(self) -> tuple[str, ...]:
        """The real text that `corpus` names."""
        return (self.corpus,)

    @property
    def counted(self) -> tuple[str, ...]:
        """The model gets better with more text."""
        return (self.corpus,)

    def real(self, inputs: MetricInputs) -> Tokens | None:
        """The real text that `corpus` names."""
        return inputs.references if self.corpus == "references" else inputs.training

    def fitted(self, text: Tokens, real: Tokens) -> Callable[[Tokens], NDArray[np.float64]]:
        """The model trained on `text` with the words of `real`: sentences -> (N,) nats, their ends included."""
        if text is real:
            return model_of(real, order=self.order, discount=self.discount).nats
        return KneserNey(text, real, order=self.order, discount=self.discount).nats


def of_all_and_without_each(
    samples: Tokens, real: Tokens, *, order: int, discount: float
) -> Iterator[NDArray[np.float64]]:
    """What a model of the samples gives each word and end of `real`, then what models without each of 20 groups give.

    For the jackknife (Shao and Tu 1995, 2.3), whose standard error itself then has an error of 16%, 1 / sqrt(2 * 19).
    Group g is every sample whose place is g modulo 20; of one sample there is no model without it.
    """
    n = len(samples)
    groups = np.arange(n) % _GROUPS
    ngrams = Ngrams(samples, real, order)
    asked = ngrams.asked(real)
    yield KneserNey.of(ngrams, discount=discount).probabilities_of(asked)
    for group in range(min(_GROUPS, n) if n > 1 else 0):
        yield KneserNey.of(ngrams, groups != group, discount=discount).probabilities_of(asked)


def known_costs(
    probabilities: NDArray[np.float64], text: Tokens, words: Tokens
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Nats of each sentence without the words that `words` does not hold, and how many words and ends that are, (N,).

    `probabilities` of the text's words and ends, as a model gives them. The end of a sentence always counts. What is
    left out is still read: a known word is asked for after whatever stands before it.
    """
    if len(text) == 0:
        return np.zeros(0), np.zeros(0, np.int64)
    sentence = np.repeat(np.arange(len(text)), text.lengths)
    counts = np.ones(len(text.flat) + len(text), np.int64)
    counts[np.arange(len(text.flat)) + sentence] = np.isin(text.flat, words.flat)
    costs = np.where(counts > 0, -np.log(probabilities), 0.0)
    begins = text.offsets[:-1] + np.arange(len(text))
    return np.add.reduceat(costs, begins), np.add.reduceat(counts, begins)
