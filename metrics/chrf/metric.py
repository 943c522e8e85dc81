"""chrF: character n-gram F-score of each sample with the reference that is nearest to it, computed by sacreBLEU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Aspect, Better, Bounds, Estimate, Metric, MetricInputs
from metrics.common.characters import characters, not_spelled
from metrics.common.overlap import blocks, overlaps
from metrics.common.signature import Setting, sacrebleu_settings
from metrics.common.tokens import Tokens
from metrics.common.uncertainty import bootstrap, resampled_sums

__all__ = ["Chrf"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Chrf(Metric):
    """sacreBLEU's chrF of all samples together, divided by 100. Key `chrf`.

    Of many references sacreBLEU takes, for each sample, the one with the best F-score, and adds its counts to those of
    the other samples. It would compare every pair in Python, which takes hours; here the best references are found by
    matrix products, exactly and with sacreBLEU's choice of equally good ones, and sacreBLEU's `corpus_score` gets them
    as the one reference of each sample, which is the same score. Standard error: the bootstrap of
    `metrics.common.uncertainty`, 1000 resamples of the sentences' counts, seed 12345.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "higher"
    aspect: ClassVar[Aspect] = "quality"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    by_count: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("references", "words")

    char_order: int = 6
    """The longest n-grams of characters."""
    beta: int = 2
    """How much more recall counts than precision."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("char_order", "beta"):
            if getattr(self, name) < 1:
                raise ValueError(f"chrf: {name} must be at least 1, got {getattr(self, name)}")

    def compute(self, inputs: MetricInputs) -> dict[str, float]:
        """The score, without resampling."""
        return {"chrf": self._score(inputs, self.nearest(inputs)[0])}

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The score, and the spread over the resampled sums of the counts it is made of."""
        best, statistics = self.nearest(inputs)
        sums = resampled_sums(statistics.reshape(len(best), -1)).reshape(-1, 3, self.char_order)
        return {"chrf": bootstrap(self._score(inputs, best), self._f_score(*np.moveaxis(sums, 1, 0)), len(best))}

    def _score(self, inputs: MetricInputs, best: NDArray[np.int64]) -> float:
        """sacreBLEU's score of the samples, each with its best reference."""
        from sacrebleu.metrics.chrf import CHRF

        assert inputs.references is not None
        assert inputs.words is not None
        texts = _texts(inputs.samples, inputs.words)
        chosen = _texts(inputs.references.select(best), inputs.words)
        return float(CHRF(char_order=self.char_order, beta=self.beta).corpus_score(texts, [chosen]).score / 100)

    def nearest(self, inputs: MetricInputs) -> tuple[NDArray[np.int64], Floats]:
        """(N,) the best reference of each sample, the first of equally good ones; (N, 3, char_order) their counts.

        The counts are the n-grams of the sample, of the reference, and of both, as sacreBLEU adds them: the sample's
        are 0 in orders that the reference is too short for.
        """
        assert inputs.references is not None
        assert inputs.words is not None
        ours = characters(inputs.samples, inputs.words, blank=False)
        theirs = characters(inputs.references, inputs.words, blank=False)
        shared = overlaps(ours, theirs, self.char_order)
        n_ours, n_theirs = self._n_grams(ours), self._n_grams(theirs)
        best = np.empty(len(ours), np.int64)
        counts = np.empty((len(ours), 3, self.char_order))
        for rows in blocks(len(ours), len(theirs)):
            matches = [order.block(rows) for order in shared]
            near, pair = np.nonzero(self._candidates(matches, n_ours[rows], n_theirs))
            both = np.stack([order[near, pair] for order in matches], axis=1).astype(np.float64)
            real = n_theirs[pair]
            mine = np.where(real > 0, n_ours[rows][near], 0.0)
            f_score = self._f_score(mine, real, both)
            order = np.lexsort((pair, -f_score, near))
            first = order[np.diff(near[order], prepend=-1) > 0]
            best[rows] = pair[first]
            counts[rows] = np.stack([mine[first], real[first], both[first]], axis=1)
        return best, counts

    def _n_grams(self, text: Tokens) -> Floats:
        """(N, char_order) the number of n-grams of each sentence."""
        return np.maximum(0.0, text.lengths[:, None] - np.arange(self.char_order))

    def _candidates(self, matches: list[NDArray[np.float32]], ours: Floats, theirs: Floats) -> NDArray[np.bool_]:
        """(rows, M) the pairs whose F-score is the best of the row, up to the rounding of single precision."""
        precision, recall = np.zeros_like(matches[0]), np.zeros_like(matches[0])
        for order, shared in enumerate(matches):
            precision += shared * _inverse(ours[:, order])[:, None]
            recall += shared * _inverse(theirs[:, order])
        factor = np.float32(self.beta**2)
        # Both are sums over the orders that sample and reference have; so many divide both, and so the F-score.
        orders = np.minimum((ours > 0).sum(axis=1)[:, None], (theirs > 0).sum(axis=1)).astype(np.float32)
        bottom = (factor * precision + recall) * orders
        scores = np.divide((1 + factor) * precision * recall, bottom, out=np.zeros_like(precision), where=bottom > 0)
        return scores >= scores.max(axis=1, keepdims=True) - np.float32(1e-5)

    def _f_score(self, ours: Floats, theirs: Floats, both: Floats) -> Floats:
        """(K, char_order) counts -> (K,) F-scores, 0 to 1, in sacreBLEU's order of operations, for equal ties.

        Precision and recall are means over the orders that both sides have (Popović 2015).
        """
        present = (ours > 0) & (theirs > 0)
        precision, recall = np.zeros(len(ours)), np.zeros(len(ours))
        for order in range(self.char_order):
            here = present[:, order]
            precision += np.divide(both[:, order], ours[:, order], out=np.zeros(len(ours)), where=here)
            recall += np.divide(both[:, order], theirs[:, order], out=np.zeros(len(ours)), where=here)
        orders = np.maximum(1, present.sum(axis=1))
        precision, recall = precision / orders, recall / orders
        factor = self.beta**2
        bottom = factor * precision + recall
        score = (1 + factor) * precision * recall
        return np.divide(score, bottom, out=np.zeros(len(ours)), where=bottom > 0)

    def missing(self, inputs: MetricInputs) -> str | None:
        """Every token must have a word."""
        return super().missing(inputs) or not_spelled("chrf", inputs.words, inputs.samples, inputs.references)

    def settings(self, inputs: MetricInputs) -> dict[str, Setting]:
        """sacreBLEU's own signature in ours; `version` is sacreBLEU's, `nc` is `char_order`."""
        from sacrebleu.metrics.chrf import CHRF

        chrf = CHRF(char_order=self.char_order, beta=self.beta)
        chrf.num_refs = len(inputs.references or ())
        return {"beta": self.beta, **sacrebleu_settings(chrf), "samples": len(inputs.samples), "v": self.version}


def _inverse(counts: Floats) -> NDArray[np.float32]:
    """1 / count; 0 where there is nothing to count."""
    return np.divide(1.0, counts, out=np.zeros_like(counts), where=counts > 0).astype(np.float32)


def _texts(corpus: Tokens, words: Sequence[str]) -> list[str]:
    spelled = np.array([*words, ""], dtype=object)[corpus.flat]
    return [" ".join(spelled[a:b]) for a, b in zip(corpus.offsets[:-1], corpus.offsets[1:], strict=True)]
