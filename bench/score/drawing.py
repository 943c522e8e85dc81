"""Draw samples from a model and score them, without disturbing its training."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from baselines.common.interface import (
    HasLabelLogProb,
    HasLogProb,
    HasNllBound,
    LabelledSpec,
    SequenceSpec,
    TextGenerator,
)
from bench.randomness import derive, isolated
from bench.run.contract import check_seeded
from metrics.common.sentences import sentence_keys
from metrics.common.tokens import Tokens

__all__ = [
    "Likelihood",
    "NllBound",
    "blanked",
    "bound_of",
    "check_drawn",
    "check_labels",
    "collapse",
    "device_of",
    "draw",
    "likelihood_of",
    "state_problem",
    "takes_labels",
    "word_entropy",
]

Ids = NDArray[np.int64]

_CHUNK = 1_000
"""Sentences asked of a model at once: bounds memory, and is part of what a seed means."""


def draw(
    model: TextGenerator,
    n: int,
    *,
    seed: int,
    temperature: float = 1.0,
    told: Callable[[int], None] = lambda _: None,
    labels: Ids | None = None,
) -> Ids:
    """n sentences -> (n, T) ids, what follows an end token blanked. Training is as if this had not happened.

    A model that can be told a class is told the `labels` (n,), ids of classes; None: each class in turn. Another writes
    the labels itself. `told` hears now and then how many are drawn, and may raise to end it. Raises ValueError, naming
    the model, when `sample` does not return (n, T) int64 ids of the vocabulary that begin with the labels.
    """
    spec = model.spec
    if labels is None and takes_labels(model):
        labels = np.resize(np.array(_class_ids(spec), np.int64), n)
    was_training = model.training
    model.eval()
    chunks = []
    try:
        with isolated(seed), torch.no_grad():
            for start in range(0, n, _CHUNK):
                told(start)
                size = min(_CHUNK, n - start)
                wanted = None if labels is None else labels[start : start + size]
                ids = _sampled(model, size, temperature, wanted)
                check_seeded(seed, type(model).sample)
                check_drawn(ids, size, spec, f"{type(model).__name__}.sample({size})")
                check_labels(ids, wanted, f"{type(model).__name__}.sample(labels=…)")
                chunks.append(ids.cpu().numpy())
    finally:
        model.train(was_training)
    return blanked(np.concatenate(chunks), spec)


def takes_labels(model: TextGenerator) -> bool:
    """Whether it can be told the class of each sentence, on sentences that have one."""
    return isinstance(model.spec, LabelledSpec) and "labels" in inspect.signature(model.sample).parameters


def _class_ids(spec: SequenceSpec) -> range:
    assert isinstance(spec, LabelledSpec)
    return spec.class_ids


def _sampled(model: TextGenerator, n: int, temperature: float, labels: Ids | None) -> torch.Tensor:
    if labels is None:
        return model.sample(n, temperature=temperature)
    ask: Callable[..., torch.Tensor] = model.sample
    return ask(n, temperature=temperature, labels=torch.from_numpy(labels).to(device_of(model)))


def device_of(model: TextGenerator) -> torch.device:
    """Where its tensors are; the CPU for a model without any."""
    own = itertools.chain(model.parameters(), model.buffers())
    return next((tensor.device for tensor in own), torch.device("cpu"))


def check_labels(ids: torch.Tensor, labels: Ids | None, what: str) -> None:
    """Raise ValueError unless each sentence that `what` gave begins with the label (N,) that was asked for."""
    if labels is None:
        return
    first = ids[:, 0].cpu().numpy()
    if wrong := int((first != labels).sum()):
        i = int(np.flatnonzero(first != labels)[0])
        raise ValueError(
            f"{what}: each sentence must begin with its label; {wrong} of {len(labels)} do not, "
            f"sentence {i} begins with {first[i]} and was to begin with {labels[i]}"
        )


def check_drawn(ids: Any, n: int, spec: SequenceSpec, what: str) -> None:
    """Raise ValueError unless `what` gave n sentences of the vocabulary."""
    if not isinstance(ids, torch.Tensor) or ids.dtype != torch.int64 or tuple(ids.shape) != (n, spec.max_len):
        got = f"{ids.dtype} {tuple(ids.shape)}" if isinstance(ids, torch.Tensor) else type(ids).__name__
        raise ValueError(f"{what} must return int64 ({n}, {spec.max_len}), got {got}")
    if ids.min() < 0 or ids.max() >= spec.vocab_size:
        raise ValueError(f"{what}: ids must be in 0..{spec.vocab_size - 1}, got {ids.min()}..{ids.max()}")


def blanked(ids: Ids, spec: SequenceSpec) -> Ids:
    """Rows with everything behind their first end token made padding."""
    if spec.eos_id is None or spec.pad_id is None:
        return ids
    ended = np.zeros_like(ids, dtype=bool)
    ended[:, 1:] = np.logical_or.accumulate(ids == spec.eos_id, axis=1)[:, :-1]
    ids[ended] = spec.pad_id
    return ids


class Likelihood:
    """A model's log-probability for metrics."""

    def __init__(self, model: TextGenerator, device: torch.device) -> None:
        self._model = model
        self._device = device
        self._log_prob: Callable[..., torch.Tensor] = cast("HasLogProb", model).log_prob
        self.has_temperature = "temperature" in inspect.signature(self._log_prob).parameters
        """Whether it is known at other temperatures than 1."""
        self.label_log_prob: Callable[..., NDArray[np.float64]] | None = None
        """As a call of this, but of the label alone; None: there are no labels, or the model cannot be told one."""
        if takes_labels(model) and isinstance(model, HasLabelLogProb):
            self.label_log_prob = functools.partial(self._of_label, model.label_log_prob)

    def __call__(self, ids: Ids, temperature: float = 1.0) -> NDArray[np.float64]:
        """(N, T) -> (N,): nats, of `sample(n, temperature=temperature)`."""
        return self._asked(self._log_prob, ids, temperature)

    def _of_label(self, what: Callable[..., torch.Tensor], ids: Ids, temperature: float = 1.0) -> NDArray[np.float64]:
        """(N, T) -> (N,): asked once for each label, which is all that it depends on."""
        _, rows, which = np.unique(ids[:, 0], return_index=True, return_inverse=True)
        return self._asked(what, ids[rows], temperature)[which]

    def _asked(self, what: Callable[..., torch.Tensor], ids: Ids, temperature: float = 1.0) -> NDArray[np.float64]:
        ask = functools.partial(what, temperature=temperature) if temperature != 1 else what
        was_training = self._model.training
        self._model.eval()
        with torch.no_grad():
            parts = [
                ask(torch.from_numpy(ids[start : start + _CHUNK]).to(self._device)).double().cpu().numpy()
                for start in range(0, len(ids), _CHUNK)
            ]
        self._model.train(was_training)
        return np.concatenate(parts) if parts else np.empty(0)


def likelihood_of(model: TextGenerator, device: torch.device) -> Likelihood | None:
    """None for an implicit model."""
    return Likelihood(model, device) if isinstance(model, HasLogProb) else None


class NllBound:
    """A model's bound on its negative log-likelihood for metrics; from one seed: equal weights give it again."""

    def __init__(self, model: TextGenerator, device: torch.device) -> None:
        self._model = model
        self._device = device
        self._bound: Callable[..., torch.Tensor] = cast("HasNllBound", model).nll_bound

    def __call__(self, ids: Ids, draws: int) -> NDArray[np.float64]:
        """(N, T) -> (N,): nats at temperature 1, by so many draws of each sentence. Training is not disturbed."""
        was_training = self._model.training
        self._model.eval()
        try:
            with isolated(derive(0, "nll_bound")), torch.no_grad():
                parts = [
                    self._bound(torch.from_numpy(ids[start : start + _CHUNK]).to(self._device), draws=draws)
                    for start in range(0, len(ids), _CHUNK)
                ]
                return torch.cat(parts).double().cpu().numpy() if parts else np.empty(0)
        finally:
            self._model.train(was_training)


def bound_of(model: TextGenerator, device: torch.device) -> NllBound | None:
    """None for a model without one."""
    return NllBound(model, device) if isinstance(model, HasNllBound) else None


def word_entropy(tokens: Tokens) -> float:
    """Entropy of the words of a text, in nats."""
    if not len(tokens.flat):
        return 0.0
    counts = np.bincount(tokens.flat)
    share = counts[counts > 0] / len(tokens.flat)
    return float(-(share * np.log(share)).sum())


def collapse(samples: Tokens, training: Tokens, min_unique: float, min_entropy: float) -> str | None:
    """What looks like a collapse, or None: few distinct sentences, or words far less varied than the training text's.

    Both limits are shares: of distinct sentences, and of the training text's entropy.
    """
    distinct = len(set(sentence_keys(samples))) / len(samples)
    if distinct < min_unique:
        return f"{distinct:.1%} of the samples are distinct (limit {min_unique:.0%})"
    entropy, real = word_entropy(samples), word_entropy(training)
    if entropy < min_entropy * real:
        return f"words of the samples have an entropy of {entropy:.2f} nats, the training text's {real:.2f}"
    return None


def state_problem(model: TextGenerator) -> str | None:
    """Name of the first parameter that is not finite, or None."""
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            return name
    return None
