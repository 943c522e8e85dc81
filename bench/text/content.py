"""What a file holds, told by its content: sentences, JSON lines, rows of ids, or a table of which one column is read.

The first thousand lines decide, and every later line is held to it. What two readings fit is refused with the options
that tell them apart; a reading that the file's name does not promise is said (`Content.note`).
"""

from __future__ import annotations

import ast
import csv
import json
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from bench.registry import suggest
from bench.text.escapes import shell_words
from bench.text.line_files import read_lines, suffix_of

__all__ = ["Content", "Format", "Table", "content_of"]

Format = Literal["auto", "text", "jsonl", "ids", "tokens", "table"]
"""auto: what the content shows. text: lines as they stand. jsonl: a JSON value a line. ids: rows of a task's ids.
tokens: words between blanks, no tokenizer on top. table: columns parted by tabs, commas or semicolons."""

_HEAD = 1000  # lines that decide
_MOST_SHOWN = 40  # characters of a cell in a message
_JSON_NAMES = (".jsonl", ".ndjson", ".json")
_HEADINGS = frozenset([
    "caption", "captions", "category", "class", "comment", "gender", "generated", "generation", "hypothesis", "id",
    "idx", "index", "input", "label", "labels", "output", "pred", "prediction", "predictions", "prompt", "question",
    "quality", "ref", "reference", "references", "response", "review", "sample", "samples", "score", "sent",
    "sentence", "sentences", "sentiment", "source", "src", "target", "text", "texts", "tgt", "title", "translation",
])  # fmt: skip
"""Names that stand for columns and hardly for whole rows of sentences."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """How the one column that is read is found in a line."""

    delimiter: str
    column: int
    """From 0."""
    n_columns: int
    header: bool
    """The first line holds names."""

    def cell(self, line: str) -> str:
        """The cell of a line. Raises ValueError for a line of another number of columns."""
        cells = _cells(line, self.delimiter)
        if len(cells) != self.n_columns:
            raise ValueError(
                f"a row of {_columns(len(cells))} in a table of {self.n_columns}; the format `text` takes whole lines"
            )
        return cells[self.column]


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a file holds."""

    format: Literal["text", "jsonl", "ids", "tokens", "table"]
    read_as: str
    """In words: "JSON strings", "column 2 of 2"."""
    table: Table | None = None
    cr_is_blank: bool = False
    """A CR in the middle of a line was asked to stay."""
    recorded: bool = False
    """`write_samples` wrote it: every character counts, and LF alone ends a line."""
    note: str | None = None
    """What the reader should be told: the file's name promised something else, and no option asked for it."""


def content_of(
    path: Path, asked: Format = "auto", *, field: str | None = None, column: str | None = None, options: bool = True
) -> Content:
    """Decide how a file is read. `field` and `column` are the user's; a message writes them as options of a command
    (`--column 1`) or, where these are settings of a task, as `column=1`.

    Raises FileNotFoundError, and ValueError for what is no text, for what two readings fit, and for an option that
    does not belong to what the file holds.
    """
    head = list(islice(read_lines(path, cr_is_blank=asked == "text"), _HEAD))
    filled = [line.rstrip("\r\n") for line in head if line.strip()]
    file = _File(path, filled, column, options)
    found = file.decided(asked)
    if field is not None and found.format != "jsonl":
        raise ValueError(f"{file.set('field', field)} is for JSON lines, and {path} is read as {found.read_as}")
    if column is not None and found.table is None:
        raise ValueError(
            f"{file.set('column', column)} is for tables, and {path} is read as {found.read_as}; columns stand between "
            f"tabs, or between commas with {file.set('format', 'table')}"
        )
    if any(line.endswith("\r") for line in head):
        read_as = f"{found.read_as}, its lines ended by CR"
        return replace(found, read_as=read_as, note=f"read as {read_as}")
    return found


@dataclass(frozen=True)
class _File:
    """The first lines of a file, and the ways in which they can be read, tried one after the other."""

    path: Path
    lines: Sequence[str]
    """Those that hold anything."""
    column: str | None
    options: bool

    def set(self, name: str, value: object) -> str:
        """An option or a setting, as the user writes it."""
        return f"--{name} {value}" if self.options else f"{name}={value}"

    @property
    def as_text(self) -> str:
        return f"{self.set('format', 'text')} takes the lines as they stand"

    def decided(self, asked: Format) -> Content:
        """The reading that was asked for, or the first that fits."""
        if asked in ("text", "ids", "tokens"):
            read_as = {"text": "text", "ids": "rows of ids", "tokens": "words"}[asked]
            return Content(format=asked, read_as=read_as, cr_is_blank=asked == "text")
        if asked == "jsonl" or (asked == "auto" and suffix_of(self.path) in _JSON_NAMES):
            self._refuse_documents()
            return Content(format="jsonl", read_as=_json_kinds(self.lines) or "JSON lines")
        if asked == "table":
            if (delimiter := _delimiter(self.lines, "\t,;")) is None:
                raise ValueError(f"{self.path} is no table: its lines have different numbers of columns")
            return self._table(delimiter)
        return self._json_lines() or self._table_by_content() or Content(format="text", read_as="text")

    def _noted(self, content: Content) -> Content:
        return replace(content, note=f"read as {content.read_as}; {self.as_text}")

    def _json_lines(self) -> Content | None:
        """JSON lines under any name: every line is a JSON string, list or object."""
        self._refuse_documents()
        if self.lines and all(map(_is_python, self.lines)):
            raise ValueError(
                f"{self.path}: its lines are Python's own writing, such as {_short(self.lines[0])}, and no JSON: write "
                f"them by json.dumps, or {self.as_text}"
            )
        are_json = [_json(line) is not None for line in self.lines]
        if not any(are_json):
            return None
        if all(are_json):
            return self._noted(Content(format="jsonl", read_as=_json_kinds(self.lines)))
        if 2 * sum(are_json) >= len(self.lines) and not (self._all_quoted and _delimiter(self.lines, ",") is not None):
            raise ValueError(
                f"{self.path}: {sum(are_json)} of the first {len(self.lines)} lines are {_json_kinds(self.lines)} and "
                f"others are not, such as {_short(self.lines[are_json.index(False)])}: {self.as_text}, "
                f"{self.set('format', 'jsonl')} names each line that is no JSON"
            )
        return None

    def _refuse_documents(self) -> None:
        """One JSON document over the whole file is no JSON lines."""
        if not self.lines or not (first := self.lines[0].strip()).startswith(("[", "{")):
            return
        value = _json(first)
        begun = first in ("[", "{", "[[", "[{") or (first[1:].lstrip()[:1] in ('"', "[", "{") and first[-1] in ",[{")
        whole = isinstance(value, list) and len(self.lines) == 1 and any(map(_is_sentence, value))
        if whole or (value is None and begun):
            what = "a JSON array" if first[0] == "[" else "a JSON document of several lines"
            cure = f" (jq -c '.[]' {shell_words([self.path])} makes them)" if first[0] == "[" else ""
            raise ValueError(
                f"{self.path}, line 1: {what}; JSON lines are expected, one string, list of words or object a "
                f"line{cure}"
            )

    @property
    def _all_quoted(self) -> bool:
        return bool(self.lines) and all(len(line) > 1 and line[0] == line[-1] == '"' for line in self.lines)

    def _table_by_content(self) -> Content | None:
        """Columns: tabs in any file, commas and semicolons where the name or the quotes of every cell say so."""
        tabs = [line.count("\t") for line in self.lines]
        parted = sum(n > 0 for n in tabs)
        if parted and len(set(tabs)) == 1:
            return self._table("\t")
        if parted and 2 * parted >= len(tabs):
            other = next(line for line, n in zip(self.lines, tabs, strict=True) if n != tabs[0])
            raise ValueError(
                f"{self.path}: a table, or sentences that hold tabs? The first {len(tabs)} lines have {min(tabs) + 1} "
                f"to {_columns(max(tabs) + 1)}, such as {_short(other)}: {self.as_text} and a tab as a blank"
            )
        named = suffix_of(self.path) == ".csv"
        if not self.lines or parted or not (named or self._all_quoted):
            return None
        delimiter = _delimiter(self.lines, ",;" if named else ",")
        if delimiter is None and named:
            raise ValueError(
                f"{self.path}: a table by its name, and its lines have different numbers of columns: {self.as_text}"
            )
        if delimiter is None or (delimiter == _NOT_PARTED and all(_cells(line, "") == [line] for line in self.lines)):
            return None  # one column, as plain as text
        return self._table(delimiter)

    def _table(self, delimiter: str) -> Content:
        """The column that was asked for, or the only one that holds sentences."""
        if not self.lines:
            raise ValueError(f"{self.path} is empty: expected a table")
        rows = [_cells(line, delimiter) for line in self.lines]
        n = len(rows[0])
        header = _has_header(rows) or (self.column in rows[0] and not (self.column or "").isdecimal())
        index = self._asked_for(rows[0], self.column, header=header) if self.column else _only_text(rows[header:])
        if index is None:
            shown = ", ".join(f"({i + 1}) {_short(cell)}" for i, cell in enumerate(rows[0][:8]))
            raise ValueError(
                f"{self.path}: a table of {_columns(n)}, {shown}: say which holds the sentences, "
                f"{self.set('column', 1)}{' or' if n == 2 else ' to'} {self.set('column', n)}"
                f"{', or by name' * header}; {self.as_text}"
            )
        name = f" ({_short(rows[0][index])}, the header, is left out)" if header else ""
        read_as = f"a table, column {index + 1} of {n}{name}" if n > 1 else f"a table of one column{name}"
        table = Table(delimiter=delimiter, column=index, n_columns=n, header=header)
        content = Content(format="table", read_as=read_as, table=table)
        return self._noted(content) if header or self.column is None else content

    def _asked_for(self, first: Sequence[str], column: str, *, header: bool) -> int:
        if header and column in first:
            if first.count(column) > 1:
                raise ValueError(f"{self.path} has {first.count(column)} columns {column!r}: give a number, from 1")
            return first.index(column)
        if not column.isdecimal():
            raise ValueError(f"{self.path} has no column {column!r} in its first line; {suggest(column, first)}")
        if not 1 <= int(column) <= len(first):
            raise ValueError(f"{self.path} has {_columns(len(first))}, 1 to {len(first)}, and no column {column}")
        return int(column) - 1


def _json(line: str) -> str | list[Any] | dict[str, Any] | None:
    """The value of a line, where it is one that samples are written in: a number or a word alone is text."""
    if not line.lstrip().startswith(('"', "[", "{")):
        return None
    try:
        value: str | list[Any] | dict[str, Any] = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value


def _json_kinds(lines: Sequence[str]) -> str:
    """ "JSON strings", "JSON lists of words" or several of such."""
    kinds: Counter[str] = Counter()
    for value in map(_json, lines):
        if isinstance(value, list):
            ids = bool(value) and all(type(item) is int for item in value)
            kinds["JSON lists of ids" if ids else "JSON lists of words"] += 1
        elif value is not None:
            kinds["JSON strings" if isinstance(value, str) else "JSON objects"] += 1
    return " and ".join(kind for kind, _ in kinds.most_common())


def _is_sentence(item: Any) -> bool:
    """Whether an item of a list is a sentence of its own and no word."""
    return isinstance(item, list | dict) or (isinstance(item, str) and len(item.split()) > 1)


def _is_python(line: str) -> bool:
    """Whether a line is a list or a string as Python prints it: `['a', 'dog']`."""
    line = line.strip()
    if _json(line) is not None or not line.startswith(("[", "(", "{", "'")) or line[-1] not in "])}'":
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in somebody's text
            value = ast.literal_eval(line)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return isinstance(value, str) or (isinstance(value, list | tuple | dict) and all(isinstance(v, str) for v in value))


_NOT_PARTED = ""
"""In place of a delimiter: there is one column."""


def _delimiter(lines: Sequence[str], candidates: str) -> str | None:
    """What parts every line into as many columns, a tab before others; None: nothing does, or two do."""
    widths = {}
    for delimiter in candidates:
        try:
            widths[delimiter] = {len(_cells(line, delimiter)) for line in lines}
        except ValueError:
            continue
    fitting = [delimiter for delimiter, found in widths.items() if len(found) == 1 and found != {1}]
    if len(fitting) == 1 or "\t" in fitting:
        return fitting[0]
    return _NOT_PARTED if lines and widths and all(found == {1} for found in widths.values()) else None


def _cells(line: str, delimiter: str) -> list[str]:
    """Cells between tabs stand as they are; between commas they may be quoted. Raises ValueError."""
    if delimiter == "\t":
        return line.split("\t")
    try:
        return next(csv.reader([line], delimiter=delimiter or ",", strict=True), [""])
    except csv.Error as error:
        raise ValueError(f"no row of a CSV table ({error})") from None


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: it holds known names only, or text above a column of numbers."""
    first, others = rows[0], rows[1:]
    if len(set(first)) < len(first) or not others or any(not cell.strip() or _is_number(cell) for cell in first):
        return False
    if all(cell.strip().lower().rstrip("0123456789_-") in _HEADINGS for cell in first):
        return True
    return any(all(_is_number(row[i]) for row in others) for i in range(len(first)))


def _only_text(rows: Sequence[Sequence[str]]) -> int | None:
    """The only column that can hold sentences: not empty, no numbers, no labels beside sentences."""
    columns = list(zip(*rows, strict=True))
    text = [i for i, cells in enumerate(columns) if not all(not cell.strip() or _is_number(cell) for cell in cells)]
    several = [i for i in text if any(len(cell.split()) > 1 for cell in columns[i])]
    candidates = several or text
    return candidates[0] if len(candidates) == 1 else None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _columns(n: int) -> str:
    return f"{n} column{'s' * (n != 1)}"


def _short(text: str) -> str:
    return repr(text[:_MOST_SHOWN] + "…" * (len(text) > _MOST_SHOWN))
