"""How exact products of float32 matrices are: in training as asked for, in evaluations always as float32 has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from bench.config import Precision

__all__ = ["exact_products", "use_precision"]


def use_precision(precision: Precision) -> None:
    """Of all libraries at once: PyTorch itself would have TF32 in a GPU's convolutions and LSTMs.

    `baselines.common.kernels` rounds what it multiplies to bf16 where that is set. On a GPU PyTorch has no such
    setting; there its own products, convolutions and LSTMs are TF32 then.
    """
    backends: Any = torch.backends
    backends.fp32_precision = precision
    for part in (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn):
        part.fp32_precision = "tf32" if precision == "bf16" else precision


@contextmanager
def exact_products(otherwise: Precision) -> Iterator[None]:
    """Inside, products are exact; behind it, as they are `otherwise`."""
    use_precision("ieee")
    try:
        yield
    finally:
        use_precision(otherwise)
