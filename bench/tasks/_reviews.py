"""What tasks of film reviews share: snippets cut into words by their authors, negative or positive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Gt

from bench.labels.data import LabelledTask
from bench.labels.text import Labelled
from bench.tasks import _text
from metrics.common.tokens import Tokens

__all__ = ["FilmReviews"]


@dataclass(frozen=True, kw_only=True)
class FilmReviews(LabelledTask):
    """Snippets of at most 20 words; words that training text has once are `<unk>`."""

    max_words: Annotated[int, Gt(0)] = 20
    """Longer sentences are left out: 15 and 20 are SentiGAN's and CatGAN's."""
    min_count: Annotated[int, Gt(0)] = 2
    """Words that are rarer in train become `<unk>`."""

    metrics: ClassVar[tuple[str, ...]] = ("class_accuracy", "per_class", "nll_class", *_text.METRICS)
    scales: ClassVar[dict[str, dict[str, Any]]] = {"smoke": {"min_count": 5, "max_words": 15}, "small": {}}

    @property
    def classes(self) -> tuple[str, ...]:
        """Negative and positive."""
        return ("negative", "positive")

    def kept(self, lines: Iterable[tuple[int, Sequence[str]]], numbering: dict[str, int]) -> Labelled:
        """The class, from 0, and the words of each line -> those that are neither blank nor too long."""
        found = [(label, words) for label, words in lines if 0 < len(words) <= self.max_words]
        labels = np.array([label for label, _ in found], np.int64)
        return Tokens.from_words((words for _, words in found), numbering), labels

    def text_of(self, words: str) -> str:
        """Punctuation and contractions joined to their words."""
        return _text.detokenize(words.split())
