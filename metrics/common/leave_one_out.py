"""Self-BLEU without one of the samples, for every sample, from one pass: what its standard error needs.

Without sentence j the others lose their matches with j. Few do: of an n-gram with counts a >= b >= c in the three
sentences that hold it most often, only the two that have a and b rest on one another, and lose b - c. Everybody else's
match is bounded by a count that remains.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metrics.common.bleu import Smoothing, sentence_bleu
from metrics.common.ngrams import Runs, leave_one_out_lengths, leave_one_out_matches, matched_elsewhere, shared_runs
from metrics.common.tokens import Tokens

__all__ = ["self_bleu", "self_bleu_without"]

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


class _Supports(NamedTuple):
    """Of the n-grams of one order: two sentences, and the matches that each has only thanks to the other."""

    first: Ids
    second: Ids
    fewer: Ids


class _Losses(NamedTuple):
    """Row k: without sentence `absent[k]`, sentence `sentence[k]` loses `lost[:, k]` matches and has a new length."""

    sentence: Ids
    """(K,)"""
    absent: Ids
    """(K,)"""
    lost: Floats
    """(max_order, K)"""
    closest: Ids
    """(K,) the nearest length of the sentences that remain."""


def self_bleu(samples: Tokens, orders: tuple[int, ...], smoothing: Smoothing) -> Floats:
    """(len(orders), N) BLEU of each sample against all the others."""
    matches = leave_one_out_matches(samples, max(orders))
    return sentence_bleu(matches, samples.lengths, leave_one_out_lengths(samples.lengths), orders, smoothing)


def self_bleu_without(samples: Tokens, orders: tuple[int, ...], smoothing: Smoothing) -> tuple[Floats, Floats]:
    """(len(orders), N) Self-BLEU of each sample, and (len(orders), N) their mean in a file without each sample."""
    n, lengths = len(samples), samples.lengths
    closest = leave_one_out_lengths(lengths)
    counts, supports = [], []
    for runs in shared_runs(samples, max(orders)):
        counts.append(runs.by_sentence(matched_elsewhere(runs), n))
        supports.append(_supports(runs))
    matches = np.stack(counts)
    scores = sentence_bleu(matches, lengths, closest, orders, smoothing)
    if n < 3:
        return scores, np.full(scores.shape, np.nan)
    losses = _losses(supports, lengths, closest)
    which = losses.sentence
    then = sentence_bleu(matches[:, which] - losses.lost, lengths[which], losses.closest, orders, smoothing)
    changes = np.stack([np.bincount(losses.absent, row, n) for row in then - scores[:, which]])
    return scores, (scores.sum(axis=1, keepdims=True) - scores + changes) / (n - 1)


def _losses(supports: list[_Supports], lengths: Ids, closest: Ids) -> _Losses:
    """Every pair of sentences of which one's score changes when the other is absent."""
    n, max_order = len(lengths), len(supports)
    pairs = [np.concatenate([s.first * n + s.second, s.second * n + s.first]) for s in supports]
    lost = np.concatenate([np.tile(s.fewer, 2) for s in supports])
    order = np.repeat(np.arange(max_order), [len(keys) for keys in pairs])
    moved, absent, length = _moved_lengths(lengths, closest)
    keys, row = np.unique(np.concatenate([*pairs, moved * n + absent]), return_inverse=True)
    cells = order * len(keys) + row[: len(lost)]
    sums = np.bincount(cells, lost, max_order * len(keys)).reshape(max_order, len(keys)).astype(np.float64, copy=False)
    nearest = closest[keys // n]
    nearest[row[len(lost) :]] = length
    return _Losses(keys // n, keys % n, sums, nearest)


def _supports(runs: Runs) -> _Supports:
    """Where an n-gram's two greatest counts rest on one another."""
    holders = np.diff(runs.first, append=len(runs.gram))
    two = runs.first[holders == 2]
    # Of three or more holders the third has at least 1, so that only those with 2 or more matter.
    rows = np.flatnonzero((runs.count > 1) & (holders[runs.gram] > 2))
    rows = rows[np.lexsort((-runs.count[rows], runs.gram[rows]))]
    gram, count = runs.gram[rows], runs.count[rows]
    starts = np.flatnonzero(np.diff(gram, prepend=-1))
    size = np.diff(starts, append=len(gram))
    starts, size = starts[size > 1], size[size > 1]
    third = np.where(size > 2, count[np.minimum(starts + 2, len(gram) - 1)], 1) if len(gram) else size
    fewer = count[starts + 1] - third
    starts, fewer = starts[fewer > 0], fewer[fewer > 0]
    return _Supports(
        np.concatenate([runs.sentence[two], runs.sentence[rows[starts]]]),
        np.concatenate([runs.sentence[two + 1], runs.sentence[rows[starts + 1]]]),
        np.concatenate([np.minimum(runs.count[two], runs.count[two + 1]), fewer]),
    )


def _moved_lengths(lengths: Ids, closest: Ids) -> tuple[Ids, Ids, Ids]:
    """Sentences whose nearest length is that of one other sentence only; that sentence; the next nearest length.

    At most two for each length that occurs, so they are gone through one by one.
    """
    unique, times = np.unique(lengths, return_counts=True)
    rare = np.flatnonzero(times[np.searchsorted(unique, lengths)] <= 2)
    rows = []
    for i in rare.tolist():
        own, near = lengths[i], closest[i]
        if times[np.searchsorted(unique, near)] == (2 if near == own else 1):
            absent = next(j for j in rare.tolist() if j != i and lengths[j] == near)
            others = unique[(unique != near) & (unique != own)]
            rows.append((i, absent, others[np.abs(others - own).argmin()]))
    sentence, gone, nearest = np.array(rows, np.int64).reshape(-1, 3).T
    return sentence, gone, nearest
