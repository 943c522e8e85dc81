"""SeqGAN: a generator of discrete text trained by policy gradient, rewarded by a discriminator of whole sentences.

**Paper**: SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient, Yu et al., AAAI 2017,
https://arxiv.org/abs/1609.05473

**Equations** (G the generator, D(x) the probability that x is real; numbers in brackets are the paper's)

1. pre-training: loss = -(1 / number of tokens) sum_{b,t} log G(x_{b,t} | x_{b,<t}) on real sentences x
2. discriminator (5): loss = -mean_real log D(x) - mean_generated log(1 - D(x)), and .1 ||output layer||^2
3. reward (4): Q(x_<t, x_t) = (1 / N) sum_n D(x^n), x^n a completion of x_1..x_t by G, n = 1..N; at the end Q = D(x)
4. policy gradient (6, 7): loss = -sum_{b,t} log G(x_{b,t} | x_{b,<t}) Q(x_{b,<t}, x_{b,t}) on own samples x

**Differences** (released code: LantaoYu/SeqGAN)

- Roll-out policy. Paper: the generator itself (algorithm 1, beta <- theta). Code: means to average with rate .8, but
  the executed graph reads the live generator (rollout.py:18-20,62-75 against 228-246). Ours: the live generator.
- Discriminator. Paper: sigmoid output; windows for lengths 20 and 32 (table 5). Code: two-way softmax, 12 window sizes
  1..20 (sequence_gan.py:25-30). Ours: as the code; windows longer than a sentence are left out. Published SeqGAN
  scores on real text are Texygen's, whose discriminator is smaller: `d_filters`, and suite `paper/seqgan-image_coco`.
- Loss of the generator. Paper: an expectation. Code: the sum over the batch and time, clipped at norm 5
  (generator.py:108-118). Ours: as the code. Rewards are not centred: every sampled token is pushed up.
- Real sentences of a discriminator pool. Code: all 9,984, the same ones (sequence_gan.py:39,104), in 156 batches.
  Ours: the next `pool_batches` batches of the stream; 156 of them are those 9,984 on the synthetic task.
- Adversarial rounds. Paper's curve and released log: 150. Code: 200 (sequence_gan.py:35). Ours: 200.
- Sentences that end early: not in the code, whose loaders drop every line without exactly 20 tokens
  (dataloader.py:16,54). Ours: what follows the end token has no likelihood and no reward; ended prefixes are not
  completed; the discriminator reads the padded sentence.
- Rewards stay with their token: williamSYSU/TextGAN-PyTorch utils/rollout.py:139,153 reinterprets (N T, B) as
  (B, T, N) and mixes sentences; it also scores with dropout on. Ours does neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Interval
from torch import Tensor

from baselines.common.fast.graphs import replayed
from baselines.common.fast.likelihood import counted
from baselines.common.interface import (
    Batches,
    Phase,
    PositiveFloat,
    PositiveInt,
    SequenceSpec,
    TextGenerator,
)
from baselines.common.networks.cnn import FILTERS, TEXYGEN_FILTERS, CNNClassifier
from baselines.common.networks.lstm import LSTMLanguageModel
from baselines.common.training.averages import Histories, WeightAverage
from baselines.common.training.counter import Counter
from baselines.common.training.feature_matching import matching_rewards
from baselines.common.training.optimizer import adam, update
from baselines.common.training.pool import DiscriminatorPool
from baselines.common.training.rollout import rollout_rewards
from baselines.common.training.stabilisers import StabilisedConfig

__all__ = ["SeqGAN"]


class SeqGAN(TextGenerator):
    """LSTM generator, convolutional discriminator, Monte-Carlo roll-outs."""

    @dataclass(frozen=True, kw_only=True)
    class Config(StabilisedConfig):
        """Defaults: the released setting for the synthetic task of length 20."""

        embedding_dim: PositiveInt = 32
        """Width of the generator's word vectors."""
        hidden_dim: PositiveInt = 32
        """Width of the generator's LSTM."""
        lr: PositiveFloat = 1e-2
        """Adam of the generator; pre-training and adversarial training have a state each."""
        clip_norm: PositiveFloat = 5.0
        """Global norm at which the generator's gradients are clipped. The discriminator's are not."""
        mle_steps: PositiveInt = 18_720
        """Pre-training: 120 epochs of 156 batches."""
        d_filters: Literal["seqgan", "texygen"] = "seqgan"
        """The discriminator's windows: twelve sizes, or Texygen's sizes 2 and 3 with 300 filters."""
        d_embedding_dim: PositiveInt = 64
        """Width of the discriminator's word vectors."""
        d_keep: Annotated[float, Interval(gt=0, le=1)] = 0.75
        """Share of features that the discriminator's dropout keeps in training."""
        d_l2: Annotated[float, Ge(0)] = 0.2
        """Weight of half the squared norm of the discriminator's output layer."""
        d_lr: PositiveFloat = 1e-4
        """Adam of the discriminator."""
        pool_batches: PositiveInt = 156
        """Batches of real sentences, and as many of fresh samples, in one pool of the discriminator."""
        pool_epochs: PositiveInt = 3
        """Passes over a pool, in the same batches, before the next: 3 x 312 = 936 steps."""
        d_pretrain_steps: PositiveInt = 46_800
        """Pre-training of the discriminator: 50 pools of 936 steps."""
        iterations: PositiveInt = 200
        """Rounds of adversarial training."""
        g_steps: PositiveInt = 1
        """Generator updates per round."""
        d_steps: PositiveInt = 4_680
        """Discriminator updates per round: 5 pools of 936 steps."""
        rollouts: PositiveInt = 16
        """N: completions of each prefix."""

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "batch_size": 16, "mle_steps": 40, "pool_batches": 2, "pool_epochs": 1, "d_pretrain_steps": 8,
            "iterations": 2, "d_steps": 4, "rollouts": 2,
        },
        # 10 epochs of MLE, 5 pools of 60 discriminator steps, 10 rounds of one generator step and one pool: with
        # V = 5000 and T = 20 less than two minutes on one core.
        "small": {
            "mle_steps": 1_560, "pool_batches": 10, "d_pretrain_steps": 300,
            "iterations": 10, "d_steps": 60, "rollouts": 4,
        },
    }  # fmt: skip

    def __init__(self, config: SeqGAN.Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.config: SeqGAN.Config = config
        self.generator = LSTMLanguageModel(spec, embedding_dim=config.embedding_dim, hidden_dim=config.hidden_dim)
        filters = {"seqgan": FILTERS, "texygen": TEXYGEN_FILTERS}[config.d_filters]
        self.discriminator = CNNClassifier(
            spec,
            embedding_dim=config.d_embedding_dim,
            keep=config.d_keep,
            filters=filters,
            norm=config.d_norm,
            label_smoothing=config.label_smoothing,
        )
        self.optimizers = {
            "mle": adam(self.generator, config.lr),
            "generator": adam(self.generator, config.lr),
            "discriminator": adam(self.discriminator, config.d_lr),
        }
        self.pool = DiscriminatorPool(
            spec, batches=config.pool_batches, batch_size=config.batch_size, epochs=config.pool_epochs
        )
        self.adversarial_updates = Counter()
        sides = {"generator": self.generator, "discriminator": self.discriminator}
        self.history = Histories(config.historical_averaging, self.adversarial_updates, sides)
        self.average = WeightAverage(
            self.generator, config.ema_decay, after=[self.optimizers["mle"], self.optimizers["generator"]]
        )

    def phases(self) -> Sequence[Phase]:
        """Algorithm 1 of the paper: both pre-trained, then in turn."""
        c = self.config
        return [
            Phase("mle", c.mle_steps, self.mle_step),
            Phase("discriminator", c.d_pretrain_steps, self.discriminator_step),
            Phase("adversarial", c.iterations * (c.g_steps + c.d_steps), self.adversarial_step),
        ]

    def mle_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """One update on one batch."""
        return self.imitate(next(batches))

    @replayed()
    def imitate(self, tokens: Tensor) -> Mapping[str, Tensor]:
        """Equation 1 on real sentences (B, T)."""
        loss = self.generator.mean_nll(tokens)
        update(self.optimizers["mle"], loss, max_norm=self.config.clip_norm)
        return {"nll": loss.detach()}

    def discriminator_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """One update on the next batch of the pool; where the pool is used up, on the first of a new one."""
        return self.discriminate(*self.pool.next(batches, self.generator.sample))

    @replayed(unless=["gradient_penalty"])
    def discriminate(self, tokens: Tensor, real: Tensor) -> Mapping[str, Tensor]:
        """Equation 2 on sentences (B, T) with their labels (B,), 1 for real."""
        logits = self.discriminator(tokens, dropout=True)
        loss = self.discriminator.loss(logits, real, l2=self.config.d_l2) + self.history("discriminator")
        loss = loss + self.discriminator.slope_penalty(tokens, real, weight=self.config.gradient_penalty)
        update(self.optimizers["discriminator"], loss)
        accuracy = (logits.detach().argmax(1) == real).float().mean()
        return {"d_loss": loss.detach(), "d_accuracy": accuracy}

    def adversarial_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """One update of a round: `g_steps` of the generator, then `d_steps` of the discriminator."""
        position = self.adversarial_updates.value % (self.config.g_steps + self.config.d_steps)
        self.adversarial_updates.advance()
        return self.generator_step(batches) if position < self.config.g_steps else self.discriminator_step(batches)

    def generator_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """Equations 3 and 4 on one batch of own samples; real sentences are taken for feature matching alone."""
        tokens = self.generator.sample(self.config.batch_size)
        d = self.discriminator
        rewards = rollout_rewards(self.generator, tokens, d.score, self.config.rollouts, d.score_completions)
        inside = counted(tokens, self.spec.eos_id)
        reward = rewards.sum() / inside.sum()
        if self.config.feature_matching:  # like the rewards per sentence: the loss is a sum over sentences
            matched = matching_rewards(self.discriminator.features, next(batches), tokens)
            rewards = rewards + self.config.feature_matching * matched[:, None] * inside
        entropy = self.generator.entropy(tokens)
        loss = self.generator.weighted_nll(tokens, rewards) + self.history("generator")
        update(self.optimizers["generator"], loss, max_norm=self.config.clip_norm)
        return {"g_loss": loss.detach(), "reward": reward, "entropy": entropy}

    def sample(self, n: int, *, temperature: float = 1.0) -> Tensor:
        """Draw token by token from the generator."""
        with self.average.applied():
            return self.generator.sample(n, temperature=temperature)

    def log_prob(self, tokens: Tensor) -> Tensor:
        """The generator's: (B, T) -> (B,), nats."""
        with self.average.applied():
            return self.generator.log_prob(tokens)
