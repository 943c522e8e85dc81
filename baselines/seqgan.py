"""SeqGAN: a generator of discrete text trained by policy gradient, rewarded by a discriminator of whole sentences.

**Paper**: SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient, Yu et al., AAAI 2017,
https://arxiv.org/abs/1609.05473

**Equations** (G the generator, D(x) the probability that x is real; numbers in brackets are the paper's)

1. pre-training: loss = -(1 / number of tokens) sum_{b,t} log G(x_{b,t} | x_{b,<t}) on real sentences x
2. discriminator (5): loss = -mean (log D(x) if real else log(1 - D(x))), and .1 ||output layer||^2
3. reward (4): Q(x_<t, x_t) = (1 / N) sum_n D(x^n), x^n a completion of x_1..x_t by G, n = 1..N; at the end Q = D(x)
4. policy gradient (6, 7): loss = -sum_{b,t} log G(x_{b,t} | x_{b,<t}) Q(x_{b,<t}, x_{b,t}) on own samples x

**Differences** (released code: LantaoYu/SeqGAN e2b52fb, of March 2017; first release: 870949a, of September 2016)

- Roll-out policy. Paper: the generator itself (algorithm 1, beta <- theta). Code: means to average with rate .8, but
  the executed graph reads the live generator (rollout.py:18-20,62-75 against 228-246). Ours: the live generator.
- Discriminator. Paper: sigmoid output; windows for lengths 20 and 32 (table 5). Code: two-way softmax, 12 window sizes
  1..20 (sequence_gan.py:25-30). Ours: as the code; windows longer than a sentence are left out. Published SeqGAN
  scores on real text are Texygen's, whose discriminator is smaller: `d_filters`, and suite `paper/seqgan-image_coco`.
- Loss of the generator. Paper: an expectation. Code: the sum over the batch and time, clipped at norm 5
  (generator.py:108-118). Ours: as the code. Rewards are not centred: every sampled token is pushed up.
- Real sentences of a discriminator pool. Code: all 9,984, the same ones (sequence_gan.py:39,104), in 156 batches.
  Ours: the next `pool_batches` batches of the stream; 156 of them are those 9,984 on the synthetic task.
- Settings of the paper's 8.736. First release: 240 epochs of MLE at 1e-3, 800 rounds, scored in each round and the
  best kept, pools shuffled anew in each pass (sequence_gan.py:21,27,53-55,218-229; dis_dataloader.py:95-102), no biases
  in the highway (text_classifier.py:16-21): a row of preset `seqgan-oracle20`, with `pool_order` shuffled and without
  `d_highway_biases`. Released code, and its log: 120 epochs at 1e-2, 200 rounds, of
  which the log has 150, last state. Ours: the latter.
- Sentences that end early: not in the code, whose loaders drop every line without exactly 20 tokens
  (dataloader.py:16,54). Ours: what follows the end token has no likelihood and no reward; ended prefixes are not
  completed; the discriminator reads the padded sentence. Texygen's text keeps words that come after a padding
  (utils/text_process.py:34-44), ours ends at the first end token: no difference after MLE, perhaps after a collapse.
- Rewards stay with their token: williamSYSU/TextGAN-PyTorch utils/rollout.py:139,153 reinterprets (N T, B) as
  (B, T, N) and mixes sentences; it also scores with dropout on. Ours does neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Interval
from torch import Tensor

from baselines.common.bases import PolicyGradientBase, PolicyGradientConfig
from baselines.common.fast.likelihood import counted
from baselines.common.interface import Batches, Phase, PositiveInt
from baselines.common.training.optimizer import update
from baselines.common.training.penalties import matching_rewards
from baselines.common.training.rollout import rollout_rewards
from baselines.common.training.state import Turns

__all__ = ["SeqGAN"]


class SeqGAN(PolicyGradientBase):
    """LSTM generator, convolutional discriminator, Monte-Carlo roll-outs."""

    @dataclass(frozen=True, kw_only=True)
    class Config(PolicyGradientConfig):
        """Defaults: the released setting for the synthetic task of length 20."""

        mle_steps: PositiveInt = 18_720
        """Pre-training: 120 epochs of 156 batches."""
        d_filters: Literal["seqgan", "texygen"] = "seqgan"
        d_embedding_dim: PositiveInt = 64
        d_keep: Annotated[float, Interval(gt=0, le=1)] = 0.75
        pool_batches: PositiveInt = 156
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

    config: Config

    def phases(self) -> Sequence[Phase]:
        """Algorithm 1 of the paper: both pre-trained, then in turn."""
        c = self.config
        rounds = Turns(self.adversarial_updates, (c.g_steps, self.generator_step), (c.d_steps, self.discriminator_step))
        return [
            Phase("mle", c.mle_steps, self.mle_step),
            Phase("discriminator", c.d_pretrain_steps, self.discriminator_step),
            Phase("adversarial", c.iterations * rounds.steps, rounds),
        ]

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
