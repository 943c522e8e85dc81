"""Cheap tricks that a metric should not take for real text: every attack by name, in one list.

An attack knows the training text and no more: neither the references nor a trained network. It writes n sentences, the
same for the same text, n and seed. Those that are drawn word by word from n-gram counts are in `chains.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.attack.chains import greedy, likeliest, ngram, truncated
from bench.attack.material import Material
from metrics.common.leave_one_out import self_bleu
from metrics.common.tokens import Tokens

__all__ = ["ATTACKS", "Attack"]

_FEW = 10
"""Sentences that `repeat_ten` repeats."""
_SHORT = 0.25
"""Share of the training text that the short sentences are."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """A trick by name."""

    name: str
    what: str
    """In a few words, for tables and cards."""
    write: Callable[[Material], Tokens]
    """-> n sentences in the task's numbering."""
    by_length: bool = False
    """Whether it is one only where sentences have different lengths."""

    def missing(self, material: Material) -> str | None:
        """Why there is no such attack on this text, or None."""
        if self.by_length and material.spec.eos_id is None:
            return f"every sentence of this task has {material.spec.max_len} words"
        return None


def _copies(given: Material) -> Tokens:
    """Training sentences in random order; none comes again before all have come."""
    return given.training.select(given.deal(np.arange(len(given.training)), "copies"))


def _typical(given: Material) -> NDArray[np.int64]:
    """Indices of different training sentences, the most typical first.

    Typical is what the other training sentences could hold: by the mean of its leave-one-out BLEU-2 to BLEU-5 among
    them; of equally typical ones, what occurs more often.
    """
    _, first, times = np.unique(given.train, axis=0, return_index=True, return_counts=True)
    bleu = self_bleu(given.training, (2, 3, 4, 5), "method1").mean(axis=0)
    return first[np.lexsort((first, -times, -bleu[first]))]


def _repeated(k: int) -> Callable[[Material], Tokens]:
    """The k most typical training sentences in turn."""

    def write(given: Material) -> Tokens:
        return given.training.select(np.resize(_typical(given)[:k], given.n))

    return write


def _half_repeated(given: Material) -> Tokens:
    """Copies and the most typical sentence in turn, so that the first of them are as bad as all."""
    both = _copies(given).followed_by(_repeated(1)(given))
    places = np.arange(given.n)
    return both.select(np.where(places % 2, places + given.n, places))


def _shuffled(given: Material) -> Tokens:
    """Copies with the words of each in random order."""
    copies = _copies(given)
    sentence = np.repeat(np.arange(len(copies)), copies.lengths)
    order = np.lexsort((given.stream("shuffled_words").random_sample(len(sentence)), sentence))
    return Tokens(copies.flat[order], copies.offsets)


def _swapped(given: Material) -> Tokens:
    """Copies whose words all changed places, across sentences: word counts and lengths stay."""
    copies = _copies(given)
    return Tokens(given.stream("swapped_words").permutation(copies.flat), copies.offsets)


def _short(given: Material) -> Tokens:
    """Copies of the training sentences that are at most as long as a quarter of them are."""
    lengths = given.training.lengths
    short = np.flatnonzero(lengths <= np.quantile(lengths, _SHORT))
    return given.training.select(given.deal(short, "short_only"))


def _cut(given: Material) -> Tokens:
    """Copies, each without its second half."""
    copies = _copies(given)
    kept = (copies.lengths + 1) // 2
    inside = np.arange(len(copies.flat)) - np.repeat(copies.offsets[:-1], copies.lengths)
    return Tokens(copies.flat[inside < np.repeat(kept, copies.lengths)], np.concatenate([[0], np.cumsum(kept)]))


ATTACKS: tuple[Attack, ...] = (
    Attack(name="copies", what="copies of training sentences", write=_copies),
    Attack(name="repeat_one", what="one typical sentence repeated", write=_repeated(1)),
    Attack(name="repeat_ten", what="ten typical sentences repeated", write=_repeated(_FEW)),
    Attack(name="half_repeated", what="half copies, half one sentence", write=_half_repeated),
    Attack(name="shuffled_words", what="words shuffled within sentences", write=_shuffled),
    Attack(name="swapped_words", what="words swapped between sentences", write=_swapped),
    Attack(name="short_only", what="short sentences only", write=_short, by_length=True),
    Attack(name="cut_short", what="sentences cut in half", write=_cut, by_length=True),
    Attack(name="ngram_sharp", what="3-gram sharpened by 1.5", write=ngram(sharpen=1.5)),
    Attack(name="ngram_cold", what="3-gram at temperature 0.5", write=ngram(temperature=0.5)),
    Attack(name="ngram_top_k", what="3-gram cut to 5 words", write=truncated(top_k=5)),
    Attack(name="ngram_nucleus", what="3-gram cut to a share of .8", write=truncated(top_p=0.8)),
    Attack(name="greedy_chains", what="greedy chains of a 4-gram", write=greedy(words=3)),
    Attack(name="likeliest", what="likeliest sentences of a 4-gram", write=likeliest),
)
"""All attacks, in the order of the table."""
