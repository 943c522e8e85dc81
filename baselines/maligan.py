"""MaliGAN: policy gradient whose weights estimate the likelihood ratio of real to generated text.

**Paper**: Maximum-Likelihood Augmented Discrete Generative Adversarial Networks, Che et al., 2017,
https://arxiv.org/abs/1702.07983

**Equations** (G the generator, D(x) the probability that x is real)

1. pre-training: loss = -(1 / number of tokens) sum_{b,t} log G(x_{b,t} | x_{b,<t}) on real sentences x
2. discriminator: loss = -mean (log D(x) if real else log(1 - D(x))), and .1 ||output layer||^2
3. ratio: r(x) = D(x) / (1 - D(x)), which is p_real(x) / G(x) where D is optimal; D is kept in [epsilon, 1 - epsilon]
4. generator: loss = -sum_i (w_i - b) log G(x_i) on B own samples, w_i = r(x_i) / sum_j r(x_j). As
   E_real[f(x)] = E_G[r(x) f(x)] / E_G[r(x)], with b = 0 it estimates the cross-entropy -E_real[log G(x)]
5. mixed: on n real sentences y_i, of which the first N tokens are kept and completed m times as x_ij, B = n m,
   loss = -(1 / n) sum_i (log G(y_{i,<=N}) + sum_j (w_ij - b) log G(x_{ij,>N} | y_{i,<=N})), w_ij normalised over j

**Differences** (no code was released; re-implementations: geek-ai/Texygen models/maligan_basic and
williamSYSU/TextGAN-PyTorch). Equation 4 is quoted from Texygen's paper (https://arxiv.org/abs/1802.01886, section 2);
equation 5 follows from equation 3 given the prefix. The published text-GAN tables quote Texygen's row, which is not
the MaliGAN paper's.

- Weight. Texygen's paper and TextGAN-PyTorch: r (maligan_instructor.py:145-157). Texygen's code: D itself
  (MaliganReward.py:8-21), so that all weights are nearly 1/B. Ours: `weight = ratio`; `probability` is Texygen's.
- Baseline b. Texygen's paper: a moving average; both codes: the batch's mean, which is 1/B because weights sum to 1.
  Ours: 1/B; `annealed` lets it grow evenly from 0 (every sample is pushed up, as in likelihood) to 1/B (centred) over
  the adversarial phase, a schedule of ours. In equation 5, 1/m.
- Mixed training: in neither code; a reader's summary of the paper has N = 30, less 5 from stage to stage
  (https://www.zhihu.com/question/52602529/answer/155743699). Ours: off (N = 0); `prefix` is N at first, less
  `prefix_decrease` after each `prefix_rounds` rounds. At N = 0 all prefixes are one, and it is equation 4. m, and the
  length of a stage, are our choice.
- Discriminator. Texygen: 2 window sizes, 300 filters, no dropout (Maligan.py:23-24; MailganDiscriminator.py:60-64).
  TextGAN-PyTorch: SeqGAN's windows, one layer for gate and candidate of the highway (discriminator.py:61-62), weights
  U(-.05, .05), gradients clipped at 5, and dropout also while scoring (16 evaluations). Ours: `d_filters`, `d_keep`,
  the rest SeqGAN's; a score is one evaluation without dropout.
- Adam. TensorFlow's epsilon is larger at first (`baselines/leakgan/manager.py`). Ours: torch's.
- Updates per round. Texygen: 45 of the discriminator, on 3 batches of each of 15 pools of 9,984 samples
  (Maligan.py:70-80,352), and of the generator 1 on real text (:336) but 50 on synthetic (:133). TextGAN-PyTorch:
  the latter too, unclipped (maligan_instructor.py:109). Ours: Texygen's on real text, clipped. Since the generator
  does not change meanwhile, pools are small and used up; one batch of every second round is from the round before.
- Sentences that end early. Texygen: padding is scored as words, and words after a padding are kept in its text
  (utils/text_process.py:34-44). Ours: what follows the end token has no likelihood and is no text.
- Real sentences of the discriminator. Texygen: all of the training file and 9,984 samples, shuffled together, so that
  its 270,000 sentences of news are 27 of 28 (MaliganDataLoader.py). Ours: `pool_real` for each sample, by default 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Interval
from torch import Tensor

from baselines.common.bases import PolicyGradientBase, PolicyGradientConfig
from baselines.common.fast.likelihood import counted
from baselines.common.interface import Batches, NonNegativeInt, Phase, PositiveInt
from baselines.common.training.optimizer import update
from baselines.common.training.penalties import matching_rewards
from baselines.common.training.state import Turns

__all__ = ["MaliGAN"]


class MaliGAN(PolicyGradientBase):
    """LSTM generator, convolutional discriminator, self-normalised importance weights."""

    @dataclass(frozen=True, kw_only=True)
    class Config(PolicyGradientConfig):
        """Defaults: Texygen's setting for real text, but the weight; `weight=probability` is its published row."""

        mle_steps: PositiveInt = 12_480
        """Pre-training: 80 epochs of 156 batches."""
        weight: Literal["ratio", "probability"] = "ratio"
        """What is normalised: equation 3, or D itself."""
        epsilon: Annotated[float, Interval(gt=0, lt=0.5)] = 1e-6
        """D is kept this far from 0 and 1, so that no ratio is infinite and no sum of weights is zero."""
        baseline: Literal["mean", "annealed"] = "mean"
        """b: the mean weight, or growing evenly from 0 to it over the adversarial phase."""
        prefix: NonNegativeInt = 0
        """N of equation 5 in the first stage; 0: equation 4 from the start."""
        prefix_decrease: PositiveInt = 5
        """K: by how much N falls from stage to stage, down to 0."""
        prefix_rounds: PositiveInt = 10
        """Rounds of a stage."""
        prefix_samples: PositiveInt = 8
        """m: completions of each prefix; divides `batch_size`."""
        d_filters: Literal["seqgan", "texygen"] = "texygen"
        d_embedding_dim: PositiveInt = 32
        pool_batches: PositiveInt = 1
        pool_epochs: PositiveInt = 1
        d_pretrain_steps: PositiveInt = 240
        """Pre-training of the discriminator: 80 times 3 steps."""
        iterations: PositiveInt = 100
        """Rounds of adversarial training."""
        g_steps: PositiveInt = 1
        """Generator updates per round; on synthetic text 50."""
        d_steps: PositiveInt = 45
        """Discriminator updates per round: 15 times 3 steps."""

        def __post_init__(self) -> None:
            """Refuse settings that contradict each other."""
            super().__post_init__()
            if self.feature_matching and self.prefix:
                raise ValueError(
                    "feature_matching is about sentences that the generator wrote from the start: "
                    f"set prefix to 0, got {self.prefix}"
                )
            if self.batch_size < 2 or (self.prefix and self.prefix_samples < 2):
                few = "batch_size" if self.batch_size < 2 else "prefix_samples"
                raise ValueError(f"a weight is a share among samples (equation 4): {few} must be at least 2, got 1")
            if self.prefix and self.batch_size % self.prefix_samples:
                raise ValueError(
                    f"prefix_samples must divide batch_size, got {self.prefix_samples} and {self.batch_size}"
                )

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "batch_size": 16, "mle_steps": 40, "d_pretrain_steps": 8, "iterations": 4, "g_steps": 2, "d_steps": 4,
            "prefix": 2, "prefix_decrease": 1, "prefix_rounds": 1, "prefix_samples": 4,
        },
        # The published rounds after a shorter pre-training, 10 epochs of MLE. With 80 rounds of 10 generator updates
        # instead, NLL-test rose by 2 to 5 nats on captions and on the published oracle, in each of three seeds.
        "small": {"mle_steps": 1_560},
    }  # fmt: skip

    config: Config

    def phases(self) -> Sequence[Phase]:
        """Both pre-trained, then in turn."""
        c = self.config
        rounds = Turns(
            self.adversarial_updates,
            (c.g_steps, lambda batches: self.generator_step(rounds.round, batches)),
            (c.d_steps, self.discriminator_step),
        )
        return [
            Phase("mle", c.mle_steps, self.mle_step),
            Phase("discriminator", c.d_pretrain_steps, self.discriminator_step),
            Phase("adversarial", c.iterations * rounds.steps, rounds),
        ]

    def generator_step(self, round_number: int, batches: Batches) -> Mapping[str, Tensor]:
        """Equation 4, or 5 while a prefix is kept, on one batch of own samples."""
        given = self.prefix_length(round_number)
        if given:
            m = self.config.prefix_samples
            real = next(batches)
            kept = torch.randperm(len(real), device=real.device)[: len(real) // m]
            tokens = self.generator.sample(len(real), prefix=real[kept, :given].repeat_interleave(m, 0))
        else:
            m = self.config.batch_size
            tokens = self.generator.sample(m)
        weights = self.importance_weights(self.discriminator.score(tokens).view(-1, m))  # (n, m)
        pull = (weights - self.baseline_share(round_number) / m).view(-1, 1).repeat(1, tokens.shape[1])  # (B, T)
        pull[:, :given] = 1 / m  # each prefix is there m times
        inside = counted(tokens, self.spec.eos_id)
        if self.config.feature_matching:
            matched = matching_rewards(self.discriminator.features, next(batches), tokens)
            pull = pull + self.config.feature_matching / m * matched[:, None]
        loss = self.generator.weighted_nll(tokens, pull * inside / len(weights)) + self.history("generator")
        entropy = self.generator.entropy(tokens)
        update(self.optimizers["generator"], loss, max_norm=self.config.clip_norm)
        effective = 1 / weights.square().sum(1).mean()
        return {"g_loss": loss.detach(), "effective_samples": effective, "entropy": entropy}

    def importance_weights(self, probability: Tensor) -> Tensor:
        """D (n, m) -> weights (n, m) that sum to 1 over the m samples: equation 3, normalised."""
        kept = probability.clamp(self.config.epsilon, 1 - self.config.epsilon)
        weight = kept / (1 - kept) if self.config.weight == "ratio" else kept
        return weight / weight.sum(1, keepdim=True)

    def prefix_length(self, round_number: int) -> int:
        """N of equation 5 in a round."""
        stage = round_number // self.config.prefix_rounds
        return max(0, min(self.config.prefix, self.spec.max_len) - stage * self.config.prefix_decrease)

    def baseline_share(self, round_number: int) -> float:
        """b in units of the mean weight."""
        if self.config.baseline == "mean":
            return 1.0
        return round_number / max(1, self.config.iterations - 1)
