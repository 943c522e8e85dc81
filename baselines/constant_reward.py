"""Control: SeqGAN with the reward 1, or noise, in place of the discriminator. What it gains, no discriminator gave.

**Paper**: none; the generator is SeqGAN's, Yu et al., AAAI 2017, https://arxiv.org/abs/1609.05473. That a constant
reward, or noise in [0, 1], lowers NLL-oracle as well was reported at https://github.com/LantaoYu/SeqGAN/issues/21

**Equations**

1. pre-training: loss = -(1 / number of tokens) sum_{b,t} log G(x_{b,t} | x_{b,<t}) on real sentences x
2. policy gradient: loss = -sum_{b,t} Q_{b,t} log G(x_{b,t} | x_{b,<t}) on own samples x, Q = 1 or,
   with `reward = noise`, Q_{b,t} ~ U[-1/2, 1/2], one number for each token

The expected gradient of equation 2 is zero for both. What is left is noise, and with Q = 1 an entropy that falls as
sampled tokens are pushed up: the control for every claim that a falling NLL-oracle shows a useful discriminator.

**Differences**: from SeqGAN (released code: LantaoYu/SeqGAN generator.py:108-118), the reward alone. Optimisers,
clipping and the number of generator updates are SeqGAN's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from baselines.common.bases import LanguageModelBase, LanguageModelConfig
from baselines.common.fast.likelihood import counted
from baselines.common.interface import Batches, Phase, PositiveFloat, PositiveInt, SequenceSpec
from baselines.common.networks.lstm import LSTMLanguageModel
from baselines.common.training.averages import WeightAverage
from baselines.common.training.optimizer import adam, update

__all__ = ["ConstantReward"]


class ConstantReward(LanguageModelBase):
    """SeqGAN's generator, rewarded for whatever it says."""

    @dataclass(frozen=True, kw_only=True)
    class Config(LanguageModelConfig):
        """Defaults: SeqGAN's."""

        lr: PositiveFloat = 1e-2
        """Adam; pre-training and adversarial training have a state each."""
        mle_steps: PositiveInt = 18_720
        """Pre-training: 120 epochs of 156 batches."""
        g_steps: PositiveInt = 200
        """Updates with that reward: one for each of SeqGAN's 200 rounds."""
        reward: Literal["constant", "noise"] = "constant"
        """Q of equation 2: 1, or noise of mean 0."""

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"batch_size": 16, "mle_steps": 40, "g_steps": 2},
        # SeqGAN's counts at this scale, and so its pre-trained generator.
        "small": {"mle_steps": 1_560, "g_steps": 10},
    }

    config: Config
    generator: LSTMLanguageModel

    def __init__(self, config: ConstantReward.Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.generator = LSTMLanguageModel(spec, embedding_dim=config.embedding_dim, hidden_dim=config.hidden_dim)
        self.optimizers = {"mle": adam(self.generator, config.lr), "generator": adam(self.generator, config.lr)}
        self.average = WeightAverage(self.generator, config.ema_decay, after=list(self.optimizers.values()))

    def phases(self) -> Sequence[Phase]:
        """Pre-training, then as many generator updates as SeqGAN makes."""
        return [
            Phase("mle", self.config.mle_steps, self.mle_step),
            Phase("adversarial", self.config.g_steps, self.generator_step),
        ]

    def generator_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """Equation 2 on one batch of own samples; no real sentence is looked at."""
        tokens = self.generator.sample(self.config.batch_size)
        entropy = self.generator.entropy(tokens)
        rewards = counted(tokens, self.spec.eos_id).float()
        if self.config.reward == "noise":
            rewards = rewards * (torch.rand_like(rewards) - 0.5)
        loss = self.generator.weighted_nll(tokens, rewards)
        update(self.optimizers["generator"], loss, max_norm=self.config.clip_norm)
        return {"g_loss": loss.detach(), "entropy": entropy}
