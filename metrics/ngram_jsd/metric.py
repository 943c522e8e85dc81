"""n-gram Jensen-Shannon divergence: how far the n-gram distributions of samples and real text are apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import TOO_LITTLE_REAL, Aspect, Better, Bounds, Estimate, MetricInputs, too_short
from metrics.common.characters import characters, not_spelled
from metrics.common.joint_counts import JointCounts, joint_counts
from metrics.common.tokens import Tokens
from metrics.common.uncertainty import EstimatedMetric, jackknife

__all__ = ["NgramJsd"]

Level = Literal["word", "character"]
Floats = NDArray[np.float64]

_PARTS = ("", "_floor", "_first", "_first_floor")
"""What a key ends with."""
_UNITS = {"word": "token", "character": "character"}
"""Of a sentence's length."""


@dataclass(frozen=True, kw_only=True)
class NgramJsd(EstimatedMetric):
    """Jensen-Shannon divergence in bits of n-gram frequencies. Keys `ngram_jsd_1` .. `ngram_jsd_4`.

    `ngram_jsd_1_floor` .. `ngram_jsd_4_floor`: what as many real sentences as there are samples get; absent where there
    are too few. `ngram_jsd_1_first` .. and `ngram_jsd_1_first_floor` ..: the same of the first `first` samples and of
    as many real sentences; absent where there are no more samples than that. An order that one of the two sides is too
    short for is absent.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "lower"
    aspect: ClassVar[Aspect] = "both"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    needs: ClassVar[tuple[str, ...]] = ("references",)
    counted: ClassVar[tuple[str, ...]] = ("references", "as_many_real")
    """Small files diverge more; `as_many_real`: the sentences of the floor."""

    level: Level = "word"
    """Of what the n-grams are: of the task's tokens, or of the characters of the text, with blanks between words."""
    orders: tuple[int, ...] = (1, 2, 3, 4)
    first: int = 640
    """Samples of the second set of keys: 10 batches of 64, as the released code prints; the divergence depends on the
    number of samples."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.first < 1:
            raise ValueError(f"ngram_jsd: first must be at least 1, got {self.first}")

    def keys(self) -> dict[str, Better]:
        """Of all samples and of the first few, each with its floor."""
        return {f"ngram_jsd_{n}{part}": self.better for part in _PARTS for n in self.orders}

    def is_ranked(self, key: str) -> bool:
        """Not by a floor, which is of real text."""
        return not key.endswith("_floor")

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The samples' divergence from the references, and that of real text: the floor, which has no error here."""
        scores = self._scores(inputs)
        if self.first < len(inputs.samples):
            for key, estimate in self._scores(self._few(inputs)).items():
                base, floor, _ = key.partition("_floor")
                scores[f"{base}_first{floor}"] = estimate
        return scores

    def absent(self, inputs: MetricInputs) -> dict[str, str]:
        """Orders that a side is too short for, floors of too little real text, the first few where they are all."""
        found = self._absent(inputs, "ngram_jsd_{}")
        if self.first < len(inputs.samples):
            return found | self._absent(self._few(inputs), "ngram_jsd_{}_first")
        first = [f"ngram_jsd_{n}{part}" for part in _PARTS[2:] for n in self.orders]
        return found | dict.fromkeys(first, f"there are no more than {self.first} samples")

    def _absent(self, inputs: MetricInputs, key: str) -> dict[str, str]:
        assert inputs.references is not None
        floor, unit = f"{key}_floor", _UNITS[self.level]
        found: dict[str, str] = {}
        for what, corpus in {"sample": inputs.samples, "reference sentence": inputs.references}.items():
            for name in (key, floor):
                found |= too_short(self.orders, name, what, self._cut(corpus, inputs), unit=unit)
        real = inputs.as_many_real
        if real is None:
            return found | dict.fromkeys(map(floor.format, self.orders), TOO_LITTLE_REAL)
        return found | too_short(self.orders, floor, "real sentence", self._cut(real, inputs), unit=unit)

    def _few(self, inputs: MetricInputs) -> MetricInputs:
        return replace(inputs, samples=inputs.samples.select(np.arange(self.first)))

    def _scores(self, inputs: MetricInputs) -> dict[str, Estimate]:
        assert inputs.references is not None
        references = self._cut(inputs.references, inputs)
        scores: dict[str, Estimate] = {}
        for order, counts in enumerate(
            joint_counts(self._cut(inputs.samples, inputs), references, max(self.orders)), 1
        ):
            if order in self.orders and counts.ours.any() and counts.theirs.any():
                pairs = _Pairs(counts)
                scores[f"ngram_jsd_{order}"] = jackknife(pairs.divergence(pairs.total), pairs.without())
        real = inputs.as_many_real
        if real is not None:
            for order, counts in enumerate(joint_counts(self._cut(real, inputs), references, max(self.orders)), 1):
                if f"ngram_jsd_{order}" in scores and counts.ours.any():
                    pairs = _Pairs(counts)
                    scores[f"ngram_jsd_{order}_floor"] = Estimate(pairs.divergence(pairs.total), None)
        return scores

    def _cut(self, corpus: Tokens, inputs: MetricInputs) -> Tokens:
        return corpus if self.level == "word" else characters(corpus, inputs.words or (), blank=True)

    def missing(self, inputs: MetricInputs) -> str | None:
        """Both sides must hold an n-gram, and characters need the words."""
        if reason := super().missing(inputs):
            return reason
        assert inputs.references is not None
        corpora = {"sample": inputs.samples, "reference sentence": inputs.references}
        unknown = not_spelled("ngram_jsd", inputs.words, *corpora.values(), inputs.as_many_real)
        if self.level == "character" and unknown:
            return unknown
        shortest = min(self.orders)
        for name, corpus in corpora.items():
            if self._cut(corpus, inputs).lengths.max() < shortest:
                return f"ngram_jsd needs a {name} of at least {shortest} {self.level}{'s' * (shortest > 1)}"
        return None


class _Pairs:
    """The n-grams of one order by their two counts: those with equal pairs of counts add the same."""

    def __init__(self, counts: JointCounts) -> None:
        self._counts = counts
        width = int(counts.theirs.max()) + 1
        keys, self._times = np.unique(counts.ours * width + counts.theirs, return_counts=True)
        self._ours, self._theirs = keys // width, (keys % width) / counts.theirs.sum()
        self.total = int(counts.ours.sum())

    def divergence(self, total: int) -> float:
        """With the samples' frequencies taken as count / `total`, which need not be their sum."""
        return float(self._times @ _bits(self._ours / total, self._theirs))

    def without(self) -> Floats:
        """(N,) the divergence without each sample: another total, and lower counts of its own n-grams."""
        counts = self._counts
        left = self.total - counts.by_sentence(counts.count)
        if not left.all():
            return np.full(len(left), np.nan)  # one sample holds all n-grams of this order
        totals, which = np.unique(left, return_inverse=True)
        base = np.array([self.divergence(int(total)) for total in totals])
        held, theirs = counts.ours[counts.gram], counts.theirs[counts.gram] / counts.theirs.sum()
        total = left[counts.sentence]
        change = _bits((held - counts.count) / total, theirs) - _bits(held / total, theirs)
        return base[which] + counts.by_sentence(change)


def _bits(ours: Floats, theirs: Floats) -> Floats:
    """What n-grams of these frequencies add to the divergence: (p log2(p/m) + q log2(q/m)) / 2 with m = (p + q) / 2."""
    middle = (ours + theirs) / 2
    return (_p_log_ratio(ours, middle) + _p_log_ratio(theirs, middle)) / 2


def _p_log_ratio(p: Floats, middle: Floats) -> Floats:
    """p log2(p / middle); 0 where p is 0."""
    positive = p > 0
    return p * np.log2(np.where(positive, p, 1.0) / np.where(positive, middle, 1.0))
