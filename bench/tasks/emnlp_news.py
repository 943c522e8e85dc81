"""EMNLP 2017 WMT News: long news sentences, the harder of the two corpora that text GANs are compared on.

The files of Texygen (Zhu et al., SIGIR 2018). Their training file has about 270,000 sentences, on which Texygen,
ScratchGAN, "Language GANs Falling Short" and RelGAN train, whose paper says 10,000: a typo, by its author
(https://github.com/weilinie/RelGAN/issues/3). Presets leave `n_valid=1` of them out. Papers lower-case
the training text but, by their code, score against test sentences in their original case; here both sides have the
same case, so BLEU on this task is not comparable with those numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Gt, Le

from bench import data
from bench.task import MOST_SENTENCES, Task, TextData
from bench.tasks import _text
from bench.text.tokenizers import english

__all__ = ["EMNLPNews"]

_TRAIN = data.github("geek-ai/Texygen", "master", "data/emnlp_news.txt", "git:538653e5f946b6f76e2b729c5aaa7507152354a3")
_TEST = data.github(
    "geek-ai/Texygen",
    "master",
    "data/testdata/test_emnlp.txt",
    "sha256:03c646d08f766f4140443db4419b1f0ee292bc0db514208873e9f2e166b95bd2",
    size=1_742_757,
)
_SEED = 2017  # of the held-out sentences and of the training subset


@dataclass(frozen=True, kw_only=True)
class EMNLPNews(Task):
    """News sentences; NLTK's tokenizer; the vocabulary is that of the whole training file."""

    lower: bool = True
    """Lower-case train and test."""
    n_train: Annotated[int, Gt(0), Le(MOST_SENTENCES)] | None = None
    """Training sentences: a fixed random subset. None: all but the held-out ones."""
    n_valid: Annotated[int, Gt(0), Le(MOST_SENTENCES)] = 5_000
    """Sentences held out from the training file."""

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = _text.METRICS
    scales: ClassVar[dict[str, dict[str, Any]]] = {
        "smoke": {"n_train": 1_000, "n_valid": 500},
        "small": {"n_train": 10_000},
    }

    def load(self) -> TextData:
        """The sentences; tokenised once, then from the cache."""
        (whole, test), words = _text.nltk_tokens([data.fetch(_TRAIN), data.fetch(_TEST)], lower=self.lower)
        if self.n_valid + (self.n_train or 1) > len(whole):
            raise ValueError(
                f"emnlp_news: n_train={self.n_train} and n_valid={self.n_valid} ask for more than the {len(whole)} "
                "sentences of the training file"
            )
        stream = np.random.RandomState(_SEED)
        train, valid = _text.split_off(whole, self.n_valid, stream)
        if self.n_train is not None:
            train = _text.split_off(train, self.n_train, stream)[1]
        return _text.text_data(train, valid, test, words, vocabulary_from=whole)

    def reference_file(self) -> Path | None:
        """The published test file."""
        return data.fetch(_TEST)

    @property
    def word_rule(self) -> str:
        """The tokenizer's name."""
        return "english_lower" if self.lower else "english"

    def tokenize(self, line: str) -> list[str]:
        """Words by NLTK's tokenizer."""
        return english(lower=self.lower)(line)

    def detokenize(self, sentence: str) -> str:
        """Punctuation and contractions joined to their words."""
        return _text.detokenize(sentence.split())
