"""WGAN-GP for text: a convolutional generator emits distributions, and its critic reads them as they are.

**Paper**: Improved Training of Wasserstein GANs, Gulrajani et al., NeurIPS 2017, https://arxiv.org/abs/1704.00028

**Equations** (G(z) in [0, 1]^{T x V}: softmax outputs; x a real sentence, one-hot; C the critic)

1. critic (3): loss = mean C(G(z)) - mean C(x) + lambda mean (||grad C(u)||_2 - 1)^2,
   u = a x + (1 - a) G(z) with one a ~ U[0, 1] per sentence, the norm over T x V
2. generator: loss = -mean C(G(z)), z ~ N(0, I)
3. networks: 5 blocks x + .3 conv5(relu(conv5(relu(x)))) each, no normalisation; no pre-training
4. a sample: the most likely word of G(z) at each position

An implicit model: there is no likelihood, and no temperature.

**Differences** (released code: igul222/improved_wgan_training gan_language.py). The paper prints samples of characters
and no score; no n-gram divergence is published.

- Adam. Paper's algorithm 1: beta1 0, beta2 .9, 5 critic steps. Code for language: .5, .9 and 10 (lines 26, 114-115).
  Ours: as the code.
- Order. Code: iteration 0 trains the critic alone; from then on one generator step, then the critic's (153-166).
  Ours: the same, one update per step.
- Data. Code: 10 million lines of Billion Word, cut or padded to 32 characters, shuffled anew in each epoch
  (gan_language.py:118-125). Ours: the task's sentences; the task `characters` cuts any text in that way.
- Words. Code: bytes, so that V is at most 257. Ours: any V. Where sentences end early, padding is a word like the
  others to both networks, and what follows the first end token of a sample is blanked.
- Two biases of the critic that cancel in equation 1 are left out; they never had a gradient.
- TensorFlow's Adam adds its epsilon before the bias correction, torch's after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from baselines.common.fast.graphs import replayed
from baselines.common.fast.likelihood import finished
from baselines.common.interface import (
    Batches,
    Fraction,
    NonNegativeFloat,
    Phase,
    PositiveFloat,
    PositiveInt,
    SequenceSpec,
    TextGenerator,
)
from baselines.common.networks.residual_conv import ConvCritic, ConvGenerator
from baselines.common.training.averages import Histories, WeightAverage
from baselines.common.training.optimizer import adam, update
from baselines.common.training.penalties import feature_distance, gradient_penalty
from baselines.common.training.stabilisers import StabilisedConfig
from baselines.common.training.state import Counter, Turns

__all__ = ["WGANGP"]

_SAMPLED_AT_ONCE = 128  # sentences; their distributions take T V numbers each


class WGANGP(TextGenerator):
    """Residual convolutions on both sides, Wasserstein loss with a gradient penalty."""

    @dataclass(frozen=True, kw_only=True)
    class Config(StabilisedConfig):
        """Defaults: the released setting for language."""

        shuffle: bool = True
        """Draw a new order in each epoch."""
        dim: PositiveInt = 512
        """Channels of both networks. The authors find it slow and over-fitting, and advise less on small data."""
        blocks: PositiveInt = 5
        """Residual blocks of each network."""
        noise_dim: PositiveInt = 128
        """Length of z."""
        gradient_penalty: NonNegativeFloat = 10.0
        """lambda."""
        lr: PositiveFloat = 1e-4
        """Adam of both networks."""
        beta1: Fraction = 0.5
        """Adam's decay of the first moment."""
        beta2: Fraction = 0.9
        """Adam's decay of the second moment."""
        critic_steps: PositiveInt = 10
        """Critic updates per iteration."""
        iterations: PositiveInt = 200_000
        """Each has one generator update, but for the first, and `critic_steps` of the critic."""

        def __post_init__(self) -> None:
            """Refuse a critic of unbounded slope, and labels where there are none."""
            if self.d_norm == "batch":
                raise ValueError("d_norm = batch does not bound the critic's slope: use spectral, weight or none")
            if not self.gradient_penalty and self.d_norm != "spectral":
                raise ValueError("the critic's slope must be bounded: by gradient_penalty over 0 or d_norm = spectral")
            if self.label_smoothing:
                raise ValueError(
                    f"wgan_gp's critic has no labels: leave label_smoothing at 0, got {self.label_smoothing}"
                )
            super().__post_init__()

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"batch_size": 16, "dim": 16, "blocks": 2, "noise_dim": 8, "critic_steps": 3, "iterations": 6},
        # An eighth of the published width, and a rate at which 250 iterations of 5 critic steps show something: with 32
        # characters out of 47 about two minutes on one core; with V = 5000 and T = 20 five to ten.
        "small": {"dim": 64, "lr": 1e-3, "critic_steps": 5, "iterations": 250},
    }

    def __init__(self, config: WGANGP.Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.config: WGANGP.Config = config
        self.generator = ConvGenerator(spec, noise_dim=config.noise_dim, dim=config.dim, blocks=config.blocks)
        self.critic = ConvCritic(spec, dim=config.dim, blocks=config.blocks, keep=config.d_keep, norm=config.d_norm)
        betas = (config.beta1, config.beta2)
        self.optimizers = {
            "generator": adam(self.generator, config.lr, betas),
            "critic": adam(self.critic, config.lr, betas),
        }
        self.updates = Counter()
        sides = {"generator": self.generator, "critic": self.critic}
        self.history = Histories(config.historical_averaging, self.updates, sides)
        self.average = WeightAverage(self.generator, config.ema_decay, after=[self.optimizers["generator"]])

    def phases(self) -> Sequence[Phase]:
        """One phase from nothing; the generator's update of iteration 0 is missing."""
        c = self.config
        critic = (c.critic_steps, lambda batches: self.critic_step(next(batches)))
        rounds = Turns(self.updates, critic, (1, self.generator_step))
        return [Phase("adversarial", c.iterations * rounds.steps - 1, rounds)]

    @replayed()
    def critic_step(self, tokens: Tensor) -> Mapping[str, Tensor]:
        """Equation 1 on one batch (B, T) and as many samples, which the generator gets no gradient from."""
        with torch.no_grad():
            generated = self.generator(self._noise(len(tokens)))
        real = self._one_hot(tokens)
        real_scores, scores = self.critic(torch.cat([real, generated])).chunk(2)
        distance = real_scores.mean() - scores.mean()
        loss = -distance + self.history("critic")
        values = {"distance": distance.detach()}
        if self.config.gradient_penalty:
            penalty = gradient_penalty(self.critic, real, generated, slope=self.critic.slope)
            loss = loss + self.config.gradient_penalty * penalty
            values["penalty"] = penalty.detach()
        update(self.optimizers["critic"], loss)
        return {"critic_loss": loss.detach(), **values}

    def generator_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """Equation 2 on one batch; real sentences are taken for feature matching alone."""
        generated = self.generator(self._noise(self.config.batch_size))
        features = self.critic.features(generated)
        loss = -self.critic.judge(features).mean() + self.history("generator")
        if self.config.feature_matching:
            real_features = self.critic.features(self._one_hot(next(batches))).detach()
            loss = loss + self.config.feature_matching * feature_distance(real_features, features)
        update(self.optimizers["generator"], loss)
        return {"g_loss": loss.detach(), "top_probability": generated.detach().amax(2).mean()}

    def _one_hot(self, tokens: Tensor) -> Tensor:
        return functional.one_hot(tokens, self.spec.vocab_size).to(self.generator.input.weight.dtype)

    def _noise(self, n: int) -> Tensor:
        return torch.randn(n, self.config.noise_dim, device=self.generator.input.weight.device)

    @torch.no_grad()
    def sample(self, n: int, *, temperature: float = 1.0) -> Tensor:
        """Equation 4. Raises ValueError for a temperature other than 1: nothing is drawn but the noise."""
        if temperature != 1:
            raise ValueError(f"wgan_gp has no temperature: its samples are most likely words; got {temperature}")
        parts = self._noise(n).split(_SAMPLED_AT_ONCE)
        with self.average.applied():
            tokens = torch.cat([self.generator(noise).argmax(2) for noise in parts])
        return finished(tokens, self.spec)
