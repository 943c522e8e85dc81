"""MyGAN: what is new in it, in one sentence.

**Paper**: authors, title, venue, year, address

**Equations**: number them here and name the number at the line that computes it

1. log p(x) = sum over t of log p(x_t | x_<t)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from textgan_bench import BaseConfig, Batches, Phase, PositiveFloat, PositiveInt, SequenceSpec, TextGenerator


class MyGAN(TextGenerator):
    """A GRU that writes word by word."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Settings: `--set hidden_dim=128`. `batch_size` and `shuffle` come from BaseConfig."""

        hidden_dim: PositiveInt = 64
        """Width of embeddings and GRU."""
        lr: PositiveFloat = 5e-3
        """Adam's, of maximum likelihood."""
        mle_steps: PositiveInt = 1_500
        """Steps of maximum likelihood."""

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "mle_steps": 40,
        },
        "small": {
            "mle_steps": 500,
        },
    }
    """What `--scale smoke` and `--scale small` change; the defaults above are the published setting."""

    def __init__(self, config: Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)  # first: it keeps config and spec, and makes self.optimizers
        self.config: MyGAN.Config = config
        self.embedding = nn.Embedding(spec.vocab_size, config.hidden_dim)
        self.gru = nn.GRU(config.hidden_dim, config.hidden_dim, batch_first=True)
        self.output = nn.Linear(config.hidden_dim, spec.vocab_size)
        generator = list(self.parameters())
        self.optimizers["mle"] = torch.optim.Adam(generator, lr=config.lr)  # here, so that checkpoints have it

    def phases(self) -> Sequence[Phase]:
        """Name the steps; the harness calls each as often as it says, in this order."""
        return [
            Phase("mle", self.config.mle_steps, self.mle_step),
        ]

    def mle_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """Maximise equation 1 on real sentences, (B, T) ids."""
        return {"nll": self.update("mle", -self.log_prob(next(batches)).mean())}

    def update(self, name: str, loss: Tensor) -> Tensor:
        """One step of an optimizer -> the loss, detached: a tensor, not a number, so that no step waits for a GPU."""
        self.optimizers[name].zero_grad()
        loss.backward()
        self.optimizers[name].step()
        return loss.detach()

    def sample(self, n: int, *, temperature: float = 1.0) -> Tensor:
        """Draw n sentences -> (n, T) int64."""
        tokens = torch.full((n, 1), self.spec.bos_id, device=self.output.weight.device)
        state, drawn = None, []
        for _ in range(self.spec.max_len):
            hidden, state = self.gru(self.embedding(tokens), state)
            tokens = (self.output(hidden[:, -1]) / temperature).softmax(1).multinomial(1)
            drawn.append(tokens)
        return self.blank(torch.cat(drawn, 1))

    def log_prob(self, tokens: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Equation 1: (B, T) -> (B,), nats. Leave it out if your model has no likelihood."""
        before = functional.pad(tokens[:, :-1], (1, 0), value=self.spec.bos_id)
        words = (self.output(self.gru(self.embedding(before))[0]) / temperature).log_softmax(2)
        words = words.gather(2, tokens[:, :, None]).squeeze(2)
        return words.masked_fill(self.after_end(tokens), 0.0).sum(1)  # what follows the end token counts nothing

    def after_end(self, tokens: Tensor) -> Tensor:
        """Which positions follow the end token, (B, T); none where sentences have no end token."""
        if self.spec.eos_id is None:
            return torch.zeros_like(tokens, dtype=torch.bool)
        ends = tokens == self.spec.eos_id
        return ends.cumsum(1) - ends.long() > 0

    def blank(self, tokens: Tensor) -> Tensor:
        """Padding after the end token, as real sentences have it."""
        return tokens.masked_fill(self.after_end(tokens), self.spec.pad_id or 0)
