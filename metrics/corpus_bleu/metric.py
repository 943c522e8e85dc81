"""Corpus BLEU: BLEU from the summed counts of all samples, computed by sacreBLEU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Aspect, Better, Bounds, Estimate, Metric, MetricInputs
from metrics.common.ngrams import ngrams_by_sentence, reference_index
from metrics.common.signature import Setting, sacrebleu_settings
from metrics.common.uncertainty import bootstrap, resampled_sums

__all__ = ["CorpusBleu"]

Smoothing = Literal["exp", "floor", "add-k", "none"]


@dataclass(frozen=True, kw_only=True)
class CorpusBleu(Metric):
    """sacreBLEU's score of all samples together, divided by 100. Keys `corpus_bleu_2` .. `corpus_bleu_5`.

    sacreBLEU takes references as one stream for each, which 10,000 references for every sample would make 10,000 lists
    of 10,000 lines. So the counts are those of the n-gram index, which are the same integers, and its public
    `BLEU.compute_bleu` makes the score of them. Standard errors: the bootstrap of `metrics.common.uncertainty`, 1000
    resamples of the sentences' counts, seed 12345.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "higher"
    aspect: ClassVar[Aspect] = "quality"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    by_count: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("references",)

    orders: tuple[int, ...] = (2, 3, 4, 5)
    """One score for each; BLEU-n weighs the orders 1 to n equally."""
    smooth: Smoothing = "exp"
    """What an order without a match in the whole file counts, by sacreBLEU's names."""

    def compute(self, inputs: MetricInputs) -> dict[str, float]:
        """The score of each order, without resampling."""
        total = self.statistics(inputs).sum(axis=0)
        return {f"corpus_bleu_{order}": self.score(total, order) for order in self.orders}

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The score of each order; its error is the spread over the resampled sums."""
        statistics = self.statistics(inputs)
        total, resampled, n = statistics.sum(axis=0), resampled_sums(statistics), len(statistics)
        return {
            f"corpus_bleu_{order}": bootstrap(
                self.score(total, order), np.array([self.score(sums, order) for sums in resampled]), n
            )
            for order in self.orders
        }

    def statistics(self, inputs: MetricInputs) -> NDArray[np.float64]:
        """(N, 2 + 2 max_order) of each sample: its length, the nearest reference length, matches, n-grams by order."""
        assert inputs.references is not None
        top = max(self.orders)
        index, lengths = reference_index(inputs.references, top), inputs.samples.lengths
        matches = index.matches(inputs.samples)[:top]
        return np.vstack([lengths, index.closest_lengths(lengths), matches, ngrams_by_sentence(inputs.samples, top)]).T

    def score(self, sums: NDArray[np.float64], order: int) -> float:
        """sacreBLEU's score, 0 to 1, of summed statistics."""
        from sacrebleu.metrics.bleu import BLEU

        top = max(self.orders)
        counts = [int(count) for count in sums]
        correct, total = (
            counts[2 : 2 + order],
            counts[2 + top : 2 + top + order],
        )  # lists of their own: add-k adds to them
        score = BLEU.compute_bleu(
            correct, total, counts[0], counts[1], smooth_method=self.smooth, max_ngram_order=order
        ).score
        return float(score / 100)

    def settings(self, inputs: MetricInputs) -> dict[str, Setting]:
        """sacreBLEU's own signature in ours; `version` is sacreBLEU's."""
        from sacrebleu.metrics.bleu import BLEU

        bleu = BLEU(tokenize="none", smooth_method=self.smooth, force=True)
        bleu.num_refs = len(inputs.references or ())
        return {"orders": self.orders, **sacrebleu_settings(bleu), "samples": len(inputs.samples), "v": self.version}
