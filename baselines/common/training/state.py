"""What a model keeps beside its weights, so that checkpoints have it: counts, sentences, a discriminator's pool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from baselines.common.interface import Batches, Step
from baselines.common.spec import LabelledSpec, SequenceSpec

__all__ = [
    "Counter",
    "DiscriminatorPool",
    "RepeatedBatches",
    "SentenceStore",
    "Turn",
    "Turns",
    "kinds_of",
    "own_and_other",
]


class Counter(nn.Module):
    """Where a step stands among steps that differ: counts on the host, so that asking never waits for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.value = 0

    def advance(self) -> None:
        """Count one more."""
        self.value += 1

    def get_extra_state(self) -> Tensor:
        """What `state_dict()` keeps: a tensor, because weight files hold nothing else."""
        return torch.tensor(self.value)

    def set_extra_state(self, state: Tensor) -> None:
        """Go to the saved value."""
        self.value = int(state)


class Turn(NamedTuple):
    """So many steps of one kind, one after another."""

    steps: int
    step: Step


class Turns:
    """The step of a phase whose steps differ: the turns of a round in their order, and then the next round.

    The model's `counter` says where it stands, and has counted a step before that step is done. The turns are public:
    a few steps of each kind tell how long a round takes.
    """

    def __init__(self, counter: Counter, *turns: tuple[int, Step]) -> None:
        self.counter = counter
        self.turns = tuple(Turn(*turn) for turn in turns)
        self.steps = sum(turn.steps for turn in self.turns)
        """Of a round."""

    def __call__(self, batches: Batches) -> Mapping[str, Tensor]:
        """Do the next step."""
        self.counter.advance()
        left = self.position
        for turn in self.turns:
            if left < turn.steps:
                return turn.step(batches)
            left -= turn.steps
        raise AssertionError("a position is always inside a round")

    @property
    def round(self) -> int:
        """Of the step that is being done, from 0."""
        return (self.counter.value - 1) // self.steps

    @property
    def position(self) -> int:
        """In its round, of the step that is being done, from 0."""
        return (self.counter.value - 1) % self.steps


class SentenceStore(nn.Module):
    """Room for a number of batches of the stream."""

    def __init__(self, spec: SequenceSpec, *, batches: int, batch_size: int) -> None:
        super().__init__()
        self.rows: Tensor
        self.register_buffer("rows", torch.zeros(batches, batch_size, spec.max_len, dtype=torch.int64))
        self.filled = Counter()

    def add(self, batch: Tensor) -> Tensor:
        """Keep one batch (B, T) -> how many sentences are stored, to be logged."""
        self.rows[self.filled.value] = batch
        self.filled.advance()
        return torch.tensor(self.filled.value * self.rows.shape[1])

    def sentences(self) -> Tensor:
        """(N, T): what is stored, up to where a stream in fixed order begins again. Raises ValueError if empty."""
        stored = self.rows[: self.filled.value]
        if not len(stored):
            raise ValueError("no training sentence is stored yet; train the model first")
        begins = (stored[1:] == stored[0]).all(2).all(1).nonzero().flatten() + 1
        for k in begins.tolist():
            if torch.equal(stored[k:], stored[: len(stored) - k]):
                return stored[:k].flatten(0, 1)
        return stored.flatten(0, 1)


class RepeatedBatches(nn.Module):
    """The first batches that are taken of the stream, again and again."""

    def __init__(self, spec: SequenceSpec, *, batches: int, batch_size: int) -> None:
        super().__init__()
        self.store = SentenceStore(spec, batches=batches, batch_size=batch_size)
        self.taken = Counter()

    def next(self, stream: Batches) -> Tensor:
        """The next batch (B, T): of the stream until there are enough, then of those that are kept."""
        position = self.taken.value % len(self.store.rows)
        if self.store.filled.value < len(self.store.rows):
            self.store.add(next(stream))
        self.taken.advance()
        return self.store.rows[position]


def kinds_of(tokens: Tensor, spec: SequenceSpec, kinds: int) -> Tensor:
    """Real sentences (N, T) -> (N,): their kinds, 1 .. `kinds`: their labels, or in turn, where they have none."""
    if isinstance(spec, LabelledSpec) and kinds == len(spec.classes):
        return tokens[:, 0] - spec.class_ids[0] + 1
    return torch.arange(len(tokens), device=tokens.device) % kinds + 1


def own_and_other(tokens: Tensor, spec: LabelledSpec) -> tuple[Tensor, Tensor]:
    """Real sentences (B, T) -> (B,) the class of each, from 0, and another for each, all others equally likely."""
    k, own = len(spec.classes), tokens[:, 0] - spec.class_ids[0]
    return own, (own + torch.randint(1, k, own.shape, device=own.device)) % k


class DiscriminatorPool(nn.Module):
    """The training set of a discriminator in the SeqGAN line: drawn anew from time to time, used several times.

    Freshly generated sentences, `batches` batches of them, and `real_share` times as many real ones, shuffled once.
    Each epoch has the same batches, or is shuffled anew where the pool is `reshuffled`: `(1 + real_share) batches
    epochs` training batches come from one pool.
    """

    def __init__(
        self,
        spec: SequenceSpec,
        *,
        batches: int,
        batch_size: int,
        epochs: int,
        real_share: int = 1,
        reshuffled: bool = False,
        kinds: int = 1,
    ) -> None:
        super().__init__()
        self._spec = spec
        self._kinds = kinds
        self._real_batches = real_share * batches
        self._generated = batches * batch_size
        self._batch_size = batch_size
        self._epochs = epochs
        self._reshuffled = reshuffled
        self._per_epoch = self._real_batches + batches
        self.tokens: Tensor
        self.real: Tensor
        n = self._per_epoch * batch_size
        self.register_buffer("tokens", torch.zeros(n, spec.max_len, dtype=torch.int64))
        self.register_buffer("real", torch.zeros(n, dtype=torch.int64))
        self.taken = Counter()
        self.steps = 0
        """Training batches that are taken of the pool before the next is drawn, as was said at the last of them."""
        self.drawing: Callable[[], AbstractContextManager[None]] = nullcontext
        """What is entered while a pool is drawn: for whoever measures how long that takes."""

    def next(
        self, stream: Batches, sample: Callable[[int], Tensor], *, epochs: int | None = None, since: int = 0
    ) -> tuple[Tensor, Tensor]:
        """The next sentences (B, T) and their labels (B,); where the pool is used up, of a new one.

        Labels are 0 for generated sentences, for real ones their kind, which is 1 where there is one kind. `epochs`
        says after how many passes a pool is used up, where that is not as usual, and `since` how many batches had been
        taken when it came to be so: the next is of a new pool.
        """
        taken = self.taken.value - since
        position = taken % self._per_epoch
        self.steps = self._per_epoch * (epochs or self._epochs)
        if taken % self.steps == 0 or self.taken.value == 0:
            with self.drawing():
                self._fill(stream, sample)
        elif position == 0 and self._reshuffled:
            order = torch.randperm(len(self.tokens), device=self.tokens.device)
            self.tokens.copy_(self.tokens[order])
            self.real.copy_(self.real[order])
        start = position * self._batch_size
        self.taken.advance()
        batch = slice(start, start + self._batch_size)
        return self.tokens[batch], self.real[batch]

    def _fill(self, stream: Batches, sample: Callable[[int], Tensor]) -> None:
        real = torch.cat([next(stream) for _ in range(self._real_batches)])
        sentences = torch.cat([real, sample(self._generated)])
        order = torch.randperm(len(sentences), device=real.device)
        self.tokens.copy_(sentences[order])
        self.real.copy_((order < len(real)) * kinds_of(sentences, self._spec, self._kinds)[order])

    def draw_real(self, n: int) -> Tensor:
        """(n, T): real sentences of the pool, drawn with replacement."""
        return self.tokens[(self.real > 0).float().multinomial(n, replacement=True)]
