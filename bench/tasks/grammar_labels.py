"""Opinions in a small English, negative or positive, whose every sentence has a known probability given its class.

A probabilistic context-free grammar about a restaurant. Both classes share its rules and its words, and differ in
nothing but which words of praise and of blame stand where: what one class says plainly the other says under a "not" or
a "never". So no single word tells the class ("not bad" is praise), and a sentence without an opinion may be of either.

Each word of praise has a counterpart of blame, as probable in its place. Writing every such word as its counterpart
turns a sentence of one class into the one sentence of the other that says the opposite of the same things, as probable
there. Sentences have at most 16 words; the probabilities are renormalised exactly.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Gt, Le
from numpy.typing import NDArray

from baselines.common.spec import LabelledSpec
from bench import data
from bench.labels.data import LabelledTask, LabelledText, label_word
from bench.task import MOST_SENTENCES, TextData, Vocabulary, digest, rows
from bench.tasks import _text
from bench.tasks._pcfg import Grammar
from bench.text.tokenizers import nltk_version
from metrics.common.labels import Judge, with_label, without_label
from metrics.common.tokens import Tokens

__all__ = ["GrammarLabels", "Opinions"]

CLASSES = ("negative", "positive")
_MAX_LEN = 16
_SEED = 17
_SPLITS = ("train", "valid", "test")

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

# _s is singular, _p plural. Plain is of the class itself, Other is said of the other class, and here denied
_RULES = """
S -> C '.' [0.75] | C Conj C '.' [0.25]
C -> NP_s 'is' Opinion [0.3] | NP_p 'are' Opinion [0.2] | Who Feels NP [0.2] | Who Does NP [0.2] | Who Says That [0.1]
That -> 'that' NP_s 'is' Opinion [0.6] | 'that' NP_p 'are' Opinion [0.4]
Opinion -> PlainAdj [0.5] | Very PlainAdj [0.25] | 'not' OtherAdj [0.25]
Feels -> PlainVerb [0.7] | 'never' OtherVerb [0.3]
NP -> NP_s [0.6] | NP_p [0.4]
NP_s -> Det_s N_s [0.7] | Det_s PlainAdj N_s [0.15] | Det_s N_s PP [0.15]
NP_p -> Det_p N_p [0.7] | Det_p PlainAdj N_p [0.15] | Det_p N_p PP [0.15]
PP -> P Det_s N_s [1.0]
"""
# the word at rank r has a probability proportional to 1 / (r + 2), as words of real text roughly do
_WORDS = {
    "Who": "mary john anna peter she he everybody",
    "Does": "orders brings shares tries finds",
    "Says": "says thinks hears",
    "Det_s": "the a this every",
    "Det_p": "the some these many",
    "N_s": "soup dish waiter table wine sauce cook fish room cake menu bill",
    "N_p": "soups dishes waiters tables wines sauces cooks fishes rooms cakes menus bills",
    "P": "near with from beside",
    "Very": "very really quite",
    "Conj": "and while so",
}
_PRAISE = {
    "Adj": "good great fresh friendly clean lovely warm quick",
    "Verb": "likes loves enjoys praises recommends",
}
_BLAME = {
    "Adj": "bad awful stale rude dirty ugly cold slow",
    "Verb": "dislikes hates regrets scolds avoids",
}


def _text_of_rules(words: dict[str, str], plain: dict[str, str], other: dict[str, str]) -> str:
    """The grammar of one class in NLTK's notation."""
    lines = [_RULES]
    marked = {f"Plain{kind}": of_kind for kind, of_kind in plain.items()}
    marked |= {f"Other{kind}": of_kind for kind, of_kind in other.items()}
    for symbol, choices in (words | marked).items():
        weights = [1 / (rank + 2) for rank in range(len(choices.split()))]
        shares = (weight / sum(weights) for weight in weights)
        right = " | ".join(f"'{word}' [{share!r}]" for word, share in zip(choices.split(), shares, strict=True))
        lines.append(f"{symbol} -> {right}\n")
    return "".join(lines)


@dataclass(frozen=True, eq=False)
class Opinions:
    """Both classes as one grammar: that of the first, and each word's counterpart, which makes that of the second."""

    grammar: Grammar
    """Of the negative sentences."""
    counterpart: Ids
    """(W,) the number of each word's counterpart; of a word without one its own. Twice it is the word itself."""

    @staticmethod
    def read(words: dict[str, str], praise: dict[str, str], blame: dict[str, str], max_len: int) -> Opinions:
        """From words by symbol; praise and blame at the same place of their lists are counterparts."""
        rules = _text_of_rules(words, plain=blame, other=praise)
        key = digest(rules.encode(), f"nltk {nltk_version()} {max_len} 1".encode())[:32]
        arrays = data.derived(f"grammar-rules-{key}", lambda: Grammar.read(rules, max_len).as_arrays())
        grammar = Grammar.from_arrays(arrays, max_len)
        number = {word: i for i, word in enumerate(grammar.words)}
        counterpart = np.arange(len(number))
        for kind, of_praise in praise.items():
            for good, bad in zip(of_praise.split(), blame[kind].split(), strict=True):
                counterpart[number[good]], counterpart[number[bad]] = number[bad], number[good]
        return Opinions(grammar, counterpart)

    def opposite(self, sentences: Tokens) -> Tokens:
        """Every sentence with each word's counterpart in its place; numbers of no word stay."""
        known = (sentences.flat >= 0) & (sentences.flat < len(self.counterpart))
        flat = np.where(known, self.counterpart[np.where(known, sentences.flat, 0)], sentences.flat)
        return Tokens(flat, sentences.offsets)

    def log_prob(self, sentences: Tokens) -> Floats:
        """(N, 2) log p(sentence | class), nats; -inf for what a class cannot say."""
        of_second = self.grammar.log_prob(self.opposite(sentences))
        return np.stack([self.grammar.log_prob(sentences), of_second], axis=1)

    def posteriors(self, sentences: Tokens) -> Floats:
        """(N, 2) p(class | sentence), the classes equally likely; 0 and 0 for what neither can say."""
        return _posteriors(self.log_prob(sentences))

    def sample(self, labels: Ids, stream: np.random.RandomState) -> Tokens:
        """A sentence of each class (N,), the classes 0 and 1."""
        drawn = self.grammar.sample(len(labels), stream)
        turned = np.repeat(labels == 1, drawn.lengths)
        return Tokens(np.where(turned, self.opposite(drawn).flat, drawn.flat), drawn.offsets)

    def translate(self, sentences: Tokens, labels: Ids) -> Tokens:
        """Sentences, and the class (N,) that each is wanted in -> the one right answer for each.

        It is the sentence itself if it is of that class already, or may be of either; empty for what no class can say.
        """
        possible = np.isfinite(self.log_prob(sentences))
        is_there = possible[np.arange(len(sentences)), labels]
        turned = self.opposite(sentences)
        flat = np.where(np.repeat(is_there, sentences.lengths), sentences.flat, turned.flat)
        kept = np.where(possible.any(axis=1), sentences.lengths, 0)
        offsets = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
        return Tokens(flat[np.repeat(possible.any(axis=1), sentences.lengths)], offsets)


def _posteriors(log_prob: Floats) -> Floats:
    """(N, 2) log p(sentence | class) -> p(class | sentence), classes equally likely; 0 and 0 where neither can be."""
    likelihood = np.exp(log_prob)
    return likelihood / np.maximum(likelihood.sum(axis=1, keepdims=True), np.finfo(float).tiny)


@cache
def _english() -> Opinions:
    return Opinions.read(_WORDS, _PRAISE, _BLAME, _MAX_LEN)


@dataclass(frozen=True, kw_only=True)
class GrammarLabels(LabelledTask):
    """Negative and positive sentences in turn, so that both classes are equally likely."""

    n_train: Annotated[int, Gt(0), Le(MOST_SENTENCES)] = 10_000
    """Training sentences."""
    n_valid: Annotated[int, Gt(0), Le(MOST_SENTENCES)] = 1_000
    """Validation sentences."""
    n_test: Annotated[int, Gt(0), Le(MOST_SENTENCES)] = 10_000
    """Test sentences."""

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = ("class_accuracy", "per_class", "nll_class", "validity", *_text.METRICS)
    scales: ClassVar[dict[str, dict[str, Any]]] = {
        "smoke": {"n_train": 512, "n_valid": 128, "n_test": 512},
        "small": {},
    }

    @property
    def classes(self) -> tuple[str, ...]:
        """Negative and positive."""
        return CLASSES

    def load(self) -> TextData:
        """The sentences with their labels, their exact log-probability, the judge by Bayes' rule, and translations."""
        opinions = _english()
        arrays = data.derived(f"grammar-labels-{self._key()}", lambda: self._draw(opinions))
        vocabulary = Vocabulary((_text.END, *opinions.grammar.words, *map(label_word, CLASSES)))
        spec = LabelledSpec(
            vocab_size=len(vocabulary.words), max_len=1 + _MAX_LEN, bos_id=0, pad_id=0, eos_id=0, classes=CLASSES
        )
        train, valid, test = (_split(arrays, split, spec) for split in _SPLITS)
        exact = _Exact(opinions, spec)
        conditional = arrays["nll"]
        return LabelledText(
            spec=spec,
            vocabulary=vocabulary,
            train=rows(train, spec)[0],
            valid=rows(valid, spec)[0],
            test=rows(test, spec)[0],
            references=test,
            oracle_log_prob=exact.log_prob,
            oracle_label_log_prob=exact.label_log_prob,
            is_valid=exact.is_valid,
            judge=Judge(
                name="bayes",
                posteriors=exact.posteriors,
                accuracy=round(float(arrays["accuracy"]), 4),
                sha256=digest(repr((_RULES, _WORDS, _PRAISE, _BLAME, _MAX_LEN)).encode()),
            ),
            translate=exact.translate,
            facts={
                **_text.facts(*(without_label(part, spec.class_ids)[1] for part in (train, valid, test))),
                "classes": len(CLASSES),
                "vocabulary": spec.vocab_size,
                "max_length": spec.max_len,
                "entropy_per_sentence_of_a_class": round(float(conditional.mean()), 3),
                "entropy_standard_error": round(float(conditional.std() / np.sqrt(len(conditional))), 3),
            },
        )

    def warnings(self, data: TextData) -> list[str]:
        """None: sentences are drawn one by one, and short ones come again by chance."""
        del data
        return []

    def words_of(self, text: str) -> list[str]:
        """Words, which have no capitals, and full stops, with a blank before them or without."""
        return text.lower().replace(".", " .").split()

    def text_of(self, words: str) -> str:
        """A capital first, no blank before the full stop."""
        return words[:1].upper() + words[1:].replace(" .", ".")

    def _key(self) -> str:
        rules = repr((_RULES, _WORDS, _PRAISE, _BLAME, _MAX_LEN, _SEED, self.n_train, self.n_valid, self.n_test))
        return digest(rules.encode(), str(self.version).encode())[:32]

    def _draw(self, opinions: Opinions) -> dict[str, NDArray[Any]]:
        """Each split has a stream of its own, so that the size of one does not change another."""
        arrays: dict[str, NDArray[Any]] = {}
        for index, (split, n) in enumerate(zip(_SPLITS, (self.n_train, self.n_valid, self.n_test), strict=True)):
            labels = np.arange(n) % len(CLASSES)
            drawn = opinions.sample(labels, np.random.RandomState((_SEED, index)))
            arrays[f"{split}_flat"], arrays[f"{split}_offsets"] = drawn.flat.astype(np.int32), drawn.offsets
        log_prob = opinions.log_prob(drawn)  # of test, the last split
        own, other = log_prob[np.arange(n), labels], log_prob[np.arange(n), 1 - labels]
        arrays["nll"] = -own
        arrays["accuracy"] = np.mean((own > other) + 0.5 * (own == other))
        return arrays


def _split(arrays: dict[str, NDArray[Any]], split: str, spec: LabelledSpec) -> Tokens:
    """The end token is 0, so the grammar's word w is w + 1; labels come in turn."""
    words = Tokens(arrays[f"{split}_flat"].astype(np.int64) + 1, arrays[f"{split}_offsets"])
    return with_label(words, np.arange(len(words)) % len(spec.classes), spec.class_ids)


_scored: weakref.WeakKeyDictionary[Tokens, Floats] = weakref.WeakKeyDictionary()
"""Texts that live -> `Opinions.log_prob`: judge, validity and answers ask for it of the same samples in turn."""


@dataclass(frozen=True, eq=False)
class _Exact:
    """What is known of sentences in the task's numbering; texts come without their labels, rows with them."""

    opinions: Opinions
    spec: LabelledSpec

    def log_prob(self, ids: Ids) -> Floats:
        """(N, T) rows -> (N,) log p(class) + log p(words | class); -inf where the first word is no class."""
        if ids.ndim != 2 or ids.shape[1] != self.spec.max_len:
            raise ValueError(f"the grammar scores rows of {self.spec.max_len} ids, got shape {ids.shape}")
        labels, words = without_label(Tokens.from_rows(ids, self.spec.eos_id), self.spec.class_ids)
        given = self.opinions.log_prob(self._words(words))[np.arange(len(ids)), np.maximum(labels, 0)]
        return np.where(labels >= 0, given + self.label_log_prob(ids), -np.inf)

    def label_log_prob(self, ids: Ids) -> Floats:
        """(N, T) rows -> (N,) log p(class): both are equally likely."""
        return np.full(len(ids), -np.log(len(self.spec.classes)))

    def is_valid(self, texts: Tokens) -> NDArray[np.bool_]:
        """Which texts one of the classes can write."""
        best: Floats = self._log_prob(texts).max(axis=1)
        possible: NDArray[np.bool_] = np.isfinite(best)
        return possible

    def posteriors(self, texts: Tokens) -> Floats:
        """(N, 2) p(class | text)."""
        return _posteriors(self._log_prob(texts))

    def _log_prob(self, texts: Tokens) -> Floats:
        """(N, 2) log p(text | class)."""
        if texts not in _scored:
            _scored[texts] = self.opinions.log_prob(self._words(texts))
        return _scored[texts]

    def translate(self, texts: Tokens, labels: Ids) -> Tokens:
        """The one right answer for each text in the class (N,) that is wanted."""
        found = self.opinions.translate(self._words(texts), labels)
        return Tokens(found.flat + 1, found.offsets)

    @staticmethod
    def _words(tokens: Tokens) -> Tokens:
        return Tokens(tokens.flat - 1, tokens.offsets)
