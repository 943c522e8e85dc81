"""LeakGAN: the discriminator leaks its features to a manager, whose goals steer the worker that writes the words.

**Paper**: Long Text Generation via Adversarial Training with Leaked Information, Guo et al., AAAI 2018,
https://arxiv.org/abs/1709.08624

**Equations** (f: the discriminator's last layer before its output; s_t: the sentence, all but its first t tokens
unread; f_t = f(s_t); c tokens are a block, K = ceil(T / c) blocks k = 0, 1, ..; blocks begun after the end token and
tokens after it count nowhere; every mean is over what counts)

1. discriminator: D = softmax(W f), loss = -mean log D(real) over half real, half generated sentences
2. manager: g_t = M(f_t, state) / ||M(f_t, state)||
3. goal of block k: G_k = g_{(k-1)c} + .. + g_{kc-1}; G_0 is a parameter, one or `first_goals`
4. worker: p(x_{t+1} | s_t) = softmax(O_t w), w = U G_k / ||U G_k||, O_t (V, 16) linear in the worker's LSTM state
5. pre-training: worker -mean log p(x_{t+1} | s_t), manager -mean_k cos(f_{(k+1)c} - f_{kc}, G_k), on real sentences
6. manager: -mean_k R_k cos(f_{(k+1)c} - f_{kc}, G_k) on own samples; R_k is equation 7 of the mean of D(x^n) over
   completions x^n, n = 1..N, of s_{(k+1)c}; of D(x) in the last block
7. rescaled activation: R = sigmoid(16 (rank / B - 1/2)), rank = 1..B in the batch, B for the highest
8. worker: -mean_t cos(f_{t+1} - f_{kc}, G_k) log p(x_{t+1} | s_t) on own samples, t in block k

**Differences** (released code: CR-Gjx/LeakGAN, `Synthetic Data/` unless named)

- Goals. Paper: w at t has the last c goals. Code and ours: those of the block before, for a whole block. The code
  samples with equation 3 (LeakGANModel.py:114,136-137) and trains with g_{(k-1)c+1} + .. + g_{kc} (:193,216-226).
  `goals`. The code has one G_0 for each place in the batch (:70): with fixed batches each serves the same 156
  sentences in every epoch. `first_goals` = 64. Own samples go through them in turn, what is scored draws them.
- Rank. Code: `rescale` walks through a dict that it does not sort (Main.py:114-131), so no score reaches the reward:
  the order of a Python 2 dict is that of hashes, for which `rank = released` draws one.
- Losses of the manager. Code: divides the mean cosine of equation 5 by B K again (LeakGANModel.py:243-244), so that
  half of the gradients are under the epsilon of Adam, and the manager moves slowly; and equation 6 by N again
  (Main.py:158): goal_loss in its logs is a quarter of the mean. `manager_loss`.
- Cosine. `tf.losses.cosine_distance` is one number (LeakGANModel.py:270-271,288-294): all rewards of equations 6 and
  8 are multiplied by the mean cosine. `cosine`. Paper: the worker's reward is a mean over the last c goals.
- Temperature. Code: logits x 1.5 for evaluation, for the discriminator's pools and for the first two tokens of own
  samples (LeakGANModel.py:127-128). Published scores are of sharpened samples: `evaluation_temperature`.
- Real sentences of a pool. Code: 9,984 new ones from the oracle each time (Main.py:235,305), while equation 5 reads
  its own 9,984. Ours: the next ones of a finite stream. Presets make it long, and keep 156 batches for equation 5.
- Captions (`Image COCO/`). The generator reads the same 3,968 sentences in each epoch (Main.py:80-83): `mle_batches`.
  The code of September 2017, of which paper and log are, has other numbers than today's: preset `leakgan-image_coco`.
  MLE among the adversarial rounds comes there between generator and D of rounds 0, 15, ..; here after D of 14, 29, ..
- Pre-training in turn. Code: 10 rounds of 5 pools x 3 epochs and 8 MLE epochs (Main.py:232-258). Ours: as the code.
- Unread tokens have a word vector of their own that no training touches (Discriminator.py:110-114): as the code.
- Roll-outs. Code: lets the manager read the last features of a prefix twice (:317,344). Ours: the policy itself.
- Sentences that end early go on with padding, as in `Image COCO/`, which learns the padding as words; ours does not.
- williamSYSU/TextGAN-PyTorch minimises +log p in the worker (models/LeakGAN_G.py:217-226) and takes goals where
  features belong (:245). Ours does neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn import functional

from baselines.common.bases import ClassifierBase, ClassifierConfig
from baselines.common.fast.likelihood import counted
from baselines.common.interface import (
    ADDED,
    Batches,
    NonNegativeInt,
    Phase,
    PositiveFloat,
    PositiveInt,
    SequenceSpec,
)
from baselines.common.networks.cnn import FILTERS
from baselines.common.training.averages import Histories, WeightAverage
from baselines.common.training.optimizer import adam, update
from baselines.common.training.penalties import matching_rewards
from baselines.common.training.state import Counter, RepeatedBatches, Turns
from baselines.leakgan.features import prefix_features
from baselines.leakgan.generator import Generator, Walk
from baselines.leakgan.manager import add_epsilon_first
from baselines.leakgan.rewards import agreement, boundary_scores, rescaled

__all__ = ["LeakGAN"]

_SCORED_AT_ONCE = 256


class LeakGAN(ClassifierBase):
    """Convolutional discriminator with leaked features, manager LSTM, worker LSTM."""

    @dataclass(frozen=True, kw_only=True)
    class Config(ClassifierConfig):
        """Defaults: what gave the published score at length 20, but for `evaluation_temperature`."""

        embedding_dim: PositiveInt = 32
        """Width of the worker's word vectors."""
        hidden_dim: PositiveInt = 32
        """Width of the manager's and of the worker's LSTM."""
        goal_dim: PositiveInt = 16
        """k: width of w."""
        horizon: PositiveInt = 4
        """c: tokens of a block."""
        lr: PositiveFloat = 1.5e-3
        """Adam; manager and worker have a state each for pre-training and for adversarial training."""
        clip_norm: PositiveFloat = 5.0
        """Global norm at which the gradients of manager and worker are clipped, each its own."""
        d_embedding_dim: PositiveInt = 64
        d_long_window: NonNegativeInt = 0
        """Words of one more window, with 160 filters: 30 at length 40, 32 for Image COCO; 0: none."""
        d_l2: Annotated[float, Ge(0)] = 0.0
        """Weight of half the squared norm of the discriminator's output layer. The code defines .2 and passes none."""
        d_lr: PositiveFloat = 5e-5
        pool_batches: PositiveInt = 156
        pool_epochs: PositiveInt = 3
        """Passes over a pool, in the same batches, before the next: 3 x 312 = 936 steps."""
        rounds: PositiveInt = 10
        """Rounds of pre-training."""
        d_pretrain_steps: PositiveInt = 4_680
        """Discriminator updates per round of pre-training: 5 pools of 936 steps."""
        mle_steps: PositiveInt = 1_248
        """Generator updates per round of pre-training, after the discriminator's: 8 epochs of 156 batches."""
        iterations: PositiveInt = 90
        """Rounds of adversarial training: the released log's last score is one update later. The code has 800."""
        g_steps: PositiveInt = 1
        """Generator updates per adversarial round."""
        d_steps: PositiveInt = 4_680
        """Discriminator updates per adversarial round: 5 pools of 936 steps."""
        mle_every: NonNegativeInt = 0
        """Adversarial rounds between updates of pre-training: 15 for Image COCO; 0: none."""
        mle_interleaved: PositiveInt = 62
        """How many such updates at a time."""
        mle_batches: NonNegativeInt = field(default=0, metadata=ADDED)
        """Equation 5 reads so many batches again and again: 156 of an oracle, 62 of captions; 0: the whole stream."""
        rollouts: PositiveInt = 4
        """N: completions of each prefix."""
        rank: Literal["sorted", "released"] = "released"
        """Equation 7 by score, or in an order that is drawn."""
        cosine: Literal["per_sample", "released"] = "released"
        """Equations 6 and 8 with the cosine of each block and token, or with one mean cosine."""
        goals: Literal["aligned", "released"] = "released"
        """In training, the sums of equation 3, which samples are drawn with, or the code's, one goal later."""
        rank_with_real: bool = False
        """Rank among i / 2 real sentences too, at most a batch, in round i: `Image COCO/Main.py`:115-127."""
        first_goals: PositiveInt = field(default=1, metadata=ADDED)
        """P: how many G_0 there are, of which sentence i of a batch has number i mod P. The code has 64, a batch."""
        manager_loss: Literal["mean", "released"] = field(default="mean", metadata=ADDED)
        """Equations 5 and 6 as means, or as in the code divided again, by B K and by N, for TensorFlow's Adam."""
        d_multiplier: PositiveFloat = 1.5
        """Logits are multiplied by it in samples for the discriminator."""
        g_multiplier: PositiveFloat = 1.0
        """The same in own samples of equations 6 and 8 (.8 for Image COCO), from the third token on."""
        g_first_multiplier: PositiveFloat = 1.5
        """The same for the first two tokens."""
        evaluation_temperature: PositiveFloat = 1.0
        """Logits are multiplied by it in the model that is sampled and scored; 1.5 in the published scores.

        It has the code's name and is the inverse of a temperature. It is part of the model and so of its row and of
        `log_prob`; the temperature of an evaluation divides the multiplied logits.
        """

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "batch_size": 16, "horizon": 2, "pool_batches": 2, "pool_epochs": 1, "rounds": 2, "d_pretrain_steps": 4,
            "mle_steps": 10, "iterations": 2, "d_steps": 4, "mle_every": 2, "mle_interleaved": 1, "rollouts": 2,
        },
        # RelGAN's 1,092 updates of likelihood, on 69,888 real sentences, in four rounds of pre-training; then SeqGAN's
        # ten rounds.
        "small": {
            "pool_batches": 10, "rounds": 4, "d_pretrain_steps": 120, "mle_steps": 273,
            "iterations": 10, "d_steps": 60,
        },
    }  # fmt: skip

    config: Config

    def __init__(self, config: LeakGAN.Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        filters = FILTERS | ({config.d_long_window: 160} if config.d_long_window else {})
        self.discriminator = self._classifier(
            replace(spec, vocab_size=spec.vocab_size + 1), filters
        )  # one for "unread"
        self.generator = Generator(
            spec,
            n_features=self.discriminator.output.in_features,
            embedding_dim=config.embedding_dim,
            hidden_dim=config.hidden_dim,
            goal_dim=config.goal_dim,
            horizon=config.horizon,
            first_goals=config.first_goals,
        )
        manager, worker = self.generator.manager, self.generator.worker
        self.optimizers = {
            "manager_mle": adam(manager, config.lr),
            "worker_mle": adam(worker, config.lr),
            "manager": adam(manager, config.lr),
            "worker": adam(worker, config.lr),
            "discriminator": adam(self.discriminator, config.d_lr),
        }
        if config.manager_loss == "released":
            for name in ("manager_mle", "manager"):
                add_epsilon_first(self.optimizers[name])
        self.pool = self._pool()
        self.imitated = self._imitated(spec)
        self.pretraining_updates = Counter()
        self.adversarial_updates = Counter()
        sides = {"manager": manager, "worker": worker, "discriminator": self.discriminator}
        self.history = Histories(config.historical_averaging, self.adversarial_updates, sides)
        managers = [self.optimizers["manager_mle"], self.optimizers["manager"]]  # they move after the worker
        self.average = WeightAverage(self.generator, config.ema_decay, after=managers)

    def _imitated(self, spec: SequenceSpec) -> RepeatedBatches | None:
        c = self.config
        return RepeatedBatches(spec, batches=c.mle_batches, batch_size=c.batch_size) if c.mle_batches else None

    def phases(self) -> Sequence[Phase]:
        """Discriminator and generator pre-trained in turn, then trained against each other."""
        c = self.config
        told = Turns(
            self.pretraining_updates, (c.d_pretrain_steps, self.discriminator_step), (c.mle_steps, self.mle_step)
        )
        adversarial = c.iterations * (c.g_steps + c.d_steps)
        if c.mle_every:
            adversarial += c.iterations // c.mle_every * c.mle_interleaved
        return [
            Phase("pretraining", c.rounds * told.steps, told),
            Phase("adversarial", adversarial, self._adversarial_rounds()),
        ]

    def _adversarial_rounds(self) -> Turns:
        """Of the generator, then of the discriminator; after `mle_every` such rounds, of pre-training."""
        c = self.config
        rounds, length = max(c.mle_every, 1), c.g_steps + c.d_steps

        def generator_step(batches: Batches) -> Mapping[str, Tensor]:
            return self.generator_step(batches, iteration=turns.round * rounds + turns.position // length)

        each = ((c.g_steps, generator_step), (c.d_steps, self.discriminator_step))
        interleaved = ((c.mle_interleaved, self.mle_step),) if c.mle_every else ()
        turns = Turns(self.adversarial_updates, *each * rounds, *interleaved)
        return turns

    def discriminator_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """One update on the next batch of the pool."""
        return self.discriminate(*self.pool.next(batches, lambda n: self._draw(n, self.config.d_multiplier)))

    def mle_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """Equation 5 on one batch: manager and worker from one pass, each by its own loss."""
        tokens = next(batches) if self.imitated is None else self.imitated.next(batches)
        features, goals, inside, begun = self._read(tokens, all_features=False)
        cosines = agreement(features, goals, self.config.horizon)
        cosine = (cosines * begun).sum() / begun.sum()
        nll = self.generator.weighted_nll(tokens, goals, inside / inside.sum())
        update(self.optimizers["worker_mle"], nll, max_norm=self.config.clip_norm)
        again = cosines.numel() if self.config.manager_loss == "released" else 1  # B K
        update(self.optimizers["manager_mle"], -cosine / again, max_norm=self.config.clip_norm)
        return {"nll": nll.detach(), "cosine": cosine.detach()}

    def generator_step(self, batches: Batches, iteration: int) -> Mapping[str, Tensor]:
        """Equations 6 to 8 on one batch of own samples: manager and worker from one pass, each by its own loss."""
        c = self.config
        tokens = self._draw(c.batch_size, c.g_first_multiplier, c.g_multiplier)
        features, goals, inside, begun = self._read(tokens, all_features=True)
        rewards, scores = self._rewards(tokens, begun, batches, iteration)
        blocks = agreement(features, goals, c.horizon)
        every = torch.arange(tokens.shape[1], device=tokens.device)
        cosines = words = agreement(features, goals.detach(), c.horizon, every)
        if c.cosine == "released":
            blocks = ((blocks * begun).sum() / begun.sum()).expand_as(blocks)
            words = ((words * inside).sum() / inside.sum()).expand_as(words)
        again = c.rollouts if c.manager_loss == "released" else 1
        manager_loss = -(rewards * blocks).sum() / begun.sum() / again
        pull = words * inside / inside.sum()
        if c.feature_matching:  # the worker's part; exact if own samples have multipliers of 1
            matched = matching_rewards(self.discriminator.features, next(batches), tokens)
            pull = pull + c.feature_matching / len(tokens) * matched[:, None] * inside
        worker_loss = self.generator.weighted_nll(tokens, goals, pull)
        entropy = self.generator.entropy(tokens, goals, inside)
        update(self.optimizers["worker"], worker_loss + self.history("worker"), max_norm=c.clip_norm)
        update(self.optimizers["manager"], manager_loss + self.history("manager"), max_norm=c.clip_norm)
        return {
            "manager_loss": manager_loss.detach(),
            "worker_loss": worker_loss.detach(),
            "reward": (scores * begun).sum() / begun.sum(),
            "cosine": (cosines * inside).sum() / inside.sum(),
            "entropy": entropy,
        }

    def _draw(self, n: int, first: float, then: float | None = None) -> Tensor:
        """n samples; logits are multiplied by `first`, from the third token on by `then`."""
        after = first if then is None else then
        places = torch.arange(n, device=self.generator.worker.output.device) % self.config.first_goals
        return self.generator.sample(self.discriminator, places, lambda position: first if position < 2 else after)

    def _read(self, tokens: Tensor, *, all_features: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features (B, T + 1, F), goals in training (B, K, F), the tokens (B, T) and blocks (B, K) that count.

        Features that do not count are 0, and so are, unless `all_features`, those that only `agreement` inside a block
        needs.
        """
        horizon, shift = self.config.horizon, int(self.config.goals == "released")
        inside = counted(tokens, self.spec.eos_id)
        begun = inside[:, ::horizon]
        wanted = functional.pad(begun.repeat_interleave(horizon, 1)[:, : tokens.shape[1]], (1, 0), value=True)
        if not all_features:
            t = torch.arange(wanted.shape[1], device=tokens.device)
            wanted &= (t < self.generator.goals_read + shift) | (t % horizon == 0) | (t == tokens.shape[1])
        features = prefix_features(self.discriminator, tokens, wanted)
        goals = self.generator.block_goals(features, begun, shift=shift)
        return features, goals, inside.to(features.dtype), begun

    def _rewards(self, tokens: Tensor, begun: Tensor, batches: Batches, iteration: int) -> tuple[Tensor, Tensor]:
        """Equation 7: rewards (B, K) and the scores they rescale."""
        c = self.config
        walk = Walk(self.generator, self.discriminator, to_score=True)
        scores = boundary_scores(walk, tokens, c.rollouts, c.horizon)
        n_real = min(len(tokens), iteration // 2) if c.rank_with_real else 0
        if not n_real:
            return rescaled(scores, begun, c.rank), scores
        real = torch.stack([self.discriminator.score(next(batches)[:n_real]) for _ in range(c.rollouts)]).mean(0)
        among = torch.cat([scores, real[:, None].expand(-1, scores.shape[1])])
        take_part = torch.cat([begun, begun.new_ones(n_real, scores.shape[1])])
        return rescaled(among, take_part, c.rank)[: len(tokens)], scores

    def sample(self, n: int, *, temperature: float = 1.0, labels: Tensor | None = None) -> Tensor:
        """Draw word by word; logits are multiplied by `evaluation_temperature` and divided by `temperature`."""
        if not temperature > 0:
            raise ValueError(f"temperature must be over 0, got {temperature}")
        sharp, prefix = self.config.evaluation_temperature / temperature, None if labels is None else labels[:, None]
        with self.average.applied():
            places = self.generator.places(n, sharp, prefix)
            return self.generator.sample(self.discriminator, places, lambda _: sharp, prefix)

    @torch.no_grad()
    def log_prob(self, tokens: Tensor, *, temperature: float = 1.0) -> Tensor:
        """(B, T) -> (B,), nats: of the model that `sample` draws from, `evaluation_temperature` included."""
        sharp = self.config.evaluation_temperature / temperature
        with self.average.applied():
            return torch.cat([self._log_prob(part, sharp) for part in tokens.split(_SCORED_AT_ONCE)])

    @torch.no_grad()
    def label_log_prob(self, tokens: Tensor, *, temperature: float = 1.0) -> Tensor:
        """`log_prob` of the first word alone, which the first goals direct and no feature: (B, T) -> (B,), nats."""
        sharp = self.config.evaluation_temperature / temperature
        with self.average.applied():
            return self.generator.first_log_prob(tokens[:, :1], sharp).logsumexp(1)

    def _log_prob(self, tokens: Tensor, sharp: float) -> Tensor:
        inside = counted(tokens, self.spec.eos_id)
        wanted = functional.pad(inside, (0, 1))  # of the goals; of those after the end none is used
        wanted[:, self.generator.goals_read :] = False
        features = prefix_features(self.discriminator, tokens, wanted)
        goals = self.generator.block_goals(features, inside[:, :: self.config.horizon])
        return self.generator.log_prob(tokens, goals, inside, sharp)
