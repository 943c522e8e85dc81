"""Interpolated Kneser-Ney n-gram model of sentences, in NumPy, without a Python loop over sentences or words.

With h a context, h' the context without its first word, and w a word or the end of the sentence,

    P(w | h)  = (c(h w) - D) / c(h .) + D * n(h .) / c(h .) * P(w | h')    0 in place of c - D for an unseen h w
    P(w)      = (c(w) - D) / c(.)     + D * n(.) / c(.)     / V
    P(w | h)  = P(w | h')                                                  for an unseen h

where c(h w) counts occurrences at the highest order and, below it, the different words that stand before h w
(Kneser and Ney 1995; the interpolated form is Chen and Goodman 1999, section 4.1.6); an n-gram at the beginning of a
sentence has nothing before it and keeps its occurrences. c(h .) sums over w, and n(h .) is the number of different w.

The V events are the words of a vocabulary given beforehand, one class of all other words, and the end of the sentence:
for every context the probabilities of these V sum to 1, and none of them is 0.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.common.tokens import Tokens

__all__ = ["KneserNey", "model_of"]

Ids = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Order:
    """The n-grams of one order, from the second on; an n-gram's id is its place in `keys`."""

    keys: Ids
    """(G,) ascending: id of the first n-1 words in the order below * number of symbols + last word."""
    probability: Reals
    """(G,) of the last word after the others."""
    backoff: Reals
    """(G of the order below,) what an unseen word's probability after the shorter context is multiplied by."""


class KneserNey:
    """A model of `text` over the words of `vocabulary`. Deterministic; it keeps tables and no text."""

    def __init__(self, text: Tokens, vocabulary: Tokens, *, order: int, discount: float) -> None:
        """`vocabulary` is a text whose words are told apart; it shares its numbering with all texts given here.

        `order` is at least 2, `discount` between 0 and 1 and neither: 0 would leave nothing for what was not seen.
        """
        if len(text) == 0:
            raise ValueError("a language model needs at least one sentence of training text, got none")
        self._words = np.unique(vocabulary.flat)
        self.n_events = len(self._words) + 2
        """V: the vocabulary, the class of all other words, and the end of a sentence."""
        self._n_symbols = self.n_events + 1
        stream, begins = self._stream(text)
        grams = [stream]
        keys = [np.arange(self._n_symbols, dtype=np.int64)]
        for _ in range(1, order):
            pairs = self._pairs(grams[-1], stream)
            seen, at = np.unique(pairs[pairs >= 0], return_inverse=True)
            if not len(seen):
                break
            grams.append(np.full(len(stream), -1, np.int64))
            grams[-1][pairs >= 0] = at
            keys.append(seen)
        counts = _kneser_ney_counts(grams, [len(k) for k in keys], begins)
        self._estimate(keys, grams, counts, discount)

    def _stream(self, text: Tokens) -> tuple[Ids, Ids]:
        """All sentences end to end as symbols, each between its begin and its end symbol; where they begin."""
        places = np.searchsorted(self._words, text.flat)
        places[places == len(self._words)] = 0
        known = self._words[places] == text.flat if len(self._words) else np.zeros(len(places), np.bool_)
        begins = text.offsets[:-1] + 2 * np.arange(len(text))
        stream = np.full(len(text.flat) + 2 * len(text), self.n_events - 1, np.int64)
        stream[begins] = self.n_events
        sentence = np.repeat(np.arange(len(text)), text.lengths)
        stream[np.arange(len(text.flat)) + 2 * sentence + 1] = np.where(known, places, self.n_events - 2)
        return stream, begins

    def _pairs(self, grams: Ids, stream: Ids) -> Ids:
        """(S,) keys of the n-grams that end at each symbol; -1 where the n-gram without its last word has no id.

        A sentence's begin symbol is no event, so nothing ends there.
        """
        pairs = np.full(len(stream), -1, np.int64)
        event = np.flatnonzero((stream[1:] < self.n_events) & (grams[:-1] >= 0)) + 1
        pairs[event] = grams[event - 1] * self._n_symbols + stream[event]
        return pairs

    def _estimate(self, keys: list[Ids], grams: list[Ids], counts: list[Ids], discount: float) -> None:
        """Probabilities of the n-grams that occur, from the shortest to the longest."""
        total, different = counts[0].sum(), np.count_nonzero(counts[0])
        uniform = discount * different / total / self.n_events
        self._unigram = np.maximum(counts[0] - discount, 0.0) / total + uniform
        self._orders: list[_Order] = []
        lower = self._unigram
        for k in range(1, len(keys)):
            context = keys[k] // self._n_symbols
            totals = np.bincount(context, counts[k], len(keys[k - 1]))
            followers = np.bincount(context, minlength=len(keys[k - 1]))
            backoff = np.divide(discount * followers, totals, out=np.ones(len(totals)), where=totals > 0)
            suffix = np.empty(len(keys[k]), np.int64)
            here = grams[k] >= 0
            suffix[grams[k][here]] = grams[k - 1][here]
            probability = (counts[k] - discount) / totals[context] + backoff[context] * lower[suffix]
            self._orders.append(_Order(keys[k], probability, backoff))
            lower = probability

    def probabilities(self, text: Tokens) -> Reals:
        """(total + N,) of each word and, after a sentence's words, of its end; sentence after sentence.

        A word outside the vocabulary has the probability that it is any such word.
        """
        stream, begins = self._stream(text)
        probability = self._unigram[stream]
        context = stream
        for order in self._orders:
            pairs = self._pairs(context, stream)
            at = np.searchsorted(order.keys, pairs)
            at[at == len(order.keys)] = 0
            found = order.keys[at] == pairs
            unseen = np.flatnonzero((pairs >= 0) & ~found)
            probability[unseen] *= order.backoff[context[unseen - 1]]
            probability[found] = order.probability[at[found]]
            context = np.where(found, at, -1)
        return np.delete(probability, begins)

    def nats(self, text: Tokens) -> Reals:
        """(N,) negative log-probability of each sentence, its end included."""
        costs = -np.log(self.probabilities(text))
        return np.add.reduceat(costs, text.offsets[:-1] + np.arange(len(text))) if len(text) else costs


_models: weakref.WeakKeyDictionary[Tokens, dict[tuple[int, float], KneserNey]] = weakref.WeakKeyDictionary()


def model_of(text: Tokens, *, order: int, discount: float) -> KneserNey:
    """The model of a text over its own words, made at the first call and kept as long as `text` lives."""
    models = _models.setdefault(text, {})
    if (order, discount) not in models:
        models[order, discount] = KneserNey(text, text, order=order, discount=discount)
    return models[order, discount]


def _kneser_ney_counts(grams: list[Ids], sizes: list[int], begins: Ids) -> list[Ids]:
    """By order (G,): occurrences at the highest, below it the different words before the n-gram, see above."""
    counts = [np.bincount(grams[-1][grams[-1] >= 0], minlength=sizes[-1])]
    for k in range(len(grams) - 2, -1, -1):
        longer = np.flatnonzero(grams[k + 1] >= 0)
        suffix = np.empty(sizes[k + 1], np.int64)
        suffix[grams[k + 1][longer]] = grams[k][longer]
        count = np.bincount(suffix, minlength=sizes[k])
        if k:
            ends = begins + k
            first = grams[k][ends[ends < len(grams[k])]]
            count += np.bincount(first[first >= 0], minlength=sizes[k])
        counts.append(count)
    return counts[::-1]
