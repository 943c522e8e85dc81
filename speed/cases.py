"""What a case of the training benchmark is: one phase of one baseline, with contestants that do the same work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

__all__ = ["TEXTGAN", "Case", "Contestants", "Setting", "Timing", "Work", "with_textgan"]

TEXTGAN = "TextGAN-PyTorch"
"""The name as a contestant of a checkout of williamSYSU/TextGAN-PyTorch, beside "ours" and "plain"."""


@dataclass(frozen=True)
class Setting:
    """Where and how large."""

    device: torch.device
    quick: bool = False
    """Tiny sizes: whether everything runs, not how fast."""
    textgan_pytorch: Path | None = None


@dataclass(frozen=True)
class Work:
    """A part of a phase."""

    run: Callable[[], object]
    times: float = 1.0
    """How often the phase does this part."""


Contestants = Mapping[str, Sequence[Work]]
"""The works of each by its name, "ours" first; a phase is the sum of its works."""


@dataclass(frozen=True)
class Case:
    """One phase of one baseline."""

    baseline: str
    phase: str
    make: Callable[[], Contestants]
    goals: Mapping[str, float] = field(default_factory=dict)
    """How many times faster than a peer ours is meant to be, on a CPU."""
    peak_goal: float | None = None
    """The share of the machine's best matrix product that ours is meant to reach, on a CPU."""


@dataclass(frozen=True)
class Timing:
    """One contestant of one case."""

    baseline: str
    phase: str
    contestant: str
    seconds: float
    """Of the whole phase: median over the turns."""
    fastest: float
    slowest: float
    turns: int
    gflop: float
    """Of the whole phase, counted: products, convolutions and recurrent layers."""
    ratio: float | None
    """Median over the turns of its time by ours in the same turn; None for ours."""
    goal: float | None
    peak_goal: float | None

    @property
    def gflops(self) -> float:
        """Billions of floating-point operations in a second."""
        return self.gflop / self.seconds


def with_textgan(setting: Setting, found: Contestants, make: Callable[[], list[Work]]) -> Contestants:
    """The contestants, and TextGAN-PyTorch where a checkout is given; it has one size."""
    return {**found, TEXTGAN: make()} if setting.textgan_pytorch and not setting.quick else found
