"""RelGAN: a relational memory writes, relaxed words carry the gradient, many embeddings judge.

**Paper**: RelGAN: Relational Generative Adversarial Networks for Text Generation, Nie, Narodytska, Patel, ICLR 2019,
https://openreview.net/forum?id=rJedV3R5tm

**Equations** (o_t logits of the generator, C_r(x) the discriminator's logit in representation r = 1..R)

1. memory: (o_t, m_t) = RMC(embedding of x_{t-1}, m_{t-1}) (`common/networks/relational_memory.py`)
2. word: x_t = argmax_v (o_t + g_t)_v, g_t Gumbel noise, so that x_t is an exact draw from softmax(o_t)
3. relaxed word: y_t = softmax(beta (o_t + g_t)), beta the inverse temperature; this is what the discriminator reads,
   and x_t, without gradient, what the generator reads next
4. discriminator: loss = -mean_{b,r} log sigmoid(C_r(x_b) - C_r(y_b)), real sentence b paired with generated sentence b
5. generator: loss = -mean_{b,r} log sigmoid(C_r(y_b) - C_r(x_b))
6. beta_i = beta_max^(i / N) in iteration i
7. pre-training: loss = -(1 / number of tokens) sum_{b,t} log p(x_{b,t} | x_{b,<t}) on real sentences, p = softmax(o_t)

The generator is a language model: likelihood and samples are exact, and beta is no temperature of theirs.

**Published settings**: defaults are those of the synthetic task, length 20 (6.680 +- .343 over 6 seeds on the authors'
own oracle, `oracle_lstm` with `parameters=relgan`); length 40: `beta_max` 2; COCO and EMNLP News: `iterations` 2,000,
`beta_max` 100 or 1,000, `padding` word; on EMNLP `mle_steps` 632,700, 150 epochs of all its 270,000 sentences (the
paper's 10,000 are a typo: issue 3). Suites `paper/relgan-*`.

**Differences** (released code: weilinie/RelGAN)

- beta. Paper: N is the number of iterations, as in the first release for real text (f5c1866 real_train.py:147,357).
  Code: N = 5,000 for 2,000 or 3,000 iterations, for synthetic text from the start, for real text since 2aaecd1 of May
  2019, so that the last beta of COCO is 100^.4 = 6.3, not 100. Which made the table is not known; presets have both.
  Ours: `anneal_horizon` 5,000. As in the code, beta_i is set after iteration i: iterations 0 and 1 have beta 1.
- beta_max of the synthetic table. Code: 2 is listed first (oracle_relgan.py:25). Author: 1 at length 20, 2 at length 40
  (issue 22, where it gave a user 8.346 at the end and 7.135 at best). Ours: 1.
- Padding. Code: a word like others, in the pre-training loss and before the discriminator. Ours: `padding` blank: what
  follows the end token counts nothing in pre-training, and generated sentences have exact padding there, as real
  ones have, with no gradient: the discriminator sees sentences as they are written. `word` is the code's. Its text
  keeps words that come after a padding (f5c1866 utils/text_process.py:34-44), ours ends at the first end token.
- Start. Code: the word of number 0, another one in each process (coco_relgan.py:105). Ours: the padding on real text.
- Batches. Code: each adversarial step has one of 156 fixed batches, drawn at random (real_loader.py:37-39). Ours:
  `adversarial_batches`; without it the stream's next, of which the generator's steps and the discriminator's never have
  one in common where a round's steps divide an epoch's batches, as 6 and 3 divide 156.
- Probabilities under 1e-20 cost 46 nats in the code and have no gradient (rmc_vanilla.py:86-90), which matters in
  the first steps of pre-training. Ours: not so.
- Adam. TensorFlow's epsilon is larger at first (`baselines/leakgan/manager.py`), and the generator's first adversarial
  gradients are small. Ours: torch's, with which its first rounds go farther.
- Attention is scaled by 1 / sqrt(2 key + value). Paper: 1 / sqrt(key). Ours: as the code.
- Two biases of the discriminator cancel in equations 4 and 5; under such a loss they stay at 0.
- Losses. Code: `standard` is our `non_saturating`, `JS` our `standard`, `KL` our `reverse_kl`, `RSGAN` our
  `relativistic`; its `LS` is twice ours. Its gradient penalty, as ours, is on the sum of a sentence's R logits.
- williamSYSU/TextGAN-PyTorch shares one layer in the memory's MLP, ends it with ReLU, has biases in the attention and
  learnt ones in the gates, and the paper's scale (models/relational_rnn_general.py:83-101,174,274). Ours: as the code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge, Interval
from torch import Tensor
from torch.nn import functional

from baselines.common.bases import LanguageModelBase, LanguageModelConfig
from baselines.common.interface import (
    ADDED,
    Batches,
    NonNegativeFloat,
    NonNegativeInt,
    Phase,
    PositiveFloat,
    PositiveInt,
    SequenceSpec,
)
from baselines.common.networks.gumbel import Schedule, inverse_temperature
from baselines.common.networks.multi_cnn import MultiRepresentationCNN
from baselines.common.networks.recurrent import Core, LSTMCore, RecurrentLanguageModel
from baselines.common.networks.relational_memory import RelationalMemory
from baselines.common.training.averages import Histories, WeightAverage
from baselines.common.training.losses import LossName, clip_weights, smooth_labels
from baselines.common.training.optimizer import adam, frozen, update
from baselines.common.training.penalties import feature_distance, gradient_penalty
from baselines.common.training.stabilisers import StabilisedConfig
from baselines.common.training.state import Counter, SentenceStore, Turns

__all__ = ["RelGAN"]


class RelGAN(LanguageModelBase):
    """Relational memory, Gumbel-softmax, a discriminator with many representations."""

    @dataclass(frozen=True, kw_only=True)
    class Config(LanguageModelConfig, StabilisedConfig):
        """Defaults: the published setting for the synthetic task of length 20."""

        generator: Literal["memory", "lstm"] = "memory"
        """Core of the generator: relational memory, or the LSTM of the paper's ablation."""
        slots: PositiveInt = 1
        """Memories."""
        heads: PositiveInt = 2
        """Heads of the attention among memories."""
        head_dim: PositiveInt = 256
        """Width of a head; a memory has heads x head_dim numbers."""
        blocks: PositiveInt = 1
        """Attention blocks per step."""
        mlp_layers: PositiveInt = 2
        """Layers of the network after attention, ReLU between them."""
        hidden_dim: PositiveInt = 32
        """Width of the LSTM, if that is the generator."""
        mle_lr: PositiveFloat = 1e-2
        """Adam of pre-training."""
        mle_steps: PositiveInt = 23_400
        """Pre-training: 150 epochs of 156 batches."""
        g_lr: PositiveFloat = 1e-4
        """Adam of the generator in adversarial training."""
        d_lr: PositiveFloat = 1e-4
        """Adam of the discriminator."""
        clip_norm: PositiveFloat = 5.0
        """Global norm at which the gradients of either side are clipped."""
        iterations: PositiveInt = 3_000
        """Rounds of adversarial training."""
        g_steps: PositiveInt = 1
        """Generator updates per round."""
        d_steps: PositiveInt = 5
        """Discriminator updates per round, after the generator's."""
        adversarial_batches: NonNegativeInt = field(default=0, metadata=ADDED)
        """Each of these updates has one of so many batches, by chance: 156 of an oracle or of captions; 0: the next."""
        beta_max: PositiveFloat = 1.0
        """Inverse temperature that the schedule aims at; larger: more varied sentences of lower quality."""
        schedule: Schedule = "exponential"
        """How beta goes from 1 to `beta_max`."""
        anneal_horizon: Annotated[int, Ge(2)] = 5_000
        """N: rounds in which beta would reach `beta_max`; at least `iterations`."""
        loss: LossName = "relativistic"
        """Adversarial loss (`common/training/losses.py`)."""
        weight_clip: NonNegativeFloat = 0.0
        """Largest weight of the discriminator; 0.01 is usual with `loss` wasserstein. 0: no limit."""
        padding: Literal["blank", "word"] = "blank"
        """What follows an end token: nothing, or padding as a word like others, as in the released code."""
        d_embedding_dim: PositiveInt = 64
        """Width of the discriminator's word vectors, all representations together."""
        representations: PositiveInt = 64
        """R: parts of these vectors that are judged one by one."""
        filters: PositiveInt = 300
        """Filters of each window of 2, 3, 4 and 5 words."""
        d_hidden_dim: PositiveInt = 100
        """Width of the discriminator's last layer but one."""
        d_keep: Annotated[float, Interval(gt=0, le=1)] = 0.75
        """Share of features that the discriminator's dropout keeps; it is on in every adversarial step."""

        def __post_init__(self) -> None:
            """Refuse settings that contradict each other."""
            super().__post_init__()
            if self.d_embedding_dim % self.representations:
                raise ValueError(
                    f"representations must divide d_embedding_dim, got {self.representations} and "
                    f"{self.d_embedding_dim}"
                )
            smooth_labels(self.loss, self.label_smoothing)
            if self.weight_clip and self.d_norm in ("spectral", "weight"):
                raise ValueError(
                    f"weight_clip clips what d_norm = {self.d_norm} rescales: set weight_clip to 0 or d_norm to none"
                )
            if self.iterations > self.anneal_horizon:
                raise ValueError(
                    f"anneal_horizon must be at least iterations, got {self.anneal_horizon} and {self.iterations}"
                )

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "batch_size": 16, "head_dim": 16, "mle_lr": 3e-3, "mle_steps": 40, "iterations": 3, "d_steps": 2,
            "d_embedding_dim": 8, "representations": 4, "filters": 8, "d_hidden_dim": 8,
        },
        # 7 epochs of MLE, 70 rounds: with V = 5000 and T = 20 about two minutes on one core. beta is 10 at once: with
        # beta 1, published rates and d_steps, a small discriminator learns only that relaxed words are soft, and on
        # `grammar` the share of valid sentences falls from .90 to 0 in 100 rounds.
        "small": {
            "head_dim": 32, "mle_lr": 5e-3, "mle_steps": 1_092, "iterations": 70, "d_steps": 2, "d_lr": 1e-3,
            "beta_max": 10.0, "schedule": "none", "d_embedding_dim": 16, "representations": 16, "filters": 60,
        },
    }  # fmt: skip

    config: Config
    generator: RecurrentLanguageModel

    def __init__(self, config: RelGAN.Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.generator = RecurrentLanguageModel(
            spec, self._core(), embedding_dim=config.embedding_dim, padding_is_a_word=config.padding == "word"
        )
        self.discriminator = MultiRepresentationCNN(
            spec,
            embedding_dim=config.d_embedding_dim,
            representations=config.representations,
            filters=config.filters,
            hidden_dim=config.d_hidden_dim,
            keep=config.d_keep,
            norm=config.d_norm,
        )
        kept = SentenceStore(spec, batches=config.adversarial_batches, batch_size=config.batch_size)
        self.kept = kept if config.adversarial_batches else None
        self.loss = smooth_labels(config.loss, config.label_smoothing)
        if self.loss.shift_invariant:
            self.discriminator.fix_level()
        self.optimizers = {
            "mle": adam(self.generator, config.mle_lr),
            "generator": adam(self.generator, config.g_lr),
            "discriminator": adam(self.discriminator, config.d_lr),
        }
        self.adversarial_updates = Counter()
        sides = {"generator": self.generator, "discriminator": self.discriminator}
        self.history = Histories(config.historical_averaging, self.adversarial_updates, sides)
        self.average = WeightAverage(
            self.generator, config.ema_decay, after=[self.optimizers["mle"], self.optimizers["generator"]]
        )

    def _core(self) -> Core:
        c = self.config
        if c.generator == "lstm":
            return LSTMCore(c.embedding_dim, c.hidden_dim)
        return RelationalMemory(
            c.embedding_dim,
            slots=c.slots,
            heads=c.heads,
            head_dim=c.head_dim,
            blocks=c.blocks,
            mlp_layers=c.mlp_layers,
        )

    def phases(self) -> Sequence[Phase]:
        """The generator alone by equation 7, then both in turn."""
        c = self.config
        rounds = Turns(
            self.adversarial_updates,
            (c.g_steps, lambda batches: self.generator_step(self._real(batches), self._beta(rounds.round))),
            (c.d_steps, lambda batches: self.discriminator_step(self._real(batches), self._beta(rounds.round))),
        )
        return [
            Phase("mle", c.mle_steps, self.mle_step),
            Phase("adversarial", c.iterations * rounds.steps, rounds),
        ]

    def _real(self, batches: Batches) -> Tensor:
        """The next batch (B, T), or one of the first after pre-training, which are kept."""
        if self.kept is None:
            return next(batches)
        rows = self.kept.rows
        while self.kept.filled.value < len(rows):
            self.kept.add(next(batches))
        return rows[torch.randint(len(rows), (1,), device=rows.device)][0]

    def _beta(self, iteration: int) -> float:
        """Equation 6; a round's beta is set at the end of the round and used in the next."""
        if iteration == 0:
            return 1.0
        c = self.config
        return inverse_temperature(c.schedule, iteration - 1, beta_max=c.beta_max, horizon=c.anneal_horizon)

    def generator_step(self, real: Tensor, beta: float) -> Mapping[str, Tensor]:
        """Equation 5 on one batch (B, T) and as many relaxed samples."""
        generated = self.generator.relaxed(len(real), beta)
        with frozen(self.discriminator):
            real_features = self.discriminator.features(self.discriminator.embed(real))
            features = self.discriminator.features(self.discriminator.embed_relaxed(generated))
            loss = self.loss.generator(*self.discriminator.compare(real_features, features))
        loss = loss + self.history("generator")
        if self.config.feature_matching:
            loss = loss + self.config.feature_matching * feature_distance(real_features, features)
        update(self.optimizers["generator"], loss, max_norm=self.config.clip_norm)
        return {
            "g_loss": loss.detach(),
            "top_probability": generated.detach().amax(2).mean(),
            "beta": torch.tensor(beta),
        }

    def discriminator_step(self, real: Tensor, beta: float) -> Mapping[str, Tensor]:
        """Equation 4 on one batch (B, T) and as many relaxed samples, which the generator gets no gradient from."""
        with torch.no_grad():
            generated = self.generator.relaxed(len(real), beta)
        embedded = [self.discriminator.embed(real), self.discriminator.embed_relaxed(generated)]
        real_logits, logits = self.discriminator(torch.cat(embedded), dropout=True).chunk(2)
        loss = self.loss.discriminator(real_logits, logits) + self.history("discriminator")
        if self.config.gradient_penalty:
            one_hot = functional.one_hot(real, self.spec.vocab_size).to(generated)
            loss = loss + self.config.gradient_penalty * gradient_penalty(self._critic, one_hot, generated)
        update(self.optimizers["discriminator"], loss, max_norm=self.config.clip_norm)
        if self.config.weight_clip:
            clip_weights(self.discriminator, self.config.weight_clip)
        return {"d_loss": loss.detach(), "margin": (real_logits - logits).detach().mean()}

    def _critic(self, words: Tensor) -> Tensor:
        """(B, T, V) -> (B,): the sum of a sentence's logits, whose slope the gradient penalty is about."""
        logits: Tensor = self.discriminator(self.discriminator.embed_relaxed(words), dropout=True)
        return logits.sum(1)
