"""What checks look at: a model with its settings on sentences of a kind, made anew as often as a check needs it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.common.interface import Batches, Rewriter, TextGenerator
from baselines.common.spec import LabelledSpec, SequenceSpec
from bench.run.batches import BatchStream
from bench.run.contract import built, checked_phases
from bench.score.drawing import device_of

__all__ = ["TINY", "Case", "NotTriedError", "all_sentences", "blank", "different", "kinds_of", "made_up", "other_name"]

TINY: Mapping[str, SequenceSpec] = {
    "fixed": SequenceSpec(vocab_size=4, max_len=3, bos_id=0, pad_id=None, eos_id=None),
    "ending": SequenceSpec(vocab_size=4, max_len=3, bos_id=0, pad_id=0, eos_id=0),
    "own_ids": SequenceSpec(vocab_size=5, max_len=3, bos_id=1, pad_id=2, eos_id=3),
}
"""The three kinds of sentences that tasks have, so few of them that all can be listed: of one length, with one id for
start, end and padding, and with an id for each."""
_CLASSES = ("negative", "positive")
_BATCHES = 17
"""Of made-up sentences: an odd number, so that the stream begins again in the middle of a phase."""


class NotTriedError(Exception):
    """A check that does not apply, or cannot be tried; the text says why."""


def kinds_of(spec: SequenceSpec) -> dict[str, SequenceSpec]:
    """The three kinds of sentences in the sizes of a spec; of a vocabulary of three words or fewer, two."""
    own_ids = {"bos_id": 1, "pad_id": 2, "eos_id": 3} if spec.vocab_size > 3 else {}
    return {
        "of one length (eos_id and pad_id are None)": dataclasses.replace(spec, pad_id=None, eos_id=None),
        "whose start, end and padding are one id": dataclasses.replace(spec, bos_id=0, pad_id=0, eos_id=0),
        **({"whose start, end and padding are three ids": dataclasses.replace(spec, **own_ids)} if own_ids else {}),
    }


def blank(ids: Tensor, spec: SequenceSpec) -> Tensor:
    """Fill what follows the first end token, as tasks and harness do."""
    if spec.eos_id is None or spec.pad_id is None:
        return ids
    ended = (ids == spec.eos_id).long().cumsum(1)
    return ids.masked_fill(ended - (ids == spec.eos_id).long() > 0, spec.pad_id)


def all_sentences(spec: SequenceSpec) -> Tensor:
    """Every sentence that can be written, once."""
    return blank(torch.tensor(list(itertools.product(range(spec.vocab_size), repeat=spec.max_len))), spec).unique(dim=0)


def made_up(spec: SequenceSpec, n: int) -> NDArray[np.int64]:
    """(n, T) sentences whose words are unevenly frequent; where there are classes, each begins with one, in turn."""
    weights = torch.arange(1.0, spec.vocab_size + 1)
    if isinstance(spec, LabelledSpec):
        weights[list(spec.class_ids)] = 0
    ids = weights.expand(n, -1).multinomial(spec.max_len, replacement=True, generator=torch.Generator().manual_seed(7))
    if isinstance(spec, LabelledSpec):
        ids[:, 0] = torch.arange(n) % len(spec.classes) + spec.class_ids[0]
    return np.asarray(blank(ids, spec).numpy())


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model with its settings on sentences of a kind."""

    model: type[TextGenerator]
    config: Any
    spec: SequenceSpec
    train: NDArray[np.int64] | None = None
    """(N, T) real sentences; None: made-up ones."""
    most: int | None = None
    """Steps of each phase that are done; None: all."""

    def __post_init__(self) -> None:
        """A model that rewrites takes sentences with labels: on others it is tried on made-up ones of their sizes."""
        if issubclass(self.model, Rewriter) and not isinstance(self.spec, LabelledSpec):
            object.__setattr__(self, "spec", _with_labels(self.spec))
            object.__setattr__(self, "train", None)

    def make(self, seed: int = 0) -> TextGenerator:
        """A fresh one, whose weights are those of the seed; torch's generators go on from there.

        Of one that rewrites, `sample` answers made-up sentences, so that all that is asked of samples is asked of it.
        """
        torch.manual_seed(seed)
        model = self.model
        if issubclass(model, Rewriter):
            model = type(model.__name__, (model,), {"sample": _answers, "__module__": model.__module__})
        return built(model, self.config, self.spec)

    def stream(self, taken: int = 0) -> BatchStream:
        """Its sentences, from where so many batches were taken."""
        size = self.config.batch_size
        train = made_up(self.spec, _BATCHES * size) if self.train is None else self.train
        stream = BatchStream(train, size, shuffle=self.config.shuffle, seed=0, device=torch.device("cpu"))
        stream.restore(taken)
        return stream

    def sizes(self, model: TextGenerator) -> dict[str, int]:
        """Phase -> steps that are done."""
        return {p.name: p.steps if self.most is None else min(p.steps, self.most) for p in checked_phases(model)}

    def steps(self, model: TextGenerator) -> list[Callable[[Batches], Mapping[str, Tensor]]]:
        """The steps of all phases, end to end."""
        sizes = self.sizes(model)
        return [phase.step for phase in model.phases() for _ in range(sizes[phase.name])]

    def advance(self, model: TextGenerator, stream: BatchStream, first: int = 0, last: int | None = None) -> None:
        """Do steps first .. last of them."""
        for step in self.steps(model)[first:last]:
            step(stream)

    @cached_property
    def trained(self) -> TextGenerator:
        """Of whoever only draws from it and asks it: trained once."""
        return self.train_again().eval()

    def train_again(self) -> TextGenerator:
        """All steps, from the seed on."""
        model = self.make().train()
        self.advance(model, self.stream())
        return model


def _with_labels(spec: SequenceSpec) -> LabelledSpec:
    """Sentences as long, with a label before them."""
    return LabelledSpec(
        vocab_size=spec.vocab_size + len(_CLASSES),
        max_len=spec.max_len + 1,
        bos_id=spec.bos_id,
        pad_id=spec.pad_id,
        eos_id=spec.eos_id,
        classes=_CLASSES,
    )


def _answers(model: Rewriter, n: int, *, temperature: float = 1.0) -> Tensor:
    """n made-up sentences, each rewritten into the class after its own."""
    if temperature != 1:
        raise ValueError(f"{type(model).__name__} rewrites without a temperature, got {temperature}")
    given = torch.from_numpy(made_up(model.spec, n)).to(device_of(model))
    first, k = model.spec.class_ids[0], len(model.spec.classes)
    return model.transfer(given, first + (given[:, 0] - first + 1) % k)


def different(a: TextGenerator, b: TextGenerator) -> str | None:
    """Name of the first parameter or buffer in which two models are not the same bit for bit; None: in none."""
    return other_name(a.state_dict(), b.state_dict())


def other_name(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str | None:
    """The first name that one of them lacks, or whose values are not the same bit for bit; None: there is none."""
    if ours.keys() != theirs.keys():
        return sorted(ours.keys() ^ theirs.keys())[0]
    return next((name for name, value in ours.items() if not _same(value, theirs[name])), None)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and bool(((a == b) | (a != a) & (b != b)).all())
    return bool(a == b)
