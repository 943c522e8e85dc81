"""Sentences of film reviews, negative or positive: the MR data, on which SentiGAN and CatGAN wrote by sentiment.

Pang and Lee, "Seeing stars", ACL 2005 (https://aclanthology.org/P05-1015), as NLTK hands it on: 5,331 snippets of each
class, lower-cased and cut into words by their authors. SentiGAN's and CatGAN's sets are its sentences of at most 15 or
20 words. There is no published split; here 40% of each class are the test text, because the judge of classes learns
from it, so that neither it nor a score of text is of what models have seen.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Gt

from bench import data
from bench.labels.data import LabelledTask
from bench.labels.text import labelled_text, split
from bench.task import TextData
from bench.tasks import _text
from metrics.common.tokens import Tokens

__all__ = ["SentencePolarity"]

_FILE = data.github(
    "nltk/nltk_data",
    "gh-pages",
    "packages/corpora/sentence_polarity.zip",
    "sha256:6e1ed4405b65c7eabf1d199a7f7c437091ac21da0ea7467b410a74062574566b",
    size=490_256,
)
_INSIDE = {"negative": "sentence_polarity/rt-polarity.neg", "positive": "sentence_polarity/rt-polarity.pos"}
_SEED = 2005  # of the split
_VALID_SHARE, _TEST_SHARE = 0.05, 0.4


@dataclass(frozen=True, kw_only=True)
class SentencePolarity(LabelledTask):
    """Snippets of at most 20 words; words that training text has once are `<unk>`."""

    max_words: Annotated[int, Gt(0)] = 20
    """Longer sentences are left out: 15 and 20 are SentiGAN's and CatGAN's."""
    min_count: Annotated[int, Gt(0)] = 2
    """Words that are rarer in train become `<unk>`."""

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = ("class_accuracy", "per_class", "nll_class", *_text.METRICS)
    scales: ClassVar[dict[str, dict[str, Any]]] = {"smoke": {"min_count": 5, "max_words": 15}, "small": {}}

    @property
    def classes(self) -> tuple[str, ...]:
        """Negative and positive."""
        return tuple(_INSIDE)

    def load(self) -> TextData:
        """The snippets with their labels."""
        numbering: dict[str, int] = {}
        labels, sentences = [], []
        with zipfile.ZipFile(data.fetch(_FILE)) as packed:
            for label, name in enumerate(_INSIDE.values()):
                found = [line.split() for line in packed.read(name).decode("latin-1").split("\n")]
                kept = [words for words in found if 0 < len(words) <= self.max_words]
                sentences += kept
                labels += [label] * len(kept)
        text = (Tokens.from_words(sentences, numbering), np.array(labels, np.int64))
        parts = split(text, len(_INSIDE), _VALID_SHARE, _TEST_SHARE, _SEED)
        return labelled_text(*parts, list(numbering), self.classes, min_count=self.min_count)

    def text_of(self, words: str) -> str:
        """Punctuation and contractions joined to their words."""
        return _text.detokenize(words.split())
