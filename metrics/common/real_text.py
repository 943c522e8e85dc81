"""Real sentences to score in the place of the samples: what a perfect copy of the training distribution would get."""

from __future__ import annotations

import numpy as np

from metrics.common.base import MetricInputs
from metrics.common.tokens import Tokens

__all__ = ["as_many_real"]


def as_many_real(inputs: MetricInputs) -> Tokens | None:
    """As many sentences as there are samples, real and not of the references, none twice, spread evenly.

    Of the validation text; where that is too short, of the training and validation text together; else None.
    """
    n = len(inputs.samples)
    real = inputs.validation
    if (real is None or len(real) < n) and inputs.training is not None:
        real = inputs.training if real is None else inputs.training.followed_by(real)
    if real is None or len(real) < n:
        return None
    return real.select(np.linspace(0, len(real) - 1, n).round().astype(np.int64))
