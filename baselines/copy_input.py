"""Control: every sentence is left as it is. By reference BLEU it beats published systems of style transfer.

**Paper**: none for the model; that copying scores so is in Tikhonov et al., Style Transfer for Texts: Retrain, Report
Errors, Compare with Rewrites, EMNLP 2019, https://arxiv.org/abs/1908.06809

**Equations**

1. G(x, k) = x, under the label k

**Differences**: no released code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from baselines.common.interface import BaseConfig, Batches, LabelledSpec, Phase, Rewriter

__all__ = ["CopyInput"]


class CopyInput(Rewriter):
    """It reads one batch, so that a run of it is a run, and learns nothing."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Nothing to set."""

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {"batch_size": 16}, "small": {}}

    def __init__(self, config: CopyInput.Config, spec: LabelledSpec) -> None:
        super().__init__(config, spec)

    def phases(self) -> Sequence[Phase]:
        """One step."""
        return [Phase("read", 1, self.read)]

    def read(self, batches: Batches) -> Mapping[str, Tensor]:
        """Take a batch."""
        return {"sentences": torch.tensor(float(len(next(batches))))}

    def transfer(self, tokens: Tensor, labels: Tensor) -> Tensor:
        """Equation 1."""
        return torch.cat([labels[:, None], tokens[:, 1:]], 1)
