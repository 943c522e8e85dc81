"""Exact probabilities of a probabilistic context-free grammar, for many sentences at once.

The inside algorithm (Baker 1979; Lari and Young 1990) on arrays: a chart cell holds the inside probability of every
symbol for all sentences of one length. Unary chains are summed in closed form, so the grammar need not be in normal
form and may be ambiguous. NLTK reads the grammar.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.text.light_nltk import light_nltk
from metrics.common.tokens import Tokens

__all__ = ["Grammar"]

Floats = NDArray[np.float64]

_BLOCK = 1024  # sentences at a time


@dataclass(frozen=True, eq=False)
class Grammar:
    """A grammar over W words and S symbols, its sentences limited to `max_len` words and renormalised exactly."""

    words: tuple[str, ...]
    max_len: int
    """Longer sentences are impossible; the others keep their relative probabilities."""
    expansions: tuple[tuple[tuple[tuple[int, ...], ...], tuple[float, ...]], ...]
    """Of each symbol as written: right-hand sides (word w is -1 - w) and their cumulated probability."""
    lexical: Floats
    """(S, W) symbol -> word, unary chains included."""
    binary: NDArray[np.int64]
    """(R, 2) left and right symbol of each binary rule; symbol 0 begins a sentence."""
    parents: Floats
    """(S, R) probability of each binary rule under each symbol, unary chains included."""

    @staticmethod
    def read(text: str, max_len: int) -> Grammar:
        """A grammar in NLTK's notation (`S -> NP VP [0.9] | …`), no empty right-hand sides."""
        nltk = light_nltk()
        rules = [(p.lhs(), p.rhs(), p.prob()) for p in nltk.PCFG.fromstring(text).productions()]
        words = tuple(sorted({w for _, rhs, _ in rules for w in rhs if not isinstance(w, nltk.Nonterminal)}))
        symbols = {lhs: i for i, lhs in enumerate(dict.fromkeys(lhs for lhs, _, _ in rules))}
        number = symbols | {word: -1 - i for i, word in enumerate(words)}
        by_symbol: list[list[tuple[tuple[int, ...], float]]] = [[] for _ in symbols]
        for lhs, rhs, probability in rules:
            if not rhs or any(part not in number for part in rhs):
                raise ValueError(f"{lhs} -> {rhs}: empty, or with a symbol that has no rule")
            by_symbol[symbols[lhs]].append((tuple(number[part] for part in rhs), probability))
        normal = _NormalForm(by_symbol, len(words))
        expansions = tuple(
            (tuple(rhs for rhs, _ in choices), tuple(accumulate(p for _, p in choices))) for choices in by_symbol
        )
        return Grammar(words, max_len, expansions, normal.lexical, normal.binary, normal.parents)

    def as_arrays(self) -> dict[str, NDArray[Any]]:
        """All but `max_len`, to be kept: `from_arrays` reads it back to the last bit, without NLTK."""
        rights = [rhs for of_symbol, _ in self.expansions for rhs in of_symbol]
        return {
            "words": np.array(self.words),
            "choices": np.array([len(of_symbol) for of_symbol, _ in self.expansions]),
            "cumulated": np.array([p for _, of_symbol in self.expansions for p in of_symbol]),
            "lengths": np.array([len(rhs) for rhs in rights]),
            "parts": np.array([part for rhs in rights for part in rhs]),
            "lexical": self.lexical,
            "binary": self.binary,
            "parents": self.parents,
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]], max_len: int) -> Grammar:
        """What `as_arrays` gave."""
        parts, cumulated = iter(arrays["parts"].tolist()), iter(arrays["cumulated"].tolist())
        rights = iter([tuple(islice(parts, n)) for n in arrays["lengths"].tolist()])
        expansions = tuple((tuple(islice(rights, n)), tuple(islice(cumulated, n))) for n in arrays["choices"].tolist())
        normal = (arrays[name] for name in ("lexical", "binary", "parents"))
        return Grammar(tuple(arrays["words"].tolist()), max_len, expansions, *normal)

    def log_total(self) -> float:
        """Log-probability that a sentence of the unlimited grammar has at most `max_len` words."""
        by_length = [np.zeros(len(self.lexical)), self.lexical.sum(axis=1)]
        left, right = self.binary.T
        for n in range(2, self.max_len + 1):
            pairs = [by_length[k][left] * by_length[n - k][right] for k in range(1, n)]
            by_length.append(self.parents @ np.sum(pairs, axis=0))
        return math.log(sum(masses[0] for masses in by_length))

    def log_prob(self, sentences: Tokens) -> Floats:
        """Word numbers of N sentences -> (N,) exact log-probabilities, nats; -inf for what the grammar cannot say."""
        result = np.full(len(sentences), -np.inf)
        known = np.concatenate([[0], np.cumsum((sentences.flat < 0) | (sentences.flat >= len(self.words)))])
        possible = known[sentences.offsets[1:]] == known[sentences.offsets[:-1]]
        total = self.log_total()
        for length in range(1, self.max_len + 1):
            chosen = np.flatnonzero(possible & (sentences.lengths == length))
            for start in range(0, len(chosen), _BLOCK):
                block = chosen[start : start + _BLOCK]
                ids = sentences.select(block).flat.reshape(-1, length)
                with np.errstate(divide="ignore"):
                    result[block] = np.log(self._inside(ids)) - total
        return result

    def _inside(self, ids: NDArray[np.int64]) -> Floats:
        """(B, L) -> (B,) probability of each sentence under symbol 0."""
        length = ids.shape[1]
        left, right = self.binary.T
        chart = {(i, i + 1): self.lexical[:, ids[:, i]] for i in range(length)}  # each (S, B)
        for width in range(2, length + 1):
            for i in range(length - width + 1):
                j = i + width
                pairs = np.zeros((len(self.binary), len(ids)))
                for k in range(i + 1, j):
                    pairs += chart[i, k][left] * chart[k, j][right]
                chart[i, j] = self.parents @ pairs
        return chart[0, length][0]

    def sample(self, n: int, stream: np.random.RandomState) -> Tokens:
        """Draw n sentences of at most `max_len` words; longer ones are drawn anew."""
        uniform = _uniforms(stream)
        flat: list[int] = []
        ends = [0]
        while len(ends) <= n:
            if sentence := self._expand(uniform):
                flat += sentence
                ends.append(len(flat))
        return Tokens(np.array(flat, np.int64), np.array(ends, np.int64))

    def _expand(self, uniform: Iterator[float]) -> list[int] | None:
        """One sentence, leftmost symbol first; None once it must be longer than `max_len`."""
        sentence: list[int] = []
        stack = [0]
        while stack:
            if len(sentence) + len(stack) > self.max_len:  # no symbol is empty
                return None
            top = stack.pop()
            if top < 0:
                sentence.append(-1 - top)
                continue
            choices, cumulated = self.expansions[top]
            choice = bisect_right(cumulated, next(uniform) * cumulated[-1])
            stack.extend(reversed(choices[min(choice, len(choices) - 1)]))
        return sentence


def _uniforms(stream: np.random.RandomState) -> Iterator[float]:
    while True:
        yield from stream.random_sample(4096).tolist()


class _NormalForm:
    """Rules of any shape -> words under symbols and binary rules; long rules get helper symbols."""

    def __init__(self, by_symbol: Sequence[Sequence[tuple[tuple[int, ...], float]]], n_words: int) -> None:
        self.size = len(by_symbol)
        self.helpers: dict[tuple[int, ...], int] = {}
        self.words: list[tuple[int, int, float]] = []
        self.chains: list[tuple[int, int, float]] = []
        self.pairs: list[tuple[int, int, int, float]] = []
        for symbol, choices in enumerate(by_symbol):
            # NLTK lets probabilities miss 1 by a hundredth
            total = math.fsum(p for _, p in choices)
            for rhs, probability in choices:
                self._add(symbol, rhs, probability / total)
        self._build(n_words)

    def _add(self, symbol: int, rhs: tuple[int, ...], probability: float) -> None:
        if len(rhs) == 1:
            if rhs[0] < 0:
                self.words.append((symbol, -1 - rhs[0], probability))
            else:
                self.chains.append((symbol, rhs[0], probability))
            return
        self.pairs.append((symbol, self._symbol(rhs[:1]), self._symbol(rhs[1:]), probability))

    def _symbol(self, rhs: tuple[int, ...]) -> int:
        """The symbol that stands for a sequence: itself, or a helper with one rule."""
        if len(rhs) == 1 and rhs[0] >= 0:
            return rhs[0]
        if rhs not in self.helpers:
            self.helpers[rhs] = self.size
            self.size += 1
            self._add(self.helpers[rhs], rhs, 1.0)
        return self.helpers[rhs]

    def _build(self, n_words: int) -> None:
        unary: NDArray[Any] = np.zeros((self.size, self.size))
        for symbol, child, probability in self.chains:
            unary[symbol, child] += probability
        chains, power = np.eye(self.size), unary  # I + U + U² + …: a finite sum, so that impossible stays exactly 0
        for _ in range(self.size):
            chains, power = chains + power, power @ unary
        if power.any():
            raise ValueError("the grammar has a symbol that can become itself")
        lexical = np.zeros((self.size, n_words))
        for symbol, word, probability in self.words:
            lexical[symbol, word] += probability
        under = np.zeros((self.size, len(self.pairs)))
        for rule, (symbol, _, _, probability) in enumerate(self.pairs):
            under[symbol, rule] = probability
        self.binary = np.array([(left, right) for _, left, right, _ in self.pairs], np.int64).reshape(-1, 2)
        self.lexical, self.parents = chains @ lexical, chains @ under
