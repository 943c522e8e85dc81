"""Sentences of film reviews, negative or positive: the MR data, on which SentiGAN and CatGAN wrote by sentiment.

Pang and Lee, "Seeing stars", ACL 2005 (https://aclanthology.org/P05-1015), as NLTK hands it on: 5,331 snippets of each
class, lower-cased and cut into words by their authors. SentiGAN's and CatGAN's sets are its sentences of at most 15 or
20 words. There is no published split; here 40% of each class are the test text, because the judge of classes learns
from it, so that neither it nor a score of text is of what models have seen.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import ClassVar

from bench import data
from bench.labels.text import labelled_text, split
from bench.task import TextData
from bench.tasks._reviews import FilmReviews

__all__ = ["SentencePolarity"]

_FILE = data.github(
    "nltk/nltk_data",
    "gh-pages",
    "packages/corpora/sentence_polarity.zip",
    "sha256:6e1ed4405b65c7eabf1d199a7f7c437091ac21da0ea7467b410a74062574566b",
    size=490_256,
)
_INSIDE = ("sentence_polarity/rt-polarity.neg", "sentence_polarity/rt-polarity.pos")  # negative, positive
_SEED = 2005  # of the split
_VALID_SHARE, _TEST_SHARE = 0.05, 0.4


@dataclass(frozen=True, kw_only=True)
class SentencePolarity(FilmReviews):
    """Snippets of at most 20 words; words that training text has once are `<unk>`."""

    version: ClassVar[int] = 1

    def load(self) -> TextData:
        """The snippets with their labels."""
        numbering: dict[str, int] = {}
        with zipfile.ZipFile(data.fetch(_FILE)) as packed:
            texts = [packed.read(name).decode("latin-1").split("\n") for name in _INSIDE]
        text = self.kept(((label, line.split()) for label, lines in enumerate(texts) for line in lines), numbering)
        parts = split(text, len(_INSIDE), _VALID_SHARE, _TEST_SHARE, _SEED)
        return labelled_text(*parts, list(numbering), self.classes, min_count=self.min_count)
