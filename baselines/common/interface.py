"""The whole contract between a model and the harness. A model is the whole GAN, behind three methods.

`phases()` is the paper's algorithm box: name, number of steps, step function. One short loop trains every model.
`sample(n)` draws sentences. `log_prob(tokens)` exists where the model has a likelihood; its presence is the capability.
Where only a bound on it can be had, there is `nll_bound(tokens)` instead. A model that can be told which class it is to
write takes `sample(n, labels=…)`. One that rewrites sentences is a `Rewriter`: `transfer(tokens, labels)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Protocol, runtime_checkable

from annotated_types import Ge, Gt, Interval
from torch import Tensor, nn
from torch.optim import Optimizer

from baselines.common.fast.graphs import Graphs
from baselines.common.spec import LabelledSpec, SequenceSpec

__all__ = [
    "ADDED",
    "BaseConfig",
    "Batches",
    "Fraction",
    "HasLabelLogProb",
    "HasLabels",
    "HasLogProb",
    "HasNllBound",
    "LabelledSpec",
    "NonNegativeFloat",
    "NonNegativeInt",
    "Phase",
    "PositiveFloat",
    "PositiveInt",
    "Rewriter",
    "SequenceSpec",
    "Step",
    "TextGenerator",
]

Batches = Iterator[Tensor]
"""Endless stream of real sentences: each item is (B, T) int64 on the model's device, B = `config.batch_size`.

A step gets the stream and not a batch, because WGAN-GP takes several batches per step and SeqGAN's generator none.
The stream counts what is taken, so that "real sentences seen" is in every record.
"""

PositiveInt = Annotated[int, Gt(0)]
NonNegativeInt = Annotated[int, Ge(0)]
PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
Fraction = Annotated[float, Interval(ge=0, le=1)]

ADDED = MappingProxyType({"added": True})
"""Metadata of a setting that came after rows had been recorded. At its default it is left out of what makes a row
(`Resolved.config_hash`), so that those rows go on."""


@dataclass(frozen=True, kw_only=True)
class BaseConfig:
    """Settings that every model has, because the harness builds the stream from them. The harness checks the types."""

    batch_size: PositiveInt = 64
    """Sentences per batch of the stream."""
    shuffle: bool = False
    """Draw a new order in each epoch. False: fixed batches in fixed order, as the released code of the SeqGAN line."""


Step = Callable[[Batches], Mapping[str, Tensor]]
"""Updates, and returns what to log."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One box of the algorithm: `step` is called `steps` times. It updates, and returns what to log.

    What is returned are 0-d tensors (detached); the loop reads them only when it logs, so a step never waits for the
    device. The step of a phase whose steps differ (one of the generator, then many of the discriminator) is a `Turns`.
    """

    name: str
    steps: int
    step: Step


class TextGenerator(nn.Module, ABC):
    """A text GAN as the harness sees it.

    Everything that must survive a kill is in `state_dict()` (parameters, buffers, `Counter`s) or in `optimizers`.
    Randomness comes from torch's global generators, which the harness seeds and saves; never from numpy or random.
    """

    Config: ClassVar[type[BaseConfig]] = BaseConfig
    """Nested frozen dataclass that extends `BaseConfig`; defaults are the published setting, each field documented."""
    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Settings of the reduced scales: {"smoke": {...}, "small": {...}}; the published scale is the defaults."""

    optimizers: dict[str, Optimizer]
    """By name, so that checkpoints find them."""
    graphs: Graphs | None = None
    """Where steps that are marked `replayed` are recorded; None: every step is done as it is."""

    def __init__(self, config: BaseConfig, spec: SequenceSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.optimizers = {}

    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """The algorithm. Pure: the same list at every call."""

    @abstractmethod
    def sample(self, n: int, *, temperature: float = 1.0) -> Tensor:
        """Draw n sentences -> (n, T) int64. Logits are divided by `temperature`.

        Raises ValueError if the model has no temperature and `temperature` is not 1. What follows the end token is
        blanked by the harness.
        """


@runtime_checkable
class HasLogProb(Protocol):
    """A model with a likelihood. Without one (an implicit model) the method is simply absent."""

    def log_prob(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B,): natural logarithm of the probability of each sentence, in nats, at temperature 1.

        Positions after the end token count nothing, so that the probabilities of all sentences sum to 1.

        With a keyword `temperature: float = 1.0` it gives that of `sample(n, temperature=temperature)`. It may be left
        out; then what needs the likelihood at other temperatures (entropy, divergences, calibration) is absent.
        """
        ...


@runtime_checkable
class HasNllBound(Protocol):
    """A model whose likelihood is known by a bound alone, as of diffusion; it has no `log_prob`."""

    def nll_bound(self, tokens: Tensor, *, draws: int = 1) -> Tensor:
        """(B, T) -> (B,): nats that are, in expectation, at least -log p of each sentence, at temperature 1.

        Monte-Carlo, by `draws` random numbers (masks, times) for each sentence from torch's global generators, which
        the harness seeds. Without bias for the bound however many they are; sentences independent of each other, so
        that the standard error over sentences holds what the draws add. What follows the end token is not looked at.
        """
        ...


class HasLabels(Protocol):
    """A model that can be told the class of each sentence. It is known by the parameter `labels` of its `sample`.

    Sentences with a label begin with it (`LabelledSpec`). A model without the parameter is drawn from as it is, and its
    sentences are grouped by the labels that it wrote.
    """

    def sample(self, n: int, *, temperature: float = 1.0, labels: Tensor | None = None) -> Tensor:
        """Draw n sentences -> (n, T) int64; where labels (n,) int64 are given, sentence i begins with the id labels[i].

        Without labels, and on sentences that have none, it is the `sample` of any model.
        """
        ...


class Rewriter(TextGenerator):
    """A model that rewrites sentences into another class, and draws none: `transfer` takes the place of `sample`.

    It trains on sentences of all classes, which are not paired; each begins with its label (`LabelledSpec`).
    """

    spec: LabelledSpec

    @abstractmethod
    def transfer(self, tokens: Tensor, labels: Tensor) -> Tensor:
        """(B, T) sentences that begin with the label that they have, (B,) ids of the classes wanted -> (B, T) int64.

        Sentence i begins with the id labels[i]; what follows the end token is blanked by the harness.
        """

    def sample(self, n: int, *, temperature: float = 1.0) -> Tensor:
        """ValueError: there is nothing to rewrite."""
        del n, temperature
        raise ValueError(f"{type(self).__name__} rewrites sentences and draws none: give it sentences, by `rewrite`")


@runtime_checkable
class HasLabelLogProb(Protocol):
    """A model that can be told the class, with a likelihood of what it then writes."""

    def label_log_prob(self, tokens: Tensor, *, temperature: float = 1.0) -> Tensor:
        """(B, T) -> (B,): the part of `log_prob` that is the label's, nats; of the first word alone.

        `log_prob(x) - label_log_prob(x)` is the log-probability of the other words under `sample(labels=…)`.
        """
        ...
