"""Your own text in two or more classes, to be rewritten from each class into the next.

`--set texts="negative=neg.txt positive=pos.txt"`, or one file of labels and sentences, as for `labelled_file`. Test
sentences are the inputs; nobody wrote answers to them, so that what compares with answers is absent.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Gt, Interval
from pydantic import BeforeValidator

from bench.labels.data import LabelledText
from bench.rewriting.data import RewritingTask, rewriting_text
from bench.task import TextData
from bench.tasks import _text
from bench.tasks.labelled_file import LabelledFile, read_texts
from metrics.common.labels import of_class

__all__ = ["RewritingFile"]

Share = Annotated[float, Interval(gt=0, lt=1)]


@dataclass(frozen=True, kw_only=True)
class RewritingFile(RewritingTask):
    """Sentences of yours, words between blanks; read, divided and judged as `labelled_file` does."""

    texts: Annotated[dict[str, str] | None, BeforeValidator(read_texts)] = None
    """`label=path` for each class, between blanks."""
    path: str | None = None
    """Or one file with a label, a tabulator and a sentence in each line."""
    lower: bool = False
    """Lower-case the text."""
    min_count: Annotated[int, Gt(0)] = 1
    """Words that are rarer in train become `<unk>`."""
    max_words: Annotated[int, Gt(0)] | None = None
    """Leave out sentences with more words. None: the longest training sentence decides."""
    valid_share: Share = 0.05
    """Share of the lines of each class held out for selection."""
    test_share: Share = 0.2
    """Share of the lines of each class held out for scores, from which the judge learns."""
    n_inputs: Annotated[int, Gt(0)] = 1_000
    """Test sentences that are rewritten, at most; spread evenly over those that the vocabulary can write."""

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = ("transfer", "input_bleu", "target_nll", "unique")
    scales: ClassVar[dict[str, dict[str, Any]]] = {"smoke": {"n_inputs": 100}, "small": {}}

    def __post_init__(self) -> None:
        """As `labelled_file`."""
        _ = self._labelled

    @property
    def _labelled(self) -> LabelledFile:
        return LabelledFile(**{field.name: getattr(self, field.name) for field in fields(LabelledFile)})

    @property
    def classes(self) -> tuple[str, ...]:
        """As the files are named, in that order; of one file all labels, in the order of the alphabet."""
        return self._labelled.classes

    def files(self) -> dict[str, Path]:
        """The texts, by class; or the one file."""
        return self._labelled.files()

    def file_hashes(self) -> dict[str, str]:
        """Of all texts together, in the place of their paths."""
        return self._labelled.file_hashes()

    def words_of(self, text: str) -> list[str]:
        """Words between blanks."""
        return self._labelled.words_of(text)

    def load(self) -> TextData:
        """The sentences; the language model of a class is of its test sentences, which no model is trained on."""
        text = self._labelled.load()
        assert isinstance(text, LabelledText)
        labels, sentences = text.parted(text.references)
        known = np.ones(len(sentences), bool)
        known[np.repeat(np.arange(len(sentences)), sentences.lengths)[sentences.flat >= text.spec.vocab_size]] = False
        unknown = text.vocabulary.numbering.get(_text.UNKNOWN)
        fits = np.flatnonzero((known | (unknown is not None)) & (sentences.lengths < text.spec.max_len))
        if not len(fits):
            raise ValueError("rewriting_file: no test sentence is made of words of the training text: set min_count=2")
        chosen = fits[np.linspace(0, len(fits) - 1, min(self.n_inputs, len(fits))).round().astype(np.int64)]
        of_classes = [of_class(sentences, labels, k) for k in range(len(text.spec.classes))]
        return rewriting_text(text, chosen, of_classes, unknown)
