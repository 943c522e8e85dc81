"""Control: one training sentence for ever. A typical one fools scores that look at sentences one by one.

**Paper**: none; the extreme of mode collapse is the standard reference row for quality scores without a score of
diversity.

**Equations**

1. p(x) = [x = x_1], x_1 one training sentence

**Differences**: no paper, no released code. It has no `log_prob`: equation 1 is zero for every other
sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from baselines.common.interface import BaseConfig, Batches, Phase, SequenceSpec, TextGenerator
from baselines.common.training.state import Counter

__all__ = ["RepeatOne"]


class RepeatOne(TextGenerator):
    """One sentence of the first batch, drawn at random, so that other seeds repeat other sentences."""

    collapses: ClassVar[bool] = True
    """By design: the harness, which looks for this name, records its collapse and alarms nobody."""
    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {"batch_size": 16}, "small": {}}

    def __init__(self, config: BaseConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.sentence: Tensor
        self.register_buffer("sentence", torch.zeros(spec.max_len, dtype=torch.int64))
        self.collected = Counter()

    def phases(self) -> Sequence[Phase]:
        """One step."""
        return [Phase("collect", 1, self.collect)]

    def collect(self, batches: Batches) -> Mapping[str, Tensor]:
        """Choose the sentence."""
        batch = next(batches)
        self.sentence.copy_(batch[torch.randint(len(batch), (), device=batch.device)])
        self.collected.advance()
        return {"sentences": torch.tensor(1)}

    def sample(self, n: int, *, temperature: float = 1.0) -> Tensor:
        """The sentence, n times."""
        if temperature != 1:
            raise ValueError(f"repeat_one has no temperature, got {temperature}")
        if not self.collected.value:
            raise ValueError("repeat_one has no sentence to repeat yet; train it first")
        return self.sentence.repeat(n, 1)
