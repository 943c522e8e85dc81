"""What the steps of a phase return, read only when it is logged, evaluated or saved, so that no step waits for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ["Readings", "StepValues", "Total"]


@dataclass(frozen=True, kw_only=True)
class Total:
    """Over the steps that returned the same names on the same device."""

    names: tuple[str, ...]
    sums: tuple[float, ...]
    steps: int


@dataclass(frozen=True, kw_only=True)
class StepValues:
    """What steps returned, as a checkpoint keeps it."""

    latest: Mapping[str, float] = field(default_factory=dict)
    """What the diary does not have yet."""
    totals: tuple[Total, ...] = ()
    """Since the evaluation before."""


class Readings:
    """What the steps of one phase returned: the latest value of every name, and the means since an evaluation."""

    def __init__(self, kept: StepValues) -> None:
        self._latest: dict[str, Tensor] = {name: torch.tensor(value) for name, value in kept.latest.items()}
        self._sums = {each.names: torch.tensor(each.sums, dtype=torch.float64) for each in kept.totals}
        self._steps = {each.names: each.steps for each in kept.totals}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """What one step returned: scalars, which may be overwritten by the next step. None leaves its device."""
        self._latest.update(values)
        for device in dict.fromkeys(value.device for value in values.values()):
            there = {name: value for name, value in values.items() if value.device == device}
            names, together = tuple(there), _stacked(there)
            before = self._sums.get(names)
            self._sums[names] = together.double() if before is None else before.to(device) + together
            self._steps[names] = self._steps.get(names, 0) + 1

    def take_latest(self) -> dict[str, float]:
        """The latest value of every name that was not taken before, in one transfer."""
        latest = self._read_latest()
        self._latest.clear()
        return latest

    def take_means(self) -> dict[str, float]:
        """The mean of every name since they were taken before; a name whose mean is not finite is left out."""
        sums: dict[str, float] = {}
        steps: dict[str, int] = {}
        for total in self._totals():
            for name, value in zip(total.names, total.sums, strict=True):
                sums[name] = sums.get(name, 0.0) + value
                steps[name] = steps.get(name, 0) + total.steps
        self._sums.clear()
        self._steps.clear()
        means = {name: value / steps[name] for name, value in sums.items()}
        return {name: mean for name, mean in means.items() if math.isfinite(mean)}

    def kept(self) -> StepValues:
        """What was not taken yet."""
        return StepValues(latest=self._read_latest(), totals=self._totals())

    def _read_latest(self) -> dict[str, float]:
        return dict(zip(self._latest, _stacked(self._latest).tolist(), strict=True)) if self._latest else {}

    def _totals(self) -> tuple[Total, ...]:
        return tuple(
            Total(names=names, sums=tuple(sums.tolist()), steps=self._steps[names])
            for names, sums in self._sums.items()
        )


def _stacked(values: Mapping[str, Tensor]) -> Tensor:
    """Scalars, wherever they are, as one vector of float32 where the last of them is."""
    *_, last = values.values()
    return torch.stack([value.detach().to(last.device, torch.float32) for value in values.values()])
