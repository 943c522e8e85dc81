"""A file of samples (or of references) as `Tokens`: text, ids or JSON lines, plain, `.gz` or `.bz2`, a line each.

Lines are read one by one and kept as numbers. The memory that scoring will take is known from the number of words, so
a file that is too large is refused early, by what its first lines promise, and not killed late. Tokenising costs more
than scoring, so it is done once for a file: the result is kept under the file's checksum and the tokenizer's source.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from bench import data
from bench.config import plain, source_hash
from bench.registry import suggest
from bench.task import Task, Vocabulary, digest
from metrics.common.tokens import Tokens

__all__ = ["PACKED", "Format", "Samples", "is_text", "read_lines", "read_samples"]


PACKED = {".gz": "gzip", ".bz2": "bzip2"}  # the leaderboard keeps samples as the latter
_LONGEST_LINE = 1 << 20  # bytes; a longer one is no sentence
_REPORT_EVERY = 1 << 10  # lines


def read_lines(path: Path, progress: Callable[[float], None] | None = None) -> Iterator[str]:
    """The lines of a UTF-8 file, `.gz`, `.bz2` or plain, each with its line break.

    `progress` is told now and then which share of the file is read. Raises FileNotFoundError, and ValueError with
    line and byte where the file is no text; each line is decoded on its own so that an error has a place.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r} in {Path.cwd()}")
    size = max(1, path.stat().st_size)
    start = 0
    with path.open("rb") as stored, _unpacked(stored, path.suffix) as file:
        try:
            number = 0
            while raw := file.readline(_LONGEST_LINE + 1):
                number += 1
                yield _decoded(raw, f"{path}, line {number}", start)
                start += len(raw)
                if progress and number % _REPORT_EVERY == 0:
                    progress(stored.tell() / size)
        except (EOFError, OSError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:  # of the system; the packers' have no number
                raise
            raise ValueError(f"{path} is no whole {PACKED.get(path.suffix)} file: {error}") from error


def _unpacked(stored: BinaryIO, suffix: str) -> BinaryIO | gzip.GzipFile | bz2.BZ2File:
    if suffix not in PACKED:
        return stored
    return gzip.open(stored) if suffix == ".gz" else bz2.open(stored)


def _decoded(raw: bytes, where: str, start: int) -> str:
    """One line of bytes -> text; `start` is its first byte's place in the (unpacked) file."""
    if (zero := raw.find(b"\0")) >= 0:
        raise ValueError(
            f"{where}, byte {start + zero}: a zero byte, so this is not a UTF-8 text (perhaps UTF-16, or no text)"
        )
    if len(raw) > _LONGEST_LINE:
        raise ValueError(f"{where} has more than {_LONGEST_LINE} bytes; one sentence per line is expected")
    try:
        return raw.decode("utf-8-sig" if start == 0 else "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where}, byte {start + error.start}: 0x{raw[error.start]:02x} is not UTF-8; convert the file, for "
            "example with `iconv -f latin1 -t utf-8`"
        ) from error


Format = Literal["auto", "text", "ids", "jsonl"]
"""auto: JSON lines for `.jsonl`, `.ndjson` and `.json`, text for any other name."""

Arrays = dict[str, NDArray[Any]]
Progress = Callable[[float], None]
"""Told now and then which share of a file is read."""

_BYTES_PER_TOKEN = 130
"""Memory of scoring: measured were 90 to 120 bytes a word for BLEU and Self-BLEU of 1 and of 5 million captions."""
_ENOUGH_TO_PROJECT = 1 << 20  # words read before the whole file's number is projected from them


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Sentences in the numbering of a task, with the words that the task does not have."""

    tokens: Tokens
    vocabulary: Vocabulary
    """The task's own; its `unseen` words followed by those met only here."""
    n_known: int
    """Words from this number on were met only here."""

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def sentences(self) -> list[str]:
        """Words joined by blanks."""
        return self.vocabulary.sentences(self.tokens)

    @cached_property
    def sha256(self) -> str:
        """Of the text that `write_samples` writes."""
        total = hashlib.sha256()
        for sentence in self.sentences:
            total.update(f"{sentence}\n".encode())
        return total.hexdigest()

    @property
    def n_empty(self) -> int:
        """Sentences without a word: scored like any other."""
        return int((self.tokens.lengths == 0).sum())

    @property
    def unknown_share(self) -> float:
        """Share of the words that occur nowhere in the task's text."""
        return float((self.tokens.flat >= self.n_known).mean())


def read_samples(
    path: Path,
    task: Task,
    vocabulary: Vocabulary,
    *,
    eos_id: int | None = None,
    format: Format = "auto",  # noqa: A002 - the option's name
    field: str | None = None,
    progress: Progress | None = None,
) -> Samples:
    """Every line as a sentence, tokenised as the task tokenises; an empty line is an empty sentence and stays.

    Words that the vocabulary lacks get numbers of their own. A row of ids ends before its first `eos_id`. `field`
    names the field of JSON lines. Raises FileNotFoundError, and ValueError that names the file, the line, what is wrong
    and what would be right.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r} in {Path.cwd()}")
    kind = format if format != "auto" else "text" if is_text(path) else "jsonl"
    parser = _parser(kind, task, _Rows(vocabulary.words, eos_id), field)
    budget = _Budget(path, progress)

    def encode() -> Arrays:
        return _encode(path, parser, budget)

    slow = kind != "ids" and type(task).tokenize is not Task.tokenize
    arrays = data.derived(f"samples-{_key(path, task, kind, field)}", encode) if slow else encode()
    flat, offsets = arrays["flat"], arrays["offsets"]
    words = arrays["words"].tobytes().decode().split("\n")
    budget.check(len(flat), len(words), 1.0)
    if not len(flat):
        lines = f"its {len(offsets) - 1} lines hold no word" if len(offsets) > 1 else "expected one sentence a line"
        raise ValueError(f"{path} is empty: {lines}")
    numbering = dict(vocabulary.numbering)
    n_known = len(numbering)
    number = np.array([numbering.setdefault(word, len(numbering)) for word in words], np.int64)
    grown = Vocabulary(vocabulary.words, (*vocabulary.unseen, *list(numbering)[n_known:]))
    return Samples(tokens=Tokens(number[flat], offsets), vocabulary=grown, n_known=n_known)


def is_text(path: Path) -> bool:
    """Whether the file's name is not one of JSON lines."""
    suffix = Path(path.stem).suffix if path.suffix in PACKED else path.suffix
    return suffix not in (".jsonl", ".ndjson", ".json")


def _key(path: Path, task: Task, kind: str, field: str | None) -> str:
    """Everything that the words of a file depend on."""
    tokenizer = [type(task).__qualname__, source_hash(type(task)), plain(task), version("nltk")]
    parts = [data.checksum(path, "sha256"), path.suffix in PACKED, kind, field, tokenizer]
    return digest(json.dumps(parts, sort_keys=True).encode(), b"1")[:32]


@dataclass(frozen=True)
class _Budget:
    """Refuses a file whose words would not fit in memory when they are scored."""

    path: Path
    progress: Progress | None

    @cached_property
    def tokens(self) -> int:
        import psutil  # type: ignore[import-untyped]

        return int(psutil.virtual_memory().available // _BYTES_PER_TOKEN)

    def check(self, n_tokens: int, n_words: int, share: float) -> None:
        """After `share` of the file: so many words, so many different ones (a word's name costs about as much)."""
        if self.progress:
            self.progress(share)
        expected = int(n_tokens / share) if n_tokens >= _ENOUGH_TO_PROJECT and share > 0 else n_tokens
        if expected + n_words > self.tokens:
            gigabytes = _BYTES_PER_TOKEN * (expected + n_words) / 1e9
            free = _BYTES_PER_TOKEN * self.tokens / 1e9
            raise ValueError(
                f"{self.path} holds about {expected:,} words, which take about {gigabytes:.1f} GB to score, and "
                f"{free:.1f} GB are free: score a part of it (`head -n 100000`) or use a larger machine"
            )


def _encode(path: Path, parser: Callable[[str], Sequence[str]], budget: _Budget) -> Arrays:
    """The file in a numbering of its own: `flat`, `offsets`, and its words, parted by line breaks."""
    numbering: dict[str, int] = {}
    flat, ends = array("i"), array("q", [0])
    lines = read_lines(path, lambda share: budget.check(len(flat), len(numbering), share))
    for line in lines:
        try:
            words = parser(line.rstrip("\r\n"))
        except ValueError as error:
            raise ValueError(f"{path}, line {len(ends)}: {error}") from None
        flat.extend([numbering.setdefault(word, len(numbering)) for word in words])
        ends.append(len(flat))
    return {
        "flat": np.array(flat, np.int32),
        "offsets": np.array(ends, np.int64),
        "words": np.frombuffer("\n".join(numbering).encode(), np.uint8),  # no word holds white space
    }


@dataclass(frozen=True)
class _Rows:
    """Reads rows of a task's ids."""

    words: Sequence[str]
    eos_id: int | None

    def __call__(self, ids: Sequence[int]) -> Sequence[str]:
        if not self.words:
            raise ValueError("ids are rows of a task's vocabulary, and there is no task; write the numbers as text")
        if wrong := [i for i in ids if not 0 <= i < len(self.words)]:
            raise ValueError(f"the id {wrong[0]} is not one of the task's, 0 to {len(self.words) - 1}")
        return [self.words[i] for i in (ids[: ids.index(self.eos_id)] if self.eos_id in ids else ids)]


def _parser(kind: Format, task: Task, rows: _Rows, field: str | None) -> Callable[[str], Sequence[str]]:
    """A function from a line to its words; it raises ValueError for a line that is not what it should be."""
    if field is not None and kind != "jsonl":
        raise ValueError(f"--field {field} is for JSON lines (`.jsonl`, or --format jsonl)")
    if kind == "text":
        return task.tokenize
    if kind == "ids":
        return lambda line: rows([_integer(word) for word in line.split()])
    return lambda line: _from_json(line, field, task.tokenize, rows)


def _integer(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise ValueError(f"{word[:40]!r} is not an id; ids are whole numbers between blanks") from None


def _from_json(line: str, field: str | None, tokenize: Callable[[str], Sequence[str]], rows: _Rows) -> Sequence[str]:
    """`"a text"`, `{"text": "a text"}`, `{"tokens": ["a", "text"]}` or `{"tokens": [17, 4]}` -> words."""
    if not line.strip():
        raise ValueError('a blank line is no JSON; an empty sentence is "" or {"text": ""}')
    if line.lstrip().startswith("["):
        raise ValueError("a JSON array; JSON lines are expected, one string or object a line (jq -c '.[]' makes them)")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error}); expected one JSON value a line") from None
    if isinstance(value, dict):
        value = _field(value, field)
    elif not isinstance(value, str) or field is not None:
        raise ValueError(f"expected {'an object' if field else 'a string or an object'} a line, got {_short(value)}")
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        value = " ".join(value)  # cut again by the task's tokenizer, as the file that a record keeps will be
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("a zero character or half of a surrogate pair (\\u0000, \\ud800 to \\udfff) is no text")
        return tokenize(value)
    if isinstance(value, list) and all(type(i) is int for i in value):
        return rows(value)
    raise ValueError(f"expected a text, a list of words or a list of ids, got {_short(value)}")


def _field(value: dict[str, Any], name: str | None) -> Any:
    for candidate in [name] if name is not None else ["text", "tokens"]:
        if candidate in value:
            return value[candidate]
    if name is not None:
        raise ValueError(f"no field {name!r}; {suggest(name, value)}")
    raise ValueError(f"no field 'text' or 'tokens'; name one by --field. Fields: {', '.join(value) or 'none'}")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return f"{type(value).__name__} {text[:60]}{'…' * (len(text) > 60)}"
