"""What metrics look at where sentences are rewritten into another class: inputs, classes wanted, answers, a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import MetricInputs
from metrics.common.labels import Judge
from metrics.common.tokens import Tokens
from metrics.common.uncertainty import EstimatedMetric

__all__ = ["Answers", "RewriteMetric", "SharedNgrams", "answers_of", "shared_ngrams"]

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Answers(Tokens):
    """References that belong to sentences which are to be rewritten. As `Tokens` they are all answers, set after set.

    Sample i answers input i. All texts share one numbering of words.
    """

    inputs: Tokens
    """M sentences."""
    wanted: Ids
    """(M,) the class that each is to be rewritten into."""
    names: tuple[str, ...]
    """K classes."""
    sets: tuple[Tokens, ...] = ()
    """R sets of M answers, one from each person; none: nobody wrote any."""
    right: bool = False
    """Whether the one answer is right and no other."""
    judge: Judge | None = None
    class_text: tuple[Tokens, ...] = ()
    """K real texts, of one class each; none: not known."""
    shown: int = 0
    """Which set stands for real text: that of the people who agree best with the others."""

    @staticmethod
    def of(
        inputs: Tokens,
        wanted: Ids,
        names: Sequence[str],
        sets: Sequence[Tokens] = (),
        *,
        right: bool = False,
        judge: Judge | None = None,
        class_text: Sequence[Tokens] = (),
        shown: int = 0,
    ) -> Answers:
        """Raises ValueError where the numbers of sentences or classes do not agree."""
        for what, n in (("wanted classes", len(wanted)), *(("answers", len(one)) for one in sets)):
            if n != len(inputs):
                raise ValueError(f"there are {len(inputs):,} inputs and {n:,} {what}: one for each is expected")
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < len(names):
            raise ValueError(f"wanted classes are 0 to {len(names) - 1}, got {wanted.min()} to {wanted.max()}")
        if class_text and len(class_text) != len(names):
            raise ValueError(f"{len(names)} classes have {len(class_text)} texts: one of each is expected")
        flat = np.concatenate([np.zeros(0, np.int64), *(one.flat for one in sets)])
        lengths = np.concatenate([np.zeros(1, np.int64), *(one.lengths for one in sets)])
        return Answers(
            flat=flat, offsets=np.cumsum(lengths), inputs=inputs, wanted=wanted, names=tuple(names), sets=tuple(sets),
            right=right, judge=judge, class_text=tuple(class_text), shown=shown,
        )  # fmt: skip

    def directions(self) -> list[Ids]:
        """For each class that is wanted, which inputs are to become it."""
        return [np.flatnonzero(self.wanted == k) for k in range(len(self.names)) if (self.wanted == k).any()]

    def own_set(self, samples: Tokens) -> int | None:
        """Which of several sets the samples are, word for word; None: they are not one of the answers."""
        equal = (r for r, one in enumerate(self.sets) if same_text(one, samples))
        return next(equal, None) if len(self.sets) > 1 else None


def same_text(one: Tokens, other: Tokens) -> bool:
    """Whether two texts are the same sentences in the same order."""
    return np.array_equal(one.offsets, other.offsets) and np.array_equal(one.flat, other.flat)


def answers_of(inputs: MetricInputs) -> Answers:
    """The answers that a metric on rewriting was given; where `missing` has a reason, answers to nothing."""
    if isinstance(inputs.references, Answers):
        return inputs.references
    nothing = Tokens(np.zeros(0, np.int64), np.zeros(1, np.int64))
    return Answers.of(nothing, np.zeros(0, np.int64), ())


@dataclass(frozen=True, kw_only=True)
class RewriteMetric(EstimatedMetric):
    """A metric of sentences that answer inputs, one each, in their order."""

    def missing(self, inputs: MetricInputs) -> str | None:
        """There must be inputs, and as many samples."""
        if reason := super().missing(inputs):
            return reason
        if not isinstance(inputs.references, Answers):
            return f"{self.name} needs a task of rewriting: inputs, and the class that each is to have"
        if len(inputs.samples) != len(inputs.references.inputs):
            n, m = len(inputs.samples), len(inputs.references.inputs)
            return f"{self.name} needs one sentence for each input, in their order: {n:,} sentences, {m:,} inputs"
        return None


@dataclass(frozen=True)
class SharedNgrams:
    """n-grams of N sentences and of those that each of them shares with its own references."""

    matches: NDArray[np.float64]
    """(top, N) each n-gram as often as in that reference which has it most often, and not more often than it occurs."""
    total: NDArray[np.float64]
    """(top, N) n-grams of the sentences."""
    closest: NDArray[np.float64]
    """(N,) length of the reference nearest in length, the shorter of two."""
    ours: Tokens = field(repr=False)

    @cached_property
    def statistics(self) -> NDArray[np.float64]:
        """(N, 2 + 2 top): length, closest length, matches, n-grams: what sums of corpus BLEU are made of."""
        return np.vstack([self.ours.lengths, self.closest, self.matches, self.total]).T


def shared_ngrams(ours: Tokens, sets: Sequence[Tokens], top: int) -> SharedNgrams:
    """Sentence i with sentence i of each set, orders 1 to `top`."""
    n = len(ours)
    matches, total = np.zeros((top, n)), np.maximum(0.0, ours.lengths - np.arange(top)[:, None])
    texts = [ours, *sets]
    flat = np.concatenate([text.flat for text in texts])
    left = np.concatenate([np.repeat(text.offsets[1:], text.lengths) - np.arange(len(text.flat)) for text in texts])
    sentence = np.concatenate([np.repeat(np.arange(n), text.lengths) for text in texts])
    begins = np.cumsum([0, *(len(text.flat) for text in texts)])
    gram = np.unique(flat, return_inverse=True)[1].astype(np.int64)
    words, size = gram, int(gram.max(initial=0)) + 1
    for order in range(top):
        inside = left > order
        if order:
            pairs = gram[inside] * size + words[np.flatnonzero(inside) + order]
            gram = np.full(len(flat), -1, np.int64)
            gram[inside] = np.unique(pairs, return_inverse=True)[1]
        keys = sentence * (int(gram.max(initial=0)) + 1) + gram
        parts = [np.unique(keys[a:b][inside[a:b]], return_counts=True) for a, b in pairwise(begins)]
        (held, count), most = parts[0], np.zeros(len(parts[0][0]), np.int64)
        for theirs, times in parts[1:]:
            at = np.minimum(np.searchsorted(theirs, held), max(0, len(theirs) - 1))
            if len(theirs):
                most = np.maximum(most, np.where(theirs[at] == held, times[at], 0))
        owner = held // (int(gram.max(initial=0)) + 1)
        matches[order] = np.bincount(owner, np.minimum(count, most), minlength=n)
    lengths = np.sort(np.stack([text.lengths for text in sets]), axis=0)
    nearest = np.abs(lengths - ours.lengths).argmin(axis=0)
    return SharedNgrams(matches, total, lengths[nearest, np.arange(n)].astype(np.float64), ours)
