"""A whole number that checkpoints keep: where a step stands among steps that differ."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Counter"]


class Counter(nn.Module):
    """Counts on the host, so that asking for the value never waits for the device; saved with the model."""

    def __init__(self) -> None:
        super().__init__()
        self.value = 0

    def advance(self) -> None:
        """Count one more."""
        self.value += 1

    def get_extra_state(self) -> Tensor:
        """What `state_dict()` keeps: a tensor, because weight files hold nothing else."""
        return torch.tensor(self.value)

    def set_extra_state(self, state: Tensor) -> None:
        """Go to the saved value."""
        self.value = int(state)
