"""EMNLP 2017 WMT News: long news sentences, the harder of the two corpora that text GANs are compared on.

The files of Texygen (Zhu et al., SIGIR 2018). Their training file has about 270,000 sentences, on which Texygen,
ScratchGAN, "Language GANs Falling Short" and RelGAN train, whose paper says 10,000: a typo, by its author
(https://github.com/weilinie/RelGAN/issues/3). Presets leave `n_valid=1` of them out. Papers lower-case
the training text but, by their code, score against test sentences in their original case; here both sides have the
same case, so BLEU on this task is not comparable with those numbers.

`split=scratchgan` is a small whole one, the sample data of a copy of ScratchGAN (de Masson d'Autume et al., NeurIPS
2019, https://arxiv.org/abs/1905.09922): 12,500 training, 10,000 validation and 10,000 test sentences of the same news,
2 MB each. Its validation sentences are those of "Language GANs Falling Short", its test sentences Texygen's, but for a
few; 4 of them, case aside, stand in train. Another board: nothing published was trained on it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

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
_SCRATCHGAN = {
    name: data.github("SCAuFish/ScratchGan-", "master", f"scratchgan/small_data/{name}.json", f"sha256:{digits}", size)
    for name, digits, size in (
        ("train", "c16734a86ddffe2cdb206205212dfe84d39df1ebe5a36158b04f1114504b8640", 1_939_186),
        ("valid", "c7146d0a9d1e0fd05a1ef206b6c799b3fad24a134ce3cde2e68ace1fbfee959b", 1_583_870),
        ("test", "c9b20e6483b36d5998df19af9e228551e1d1209bb6598aa5a6d9ed88938cd331", 1_559_897),
    )
}
_SEED = 2017  # of the held-out sentences and of the training subset


@dataclass(frozen=True, kw_only=True)
class EMNLPNews(Task):
    """News sentences; NLTK's tokenizer; the vocabulary is that of the whole training file."""

    split: Literal["published", "scratchgan"] = "published"
    """`published`: Texygen's files. `scratchgan`: a small split with validation sentences of its own."""
    lower: bool = True
    """Lower-case train and test."""
    n_train: Annotated[int, Gt(0), Le(MOST_SENTENCES)] | None = None
    """Training sentences: a fixed random subset. None: all but the held-out ones."""
    n_valid: Annotated[int, Gt(0), Le(MOST_SENTENCES)] = 5_000
    """Sentences held out from the training file; of `scratchgan` a fixed random part of the validation file."""

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = _text.METRICS
    scales: ClassVar[dict[str, dict[str, Any]]] = {
        "smoke": {"n_train": 1_000, "n_valid": 500},
        "small": {"n_train": 10_000},
    }

    def load(self) -> TextData:
        """The sentences; tokenised once, then from the cache."""
        if self.split == "scratchgan":
            files = [data.fetch(_SCRATCHGAN[name]) for name in ("train", "valid", "test")]
            (whole, held_out, test), words = _text.nltk_tokens(files, lower=self.lower, sentences=_field_s)
        else:
            (whole, test), words = _text.nltk_tokens([data.fetch(_TRAIN), data.fetch(_TEST)], lower=self.lower)
            held_out = None
        self._check_counts(len(whole), None if held_out is None else len(held_out))
        stream = np.random.RandomState(_SEED)
        train, valid = _text.split_off(whole if held_out is None else held_out, self.n_valid, stream)
        if held_out is not None:
            train = whole
        if self.n_train is not None:
            train = _text.split_off(train, self.n_train, stream)[1]
        return _text.text_data(train, valid, test, words, vocabulary_from=whole)

    def _check_counts(self, whole: int, held_out: int | None) -> None:
        """Raise ValueError where the files have fewer sentences than are asked for."""
        if held_out is None and self.n_valid + (self.n_train or 1) > whole:
            raise ValueError(
                f"emnlp_news: n_train={self.n_train} and n_valid={self.n_valid} ask for more than the {whole} "
                "sentences of the training file"
            )
        for name, asked, there in (("n_train", self.n_train, whole), ("n_valid", self.n_valid, held_out)):
            if held_out is not None and there is not None and asked is not None and asked > there:
                raise ValueError(f"emnlp_news: {name}={asked} asks for more than the {there} sentences of its file")

    def reference_file(self) -> Path | None:
        """The published test file; none for a split whose file holds no plain lines."""
        return data.fetch(_TEST) if self.split == "published" else None

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


def _field_s(path: Path) -> list[str]:
    """The sentences of a JSON list of `{"s": sentence}`."""
    return [item["s"] for item in json.loads(path.read_text(encoding="utf-8"))]
