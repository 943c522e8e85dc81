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

__all__ = ["Asked", "KneserNey", "Ngrams", "model_of", "nats_of"]

Ids = NDArray[np.int64]
Reals = NDArray[np.float64]
Mask = NDArray[np.bool_]


class _Alphabet:
    """Words as symbols: those of a vocabulary, one for all others, and the begin and the end of a sentence."""

    def __init__(self, vocabulary: Tokens) -> None:
        self._words = np.unique(vocabulary.flat)
        self.n_events = len(self._words) + 2
        """V: the vocabulary, the class of all other words, and the end of a sentence."""
        self.n_symbols = self.n_events + 1

    def stream(self, text: Tokens) -> tuple[Ids, Ids]:
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

    def longer(self, grams: Ids, stream: Ids) -> tuple[Ids, Ids]:
        """Where n-grams end whose first n-1 words have an id in `grams`; their keys: that id * symbols + last word.

        A sentence's begin symbol is no event, so nothing ends there.
        """
        ends = np.flatnonzero((stream[1:] < self.n_events) & (grams[:-1] >= 0)) + 1
        return ends, grams[ends - 1] * self.n_symbols + stream[ends]

    def asked(self, text: Tokens, keys: list[Ids]) -> Asked:
        """The n-grams of a text that are among `keys`."""
        stream, begins = self.stream(text)
        ids = [stream]
        for known in keys[1:]:
            ends, wanted = self.longer(ids[-1], stream)
            at = np.searchsorted(known, wanted)
            at[at == len(known)] = 0
            ids.append(np.full(len(stream), -1, np.int64))
            ids[-1][ends] = np.where(known[at] == wanted, at, -1)
        return Asked(begins, np.flatnonzero(stream[1:] < self.n_events) + 1, ids)


@dataclass(frozen=True, eq=False)
class Asked:
    """A text whose words are to be predicted, S symbols, as n-grams that a model's text may hold."""

    begins: Ids
    """(N,) places of the sentences' begin symbols."""
    events: Ids
    """Places of what is predicted: words and ends of sentences."""
    ids: list[Ids]
    """By order (S,): id of the n-gram that ends at each symbol, -1 for one that the model's text does not hold."""


class Ngrams:
    """Every n-gram of a text up to an order, told apart once for the models of the whole text and of parts of it."""

    def __init__(self, text: Tokens, vocabulary: Tokens, order: int) -> None:
        """`vocabulary` is a text whose words are told apart; it shares its numbering with all texts given here."""
        if len(text) == 0:
            raise ValueError("a language model needs at least one sentence of training text, got none")
        self.alphabet = _Alphabet(vocabulary)
        stream, self.begins = self.alphabet.stream(text)
        self.sentence = np.repeat(np.arange(len(text)), text.lengths + 2)
        """(S,) of each symbol."""
        self.grams = [stream]
        """By order (S,): id of the n-gram that ends at each symbol, its place among `keys`; -1 where none ends."""
        self.keys = [np.arange(self.alphabet.n_symbols, dtype=np.int64)]
        """By order (G,), ascending."""
        for _ in range(1, order):
            ends, keys = self.alphabet.longer(self.grams[-1], stream)
            seen, at = np.unique(keys, return_inverse=True)
            if not len(seen):
                break
            self.grams.append(np.full(len(stream), -1, np.int64))
            self.grams[-1][ends] = at
            self.keys.append(seen)
        self.suffixes = [np.zeros(0, np.int64)]
        """By order (G,): id of an n-gram without its first word; nothing for single symbols."""
        for shorter, longer, keys in zip(self.grams, self.grams[1:], self.keys[1:], strict=False):
            self.suffixes.append(np.empty(len(keys), np.int64))
            self.suffixes[-1][longer[longer >= 0]] = shorter[longer >= 0]

    def asked(self, text: Tokens) -> Asked:
        """What the probability of a text depends on, for models of this text or of a part of it."""
        return self.alphabet.asked(text, self.keys)

    def counts(self, kept: Mask | None) -> tuple[list[Ids], list[Mask]]:
        """By order (G,): occurrences at the highest, below it the different words before the n-gram, see above; and
        whether it occurs. `kept` (N,): the sentences that count; None for all.
        """
        at = None if kept is None else kept[self.sentence]
        grams = self.grams if at is None else [np.where(at, ids, -1) for ids in self.grams]
        begins = self.begins if kept is None else self.begins[kept]
        occurrences = [np.bincount(g[g >= 0], minlength=len(keys)) for g, keys in zip(grams, self.keys, strict=True)]
        seen = [count > 0 for count in occurrences]
        counts = occurrences[-1:]
        for k in range(len(grams) - 2, -1, -1):
            count = np.bincount(self.suffixes[k + 1][seen[k + 1]], minlength=len(self.keys[k]))
            if k:
                ends = begins + k
                first = grams[k][ends[ends < len(grams[k])]]
                count += np.bincount(first[first >= 0], minlength=len(self.keys[k]))
            counts.append(count)
        return counts[::-1], seen


@dataclass(frozen=True, eq=False)
class _Order:
    """What a model knows of the n-grams of one order, from the second on."""

    seen: Mask
    """(G,) whether its text holds the n-gram."""
    probability: Reals
    """(G,) of the last word after the others; without meaning where the n-gram was not seen."""
    backoff: Reals
    """(G of the order below,) what an unseen word's probability after the shorter context is multiplied by."""


class KneserNey:
    """A model of `text` over the words of `vocabulary`. Deterministic; it keeps tables and no text."""

    def __init__(self, text: Tokens, vocabulary: Tokens, *, order: int, discount: float) -> None:
        """`order` is at least 2, `discount` between 0 and 1 and neither: 0 would leave nothing for what was not seen.

        `vocabulary` as in `Ngrams`.
        """
        self._fit(Ngrams(text, vocabulary, order), discount, None)

    @classmethod
    def of(cls, ngrams: Ngrams, kept: Mask | None = None, *, discount: float) -> KneserNey:
        """The model of a text, or of its sentences that are `kept` (N,), one at least: as if made of these alone."""
        model = cls.__new__(cls)
        model._fit(ngrams, discount, kept)
        return model

    def _fit(self, ngrams: Ngrams, discount: float, kept: Mask | None) -> None:
        """Probabilities of the n-grams that occur, from the shortest to the longest."""
        self._alphabet, self._keys = ngrams.alphabet, ngrams.keys
        self.n_events = ngrams.alphabet.n_events
        counts, seen = ngrams.counts(kept)
        total, different = counts[0].sum(), np.count_nonzero(counts[0])
        uniform = discount * different / total / self.n_events
        self._unigram = np.maximum(counts[0] - discount, 0.0) / total + uniform
        self._orders: list[_Order] = []
        lower = self._unigram
        for k in range(1, len(self._keys)):
            context, size = self._keys[k] // self._alphabet.n_symbols, len(self._keys[k - 1])
            totals = np.bincount(context, counts[k], size)
            followers = np.bincount(context[seen[k]], minlength=size)
            backoff = np.divide(discount * followers, totals, out=np.ones(size), where=totals > 0)
            own = np.divide(counts[k] - discount, totals[context], out=np.zeros(len(context)), where=seen[k])
            probability = own + backoff[context] * lower[ngrams.suffixes[k]]
            self._orders.append(_Order(seen[k], probability, backoff))
            lower = probability

    def probabilities(self, text: Tokens) -> Reals:
        """(total + N,) of each word and, after a sentence's words, of its end; sentence after sentence.

        A word outside the vocabulary has the probability that it is any such word.
        """
        return self.probabilities_of(self._alphabet.asked(text, self._keys))

    def probabilities_of(self, asked: Asked) -> Reals:
        """`probabilities` of a text that was looked up in the n-grams that this model is made of."""
        probability = self._unigram[asked.ids[0]]
        context = asked.ids[0]
        for order, ids in zip(self._orders, asked.ids[1:], strict=True):
            after, at = context[asked.events - 1], ids[asked.events]
            found = (at >= 0) & order.seen[at]
            unseen = (after >= 0) & ~found
            probability[asked.events[unseen]] *= order.backoff[after[unseen]]
            probability[asked.events[found]] = order.probability[at[found]]
            context = np.full(len(ids), -1, np.int64)
            context[asked.events[found]] = at[found]
        return np.delete(probability, asked.begins)

    def nats(self, text: Tokens) -> Reals:
        """(N,) negative log-probability of each sentence, its end included."""
        return nats_of(self.probabilities(text), text)


def nats_of(probabilities: Reals, text: Tokens) -> Reals:
    """Of each word and end of a sentence, (total + N,) -> (N,) negative log-probability of each sentence."""
    costs = -np.log(probabilities)
    return np.add.reduceat(costs, text.offsets[:-1] + np.arange(len(text))) if len(text) else costs


_models: weakref.WeakKeyDictionary[Tokens, dict[tuple[int, float], KneserNey]] = weakref.WeakKeyDictionary()


def model_of(text: Tokens, *, order: int, discount: float) -> KneserNey:
    """The model of a text over its own words, made at the first call and kept as long as `text` lives."""
    models = _models.setdefault(text, {})
    if (order, discount) not in models:
        models[order, discount] = KneserNey(text, text, order=order, discount=discount)
    return models[order, discount]
