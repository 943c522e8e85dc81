"""Bases that several baselines begin from: settings, networks, optimisers, and updates that are the same in each.

They are no baselines: a model's own file has its published settings, `phases`, and the steps that make it that model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Interval
from torch import Tensor

from baselines.common.fast.graphs import replayed
from baselines.common.interface import (
    ADDED,
    BaseConfig,
    Batches,
    Phase,
    PositiveFloat,
    PositiveInt,
    SequenceSpec,
    TextGenerator,
)
from baselines.common.networks.cnn import FILTERS, TEXYGEN_FILTERS, CNNClassifier
from baselines.common.networks.lstm import LSTMLanguageModel
from baselines.common.networks.recurrent import RecurrentLanguageModel
from baselines.common.training.averages import Histories, WeightAverage
from baselines.common.training.optimizer import adam, update
from baselines.common.training.penalties import slope_penalty
from baselines.common.training.stabilisers import AveragedConfig, StabilisedConfig
from baselines.common.training.state import Counter, DiscriminatorPool, SentenceStore

__all__ = [
    "ClassifierBase",
    "ClassifierConfig",
    "LanguageModelBase",
    "LanguageModelConfig",
    "PolicyGradientBase",
    "PolicyGradientConfig",
    "StoredSentences",
    "StoredSentencesConfig",
    "TransformerConfig",
]


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig(AveragedConfig):
    """Settings of a model whose generator is a language model. Defaults: SeqGAN's generator."""

    embedding_dim: PositiveInt = 32
    """Width of the generator's word vectors."""
    hidden_dim: PositiveInt = 32
    """Width of the generator's LSTM."""
    clip_norm: PositiveFloat = 5.0
    """Global norm at which the generator's gradients are clipped. A discriminator's are not."""


class LanguageModelBase(TextGenerator):
    """A model whose generator is a language model: it learns from real sentences by likelihood, if only at first."""

    config: LanguageModelConfig
    generator: LSTMLanguageModel | RecurrentLanguageModel
    average: WeightAverage
    """Of the generator: samples and likelihood are those of its averaged weights."""

    @property
    def language_model(self) -> LSTMLanguageModel | RecurrentLanguageModel:
        """The generator, by whatever name the model's weights have it."""
        return self.generator

    def mle_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """One update on one batch of real sentences."""
        return self.imitate(next(batches))

    @replayed()
    def imitate(self, tokens: Tensor) -> Mapping[str, Tensor]:
        """Loss: -(1 / number of tokens) sum_{b,t} log p(x_{b,t} | x_{b,<t}) on real sentences x (B, T)."""
        loss = self.language_model.mean_nll(tokens)
        update(self.optimizers["mle"], loss, max_norm=self.config.clip_norm)
        return {"nll": loss.detach()}

    def sample(self, n: int, *, temperature: float = 1.0, labels: Tensor | None = None) -> Tensor:
        """Draw token by token from the generator, after the labels (n,) where they are given."""
        prefix = None if labels is None else labels[:, None]
        with self.average.applied():
            return self.language_model.sample(n, temperature=temperature, prefix=prefix)

    def log_prob(self, tokens: Tensor, *, temperature: float = 1.0) -> Tensor:
        """The generator's: (B, T) -> (B,), nats."""
        with self.average.applied():
            return self.language_model.log_prob(tokens, temperature=temperature)

    def label_log_prob(self, tokens: Tensor, *, temperature: float = 1.0) -> Tensor:
        """The generator's, of the first word of each sentence: (B, T) -> (B,), nats."""
        return self.log_prob(tokens[:, :1], temperature=temperature)


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(StabilisedConfig):
    """Settings of a discriminator that is trained from a pool. Their defaults are published for each model apart."""

    d_embedding_dim: PositiveInt
    """Width of the discriminator's word vectors."""
    d_l2: Annotated[float, Ge(0)]
    """Weight of half the squared norm of the discriminator's output layer."""
    d_lr: PositiveFloat
    """Adam of the discriminator."""
    pool_batches: PositiveInt
    """Batches of fresh samples in one pool of the discriminator, and `pool_real` times as many of real sentences."""
    pool_epochs: PositiveInt
    """Passes over a pool before the next."""
    pool_real: PositiveInt = field(default=1, metadata=ADDED)
    """Real sentences in a pool for each generated one. Texygen's pools hold the whole training file: 27 on its news."""
    pool_order: Literal["fixed", "shuffled"] = field(default="fixed", metadata=ADDED)
    """Whether each pass over a pool has the same batches, or new ones, as SeqGAN's first release."""


class ClassifierBase(TextGenerator):
    """A model whose discriminator is a classifier of sentences, real or generated, that are kept in a pool."""

    config: ClassifierConfig
    discriminator: CNNClassifier
    pool: DiscriminatorPool
    history: Histories

    def _classifier(
        self, spec: SequenceSpec, filters: Mapping[int, int], *, highway_biases: bool = True
    ) -> CNNClassifier:
        c = self.config
        return CNNClassifier(
            spec,
            embedding_dim=c.d_embedding_dim,
            keep=c.d_keep,
            filters=filters,
            highway_biases=highway_biases,
            norm=c.d_norm,
            label_smoothing=c.label_smoothing,
        )

    def _pool(self, *, kinds: int = 1) -> DiscriminatorPool:
        c = self.config
        return DiscriminatorPool(
            self.spec,
            batches=c.pool_batches,
            batch_size=c.batch_size,
            epochs=c.pool_epochs,
            real_share=c.pool_real,
            reshuffled=c.pool_order == "shuffled",
            kinds=kinds,
        )

    @replayed(unless=["gradient_penalty"])
    def discriminate(self, tokens: Tensor, real: Tensor) -> Mapping[str, Tensor]:
        """Loss: -mean (log D(x) if real else log(1 - D(x))) + d_l2 / 2 ||output layer||^2, and the stabilisers.

        Sentences (B, T) with their labels (B,), 1 for real.
        """
        logits = self.discriminator(tokens, dropout=True)
        loss = self.discriminator.loss(logits, real, l2=self.config.d_l2) + self.history("discriminator")
        loss = loss + slope_penalty(self.discriminator, tokens, real, weight=self.config.gradient_penalty)
        update(self.optimizers["discriminator"], loss)
        accuracy = (logits.detach().argmax(1) == real).float().mean()
        return {"d_loss": loss.detach(), "d_accuracy": accuracy}


@dataclass(frozen=True, kw_only=True)
class PolicyGradientConfig(LanguageModelConfig, ClassifierConfig):
    """Settings that SeqGAN and MaliGAN have alike."""

    lr: PositiveFloat = 1e-2
    """Adam of the generator; pre-training and adversarial training have a state each."""
    d_filters: Literal["seqgan", "texygen"]
    """The discriminator's windows: SeqGAN's twelve sizes, or Texygen's sizes 2 and 3 with 300 filters."""
    d_highway_biases: bool = field(default=True, metadata=ADDED)
    """Whether the discriminator's highway has biases. SeqGAN's first release has none."""
    d_l2: Annotated[float, Ge(0)] = 0.2
    d_lr: PositiveFloat = 1e-4


class PolicyGradientBase(LanguageModelBase, ClassifierBase):
    """LSTM generator and convolutional discriminator. What the generator is rewarded with is the model's own."""

    config: PolicyGradientConfig
    generator: LSTMLanguageModel

    def __init__(self, config: PolicyGradientConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.generator = LSTMLanguageModel(spec, embedding_dim=config.embedding_dim, hidden_dim=config.hidden_dim)
        filters = {"seqgan": FILTERS, "texygen": TEXYGEN_FILTERS}[config.d_filters]
        self.discriminator = self._classifier(spec, filters, highway_biases=config.d_highway_biases)
        self.pool = self._pool()
        self.optimizers = {
            "mle": adam(self.generator, config.lr),
            "generator": adam(self.generator, config.lr),
            "discriminator": adam(self.discriminator, config.d_lr),
        }
        self.adversarial_updates = Counter()
        sides = {"generator": self.generator, "discriminator": self.discriminator}
        self.history = Histories(config.historical_averaging, self.adversarial_updates, sides)
        self.average = WeightAverage(
            self.generator, config.ema_decay, after=[self.optimizers["mle"], self.optimizers["generator"]]
        )

    def discriminator_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """One update on the next batch of the pool; where the pool is used up, on the first of a new one."""
        return self.discriminate(*self.pool.next(batches, self.generator.sample))


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(AveragedConfig):
    """Settings of a Transformer that is a reference beside `mle`, with as many sentences: its batches and its steps.

    Sizes: the base model of Vaswani et al. 2017; rate: Xiong et al. 2020, without a warm-up.
    """

    dim: PositiveInt = 512
    """Width of words and layers; the feed-forward layers are four times as wide."""
    layers: PositiveInt = 6
    """Blocks of attention and feed-forward layer."""
    heads: PositiveInt = 8
    """Heads of attention; they share the width."""
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.1
    """Share that is dropped in training of what is embedded, and of what each sublayer adds."""
    lr: PositiveFloat = 5e-4
    """Adam."""
    clip_norm: PositiveFloat = 1.0
    """Global norm at which gradients are clipped."""
    steps: PositiveInt = 18_720
    """Updates: those of `mle`, 120 epochs of 156 batches."""


@dataclass(frozen=True, kw_only=True)
class StoredSentencesConfig(BaseConfig):
    """Defaults: as many sentences as SeqGAN's released code trains on."""

    batches: PositiveInt = 156
    """Batches to store: 9,984 sentences. Where the stream begins again in the same order, storing ends."""


class StoredSentences(TextGenerator):
    """A control that learns nothing: its state is the training sentences."""

    Config = StoredSentencesConfig
    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {"batch_size": 16, "batches": 40}, "small": {}}

    config: StoredSentencesConfig

    def __init__(self, config: StoredSentencesConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.store = SentenceStore(spec, batches=config.batches, batch_size=config.batch_size)

    def phases(self) -> Sequence[Phase]:
        """One phase: read the sentences once."""
        return [Phase("collect", self.config.batches, self.collect)]

    def collect(self, batches: Batches) -> Mapping[str, Tensor]:
        """Store one batch."""
        return {"sentences": self.store.add(next(batches))}
