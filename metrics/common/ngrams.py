"""Exact n-gram counts of whole corpora, in NumPy, without a Python loop over sentences.

An n-gram is an integer: the rank of the pair (its first n-1 tokens, its last token) among the pairs that occur, so
there is no hash and no collision. Sorting the pairs together with their positions brings equal n-grams side by side
and, within an n-gram, equal sentences side by side; the lengths of these runs are the counts. One sort per order does
everything.

Corpora that are compared share one numbering of words (see `Tokens`).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metrics.common.tokens import Tokens

__all__ = [
    "ReferenceIndex",
    "Runs",
    "Walk",
    "leave_one_out_lengths",
    "leave_one_out_matches",
    "matched_elsewhere",
    "ngram_runs",
    "ngrams_by_sentence",
    "reference_index",
    "shared_runs",
]

Ids = NDArray[np.int64]
Positions = NDArray[np.signedinteger[Any]]
"""int32 where the corpus is short enough, which halves the memory; otherwise int64."""

_INT32_END = 2**31
_WORD_BITS = 63
"""Bits of a non-negative int64: where an n-gram and its position fit in together, one plain sort does."""


@dataclass(frozen=True, eq=False)
class Runs:
    """The n-grams of one order by sentence: row r says that sentence `sentence[r]` holds `gram[r]` `count[r]` times."""

    gram: Ids
    """(R,) rank of the n-gram among those that occur, ascending."""
    sentence: Ids
    """(R,) ascending within an n-gram."""
    count: Ids
    """(R,)"""
    first: Ids
    """(G,) the first row of each n-gram."""

    def by_ngram(self, rows: NDArray[Any]) -> NDArray[Any]:
        """(R,) -> (G,) the sum over the sentences that hold the n-gram."""
        return np.add.reduceat(rows, self.first) if len(rows) else rows

    def by_sentence(self, rows: NDArray[Any], n: int) -> NDArray[np.float64]:
        """(R,) -> (n,) the sum over the n-grams that the sentence holds, for the first n sentences."""
        return np.bincount(self.sentence, rows, n)[:n].astype(np.float64, copy=False)


class _Repeats(NamedTuple):
    """The occurrences of n-grams that their sentence held before, M of them: few, so that they are looked at apart."""

    gram: Ids
    """(M,) which n-gram, as a place in `Walk.keys`."""
    before: Ids
    """(M,) how often the sentence held it before: 1 at the second time."""
    sentence: Ids
    """(M,)"""


class Walk:
    """Goes through the n-grams of a corpus, order by order; only n-grams that get an id are extended to the next.

    Nothing but the sort and one look-up per order jumps about in memory: all else goes from front to back.
    """

    def __init__(self, corpus: Tokens, n_words: int | None = None, n_ids: int = 0) -> None:
        """All ids of words are under `n_words`, by default the number of different words; all ids under `n_ids`.

        Where n-grams get ranks among those that occur here, 0 will do for `n_ids`.
        """
        n = len(corpus.flat)
        self._type: type[np.signedinteger[Any]] = np.int32 if max(n, n_ids) < _INT32_END else np.int64
        self._offsets = corpus.offsets
        self._longest = int(corpus.lengths.max(initial=0))
        self._sentence = np.repeat(np.arange(len(corpus), dtype=self._type), corpus.lengths)
        self._ids = np.empty(n, self._type)
        self.order = 1
        self._sort(corpus.flat.copy(), np.arange(n, dtype=self._type))
        self._n_words = len(self.keys) if n_words is None else n_words

    def _sort(self, keys: Ids, positions: Positions) -> None:
        """Bring equal keys together; among equal keys positions ascend, as they do on entry. Overwrites `keys`."""
        self._positions = _sort_together(keys, positions, len(self._ids), self._type)
        new = np.ones(len(keys), np.bool_)
        np.not_equal(keys[1:], keys[:-1], out=new[1:])
        self._first = np.flatnonzero(new)  # (G,) the first row of each n-gram
        self.keys = keys[self._first]
        """(G,) the n-grams that occur, ascending; two corpora have equal keys for equal n-grams if ids were equal."""
        self.sizes = np.diff(self._first, append=len(keys))
        """(G,) how often each occurs."""

    def runs(self) -> Runs:
        """Counts by n-gram and sentence."""
        sentence = self._sentence[self._positions]
        new = np.ones(len(sentence), np.bool_)
        np.not_equal(sentence[1:], sentence[:-1], out=new[1:])
        new[self._first] = True
        starts = np.flatnonzero(new)
        first = np.searchsorted(starts, self._first)
        gram = np.repeat(np.arange(len(first)), np.diff(first, append=len(starts)))
        return Runs(gram, sentence[starts].astype(np.int64), np.diff(starts, append=len(new)), first)

    def repeats(self) -> _Repeats:
        """What occurs in one sentence again."""
        near = np.diff(self._positions) < self._longest
        near[self._first[1:] - 1] = False
        rows = np.flatnonzero(near) + 1
        sentence = self._sentence[self._positions[rows]]
        again = sentence == self._sentence[self._positions[rows - 1]]
        rows, sentence = rows[again], sentence[again]
        second = np.ones(len(rows), np.bool_)
        second[1:] = np.diff(rows) > 1
        before = rows - np.maximum.accumulate(np.where(second, rows, 0)) + 1
        return _Repeats(np.searchsorted(self._first, rows, "right") - 1, before, sentence)

    def name(self, ids: Ids) -> None:
        """Give the n-grams their ids (G,); -1 drops one."""
        self._ids.fill(-1)
        self._ids[self._positions] = np.repeat(ids.astype(self._type), self.sizes)

    def named(self) -> Ids:
        """(N,) occurrences in each sentence of n-grams that have an id."""
        until = np.zeros(len(self._ids) + 1, self._type)
        np.cumsum(self._ids >= 0, out=until[1:])
        return np.diff(until[self._offsets])

    def orders(self, max_order: int) -> Iterator[Walk]:
        """This walk at order 1, 2 .. `max_order`. Whoever goes along names the n-grams of each order but the last."""
        for order in range(1, max_order + 1):
            if order > 1:
                self._extend()
            yield self

    def _extend(self) -> None:
        """Go to the next order."""
        if self.order == 1:
            self._last_words = self._ids.copy()
            begins = self._offsets[:-1]
            self._last_words[begins[begins < len(self._ids)]] = -1  # an n-gram does not reach into the next sentence
        last_words = self._last_words[self.order :]
        heads = self._ids[: len(last_words)]
        at = np.flatnonzero((heads >= 0) & (last_words >= 0))
        keys = np.multiply(heads[at], self._n_words, dtype=np.int64)
        keys += last_words[at]
        self.order += 1
        self._sort(keys, at)


def _sort_together(
    keys: Ids, positions: Positions, n_positions: int, dtype: type[np.signedinteger[Any]] = np.int64
) -> Positions:
    """Sort by key, then by position, `keys` in place; positions ascend among equal keys already. -> the positions."""
    bits = n_positions.bit_length()
    if len(keys) and int(keys.max()).bit_length() + bits > _WORD_BITS:
        order = np.argsort(keys, kind="stable")
        keys[:] = keys[order]
        return positions[order].astype(dtype)
    keys <<= bits
    keys |= positions
    keys.sort()
    positions = np.empty(len(keys), dtype)
    np.bitwise_and(keys, (1 << bits) - 1, out=positions, casting="unsafe")
    keys >>= bits
    return positions


class ReferenceIndex:
    """What BLEU asks of a set of references, prepared once for any number of evaluations. Keeps no sentence."""

    def __init__(self, references: Tokens, max_order: int) -> None:
        self.max_order = max_order
        self._lengths = np.unique(references.lengths)
        self._keys: list[Ids] = []
        self._most: list[NDArray[np.unsignedinteger[Any]]] = []
        for walk in Walk(references).orders(max_order):
            repeats = walk.repeats()
            most = np.ones(len(walk.keys), np.int32)
            np.maximum.at(most, repeats.gram, repeats.before + 1)
            self._keys.append(np.append(walk.keys, -1))  # what is above all keys finds the last, equal to none
            self._most.append(most.astype(np.min_scalar_type(most.max(initial=1))))
            if walk.order < max_order:
                walk.name(np.arange(len(walk.keys)))

    def _look_up(self, samples: Tokens) -> Iterator[tuple[Walk, Ids]]:
        """The walk through the samples, its n-grams named by their place in the index, and these names (G,)."""
        orders = Walk(samples, len(self._keys[0]) - 1, max(map(len, self._keys))).orders(self.max_order)
        for walk, keys in zip(orders, self._keys, strict=True):
            ids = np.searchsorted(keys[:-1], walk.keys)
            ids[keys[ids] != walk.keys] = -1
            walk.name(ids)
            yield walk, ids

    def matches(self, samples: Tokens) -> NDArray[np.float64]:
        """(max_order, N) n-grams of each sample that a reference holds, each counted at most as often as there."""
        found = np.empty((self.max_order, len(samples)))
        for row, (walk, ids), most in zip(found, self._look_up(samples), self._most, strict=True):
            repeats = walk.repeats()
            held = ids[repeats.gram] >= 0
            excess = repeats.before[held] >= most[ids[repeats.gram[held]]]
            row[:] = walk.named() - np.bincount(repeats.sentence[held][excess], minlength=len(samples))
        return found

    def seen(self, samples: Tokens) -> NDArray[np.float64]:
        """(max_order, N) n-grams of each sample, repetitions counted, that some reference holds."""
        return np.stack([walk.named().astype(np.float64) for walk, _ in self._look_up(samples)])

    def closest_lengths(self, lengths: Ids) -> Ids:
        """(N,) -> (N,) for each length the nearest length of a reference; of two equally near the shorter."""
        return _nearest(self._lengths, lengths)


_indexes: weakref.WeakKeyDictionary[Tokens, ReferenceIndex] = weakref.WeakKeyDictionary()


def reference_index(references: Tokens, max_order: int) -> ReferenceIndex:
    """The index of these references, built at the first call and kept as long as `references` lives."""
    index = _indexes.get(references)
    if index is None or index.max_order < max_order:
        index = _indexes[references] = ReferenceIndex(references, max_order)
    return index


def shared_runs(corpus: Tokens, max_order: int) -> Iterator[Runs]:
    """As `ngram_runs`, but n-grams of a single sentence are not extended: their extensions are not shared either."""
    for walk in Walk(corpus).orders(max_order):
        runs = walk.runs()
        yield runs
        walk.name(_ranks(np.diff(runs.first, append=len(runs.gram)) > 1))


def matched_elsewhere(runs: Runs) -> Ids:
    """(R,) the run's count, at most as great as the greatest count in another sentence.

    The others' greatest count is the greatest of all, unless one sentence alone reaches that: then, for that sentence,
    it is the second greatest. N-grams of a single sentence match nowhere.
    """
    most = np.maximum.reduceat(runs.count, runs.first)
    tops = runs.count == most[runs.gram]
    owners = np.add.reduceat(tops.astype(np.int64), runs.first)
    second = np.maximum.reduceat(np.where(tops, 0, runs.count), runs.first)
    return np.where(tops & (owners[runs.gram] == 1), second[runs.gram], runs.count)


def leave_one_out_matches(samples: Tokens, max_order: int) -> NDArray[np.float64]:
    """(max_order, N) n-grams of each sample that another sample holds, each counted at most as often as there.

    So a sentence's k-th occurrence of an n-gram counts if another sentence has a k-th occurrence of it. N-grams of a
    single sentence match nowhere, nor do their extensions.
    """
    found = np.empty((max_order, len(samples)))
    for row, walk in zip(found, Walk(samples).orders(max_order), strict=True):
        repeats = walk.repeats()
        shared = walk.sizes - np.bincount(repeats.gram, minlength=len(walk.sizes)) > 1
        walk.name(_ranks(shared))
        excess = shared[repeats.gram] & _single(repeats.gram * (repeats.before.max(initial=0) + 1) + repeats.before)
        row[:] = walk.named() - np.bincount(repeats.sentence[excess], minlength=len(samples))
    return found


def _ranks(chosen: NDArray[np.bool_]) -> Ids:
    """(G,) 0, 1, 2 .. for the chosen n-grams, -1 for the others."""
    return np.where(chosen, np.cumsum(chosen) - 1, -1)


def _single(keys: Ids) -> NDArray[np.bool_]:
    """(M,) which keys occur once."""
    places = _sort_together(keys, np.arange(len(keys)), len(keys))
    differs = np.ones(len(keys) + 1, np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=differs[1:-1])
    single = np.empty(len(keys), np.bool_)
    single[places] = differs[:-1] & differs[1:]
    return single


def leave_one_out_lengths(lengths: Ids) -> Ids:
    """(N,) -> (N,) for each sentence the nearest length of another one; of two equally near the shorter."""
    if len(lengths) < 2:
        raise ValueError(f"leave-one-out needs at least two sentences, got {len(lengths)}")
    times = np.bincount(lengths)
    unique = np.flatnonzero(times)
    times = times[unique]
    below = np.concatenate([unique[:1], unique[:-1]])
    above = np.concatenate([unique[1:], unique[-1:]])
    use_above = (below == unique) | ((above != unique) & (above - unique < unique - below))
    nearest = np.where(times > 1, unique, np.where(use_above, above, below))
    return nearest[np.searchsorted(unique, lengths)]


def ngram_runs(corpus: Tokens, max_order: int) -> Iterator[Runs]:
    """Counts by n-gram and sentence, order by order from 1 to `max_order`."""
    for walk in Walk(corpus).orders(max_order):
        yield walk.runs()
        walk.name(np.arange(len(walk.keys)))


def ngrams_by_sentence(corpus: Tokens, max_order: int) -> Ids:
    """(max_order, N) all n-grams of each sentence, repetitions counted."""
    return np.maximum(0, corpus.lengths - np.arange(max_order)[:, None])


def _nearest(sorted_lengths: Ids, lengths: Ids) -> Ids:
    """For each length the nearest of `sorted_lengths`, which is not empty; of two equally near the shorter."""
    at = np.searchsorted(sorted_lengths, lengths)
    above = sorted_lengths[np.minimum(at, len(sorted_lengths) - 1)]
    below = sorted_lengths[np.maximum(at - 1, 0)]
    return np.where(np.abs(lengths - below) <= np.abs(above - lengths), below, above)
