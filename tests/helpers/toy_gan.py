"""A user's own model in one file, as small as the contract allows: a learned distribution over words, no context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.common.interface import (
    BaseConfig,
    Batches,
    Phase,
    PositiveFloat,
    PositiveInt,
    SequenceSpec,
    TextGenerator,
)
from baselines.common.training.optimizer import adam


class ToyGAN(TextGenerator):
    """Words drawn independently; an "adversarial" phase that pushes its own samples up, as a constant reward does."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Settings."""

        batch_size: PositiveInt = 16
        lr: PositiveFloat = 0.05
        """Learning rate."""
        mle_steps: PositiveInt = 30
        """Steps of maximum likelihood."""
        adversarial_steps: PositiveInt = 20
        """Steps after it."""
        break_at: int = -1
        """Adversarial step that poisons the weights; -1: none."""
        raise_at: int = -1
        """Adversarial step that raises; -1: none."""

    config: Config

    def __init__(self, config: Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.logits = nn.Parameter(torch.randn(spec.vocab_size))
        self.register_buffer("done", torch.zeros((), dtype=torch.int64))
        self.optimizers["mle"] = adam(self, config.lr)

    def phases(self) -> Sequence[Phase]:
        steps = self.config.mle_steps, self.config.adversarial_steps
        return [Phase("mle", steps[0], self._mle), Phase("adversarial", steps[1], self._adversarial)]

    def _mle(self, batches: Batches) -> Mapping[str, Tensor]:
        return self._update(-self.log_prob(next(batches)).mean())

    def _adversarial(self, batches: Batches) -> Mapping[str, Tensor]:
        self.done += 1
        if self.done == self.config.raise_at:
            raise RuntimeError("the toy is broken")
        if self.done == self.config.break_at:
            with torch.no_grad():
                self.logits.fill_(float("nan"))
        return self._update(-self.log_prob(self.sample(16)).mean())

    def _update(self, loss: Tensor) -> Mapping[str, Tensor]:
        self.optimizers["mle"].zero_grad()
        loss.backward()
        self.optimizers["mle"].step()
        return {"loss": loss.detach()}

    def sample(self, n: int, *, temperature: float = 1.0) -> Tensor:
        weights = (self.logits.detach() / temperature).softmax(0).nan_to_num(0.5)
        return torch.multinomial(weights, n * self.spec.max_len, replacement=True).view(n, self.spec.max_len)

    def log_prob(self, tokens: Tensor) -> Tensor:
        scores = self.logits.log_softmax(0)[tokens]
        if self.spec.eos_id is not None:
            ended = (tokens == self.spec.eos_id).cumsum(1) - (tokens == self.spec.eos_id).long() > 0
            scores = scores.masked_fill(ended, 0.0)
        return scores.sum(1)


class InfiniteBetween(ToyGAN):
    """Its first phase has a value of its own, which is infinite at all steps but the first and the last."""

    def __init__(self, config: ToyGAN.Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.register_buffer("mle_done", torch.zeros((), dtype=torch.int64))

    def _mle(self, batches: Batches) -> Mapping[str, Tensor]:
        self.mle_done += 1
        logged = int(self.mle_done) in (1, self.config.mle_steps)
        return {**super()._mle(batches), "of_mle": torch.tensor(1.0 if logged else float("inf"))}
