"""Your own text: any UTF-8 file with one sentence per line, by word or by character.

`--set path=my.txt`. Lines are shuffled by a fixed stream and divided into train, valid and test; the vocabulary comes
from train alone. The file is read as a stream into arrays of numbers.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Gt, Interval
from numpy.typing import NDArray

from bench.places import check_file
from bench.task import Task, TextData
from bench.tasks import _text
from bench.text.content import Content, content_of
from bench.text.sample_files import sentences_of
from metrics.common.tokens import Tokens

__all__ = ["TextFile"]

Share = Annotated[float, Interval(gt=0, lt=1)]

BLANK = "␣"
"""Stands for a blank where sentences are made of characters."""

_SEED = 2017  # of the split
MOST_MEMORY = 8 << 30  # bytes of the (N, T) array
_MUCH_LONGER = 3
"""Times the length of 99 of 100 lines: from there on the few longest lines cost more than all others."""
_SPACED = re.compile(r"\S(?: \S)*")


@dataclass(frozen=True, kw_only=True)
class TextFile(Task):
    """A file of yours: plain sentences, JSON lines, or a column of a table. It may be compressed (`.gz`).

    Blank lines are skipped.
    """

    path: str
    """The file, from the current folder."""
    by: Literal["word", "character"] = "word"
    """`word`: split on blanks. `character`: Chinese, or spelling; blanks become `␣`."""
    lower: bool = False
    """Lower-case the text."""
    min_count: Annotated[int, Gt(0)] = 1
    """Words that are rarer in train become `<unk>`."""
    max_len: Annotated[int, Gt(0)] | None = None
    """Leave out lines with more words. None: the longest training line decides."""
    distinct: bool = False
    """Keep a sentence once, so that none of the test stands in train."""
    format: Literal["auto", "text", "jsonl", "table"] = "auto"
    """How the file is read. `auto`: as its content shows. `text`: its lines as they stand."""
    column: str | None = None
    """Of a table: which column, by name or number. None: the only one that holds sentences."""
    valid_share: Share = 0.05
    """Share of the lines held out for selection."""
    test_share: Share = 0.1
    """Share of the lines held out for scores."""

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = _text.METRICS
    scales: ClassVar[dict[str, dict[str, Any]]] = {"smoke": {}, "small": {}}

    def __post_init__(self) -> None:
        """Refuse shares that leave nothing to train on."""
        if self.valid_share + self.test_share >= 1:
            raise ValueError(
                f"text_file: valid_share + test_share must be under 1, got {self.valid_share} + {self.test_share}"
            )

    def load(self) -> TextData:
        """The lines of the file. Raises ValueError, naming line and byte, for a file that is not text."""
        content = content_of(self._file(), self.format, column=self.column, options=False)
        tokens, words, skipped = self._read(content)
        n = len(tokens)
        n_valid, n_test = round(n * self.valid_share), round(n * self.test_share)
        if min(n_valid, n_test, n - n_valid - n_test) < 1:
            raise ValueError(
                f"{self.path} holds {n} usable line{'s' * (n != 1)} ({_listed(skipped)}): too few to divide into "
                f"{n - n_valid - n_test} for train, {n_valid} for valid (valid_share={self.valid_share}) and {n_test} "
                f"for test (test_share={self.test_share}); each needs one or more"
            )
        order = np.random.RandomState(_SEED).permutation(n)
        rows = [np.sort(part) for part in np.split(order, [n_test, n_test + n_valid])]
        longest = int(tokens.lengths[rows[-1]].max())
        if (needed := 8 * n * longest) > MOST_MEMORY:
            median = int(np.median(tokens.lengths))
            raise ValueError(
                f"{self.path}: {n} lines of up to {longest} words would take {needed / 2**30:.0f} GiB as a table; "
                f"leave out long lines with max_len (half of them have at most {median} words)"
            )
        test, valid, train = (tokens.select(part) for part in rows)
        del tokens  # a large file's numbers are in memory once
        facts: dict[str, int | str] = {**skipped, "length_of_most": _length_of_most(train.lengths)}
        if content.read_as != "text":
            facts["read_as"] = content.read_as
        return _text.text_data(train, valid, test, words, min_count=self.min_count, more_facts=facts)

    def files(self) -> dict[str, Path]:
        """The text."""
        return {"path": self._file()}

    @property
    def word_rule(self) -> str:
        """Files that are cut alike are read alike."""
        return "blanks" if self.by == "word" and not self.lower else f"by {self.by}, lower={self.lower}"

    def warnings(self, data: TextData) -> list[str]:
        """Long lines that few others are near, test sentences in train, and what was read."""
        found: list[str] = []
        facts = data.facts
        if "read_as" in facts:
            found.append(f"{self.path} was read as {facts['read_as']}; format=text takes its lines as they stand")
        most, longest, mean = (facts[name] for name in ("length_of_most", "max_length", "mean_length"))
        if isinstance(most, int) and isinstance(longest, int) and longest >= _MUCH_LONGER * most:
            found.append(
                f"the longest training line has {longest:,} words (the mean is {mean}), so every model writes up to "
                f"{longest:,}: --set max_len={most} leaves out the longer lines, at most 1 in 100"
            )
        if repeated := facts["test_sentences_in_train"]:
            found.append(
                f"{repeated:,} of {len(data.references):,} test sentences stand in train, for the file repeats lines, "
                "and a model that copies gets good scores: --set distinct=true keeps each sentence once"
            )
        return found

    def tokenize(self, line: str) -> list[str]:
        """Words between blanks, or characters; characters already written with blanks between them stay so."""
        line = line.strip().lower() if self.lower else line.strip()
        if self.by == "word":
            return line.split()
        if _SPACED.fullmatch(line):
            return line.split(" ")
        return [BLANK if character.isspace() else character for character in line]

    def detokenize(self, sentence: str) -> str:
        """The characters of a sentence joined; words unchanged."""
        if self.by == "word":
            return sentence
        return sentence.replace(" ", "").replace(BLANK, " ")

    def _file(self) -> Path:
        path = Path(self.path)
        try:
            check_file(path)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error} (text_file needs path=<a text file>)") from None
        return path

    def _read(self, content: Content) -> tuple[Tokens, list[str], dict[str, int]]:
        """Sentences, the words they number, and how many lines were skipped for which reason."""
        numbering: dict[str, int] = {}
        flat, ends = array("i"), array("q", [0])
        skipped = {"blank_lines": 0, "lines_too_long": 0, **({"repeated_lines": 0} if self.distinct else {})}
        seen: set[tuple[str, ...]] = set()
        for found in sentences_of(self._file(), content, self.tokenize):
            words = [word.lower() for word in found] if self.lower else found  # of a list of words, too
            if not words:
                skipped["blank_lines"] += 1
            elif self.distinct and tuple(words) in seen:
                skipped["repeated_lines"] += 1
            elif self.max_len is not None and len(words) > self.max_len:
                skipped["lines_too_long"] += 1
            else:
                if self.distinct:
                    seen.add(tuple(words))
                flat.extend([numbering.setdefault(word, len(numbering)) for word in words])
                ends.append(len(flat))
        tokens = Tokens(np.frombuffer(flat, np.int32).astype(np.int64), np.frombuffer(ends, np.int64).copy())
        return tokens, list(numbering), skipped


def _length_of_most(lengths: NDArray[np.int64]) -> int:
    """The length that 99 of 100 lines do not exceed; of fewer than 100 lines, all but the longest."""
    ordered = np.sort(lengths)
    return int(ordered[max(0, min(len(ordered) - 2, int(0.99 * len(ordered)) - 1))])


def _listed(skipped: dict[str, int]) -> str:
    return ", ".join(f"{n} {what.replace('_', ' ')}" for what, n in skipped.items())
