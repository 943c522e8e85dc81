"""Novelty gap: how much newer the samples' n-grams are than those of held-out real text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs, too_short
from metrics.common.ngrams import ngrams_by_sentence, reference_index
from metrics.common.tokens import Tokens
from metrics.common.uncertainty import EstimatedMetric, ratio

__all__ = ["NoveltyGap"]


@dataclass(frozen=True, kw_only=True)
class NoveltyGap(EstimatedMetric):
    """Share of the samples' n-grams that the training text does not hold, less the same share of held-out real text.

    Keys `novelty_gap_1` .. `novelty_gap_5`; an order that no sample or no reference is long enough for is absent.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "memorisation"
    bounds: ClassVar[Bounds] = (-1.0, 1.0)
    by_count: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("training", "references")
    counted: ClassVar[tuple[str, ...]] = needs
    """Novelty falls with the amount of training text."""

    orders: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Orders of the n-grams."""

    def is_ranked(self, key: str) -> bool:
        """Nobody is: `novelty_ngram_n` ranks by the same distance, with held-out text as a row of its own."""
        return False

    def absent(self, inputs: MetricInputs) -> dict[str, str]:
        """The orders that one of the two has no n-gram of."""
        assert inputs.references is not None
        key = f"{self.name}_{{}}"
        of_references = too_short(self.orders, key, "reference sentence", inputs.references)
        return of_references | too_short(self.orders, key, "sample", inputs.samples)

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The standard error is that of the samples' share, by the delta method; held-out text is held fixed."""
        assert inputs.training is not None
        assert inputs.references is not None
        ours = _shares(inputs.samples, inputs.training, self.orders)
        held_out = _shares(inputs.references, inputs.training, self.orders)
        return {
            f"{self.name}_{order}": Estimate(share.value - held_out[order].value, share.standard_error)
            for order, share in ours.items()
            if order in held_out
        }


def _shares(text: Tokens, training: Tokens, orders: tuple[int, ...]) -> dict[int, Estimate]:
    """Order -> the share of the text's n-grams that the training text does not hold; repetitions count."""
    top = max(orders)
    seen = reference_index(training, top).seen(text)
    total = ngrams_by_sentence(text, top)
    return {n: ratio(total[n - 1] - seen[n - 1], total[n - 1]) for n in orders if total[n - 1].any()}
