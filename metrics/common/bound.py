"""What metrics may look at of a model that has only a bound on its likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import MetricInputs
from metrics.common.labels import LabelledInputs

__all__ = ["BoundedInputs", "LabelledBoundedInputs", "SentenceNllBound", "bounded"]

SentenceNllBound = Callable[[NDArray[np.int64], int], NDArray[np.float64]]
"""(N, T) ids and a number of draws -> (N,) nats: for each sentence an estimate of an upper bound on its -log p, without
bias for the bound and from that many draws of its own. Equal arguments give equal numbers."""


@dataclass(frozen=True, kw_only=True)
class BoundedInputs(MetricInputs):
    """The inputs of a metric, with a bound in the place of a likelihood."""

    model_nll_bound: SentenceNllBound | None = None
    """The model's, at temperature 1, where it has one."""

    @cached_property
    def _asked(self) -> dict[int, NDArray[np.float64]]:
        return {}

    def references_nll_bound(self, draws: int) -> NDArray[np.float64]:
        """(N,) the bound of `reference_ids`, nats; asked for once. ValueError unless there is one for each."""
        assert self.model_nll_bound is not None
        assert self.reference_ids is not None
        if draws not in self._asked:
            found = np.asarray(self.model_nll_bound(self.reference_ids, draws), np.float64)
            if found.shape != (len(self.reference_ids),):
                raise ValueError(
                    f"expected one bound for each of {len(self.reference_ids)} sentences, got shape {found.shape}"
                )
            self._asked[draws] = found
        return self._asked[draws]


@dataclass(frozen=True, kw_only=True)
class LabelledBoundedInputs(LabelledInputs, BoundedInputs):
    """The same on a task with classes; the bound is of label and words together."""


def bounded(inputs: MetricInputs, bound: SentenceNllBound | None) -> MetricInputs:
    """The same inputs with the bound; without one they are what they were."""
    if bound is None:
        return inputs
    kind = LabelledBoundedInputs if isinstance(inputs, LabelledInputs) else BoundedInputs
    return kind(**{f.name: getattr(inputs, f.name) for f in fields(inputs)}, model_nll_bound=bound)
