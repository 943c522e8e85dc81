"""Text of anybody on its way out: as a terminal, a shell, JSON and CSV may have it. What is escaped can be read back.

Names of files and rows, settings, and what a server answers could otherwise move a cursor, turn a line around, become
an option of a command or a formula of a spreadsheet.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import shlex
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

__all__ = ["csv_cell", "csv_text", "csv_value", "json_text", "shell_words", "shown", "shown_name"]

_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of what steers a terminal: controls, formats (bidirectional ones too), surrogates, breaks."""
_JOINERS = "\u200c\u200d"
"""Formats that Persian, Hindi and emoji are written with; they steer nothing."""
_FORMULA = ("=", "+", "-", "@", "'")
"""A spreadsheet takes a cell that begins so for a formula; the last is what keeps it from that."""


def _steers(character: str) -> bool:
    return character >= "\x7f" and unicodedata.category(character) in _CATEGORIES and character not in _JOINERS


def _steering(text: str) -> bool:
    return any(character < " " or _steers(character) for character in text)


def shown(text: str) -> str:
    """A message as a terminal may have it: control and bidirectional characters as escapes, `\\x1b`, `\\u202e`."""
    if text.isprintable():
        return text
    return "".join(repr(c)[1:-1] if (c < " " and c not in "\n\t") or _steers(c) else c for c in text)


def shown_name(text: str) -> str:
    """A name within a message or a table: on one line, so that what follows a line break is not taken for ours."""
    return shown(text).replace("\n", "\\n").replace("\t", "\\t")


def json_text(document: str) -> str:
    """A JSON document that steers no terminal: such characters stand in texts only, and become JSON's own escapes."""
    if document.isascii() and "\x7f" not in document:
        return document
    return "".join(json.dumps(c)[1:-1] if _steers(c) else c for c in document)


def shell_words(words: Iterable[str | Path]) -> str:
    """Words of a command, quoted for a POSIX shell. A path is never an option: `-x` is `./-x`.

    Words with characters that steer a terminal are quoted as bash and zsh have it, `$'a\\x1bb'`.
    """
    return " ".join(
        _quoted(f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)) for word in words
    )


def _quoted(word: str) -> str:
    if not _steering(word):
        return shlex.quote(word)
    return "$'" + "".join(_in_dollar_quotes(c) for c in word) + "'"


def _in_dollar_quotes(c: str) -> str:
    if c in "\\'":
        return f"\\{c}"
    if "\udc80" <= c <= "\udcff":  # a byte of a file name that is not UTF-8
        return f"\\x{ord(c) - 0xDC00:02x}"
    return f"\\U{ord(c):08x}" if c < " " or _steers(c) else c


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """A CSV of rows that may lack columns. Numbers stand as they are, text as `csv_cell` says."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    as_cell = functools.cache(csv_cell)  # of tables most texts stand in hundreds of lines
    for row in rows:
        cells = (row.get(column) for column in columns)
        writer.writerow([as_cell(str(cell)) if isinstance(cell, str | Path) else cell for cell in cells])
    return file.getvalue()


def csv_cell(text: str) -> str:
    """A text as a cell: as it is, but for two kinds that no spreadsheet and no terminal may have so.

    What begins with = + - @ or ' gets a ' in front. What holds control or bidirectional characters or a line break, or
    begins with a quotation mark, is a JSON string: it begins with a quotation mark. `csv_value` reads both back.
    """
    if text.startswith('"') or _steering(text):
        return json_text(json.dumps(text, ensure_ascii=False))
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_value(cell: str) -> str:
    """The text of a cell that `csv_cell` made."""
    if cell.startswith('"'):
        return str(json.loads(cell))
    return cell.removeprefix("'")
