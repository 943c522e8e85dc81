"""BLEU of the samples against the training text: how much of each sample a training sentence could hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Aspect, Better, Bounds
from metrics.common.bleu import BleuAgainstText

__all__ = ["BleuTrain"]


@dataclass(frozen=True, kw_only=True)
class BleuTrain(BleuAgainstText):
    """Mean of sentence BLEU against all training sentences. Keys `bleu_train_2` .. `bleu_train_5`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "memorisation"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    needs: ClassVar[tuple[str, ...]] = ("training",)
    counted: ClassVar[tuple[str, ...]] = needs
    """BLEU grows with the number of training sentences."""
