"""A file of samples (or of references) as `Tokens`: a sentence a line, in whatever form `content` finds there.

What `write_samples` wrote is read back word for word: a file whose hash stands in the record beside it holds words
between blanks, and no tokenizer is asked again.

Lines are read one by one and kept as numbers. The memory that scoring will take is known from the number of words, so
a file that is too large is refused early, by what its first lines promise, and not killed late. Tokenising costs more
than scoring, so it is done once for a file: the result is kept under the file's checksum and the tokenizer's source.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import data
from bench.config import build, plain, source_hash
from bench.environment import package_version
from bench.places import check_file
from bench.record import RunRecord, read_record
from bench.registry import find, names, suggest
from bench.run_folder import RECORD
from bench.task import Task, Vocabulary, digest
from bench.text.content import Content, Format, content_of
from bench.text.line_files import PACKED, content_sha256, read_lines
from metrics.common.tokens import Tokens

__all__ = ["Samples", "read_samples", "sentences_of"]

Arrays = dict[str, NDArray[Any]]
Progress = Callable[[float], None]
"""Told now and then which share of a file is read."""

_BYTES_PER_TOKEN = 130
"""Memory of scoring: measured were 90 to 120 bytes a word for BLEU and Self-BLEU of 1 and of 5 million captions."""
_ENOUGH_TO_PROJECT = 1 << 20  # words and sentences read before the whole file's number is projected from them


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Sentences in the numbering of a task, with the words that the task does not have."""

    tokens: Tokens
    vocabulary: Vocabulary
    """The task's own; its `unseen` words followed by those met only here."""
    n_known: int
    """Words from this number on were met only here."""
    read_as: str = "text"
    """How the file was read, in words."""
    note: str | None = None
    """The same, where the reader should be told of it."""

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
    column: str | None = None,
    progress: Progress | None = None,
) -> Samples:
    """Every line as a sentence, tokenised as the task tokenises; an empty line is an empty sentence and stays.

    Words that the vocabulary lacks get numbers of their own. A row of ids ends before its first `eos_id`. `field`
    names the field of JSON lines, `column` the column of a table, by name or number. Lists of words and the samples of
    a record are sentences of exactly these words. Raises FileNotFoundError, and ValueError that names the file, the
    line, what is wrong and what would be right.
    """
    check_file(path)
    recorded = format == "auto" and _is_recorded(path, task)
    if recorded:
        content = Content(format="tokens", read_as=f"words, as {RECORD} beside it says", recorded=True)
    else:
        labelled = format == "auto" and column is None and _begins_with_a_class(path, task)
        content = content_of(path, "text" if labelled else format, field=field, column=column)
    budget = _Budget(path, progress)

    def encode() -> Arrays:
        rows = _Rows(vocabulary.words, eos_id)
        return _encode(lambda tell: sentences_of(path, content, task.tokenize, field, rows, tell), budget)

    slow = content.format not in ("ids", "tokens") and type(task).tokenize is not Task.tokenize
    arrays = data.derived(f"samples-{_key(path, task, content, field)}", encode) if slow else encode()
    flat, offsets = arrays["flat"], arrays["offsets"]
    words = arrays["words"].tobytes().decode().split("\n")
    budget.check(len(flat), len(words), len(offsets) - 1, 1.0)
    if not len(flat):
        lines = f"its {len(offsets) - 1} lines hold no word" if len(offsets) > 1 else "expected one sentence a line"
        raise ValueError(f"{path} is empty: {lines}")
    numbering = dict(vocabulary.numbering)
    n_known = len(numbering)
    number = np.array([numbering.setdefault(word, len(numbering)) for word in words], np.int64)
    grown = Vocabulary(vocabulary.words, (*vocabulary.unseen, *list(numbering)[n_known:]))
    tokens = Tokens(number[flat], offsets)
    return Samples(tokens=tokens, vocabulary=grown, n_known=n_known, read_as=content.read_as, note=content.note)


def _begins_with_a_class(path: Path, task: Task) -> bool:
    """Whether the first line is a class of the task, a tabulator and a sentence, as the task writes sentences."""
    first = next((line for line in read_lines(path) if line.strip()), "")
    name, tab, _ = first.partition("\t")
    return bool(tab) and name in getattr(task, "classes", ())


def _is_recorded(path: Path, task: Task) -> bool:
    """Whether a record beside the file names it by its hash, and its words are what this task means by words."""
    if not path.with_name(RECORD).is_file():
        return False
    try:
        record = read_record(path.with_name(RECORD))
        if not any(e.samples_sha256 for e in record.evaluations) or not _same_words(record, task):
            return False
        return content_sha256(path) in {e.samples_sha256 for e in record.evaluations}
    except (ValueError, OSError):  # somebody's file of that name
        return False


def _same_words(record: RunRecord, task: Task) -> bool:
    """Whether the task of a record cuts text as this one does. A record may be anybody's, so no file is run."""
    if record.task in names("tasks"):
        try:
            return bool(build(find("tasks", record.task), record.task_config, record.task).word_rule == task.word_rule)
        except (KeyError, ValueError):
            return False
    rule = record.task_config.get("tokenizer")  # of `References`, whose name is that of a file
    return rule == task.word_rule or (dict(record.task_config) == plain(task) and _stem(record.task) == task.name)


def _stem(task: str) -> str:
    return Path(task.partition(":")[0]).stem


def _key(path: Path, task: Task, content: Content, field: str | None) -> str:
    """Everything that the words of a file depend on."""
    tokenizer = [type(task).__qualname__, source_hash(type(task)), plain(task), package_version("nltk")]
    how = dataclasses.asdict(dataclasses.replace(content, note=None))
    parts = [data.checksum(path, "sha256"), path.suffix in PACKED, how, field, tokenizer]
    return digest(json.dumps(parts, sort_keys=True).encode(), b"2")[:32]


@dataclass(frozen=True)
class _Budget:
    """Refuses a file whose words would not fit in memory when they are scored."""

    path: Path
    progress: Progress | None

    @cached_property
    def tokens(self) -> int:
        import psutil  # type: ignore[import-untyped]

        return int(psutil.virtual_memory().available // _BYTES_PER_TOKEN)

    def check(self, n_tokens: int, n_words: int, n_sentences: int, share: float) -> None:
        """After `share` of the file: so many words, different words (a name costs about as much) and sentences.

        Words pay for the sentences they are in; sentences without words cost about as much as a word.
        """
        if self.progress:
            self.progress(share)
        n = max(n_tokens, n_sentences)
        expected = n / share if n >= _ENOUGH_TO_PROJECT and share > 0 else n
        if expected + n_words > self.tokens:
            gigabytes = _BYTES_PER_TOKEN * (expected + n_words) / 1e9
            free = _BYTES_PER_TOKEN * self.tokens / 1e9
            what = f"{round(n_tokens * expected / n):,} words"
            if n_sentences > n_tokens:
                what += f" in {round(n_sentences * expected / n):,} sentences"
            raise ValueError(
                f"{self.path} holds about {what}, which take about {gigabytes:.1f} GB to score, and "
                f"{free:.1f} GB are free: score a part of it (`head -n 100000`) or use a larger machine"
            )


def sentences_of(
    path: Path,
    content: Content,
    tokenize: Callable[[str], Sequence[str]],
    field: str | None = None,
    rows: _Rows | None = None,
    progress: Progress | None = None,
) -> Iterator[Sequence[str]]:
    """The words of each sentence of a file. Raises ValueError that names file and line."""
    parser = _parser(content, tokenize, rows or _Rows((), None), field)
    lines = read_lines(path, progress, cr_is_blank=content.cr_is_blank, exact=content.recorded)
    header = content.table is not None and content.table.header
    for number, line in enumerate(lines, 1):
        if header and line.strip():
            header = False
            continue
        try:
            yield parser(line.rstrip("\r\n"))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None


def _encode(read: Callable[[Progress], Iterator[Sequence[str]]], budget: _Budget) -> Arrays:
    """The file in a numbering of its own: `flat`, `offsets`, and its words, parted by line breaks."""
    numbering: dict[str, int] = {}
    flat, ends = array("i"), array("q", [0])
    for words in read(lambda share: budget.check(len(flat), len(numbering), len(ends) - 1, share)):
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


def _parser(
    content: Content, tokenize: Callable[[str], Sequence[str]], rows: _Rows, field: str | None
) -> Callable[[str], Sequence[str]]:
    """A function from a line to its words; it raises ValueError for a line that is not what it should be."""
    match content.format:
        case "text":
            return tokenize
        case "tokens":
            return str.split
        case "ids":
            return lambda line: rows([_integer(word) for word in line.split()])
        case "table":
            assert content.table is not None
            cell = content.table.cell
            return lambda line: tokenize(_text(cell(line)))
        case "jsonl":
            return lambda line: _from_json(line, field, tokenize, rows)


def _integer(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise ValueError(f"{word[:40]!r} is not an id; ids are whole numbers between blanks") from None


def _from_json(line: str, field: str | None, tokenize: Callable[[str], Sequence[str]], rows: _Rows) -> Sequence[str]:
    """`"a text"`, `["a", "text"]`, `[17, 4]`, or an object with one of them as "text" or "tokens" -> words."""
    if not line.strip():
        raise ValueError('a blank line is no JSON; an empty sentence is "", [] or {"text": ""}')
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error}); expected one JSON value a line") from None
    if isinstance(value, dict):
        value = _field(value, field)
    elif not isinstance(value, str | list) or field is not None:
        expected = "an object" if field else "a string, a list of words or an object"
        raise ValueError(f"expected {expected} a line, got {_short(value)}")
    if isinstance(value, str):
        return tokenize(_text(value))
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return [_word(word) for word in value]
    if isinstance(value, list) and all(type(i) is int for i in value):
        return rows(value)
    raise ValueError(f"expected a text, a list of words or a list of ids, got {_short(value)}")


def _text(value: str) -> str:
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("a zero character or half of a surrogate pair (\\u0000, \\ud800 to \\udfff) is no text")
    return value


def _word(value: str) -> str:
    """A word of a list, which stands for itself. One with a blank inside is a sentence, and would be cut in a file."""
    if len(parts := value.split()) != 1 or parts[0] != value:
        hint = "sentences stand one a line, as JSON strings" if len(parts) > 1 else "leave it out"
        raise ValueError(f"a list holds words, and {value[:40]!r} is none: {hint}")
    return _text(value)


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
