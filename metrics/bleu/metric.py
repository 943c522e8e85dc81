"""BLEU of the samples against the held-out text: how much of each sample a real sentence could hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Aspect, Better, Bounds
from metrics.common.bleu import BleuAgainstText

__all__ = ["Bleu"]


@dataclass(frozen=True, kw_only=True)
class Bleu(BleuAgainstText):
    """Mean over all samples of sentence BLEU against all references. Keys `bleu_2` .. `bleu_5`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "higher"
    aspect: ClassVar[Aspect] = "quality"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    needs: ClassVar[tuple[str, ...]] = ("references",)
    counted: ClassVar[tuple[str, ...]] = needs
    """BLEU grows with the number of references."""
