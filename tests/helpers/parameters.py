"""Whether a step moved a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["copies", "unchanged"]


def copies(module: nn.Module) -> list[Tensor]:
    """Of its parameters, as they are now."""
    return [parameter.detach().clone() for parameter in module.parameters()]


def unchanged(module: nn.Module, before: list[Tensor]) -> bool:
    """Whether its parameters are these, bit for bit."""
    return all(torch.equal(p, b) for p, b in zip(module.parameters(), before, strict=True))
