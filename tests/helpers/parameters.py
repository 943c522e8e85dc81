"""Of a network: whether a step moved it, and other values than the first ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["copies", "roughen", "unchanged"]


def copies(module: nn.Module) -> list[Tensor]:
    """Of its parameters, as they are now."""
    return [parameter.detach().clone() for parameter in module.parameters()]


def unchanged(module: nn.Module, before: list[Tensor]) -> bool:
    """Whether its parameters are these, bit for bit."""
    return all(torch.equal(p, b) for p, b in zip(module.parameters(), before, strict=True))


def roughen(module: torch.nn.Module, seed: int = 1) -> None:
    """Every parameter away from its first value, so that no gain of 1 or bias of 0 hides a mistake."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5)
