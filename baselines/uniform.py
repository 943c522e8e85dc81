"""Control: every word equally likely. What likelihood is worth nothing: a model above ln V per token is worse.

**Paper**: none.

**Equations** (V: words of the task, the end token among them where sentences end)

1. p(x) = prod_t 1 / V over the words of x, its end token included

**Differences**: no paper, no released code. NLL is ln V per token on every text: 8.517 for the oracle's 5,000 words.
Nothing is learned, and a temperature changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from baselines.common.fast.likelihood import counted, finished
from baselines.common.interface import BaseConfig, Batches, Phase, SequenceSpec, TextGenerator

__all__ = ["Uniform"]


class Uniform(TextGenerator):
    """Equation 1."""

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {"batch_size": 16}, "small": {}}

    def __init__(self, config: BaseConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.place: Tensor
        self.register_buffer("place", torch.zeros(()))  # a model without weights lies on a device too

    def phases(self) -> Sequence[Phase]:
        """One step, which learns nothing."""
        return [Phase("count", 1, self.count)]

    def count(self, batches: Batches) -> Mapping[str, Tensor]:
        """The cost of a word; no sentence is read."""
        del batches
        return {"nll": torch.tensor(math.log(self.spec.vocab_size))}

    def sample(self, n: int, *, temperature: float = 1.0) -> Tensor:
        """Draw every word alike; what follows an end token is padding."""
        if not temperature > 0:
            raise ValueError(f"temperature must be over 0, got {temperature}")
        words = torch.randint(self.spec.vocab_size, (n, self.spec.max_len), device=self.place.device)
        return finished(words, self.spec)

    def log_prob(self, tokens: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Equation 1, at any temperature: (B, T) -> (B,), nats."""
        del temperature
        return counted(tokens, self.spec.eos_id).sum(1) * -math.log(self.spec.vocab_size)
