"""The update of every plain step."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim import Optimizer

__all__ = ["update"]


def update(optimizer: Optimizer, loss: Tensor, clip: float | None = None) -> None:
    """One step of the optimiser; the norm of its parameters' gradient is at most `clip`."""
    optimizer.zero_grad()
    loss.backward()
    if clip is not None:
        nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], clip)
    optimizer.step()
