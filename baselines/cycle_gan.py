"""CycleGAN for text: two mappings that undo each other, learnt from unpaired sentences of two classes.

**Paper**: Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, Zhu, Park, Isola, Efros,
ICCV 2017, https://arxiv.org/abs/1703.10593. For text as in Style Transformer: Unpaired Text Style Transfer without
Disentangled Latent Representation, Dai, Liang, Qiu, Huang, ACL 2019, https://arxiv.org/abs/1905.05621

**Equations** (x a real sentence of class s, k another class; G(x, k) the rewritten sentence, D_k(x) the critic's output
for class k; numbers are those of Zhu et al.)

1. one network for every direction: G(x, k), told the class [Dai et al.: f(x, s)]
2. words: y = G(x, k) drawn place by place from softmax(o), one-hot, with the gradient of softmax(beta (o + g)), g
   Gumbel noise
3. critic: 1/2 mean (D_s(x) - 1)^2 + 1/4 mean D_k(y)^2 + 1/4 mean D_k(x)^2 [equation 1 with the squares of section 4;
   the last term, a real sentence under another class, as the conditional discriminator of Dai et al., algorithm 1]
4. adversarial loss of G: 1/2 mean (D_k(y) - 1)^2 [equation 1 so; Dai et al.: style controlling]
5. cycle consistency: -mean log p(x | G(y, s)) [equation 2, for words a likelihood in the place of a distance; Dai et
   al.: cycle reconstruction]
6. identity: -mean log p(x | G(x, s)) [L_identity of section 5.2; Dai et al.: self reconstruction]
7. loss of G: (4) + lambda_cycle (5) + lambda_identity (6) [equation 3]
8. before that, G learns equation 6 for all classes wanted, so that it begins as a copy

**Differences** (released code: junyanz/pytorch-CycleGAN-and-pix2pix, fastnlp/style-transformer)

- Networks. Zhu et al.: two generators and two critics of images. Dai et al.: a Transformer, told the class, and a
  conditional critic. Ours: one bidirectional LSTM that writes a word for each place, told the class, and one
  convolutional critic with an output for each class: what two of each would learn twice.
- Equation 2. Dai et al. hand softmax distributions on, in which more can be hidden than in words. Ours are one-hot.
- lambda. Zhu et al.: 10 and 5, of absolute differences of pixels. Ours are of nats per word, of another size; chosen on
  `grammar_transfer`, by what inputs is not recorded. On its validation inputs, one seed, .2 and .1 turn the class
  sooner and give as many right answers in the end (docs/transfer.md).
- No pool of earlier answers for the critic (Zhu et al., section 4): a draw is new each time.
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
    NonNegativeFloat,
    NonNegativeInt,
    Phase,
    PositiveFloat,
    PositiveInt,
    Rewriter,
)
from baselines.common.networks.editor import ClassCritic, Editor
from baselines.common.networks.layers import of_class
from baselines.common.training.losses import LOSSES
from baselines.common.training.optimizer import adam, frozen, update
from baselines.common.training.state import own_and_other

__all__ = ["CycleGAN"]


class CycleGAN(Rewriter):
    """One generator told the class wanted, one critic with an output for each class."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Defaults: for real text of some ten thousand sentences of each class; nobody published a setting for text."""

        shuffle: bool = True
        embedding_dim: PositiveInt = 128
        """Width of word vectors, of both networks."""
        hidden_dim: PositiveInt = 256
        """Width of the generator's LSTM, in each direction."""
        filters: PositiveInt = 128
        """Of the critic, for each window."""
        lr: PositiveFloat = 1e-3
        """Adam of the generator. In adversarial training its betas are .5 and .999 as in both papers' field, and the
        gradient is clipped to a norm of 5; in pre-training neither.
        """
        d_lr: PositiveFloat = 1e-3
        """Adam of the critic."""
        beta: PositiveFloat = 1.0
        """Inverse temperature of equation 2."""
        lambda_cycle: NonNegativeFloat = 1.0
        """Weight of equation 5."""
        lambda_identity: NonNegativeFloat = 0.5
        """Weight of equation 6."""
        d_steps: PositiveInt = 1
        """Updates of the critic in an adversarial step."""
        pretraining_steps: NonNegativeInt = 2_000
        """Steps of equation 8."""
        steps: PositiveInt = 20_000
        """Adversarial steps."""

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "batch_size": 16, "embedding_dim": 16, "hidden_dim": 16, "filters": 16,
            "pretraining_steps": 20, "steps": 20,
        },
        "small": {"embedding_dim": 64, "hidden_dim": 64, "filters": 64, "pretraining_steps": 300, "steps": 1_500},
    }  # fmt: skip

    def __init__(self, config: CycleGAN.Config, spec: LabelledSpec) -> None:
        super().__init__(config, spec)
        self.config: CycleGAN.Config = config
        self.spec = spec
        self.generator = Editor(spec, embedding_dim=config.embedding_dim, hidden_dim=config.hidden_dim)
        self.critic = ClassCritic(spec, embedding_dim=config.embedding_dim, filters=config.filters)
        self.optimizers = {
            "pretraining": adam(self.generator, config.lr),
            "generator": adam(self.generator, config.lr, betas=(0.5, 0.999)),
            "critic": adam(self.critic, config.d_lr, betas=(0.5, 0.999)),
        }

    def phases(self) -> Sequence[Phase]:
        """Equation 8, then critic and generator in turn."""
        return [
            Phase("identity", self.config.pretraining_steps, self.identity_step),
            Phase("adversarial", self.config.steps, self.adversarial_step),
        ]

    def identity_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """Equation 8: copies, whatever class is wanted."""
        tokens = next(batches)
        loss = self.generator.nll(self.generator(tokens, self._any_class(tokens)), tokens)
        update(self.optimizers["pretraining"], loss)
        return {"identity": loss.detach()}

    def adversarial_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """Equation 3, then equation 7, each on sentences of its own."""
        for _ in range(self.config.d_steps):
            told = self.critic_step(next(batches))
        return {**told, **self.generator_step(next(batches))}

    def critic_step(self, tokens: Tensor) -> Mapping[str, Tensor]:
        """Equation 3."""
        own, other = own_and_other(tokens, self.spec)
        with torch.no_grad():
            written = self._written(tokens, other)
        real, generated = self.critic(tokens), of_class(self.critic(written), other)
        loss_of = LOSSES["least_squares"].discriminator
        loss = (loss_of(of_class(real, own), generated) + loss_of(of_class(real, own), of_class(real, other))) / 2
        update(self.optimizers["critic"], loss)
        return {"d_loss": loss.detach()}

    def generator_step(self, tokens: Tensor) -> Mapping[str, Tensor]:
        """Equation 7."""
        own, other = own_and_other(tokens, self.spec)
        written = self._written(tokens, other)
        with frozen(self.critic):
            judged = of_class(self.critic(written), other)
        adversarial = LOSSES["least_squares"].generator(judged, judged)
        cycle = self.generator.nll(self.generator(written, own), tokens)
        identity = self.generator.nll(self.generator(tokens, own), tokens)
        loss = adversarial + self.config.lambda_cycle * cycle + self.config.lambda_identity * identity
        update(self.optimizers["generator"], loss, max_norm=5.0)
        return {"g_loss": adversarial.detach(), "cycle": cycle.detach(), "identity": identity.detach()}

    def _written(self, tokens: Tensor, classes: Tensor) -> Tensor:
        """Equation 2: (B, T, V)."""
        logits = self.generator(tokens, classes)
        return self.generator.relaxed(logits, classes + self.spec.class_ids[0], self.config.beta)

    def _any_class(self, tokens: Tensor) -> Tensor:
        return torch.randint(len(self.spec.classes), (len(tokens),), device=tokens.device)

    def transfer(self, tokens: Tensor, labels: Tensor) -> Tensor:
        """(B, T) sentences, (B,) labels wanted -> (B, T): at each place the likeliest word."""
        return self.generator.answer(self.generator(tokens, labels - self.spec.class_ids[0]), labels)
