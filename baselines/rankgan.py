"""RankGAN: policy gradient whose reward is how high a ranker puts a sentence among others, next to real references.

**Paper**: Adversarial Ranking for Language Generation, Lin et al., NIPS 2017, https://arxiv.org/abs/1705.11001

**Equations** (G the generator, y_s the ranker's features of sentence s, U a set of real references, C the sentences
that s is compared with)

1. pre-training: loss = -(1 / number of tokens) sum_{b,t} log G(x_{b,t} | x_{b,<t}) on real sentences x
2. relevance: a(s | U) = sum_{u in U} y_s . y_u / (||y_s|| ||y_u||)
3. rank: R(s | U, C) = exp(gamma a(s | U)) / sum_{s' in C} exp(gamma a(s' | U)), s one of C
4. ranker: loss = -mean_real log R(s | U, C) + mean_generated log R(s | U, C), C a batch of both kinds. The sum of
   equation 3 is the same for both means and cancels: loss = -gamma (mean_real a - mean_generated a)
5. reward: Q(x_<t, x_t) = (1 / N) sum_n R(x^n | U, C^n), x^n a completion of x_1..x_t by G, C^n the n-th completions
   after t words of all sentences of the batch; at the end x itself
6. policy gradient: loss = -sum_{b,t} log G(x_{b,t} | x_{b,<t}) Q(x_{b,<t}, x_{b,t}) on own samples x

**Differences** (released code: cookielee77/RankGan-NIPS2017 at 912b3b3, 2018, after the paper, with the logs of three
runs; re-implementation: geek-ai/Texygen models/rankgan, whose row the tables of captions quote)

- What is said of the paper is from memory and from papers that quote it: its text could not be had.
- Rank. Paper: the mean over references of one softmax for each. Code: one softmax of the sum over references
  (ranker.py:141-143), gamma 1 (opt.py:22). Texygen's samples: the sum as well; its code of today, the mean. Ours: the
  sum; `gamma = 0.0625` with 16 references is the mean.
- Compared with. Paper: generated sentences with real ones, and the other way round. Code: in training a shuffled batch
  of both (main.py:86-95), for rewards the generator's 32 samples alone (ranker.py:147-148). Ours: as the code.
- Reward. Paper: log R. Code: R (rollout.py:107-108), near 1/32, so that gradients are small and clipping never acts.
  Ours: R; `reward = log_rank` is the paper's, always negative.
- References. Code: 16 real sentences of the pool, which has all of them, drawn for each batch of the ranker, once for
  all roll-outs of a reward (dataloader.py:50-52, rollout.py:104). Texygen: of all, anew for each roll-out and prefix
  (RankganDataLoader.py:90-94). Ours: once for all roll-outs, of the pool; `references_of = text` is of
  `reference_batches` batches that are kept, which makes a difference where a pool is small.
- Highway of references. Code: that of all sentences. Texygen's samples: one of their own (df41387
  RankganDiscriminator.py:153-158), shared since b3b196e (2018-02-28). Ours: `reference_highway`.
- Dropout. Code: in training alone (main.py:93,157; rollout.py:106), on references too. Texygen: always, in rewards too
  (RankganDiscriminator.py:82,159-162), drawn anew for each roll-out, that of the complete sentence too. Ours: as the
  code; `d_dropout = always` is Texygen's.
- Ranker. Code: SeqGAN's filters, initial values U(-0.1, 0.1), no output layer, no L2 (ranker.py:85-135,157). Texygen: 2
  window sizes, SeqGAN's initial values. Ours: `d_filters`, `d_initial`.
- Pools. Code: 9,984 real and 9,984 generated sentences, read three times in pre-training and once after it
  (main.py:82-95,147-159). Texygen: 3 batches of such a pool, then a new one (Rankgan.py:72-82). Ours: as the code;
  `pool_passes` is the number after it.
- Batches of the generator. Code: 64 in pre-training, then 32 (main.py:22-23). Texygen: 64. Ours: `g_batch_size`.
- Roll-out policy, clipping and the sum over batch and time are SeqGAN's (rollout.py:23-24, generator.py:116-120).
- Whose reward. Paper: each word has its own. Code: words are in order of time, rewards in order of sentences
  (generator.py:95-98,117), so that of 640 words 2 have their own reward and 20 one of their own sentence. Texygen: its
  own. Ours: its own; `pairing = released` is the code's.
- Sentences that end early: not in the code. Ours: a sentence that has ended is compared as it is; it has no reward
  after its end token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Interval
from torch import Tensor

from baselines.common.bases import LanguageModelBase, LanguageModelConfig
from baselines.common.fast.graphs import replayed
from baselines.common.fast.likelihood import counted
from baselines.common.interface import ADDED, Batches, Phase, PositiveFloat, PositiveInt, SequenceSpec
from baselines.common.networks.cnn import FILTERS, TEXYGEN_FILTERS
from baselines.common.networks.lstm import LSTMLanguageModel
from baselines.common.networks.ranker import Initial, Ranker
from baselines.common.training.averages import Histories, WeightAverage
from baselines.common.training.optimizer import adam, update
from baselines.common.training.penalties import matching_rewards
from baselines.common.training.rollout import rollout_scores
from baselines.common.training.stabilisers import StabilisedConfig
from baselines.common.training.state import Counter, DiscriminatorPool, SentenceStore, Turns

__all__ = ["RankGAN"]


class RankGAN(LanguageModelBase):
    """LSTM generator, convolutional ranker, Monte-Carlo roll-outs."""

    @dataclass(frozen=True, kw_only=True)
    class Config(LanguageModelConfig, StabilisedConfig):
        """Defaults: the released setting for the synthetic task of length 20."""

        lr: PositiveFloat = 1e-2
        """Adam of the generator; pre-training and adversarial training have a state each."""
        mle_steps: PositiveInt = 18_720
        """Pre-training: 120 epochs of 156 batches."""
        d_filters: Literal["seqgan", "texygen"] = "seqgan"
        """The ranker's windows: SeqGAN's twelve sizes, or Texygen's sizes 2 and 3 with 300 filters."""
        d_initial: Initial = "rankgan"
        """The ranker's initial values: U(-0.1, 0.1), or Texygen's, which are those of SeqGAN's discriminator."""
        d_embedding_dim: PositiveInt = 64
        """Width of the ranker's word vectors."""
        d_keep: Annotated[float, Interval(gt=0, le=1)] = 0.75
        d_dropout: Literal["training", "always"] = "training"
        """Whether rewards are without the ranker's dropout, or with it as in Texygen."""
        d_lr: PositiveFloat = 1e-4
        """Adam of the ranker."""
        references: PositiveInt = 16
        """Size of U."""
        references_of: Literal["pool", "text"] = "pool"
        """Whether of the pool's real sentences or of the training text; drawn with replacement."""
        reference_batches: PositiveInt = 156
        """Batches of the training text that `references_of = text` draws from: the first after pre-training, kept."""
        reference_highway: Literal["shared", "own"] = "shared"
        """Whether references pass the ranker's highway, or one of their own."""
        gamma: PositiveFloat = 1.0
        """How much a difference in relevance counts."""
        reward: Literal["rank", "log_rank"] = "rank"
        """Equation 5 with R, or with log R."""
        pairing: Literal["own", "released"] = field(default="own", metadata=ADDED)
        """Whether a word has its own reward, or that of the word in whose place the released code puts it."""
        pool_batches: PositiveInt = 156
        """Batches of real sentences, and as many of fresh samples, in one pool of the ranker."""
        pool_epochs: PositiveInt = 3
        """Passes over a pool, in the same batches, in pre-training: 3 x 312 = 936 steps."""
        pool_passes: PositiveInt = 1
        """The same in adversarial training."""
        d_pretrain_steps: PositiveInt = 46_800
        """Pre-training of the ranker: 50 pools of 936 steps."""
        iterations: PositiveInt = 200
        """Rounds of adversarial training."""
        g_batch_size: PositiveInt = 32
        """Samples of one generator update; they are also what a sentence is compared with."""
        g_steps: PositiveInt = 1
        """Generator updates per round."""
        d_steps: PositiveInt = 1_560
        """Ranker updates per round: 5 pools of 312 steps."""
        rollouts: PositiveInt = 16
        """N: completions of each prefix."""

        def __post_init__(self) -> None:
            """Refuse what a ranker has not, and comparisons with nobody."""
            super().__post_init__()
            for name in ("label_smoothing", "gradient_penalty"):
                if value := getattr(self, name):
                    raise ValueError(
                        f"rankgan's ranker compares, and classifies nothing: leave {name} at 0, got {value}"
                    )
            if self.d_norm == "batch":
                raise ValueError(
                    "rankgan's ranker looks at the direction of features: set d_norm to spectral, weight or none"
                )
            if self.g_batch_size < 2:
                raise ValueError("a rank is one among the samples of a batch: g_batch_size must be at least 2, got 1")

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "batch_size": 16, "g_batch_size": 8, "mle_steps": 40, "pool_batches": 2, "pool_epochs": 2,
            "d_pretrain_steps": 8, "iterations": 2, "d_steps": 4, "rollouts": 2, "references": 4,
        },
        # SeqGAN's counts at this scale, and so its pre-trained generator.
        "small": {
            "mle_steps": 1_560, "pool_batches": 10, "d_pretrain_steps": 300,
            "iterations": 10, "d_steps": 60, "rollouts": 4,
        },
    }  # fmt: skip

    config: Config
    generator: LSTMLanguageModel

    def __init__(self, config: RankGAN.Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        c = config
        self.generator = LSTMLanguageModel(spec, embedding_dim=c.embedding_dim, hidden_dim=c.hidden_dim)
        self.ranker = Ranker(
            spec,
            embedding_dim=c.d_embedding_dim,
            keep=c.d_keep,
            filters={"seqgan": FILTERS, "texygen": TEXYGEN_FILTERS}[c.d_filters],
            initial=c.d_initial,
            norm=c.d_norm,
            own_highway=c.reference_highway == "own",
        )
        self.pool = DiscriminatorPool(spec, batches=c.pool_batches, batch_size=c.batch_size, epochs=c.pool_epochs)
        of_text = SentenceStore(spec, batches=c.reference_batches, batch_size=c.batch_size)
        self.text = of_text if c.references_of == "text" else None
        self.optimizers = {
            "mle": adam(self.generator, c.lr),
            "generator": adam(self.generator, c.lr),
            "ranker": adam(self.ranker, c.d_lr),
        }
        self.adversarial_updates = Counter()
        sides = {"generator": self.generator, "ranker": self.ranker}
        self.history = Histories(c.historical_averaging, self.adversarial_updates, sides)
        self.average = WeightAverage(
            self.generator, c.ema_decay, after=[self.optimizers["mle"], self.optimizers["generator"]]
        )

    def phases(self) -> Sequence[Phase]:
        """Both pre-trained, then in turn."""
        c = self.config
        rounds = Turns(
            self.adversarial_updates,
            (c.g_steps, self.generator_step),
            (c.d_steps, lambda batches: self.ranker_step(batches, passes=c.pool_passes, since=c.d_pretrain_steps)),
        )
        return [
            Phase("mle", c.mle_steps, self.mle_step),
            Phase("ranker", c.d_pretrain_steps, self.ranker_step),
            Phase("adversarial", c.iterations * rounds.steps, rounds),
        ]

    def ranker_step(self, batches: Batches, *, passes: int | None = None, since: int = 0) -> Mapping[str, Tensor]:
        """Equation 4 on the next batch of the pool; where the pool is used up, on the first of a new one."""
        tokens, real = self.pool.next(batches, self.generator.sample, epochs=passes, since=since)
        return self.compare(tokens, real, self.references(batches))

    def references(self, batches: Batches) -> Tensor:
        """U: real sentences (U, T)."""
        n = self.config.references
        if self.text is None:
            return self.pool.draw_real(n)
        while self.text.filled.value < self.config.reference_batches:
            self.text.add(next(batches))
        sentences = self.text.rows.flatten(0, 1)
        return sentences[torch.randint(len(sentences), (n,), device=sentences.device)]

    @replayed()
    def compare(self, tokens: Tensor, real: Tensor, references: Tensor) -> Mapping[str, Tensor]:
        """Equation 4 on sentences (B, T) with their labels (B,), 1 for real, and real references (U, T)."""
        reference = self.ranker.reference(references, dropout=True)
        relevance = self.ranker.relevance(tokens, reference, dropout=True)
        log_rank = (self.config.gamma * relevance).log_softmax(0)
        genuine = real.to(log_rank.dtype)
        above = self._mean(log_rank, genuine) - self._mean(log_rank, 1 - genuine)
        update(self.optimizers["ranker"], self.history("ranker") - above)
        return {"d_loss": -above.detach(), "relevance": self._mean(relevance.detach(), genuine)}

    @staticmethod
    def _mean(values: Tensor, weights: Tensor) -> Tensor:
        """Of the values (B,) with weight 1; 0 where a batch has none of a kind."""
        return (values * weights).sum() / weights.sum().clamp(min=1)

    def generator_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """Equations 5 and 6 on one batch of own samples."""
        c = self.config
        tokens = self.generator.sample(c.g_batch_size)
        inside = counted(tokens, self.spec.eos_id)
        rewards = self.rewards(tokens, self.references(batches)) * inside
        reward = rewards.sum() / inside.sum()
        if c.pairing == "released":
            rewards = rewards.flatten().view(rewards.shape[::-1]).t() * inside
        if c.feature_matching:  # like the rewards per sentence: the loss is a sum over sentences
            matched = matching_rewards(self.ranker.features, next(batches), tokens)
            rewards = rewards + c.feature_matching * matched[:, None] * inside
        entropy = self.generator.entropy(tokens)
        loss = self.generator.weighted_nll(tokens, rewards) + self.history("generator")
        update(self.optimizers["generator"], loss, max_norm=c.clip_norm)
        return {"g_loss": loss.detach(), "reward": reward, "entropy": entropy}

    def rewards(self, tokens: Tensor, references: Tensor) -> Tensor:
        """Equation 5: (B, T), (U, T) -> (B, T), what follows an end token included."""
        c, noisy = self.config, self.config.d_dropout == "always"
        reference = self.ranker.reference(references, dropout=noisy).detach()
        score = partial(self.ranker.score, reference=reference, dropout=noisy)
        completions = partial(self.ranker.score_completions, reference=reference, dropout=noisy)
        scores = c.gamma * rollout_scores(self.generator, tokens, score, c.rollouts, completions, noisy=noisy)
        ranks = scores.softmax(1) if c.reward == "rank" else scores.log_softmax(1)
        return ranks.mean(0)  # of (N, B, T)
