"""Control: real sentences under labels that have nothing to do with them. What a class metric gives by chance.

**Paper**: none; a permuted label is the standard reference row for whatever claims to follow a label.

**Equations**

1. p(x | y) = (1 / N) sum_n [x = x_n] over the words x_n of the N stored training sentences, whatever the class y
2. p(y) = 1 / K, independent of x

**Differences**: no paper, no released code. It has no `log_prob`: equation 1 is zero for nearly every held-out
sentence. Where sentences have no labels, nothing can be shuffled, and it copies training sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from baselines.common.interface import (
    BaseConfig,
    Batches,
    LabelledSpec,
    Phase,
    PositiveInt,
    SequenceSpec,
    TextGenerator,
)
from baselines.common.training.state import SentenceStore

__all__ = ["ShuffledLabels"]


class ShuffledLabels(TextGenerator):
    """Training sentences, drawn with replacement, each under a label of its own or the one that is asked for."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Defaults: as many sentences as SeqGAN's released code trains on."""

        batches: PositiveInt = 156
        """Batches to store: 9,984 sentences. Where the stream begins again in the same order, storing ends."""

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {"batch_size": 16, "batches": 40}, "small": {}}

    def __init__(self, config: ShuffledLabels.Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.config: ShuffledLabels.Config = config
        self.store = SentenceStore(spec, batches=config.batches, batch_size=config.batch_size)

    def phases(self) -> Sequence[Phase]:
        """One phase: read the sentences once."""
        return [Phase("collect", self.config.batches, self.collect)]

    def collect(self, batches: Batches) -> Mapping[str, Tensor]:
        """Store one batch."""
        return {"sentences": self.store.add(next(batches))}

    def sample(self, n: int, *, temperature: float = 1.0, labels: Tensor | None = None) -> Tensor:
        """Draw words from equation 1, and the labels from equation 2 where they are not given."""
        if temperature != 1:
            raise ValueError(f"shuffled_labels has no temperature, got {temperature}")
        sentences = self.store.sentences()
        drawn = sentences[torch.randint(len(sentences), (n,), device=sentences.device)]
        if isinstance(self.spec, LabelledSpec):
            ids = self.spec.class_ids
            drawn[:, 0] = torch.randint(ids[0], ids[-1] + 1, (n,), device=drawn.device) if labels is None else labels
        return drawn
