"""Corpora to measure on: the published COCO captions, and any number of captions like them.

More captions come from a trigram model of both COCO files, so that words and n-grams keep their frequencies. Every
corpus is a file of words with blanks between, one sentence per line: what every peer in every environment can read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from nltk.tokenize.destructive import NLTKWordTokenizer  # type: ignore[import-untyped]

__all__ = ["COCO", "prepare"]

COCO = ("image_coco.txt", "test_coco.txt")
"""The published file names: training captions, taken for samples, and test captions, the references."""
_BLOCK = 100_000  # sentences at a time, so that memory does not depend on the number asked for


def prepare(data: Path, folder: Path, sizes: list[int]) -> None:
    """Write `coco-10000-samples.txt`, `-references.txt` and, for each size, `synthetic-SIZE-samples.txt` and so on."""
    lines = [_read(data, name) for name in COCO]
    for side, sentences in zip(("samples", "references"), lines, strict=True):
        _write(folder / f"coco-{len(sentences)}-{side}.txt", sentences)
    model = _Trigrams(lines[0] + lines[1])
    for size in sizes:
        for seed, side in enumerate(("samples", "references")):
            _write(folder / f"synthetic-{size}-{side}.txt", model.sentences(size, seed))


def _read(data: Path, name: str) -> list[str]:
    """The tokenised lines of a published file, found at any depth."""
    found = sorted(data.rglob(name))
    if not found:
        raise FileNotFoundError(f"{data} holds no {name}; Texygen's repository has it under data/")
    tokenize = NLTKWordTokenizer().tokenize
    return [" ".join(tokenize(line.strip().lower())) for line in found[0].read_text(encoding="utf-8").splitlines()]


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


class _Trigrams:
    """A trigram model without smoothing. After two words it goes on as at a random place where these two words stand.

    So its state is a place in the text, and one step is one look-up for all sentences at once.
    """

    def __init__(self, lines: list[str]) -> None:
        words = [word for line in lines for word in ("<s>", *line.split(), "</s>")]
        self._words, ids = np.unique(np.array(words), return_inverse=True)
        self._ids = ids.astype(np.int64)
        before = np.concatenate([[-1], self._ids[:-1]])
        before[self._ids == self._id("<s>")] = 0
        _, self._context = np.unique(before * len(self._words) + self._ids, return_inverse=True)
        self._places = np.argsort(self._context, kind="stable")
        self._count = np.bincount(self._context)
        self._first = np.cumsum(self._count) - self._count
        self._start = int(np.flatnonzero(self._ids == self._id("<s>"))[0])

    def _id(self, word: str) -> int:
        return int(np.searchsorted(self._words, word))

    def sentences(self, n: int, seed: int) -> Iterator[str]:
        """`n` sentences; the same for the same seed."""
        random = np.random.RandomState(seed)
        words = self._words.tolist()
        for begin in range(0, n, _BLOCK):
            for row in self._draw(min(_BLOCK, n - begin), random):
                yield " ".join(words[i] for i in row)

    def _draw(self, n: int, random: np.random.RandomState) -> list[list[int]]:
        rows: list[list[int]] = [[] for _ in range(n)]
        open_rows = np.arange(n)
        place = np.full(n, self._start)
        while len(open_rows):
            context = self._context[place]
            step = (random.random_sample(len(place)) * self._count[context]).astype(np.int64)
            place = self._places[self._first[context] + step] + 1
            word = self._ids[place]
            goes_on = word != self._id("</s>")
            open_rows, place = open_rows[goes_on], place[goes_on]
            for row, i in zip(open_rows.tolist(), word[goes_on].tolist(), strict=True):
                rows[row].append(i)
        return rows
