"""One object per metric: its fields are its settings and its signature; its class attributes say what it needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from metrics.common.signature import Setting, signature_text
from metrics.common.tokens import Tokens

__all__ = [
    "TOO_LITTLE_REAL",
    "Aspect",
    "Better",
    "Bounds",
    "Estimate",
    "Meaning",
    "Metric",
    "MetricInputs",
    "SentenceLogProb",
    "Side",
    "too_short",
]

Better = Literal["higher", "lower", "real"]
"""Direction. "real": neither end is good; the value of real text is the target."""
Side = Literal["higher", "lower", ""]
"""Where a score is too good to be true; empty where a score is only ever near to real text or far from it."""
Aspect = Literal["quality", "both", "diversity", "memorisation", ""]
"""What a score can see. Quality: whether single sentences are like real ones. Diversity: whether they are varied. Both:
a proper score or a divergence, which a model that lacks either cannot win. Memorisation: whether they are copies of the
training text. Empty: not said."""
Bounds = tuple[float | None, float | None]
"""The least and the greatest value that a score can have; None: no end."""

SentenceLogProb = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""(N, T) ids -> (N,) natural log-probabilities, one per sentence, in nats; -inf for an impossible sentence."""


@dataclass(frozen=True, kw_only=True)
class MetricInputs:
    """What a metric may look at. None: not available, so a metric that needs it is absent, with a reason.

    `samples`, `references`, `training` and `validation` share one numbering of tokens (see `Tokens`), so equal words
    are equal ids.
    """

    samples: Tokens
    """The generated sentences."""
    references: Tokens | None = None
    """The held-out real sentences (test)."""
    training: Tokens | None = None
    """The real sentences the model was trained on."""
    validation: Tokens | None = None
    """Real sentences that were held out of training and are not the test."""
    words: Sequence[str] | None = None
    """The word behind each token; a metric on characters reads it."""
    sample_ids: NDArray[np.int64] | None = None
    """(N, T) the samples as rows of the task's ids; None if a sample cannot be written so (unknown word, too long)."""
    reference_ids: NDArray[np.int64] | None = None
    """(N, T) the test sentences that can be written so: all words known, not longer than T."""
    training_ids: NDArray[np.int64] | None = None
    """(N, T) the training sentences so."""
    eos_id: int | None = None
    """Ends a row of the ids; None: every row has T tokens."""
    oracle_log_prob: SentenceLogProb | None = None
    """The true distribution's log-probability, where the task knows it."""
    model_log_prob: SentenceLogProb | None = None
    """The model's own log-probability at temperature 1, where it has one."""
    own_log_prob: SentenceLogProb | None = None
    """That of the distribution that the samples were drawn from: the model's, at the temperature of the draw. None:
    `model_log_prob`."""
    log_prob_at: Callable[[NDArray[np.int64], float], NDArray[np.float64]] | None = None
    """The model's log-probability at any temperature, where it has one."""
    validation_ids: NDArray[np.int64] | None = None
    """(N, T) the validation sentences as rows of the task's ids."""
    is_valid: Callable[[Tokens], NDArray[np.bool_]] | None = None
    """Whether each sentence can be produced by the task's grammar."""

    def __post_init__(self) -> None:
        """Samples of a model are of temperature 1 unless it is said."""
        if self.own_log_prob is None:
            object.__setattr__(self, "own_log_prob", self.model_log_prob)

    @cached_property
    def samples_log_prob(self) -> NDArray[np.float64]:
        """(N,) the oracle's log-probability of `sample_ids`, nats; asked for once, several metrics read it."""
        assert self.oracle_log_prob is not None
        assert self.sample_ids is not None
        return self.oracle_log_prob(self.sample_ids)

    @cached_property
    def samples_own_log_prob(self) -> NDArray[np.float64]:
        """(N,) the log-probability of `sample_ids` under what they were drawn from, nats; asked for once."""
        assert self.own_log_prob is not None
        assert self.sample_ids is not None
        return self.own_log_prob(self.sample_ids)

    @cached_property
    def samples_valid(self) -> NDArray[np.bool_]:
        """(N,) which samples the grammar can produce; asked for once."""
        assert self.is_valid is not None
        return self.is_valid(self.samples)

    @cached_property
    def references_log_prob(self) -> NDArray[np.float64]:
        """(N,) the model's log-probability of `reference_ids`, nats; asked for once."""
        assert self.model_log_prob is not None
        assert self.reference_ids is not None
        return self.model_log_prob(self.reference_ids)

    @cached_property
    def references_own_log_prob(self) -> NDArray[np.float64]:
        """(N,) the log-probability of `reference_ids` under what the samples were drawn from, nats."""
        if self.own_log_prob is self.model_log_prob:
            return self.references_log_prob
        assert self.own_log_prob is not None
        assert self.reference_ids is not None
        return self.own_log_prob(self.reference_ids)

    @cached_property
    def training_log_prob(self) -> NDArray[np.float64]:
        """(N,) the model's log-probability of `training_ids`, nats; asked for once."""
        assert self.model_log_prob is not None
        assert self.training_ids is not None
        return self.model_log_prob(self.training_ids)

    @cached_property
    def as_many_real(self) -> Tokens | None:
        """As many sentences as there are samples, real and not of the references, none twice, spread evenly.

        In the place of the samples they get what a perfect copy of the training distribution would get. Of the
        validation text; where that is too short, of the training and validation text together; else None.
        """
        n = len(self.samples)
        real = self.validation
        if (real is None or len(real) < n) and self.training is not None:
            real = self.training if real is None else self.training.followed_by(real)
        if real is None or len(real) < n:
            return None
        return real.select(np.linspace(0, len(real) - 1, n).round().astype(np.int64))


TOO_LITTLE_REAL = "there are fewer real sentences beside the references than samples"
"""Why `MetricInputs.as_many_real` is None."""

_NAMES: Mapping[str, str] = {
    "references": "reference sentences",
    "training": "training sentences",
    "validation": "validation sentences",
    "words": "the words behind the tokens",
    "sample_ids": "samples written in the task's vocabulary and length",
    "reference_ids": "test sentences written in the task's vocabulary",
    "training_ids": "training sentences written in the task's vocabulary",
    "oracle_log_prob": "a task whose true distribution is known",
    "model_log_prob": "a model with a likelihood",
    "is_valid": "a task with a grammar",
}
_ONE: Mapping[str, str] = {"references": "reference sentence", "training": "training sentence"}
_COUNTS: Mapping[str, str] = {"references": "refs", "training": "training", "as_many_real": "real"}
"""How a signature names the number of sentences of a text."""


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What the scores of one key say, and what they are compared by."""

    better: Better
    aspect: Aspect
    side: Side
    """`better` where that is an end; else the end to which the trade of quality against diversity pulls. Beyond real
    text on this side nothing is gained."""
    bounds: Bounds
    ranked: bool
    """Whether models are ranked by it."""
    held_out: bool
    """Whether it compares with the training text, so that the value of real text is that of held-out sentences."""
    by_count: bool
    """Whether more samples of one source have another value: then only equal numbers of sentences compare."""


class Estimate(NamedTuple):
    """A score and what another draw of as many samples would change about it."""

    value: float
    standard_error: float | None
    """Over the samples, the references held fixed; None: not known. It says nothing of other seeds or trainings."""


@dataclass(frozen=True, kw_only=True)
class Metric(ABC):
    """A metric with its settings. Pure: equal inputs give equal scores; no files, no state."""

    version: ClassVar[int]
    """Raised whenever a value can change; in the signature of every score."""
    better: ClassVar[Better]
    """Of the keys for which `keys` says nothing else."""
    aspect: ClassVar[Aspect] = ""
    side: ClassVar[Side] = ""
    """For the direction "real" alone: on which side of real text a score is too good. The others have their end."""
    bounds: ClassVar[Bounds] = (None, None)
    by_count: ClassVar[bool] = True
    """False for what is a mean over sentences, or a ratio of sums over them."""

    slack: ClassVar[Mapping[str, float]] = {}
    """Keys that come of an iterative fit, which rounding may end elsewhere -> by how much, of max(1, |value|)."""

    def __post_init__(self) -> None:
        """ValueError unless a setting of named choices has one of them, and `orders` are ascending."""
        types = get_type_hints(type(self))
        for field in fields(self):
            value, choices = getattr(self, field.name), get_args(types[field.name])
            if get_origin(types[field.name]) is Literal and value not in choices:
                raise ValueError(f"{self.name}: {field.name} must be one of {', '.join(choices)}, got {value!r}")
            if field.name == "orders":
                _check_orders(self.name, value)

    @property
    def needs(self) -> tuple[str, ...]:
        """Fields of `MetricInputs` that must not be None, beside `samples`; a text must also hold a sentence."""
        return ()

    @property
    def counted(self) -> tuple[str, ...]:
        """Texts of `MetricInputs` whose number of sentences a score depends on, beside `samples`."""
        return ()

    @property
    def name(self) -> str:
        """The public name: the folder that holds the class (`metrics/self_bleu/metric.py` is `self_bleu`)."""
        return type(self).__module__.split(".")[-2]

    def keys(self) -> dict[str, Better]:
        """Every key that a score of this metric may have, with these settings, and its direction.

        Unless a metric says otherwise: one for each of its `orders`, or its name, all in the metric's direction.
        """
        orders: tuple[int, ...] | None = getattr(self, "orders", None)
        names = [self.name] if orders is None else [f"{self.name}_{order}" for order in orders]
        return dict.fromkeys(names, self.better)

    def is_ranked(self, key: str) -> bool:
        """Whether models are ranked by a key: not by what says how far another one can be trusted."""
        return True

    def meaning(self, key: str) -> Meaning:
        """What scores of a key say, whatever the settings under which it came to be."""
        better = self.keys().get(key, self.better)
        return Meaning(
            better=better,
            aspect=self.aspect,
            side=self.side if better == "real" else better,
            bounds=self.bounds,
            ranked=self.is_ranked(key),
            held_out="training" in self.needs,
            by_count=self.by_count,
        )

    @abstractmethod
    def compute(self, inputs: MetricInputs) -> dict[str, float]:
        """Scores by key (`bleu_2` .. `bleu_5`). Call `missing` first."""

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """`compute`, with standard errors where the metric knows them. Call `missing` first."""
        return {key: Estimate(value, None) for key, value in self.compute(inputs).items()}

    def missing(self, inputs: MetricInputs) -> str | None:
        """Why the metric cannot be computed on these inputs, or None."""
        given = {need: getattr(inputs, need) for need in self.needs}
        for need, text in given.items():
            if need in _ONE and text is not None and len(text) == 0:
                return f"{self.name} needs at least one {_ONE[need]}"
        absent = [_NAMES[need] for need, value in given.items() if value is None]
        if absent:
            return f"{self.name} needs {' and '.join(absent)}"
        if len(inputs.samples) == 0:
            return f"{self.name} needs at least one sample"
        return None

    def absent(self, inputs: MetricInputs) -> dict[str, str]:
        """Why some of the `keys` have no score though others have one. Call `missing` first."""
        return {}

    def needs_model(self, key: str) -> bool:
        """Whether only the model itself can give this score: no file of its samples can."""
        return "model_log_prob" in self.needs

    def counts(self, inputs: MetricInputs) -> dict[str, int]:
        """Sentences of the texts that are `counted` and of the samples, for the signature."""
        texts = {_COUNTS[text]: len(getattr(inputs, text) or ()) for text in self.counted}
        return {**texts, "samples": len(inputs.samples)}

    def settings(self, inputs: MetricInputs) -> dict[str, Setting]:
        """All that a score depends on beside the sentences: the fields, what was counted, and `v`, the version.

        Two scores with different settings are not comparable. The order is that of the signature.
        """
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        own = {name: tuple(value) if isinstance(value, list) else value for name, value in own.items()}
        return {**own, **self.counts(inputs), "v": self.version}

    def signature(self, inputs: MetricInputs) -> str:
        """The settings as one text, for people: `bleu|orders:2-5|smoothing:method1|refs:10000|samples:10000|v:1`."""
        return signature_text(self.name, self.settings(inputs))


def too_short(orders: Iterable[int], key: str, what: str, *corpora: Tokens, unit: str = "token") -> dict[str, str]:
    """Key -> reason for each order that no sentence of the corpora is long enough for; in `key` {} is the order."""
    longest = max(int(corpus.lengths.max(initial=0)) for corpus in corpora)
    return {key.format(n): f"no {what} has {n} {unit}{'s' * (n > 1)}" for n in orders if n > longest}


def _check_orders(metric: str, orders: tuple[int, ...]) -> None:
    whole = all(isinstance(order, int) and not isinstance(order, bool) and order >= 1 for order in orders)
    if not orders or not whole or list(orders) != sorted(set(orders)):
        raise ValueError(f"{metric}: orders must be different whole numbers from 1, ascending, got {orders!r}")
