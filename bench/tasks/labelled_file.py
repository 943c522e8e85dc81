"""Your own text with classes: a file for each class, or one file with a label in front of each line.

`--set texts="negative=neg.txt positive=pos.txt"`, or `--set path=reviews.txt`, whose lines are a label, a tabulator and
a sentence. Of each class the same shares of lines are held out; the judge of classes learns from the test lines.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Gt, Interval
from pydantic import BeforeValidator

from bench.labels.data import LabelledTask
from bench.labels.text import labelled_text, split
from bench.places import check_file
from bench.task import TextData, digest
from bench.tasks import _text
from bench.text.content import content_of
from bench.text.line_files import read_lines
from bench.text.sample_files import sentences_of
from metrics.common.tokens import Tokens

__all__ = ["LabelledFile", "read_texts"]

Share = Annotated[float, Interval(gt=0, lt=1)]
_SEED = 2017  # of the split
_NAME = re.compile(r"[^\s<>=,]+")
_FORM = 'texts="negative=neg.txt positive=pos.txt"'


def read_texts(value: Any) -> Any:
    """`negative=neg.txt positive="p o s.txt"`, parted by blanks or commas, as a table; a table as it is."""
    if not isinstance(value, str):
        return value
    reader = shlex.shlex(value, posix=True, punctuation_chars=False)
    reader.whitespace, reader.whitespace_split = " \t\r\n,", True
    reader.quotes, reader.escape, reader.commenters = '"', "", ""  # a backslash is of a path
    try:
        parts = list(reader)
    except ValueError as error:
        raise ValueError(f"{value!r}: {error}; write {_FORM}") from None
    pairs = [part.partition("=") for part in parts]
    if bad := [part for part, (name, equals, path) in zip(parts, pairs, strict=True) if not (name and equals and path)]:
        raise ValueError(f"{bad[0]!r} is no label=path; write {_FORM}")
    names = [name for name, _, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"the class {twice!r} is named twice; a class has one file")
    return {name: path for name, _, path in pairs}


@dataclass(frozen=True, kw_only=True)
class LabelledFile(LabelledTask):
    """Sentences of yours in two or more classes, words between blanks. Files may be compressed (`.gz`)."""

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

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = ("class_accuracy", "per_class", "nll_class", *_text.METRICS)
    scales: ClassVar[dict[str, dict[str, Any]]] = {"smoke": {}, "small": {}}

    def __post_init__(self) -> None:
        """One way to say where the text is, two classes or more, names that are words, and shares that leave a rest."""
        if (self.texts is None) == (self.path is None):
            raise ValueError(f"labelled_file takes a file for each class, {_FORM}, or path=<lines of label, tab, text>")
        _check_names(tuple(self.texts or ("a", "b")), "texts")
        if self.valid_share + self.test_share >= 1:
            raise ValueError(
                f"labelled_file: valid_share + test_share must be under 1, got {self.valid_share} + {self.test_share}"
            )

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """As the files are named, in that order; of one file all labels, in the order of the alphabet."""
        if self.texts is not None:
            return tuple(self.texts)
        assert self.path is not None
        names = tuple(sorted({label for label, _ in _lines(self._file(self.path))}))
        _check_names(names, self.path)
        return names

    def load(self) -> TextData:
        """The sentences with their labels. Raises ValueError, naming file and line, for what is not as it should be."""
        numbering: dict[str, int] = {}
        number = {name: label for label, name in enumerate(self.classes)}
        labels, sentences = [], []
        skipped = {"blank_lines": 0, "lines_too_long": 0}
        for name, words in self._sentences():
            if not words:
                skipped["blank_lines"] += 1
            elif self.max_words is not None and len(words) > self.max_words:
                skipped["lines_too_long"] += 1
            else:
                labels.append(number[name])
                sentences.append(words)
        text = (Tokens.from_words(sentences, numbering), np.array(labels, np.int64))
        try:
            parts = split(text, len(number), self.valid_share, self.test_share, _SEED)
            return labelled_text(*parts, list(numbering), self.classes, min_count=self.min_count, more_facts=skipped)
        except ValueError as error:
            raise ValueError(f"labelled_file ({', '.join(self.classes)}, in this order from 0): {error}") from None

    def files(self) -> dict[str, Path]:
        """The texts, by class; or the one file."""
        if self.texts is None:
            assert self.path is not None
            return {"path": self._file(self.path)}
        return {name: self._file(path) for name, path in self.texts.items()}

    def file_hashes(self) -> dict[str, str]:
        """Of all texts together, in the place of their paths."""
        found = super().file_hashes()
        if self.texts is None:
            return found
        return {"texts": digest(json.dumps(found).encode())}

    def words_of(self, text: str) -> list[str]:
        """Words between blanks."""
        return (text.lower() if self.lower else text).split()

    def _sentences(self) -> Iterator[tuple[str, Sequence[str]]]:
        """The class and the words of each sentence."""
        if self.texts is None:
            assert self.path is not None
            yield from ((label, self.words_of(line)) for label, line in _lines(self._file(self.path)))
            return
        for name, path in self.files().items():
            for words in sentences_of(path, content_of(path, options=False), self.words_of):
                yield name, words

    @staticmethod
    def _file(named: str) -> Path:
        path = Path(named)
        try:
            check_file(path)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error} (labelled_file needs {_FORM}, or path=<a text file>)") from None
        return path


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """The label and the text of each line that is not blank."""
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        label, tab, text = line.rstrip("\r\n").partition("\t")
        if not tab or not _NAME.fullmatch(label.strip()):
            raise ValueError(
                f"{path}, line {number}: expected a label (one word), a tabulator and a sentence, got {line[:60]!r}"
            )
        yield label.strip(), text


def _check_names(names: Sequence[str], where: str) -> None:
    if len(names) < 2:
        raise ValueError(f"{where}: two classes or more are needed, got {', '.join(names) or 'none'}")
    if bad := next((name for name in names if not _NAME.fullmatch(name)), None):
        raise ValueError(f"{where}: the name of a class is a word without blanks, <, >, = and commas, got {bad!r}")
