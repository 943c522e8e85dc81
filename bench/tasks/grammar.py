"""A small English of about 100 words whose every sentence has a known probability: results that people can read.

A probabilistic context-free grammar with agreement in number (between determiner, noun and verb, also across a phrase
that stands between them), embedded clauses and ambiguous attachment ("sees a boy near the river"). A sample is valid if
the grammar can produce it; its exact log-probability sums over all its parses. Sentences have at most 16 words; the
probabilities are renormalised exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Gt, Le
from numpy.typing import NDArray

from baselines.common.spec import SequenceSpec
from bench import data
from bench.task import MOST_SENTENCES, Task, TextData, Vocabulary, digest, rows
from bench.tasks import _text
from bench.tasks._pcfg import Grammar
from bench.text.tokenizers import nltk_version
from metrics.common.tokens import Tokens

__all__ = ["GrammarTask"]

_MAX_LEN = 16
_SEED = 16
_SPLITS = ("train", "valid", "test")

# _s is singular, _p plural; V1 has no object, V2 has one, V3 a clause
_RULES = """
S -> C '.' [1.0]
C -> NP_s VP_s [0.6] | NP_p VP_p [0.4]
NP_s -> Name [0.2] | Det_s Nom_s [0.62] | Det_s Nom_s PP [0.1] | Det_s Nom_s Rel_s [0.08]
NP_p -> Det_p Nom_p [0.82] | Det_p Nom_p PP [0.1] | Det_p Nom_p Rel_p [0.08]
Nom_s -> N_s [0.65] | Adj N_s [0.35]
Nom_p -> N_p [0.65] | Adj N_p [0.35]
Rel_s -> 'that' VP_s [0.6] | 'that' NP_s V2_s [0.25] | 'that' NP_p V2_p [0.15]
Rel_p -> 'that' VP_p [0.6] | 'that' NP_s V2_s [0.25] | 'that' NP_p V2_p [0.15]
VP_s -> V1_s [0.14] | V1_s Adv [0.1] | V1_s PP [0.18] | V2_s NP [0.42] | V2_s NP PP [0.1] | V3_s 'that' C [0.06]
VP_p -> V1_p [0.14] | V1_p Adv [0.1] | V1_p PP [0.18] | V2_p NP [0.42] | V2_p NP PP [0.1] | V3_p 'that' C [0.06]
NP -> NP_s [0.6] | NP_p [0.4]
PP -> P NP [1.0]
"""
# the word at rank r has a probability proportional to 1 / (r + 2), as words of real text roughly do
_WORDS = {
    "Name": "mary john anna peter",
    "Det_s": "the a this every",
    "Det_p": "the some these many",
    "N_s": "man woman dog child cat bird teacher horse farmer doctor king tree house river garden bed",
    "N_p": "men women dogs children cats birds teachers horses farmers doctors kings trees houses rivers gardens beds",
    "Adj": "small old young big red quiet happy strange",
    "V1_s": "sleeps runs waits sings laughs falls",
    "V1_p": "sleep run wait sing laugh fall",
    "V2_s": "sees likes finds knows follows paints hears watches",
    "V2_p": "see like find know follow paint hear watch",
    "V3_s": "says thinks hopes",
    "V3_p": "say think hope",
    "Adv": "often slowly today loudly",
    "P": "near with behind beside",
}


def _text_of_rules() -> str:
    """The grammar in NLTK's notation."""
    lines = [_RULES]
    for symbol, words in _WORDS.items():
        weights = [1 / (rank + 2) for rank in range(len(words.split()))]
        choices = [f"'{word}' [{weight / sum(weights)!r}]" for word, weight in zip(words.split(), weights, strict=True)]
        lines.append(f"{symbol} -> {' | '.join(choices)}\n")
    return "".join(lines)


@cache
def _english() -> Grammar:
    """The grammar, read on first use: once by NLTK, which takes seconds to load, then from the cache."""
    rules = _text_of_rules()
    key = digest(rules.encode(), f"nltk {nltk_version()} 1".encode())[:32]
    arrays = data.derived(f"grammar-rules-{key}", lambda: Grammar.read(rules, _MAX_LEN).as_arrays())
    return Grammar.from_arrays(arrays, _MAX_LEN)


@dataclass(frozen=True, kw_only=True)
class GrammarTask(Task):
    """Sentences of the grammar. Far more are possible than anybody trains on, so copying is told from learning."""

    n_train: Annotated[int, Gt(0), Le(MOST_SENTENCES)] = 10_000
    """Training sentences."""
    n_valid: Annotated[int, Gt(0), Le(MOST_SENTENCES)] = 1_000
    """Validation sentences."""
    n_test: Annotated[int, Gt(0), Le(MOST_SENTENCES)] = 10_000
    """Test sentences."""

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = ("validity", "nll_oracle", "nll_oracle_valid", *_text.METRICS)
    scales: ClassVar[dict[str, dict[str, Any]]] = {
        "smoke": {"n_train": 512, "n_valid": 128, "n_test": 512},
        "small": {},
    }

    def load(self) -> TextData:
        """The sentences, their exact log-probability and their validity."""
        grammar = _english()
        arrays = data.derived(f"grammar-{self._key()}", lambda: self._draw(grammar))
        vocabulary = Vocabulary((_text.END, *grammar.words))
        spec = SequenceSpec(vocab_size=len(vocabulary.words), max_len=_MAX_LEN, bos_id=0, pad_id=0, eos_id=0)
        # the end token is 0, so the grammar's word w is w + 1
        train, valid, test = (
            Tokens(arrays[f"{split}_flat"].astype(np.int64) + 1, arrays[f"{split}_offsets"]) for split in _SPLITS
        )

        def words(tokens: Tokens) -> Tokens:
            return Tokens(tokens.flat - 1, tokens.offsets)

        def log_prob(ids: NDArray[np.int64]) -> NDArray[np.float64]:
            if ids.ndim != 2 or ids.shape[1] != _MAX_LEN:
                raise ValueError(f"the grammar scores rows of {_MAX_LEN} ids, got shape {ids.shape}")
            return grammar.log_prob(words(Tokens.from_rows(ids, spec.eos_id)))

        nll = arrays["nll"]
        return TextData(
            spec=spec,
            vocabulary=vocabulary,
            train=rows(train, spec)[0],
            valid=rows(valid, spec)[0],
            test=rows(test, spec)[0],
            references=test,
            oracle_log_prob=log_prob,
            is_valid=lambda tokens: np.isfinite(grammar.log_prob(words(tokens))),
            facts={
                **_text.facts(train, valid, test),
                "vocabulary": spec.vocab_size,
                "max_length": spec.max_len,
                "entropy_per_sentence": round(float(nll.mean()), 3),
                "entropy_standard_error": round(float(nll.std() / np.sqrt(len(nll))), 3),
            },
        )

    def warnings(self, data: TextData) -> list[str]:
        """None: sentences are drawn one by one, and short ones come again by chance."""
        del data
        return []

    def tokenize(self, line: str) -> list[str]:
        """Words, which have no capitals, and full stops, with a blank before them or without."""
        return line.lower().replace(".", " .").split()

    def detokenize(self, sentence: str) -> str:
        """A capital first, no blank before the full stop."""
        return sentence[:1].upper() + sentence[1:].replace(" .", ".")

    def _key(self) -> str:
        rules = repr((_text_of_rules(), _MAX_LEN, _SEED, self.n_train, self.n_valid, self.n_test, self.version))
        return digest(rules.encode())[:32]

    def _draw(self, grammar: Grammar) -> dict[str, NDArray[Any]]:
        """Each split has a stream of its own, so that the size of one does not change another."""
        arrays: dict[str, NDArray[Any]] = {}
        for index, (split, n) in enumerate(zip(_SPLITS, (self.n_train, self.n_valid, self.n_test), strict=True)):
            drawn = grammar.sample(n, np.random.RandomState((_SEED, index)))
            arrays[f"{split}_flat"], arrays[f"{split}_offsets"] = drawn.flat.astype(np.int32), drawn.offsets
        arrays["nll"] = -grammar.log_prob(drawn)  # of test, the last split
        return arrays
