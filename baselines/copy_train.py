"""Control: a model that has learnt nothing and copies training sentences. Good on every score that misses copying.

**Paper**: none; a memoriser is the standard reference row for quality scores without a score of novelty.

**Equations**

1. p(x) = (1 / N) sum_n [x = x_n] over the N stored training sentences

**Differences**: no paper, no released code. It has no `log_prob`: equation 1 is zero for nearly every held-out
sentence, and an infinite score orders nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from baselines.common.interface import BaseConfig, Batches, Phase, PositiveInt, SequenceSpec, TextGenerator
from baselines.common.training.state import SentenceStore

__all__ = ["CopyTrain"]


class CopyTrain(TextGenerator):
    """Training sentences, drawn with replacement."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Defaults: as many sentences as SeqGAN's released code trains on."""

        batches: PositiveInt = 156
        """Batches to store: 9,984 sentences. Where the stream begins again in the same order, storing ends."""

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {"batch_size": 16, "batches": 40}, "small": {}}

    def __init__(self, config: CopyTrain.Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.config: CopyTrain.Config = config
        self.store = SentenceStore(spec, batches=config.batches, batch_size=config.batch_size)

    def phases(self) -> Sequence[Phase]:
        """One phase: read the sentences once."""
        return [Phase("collect", self.config.batches, self.collect)]

    def collect(self, batches: Batches) -> Mapping[str, Tensor]:
        """Store one batch."""
        return {"sentences": self.store.add(next(batches))}

    def sample(self, n: int, *, temperature: float = 1.0) -> Tensor:
        """Draw from equation 1, of what is stored so far."""
        if temperature != 1:
            raise ValueError(f"copy_train has no temperature, got {temperature}")
        sentences = self.store.sentences()
        return sentences[torch.randint(len(sentences), (n,), device=sentences.device)]
