"""Numbers from papers and their authors' pages: `leaderboards/published/*.csv`, the one place where they are written.

The files have one number a row, and a column for each field of `Published`. `id` names what one source prints for one
model in one setting (`yu2017seqgan/oracle20/seqgan`: source, data, model, and what else tells it from others); `id` and
`key` together name a number. A preset names the `id` and says what it makes of the numbers.

Not here at all: numbers that were not seen in a source that anybody can open (quoted from memory, or from a survey that
nobody names), and our own.
"""

from __future__ import annotations

import csv
import dataclasses
import difflib
import functools
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from bench.places import PUBLISHED
from bench.registry import suggest

__all__ = ["Published", "find_published", "read_published"]

Kind = Literal["final", "curve", "other"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """One published number."""

    id: str
    """Shared by the scores of one model in one setting of one source."""
    model: str
    variant: str
    """What tells two rows of one model in one source apart, or empty."""
    task: str
    """Ours that has the data; empty: none has."""
    task_config: Mapping[str, str]
    """Settings of the task that make its data those of the number."""
    key: str
    """Our name of the score; one that we do not compute has a name of its own (`human_score`)."""
    value: str
    """As printed in the source."""
    std: str
    """Standard deviation over seeds as printed, or empty. Not an interval."""
    n_seeds: int | None
    """None: not said."""
    kind: Kind
    """A table's value; a point of a training curve or the best of one; read from a plot, quoted or approximate."""
    needs: str
    """Fields of our signature with which the number compares, parted by `|`."""
    differs: str
    """What else is known to be unlike our protocol, or empty."""
    source: str
    """Where the number is printed."""
    reported_by: str
    published_task: str
    published_metric: str
    protocol: str
    """How the source measures."""
    comparable: bool = False
    """With the board that was asked for; from `read_published`, with any board that has `needs`."""
    reason: str = ""
    """Why not."""

    @property
    def needed(self) -> list[tuple[str, str]]:
        """`needs` as pairs of setting and value."""
        pairs = (part.partition(":") for part in self.needs.split("|") if part)
        return [(key, value) for key, _, value in pairs]


def read_published() -> tuple[Published, ...]:
    """Every published number. Raises ValueError that names file, row and column of what is wrong."""
    return _read(PUBLISHED)


def find_published(name: str) -> tuple[Published, ...]:
    """The numbers of one `id`. Raises KeyError with the nearest."""
    everything = read_published()
    if found := tuple(number for number in everything if number.id == name):
        return found
    nearest = difflib.get_close_matches(name, {number.id for number in everything}, n=1, cutoff=0)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    raise KeyError(f"nothing published has the id {name!r}; {hint}All are in {PUBLISHED.parent.name}/{PUBLISHED.name}")


@functools.cache
def _read(folder: Path) -> tuple[Published, ...]:
    places: dict[tuple[str, str], str] = {}
    numbers = []
    for path in sorted(folder.glob("*.csv")):
        for row, cells in _rows(path):
            number = _number(cells, f"{path.name}, row {row}")
            where = f"{path.name}, row {row}, column id"
            if (first := places.setdefault((number.id, number.key), where)) is not where:
                raise ValueError(f"{where}: {number.id} has a {number.key} in {first} already")
            numbers.append(number)
    return tuple(numbers)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Row number, counted from 1 with the header, and text of each cell by column."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        row = error.object[: error.start].count(b"\n") + 1
        raise ValueError(f"{path.name}, row {row}: is not UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    row = 0
    try:
        header = next(reader, [])
        row = 1
        _check_header(header, f"{path.name}, row 1")
        for row, cells in enumerate(reader, 2):
            where = f"{path.name}, row {row}, column"
            if cells and len(cells) < len(header):
                raise ValueError(f"{where} {header[len(cells)]}: is missing")
            if len(cells) > len(header):
                raise ValueError(f"{where} {header[-1]}: is not the last of the row; quote a cell that has a comma")
            if cells:
                yield row, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise ValueError(f"{path.name}, row {row + 1}: {error}") from error


def _check_header(header: list[str], where: str) -> None:
    columns = list(_COLUMNS)
    for name in header:
        if name not in columns:
            raise ValueError(f"{where}, column {name}: is not one of ours; {suggest(name, columns)}")
        if header.count(name) > 1:
            raise ValueError(f"{where}, column {name}: is there twice")
    if missing := [name for name in columns if name not in header]:
        raise ValueError(f"{where}, column {missing[0]}: is missing")


def _number(cells: Mapping[str, str], where: str) -> Published:
    values: dict[str, Any] = {}
    for column, convert in _COLUMNS.items():
        try:
            values[column] = convert(cells[column])
        except ValueError as error:
            raise ValueError(f"{where}, column {column}: {error}") from None
    number = Published(**values)
    reason = _apart(number)
    return dataclasses.replace(number, comparable=not reason, reason=reason)


def _apart(number: Published) -> str:
    """Why a number compares with no board at all, or empty."""
    if not number.task:
        return "no task here has these data"
    if number.kind == "curve":
        return "a point of a training curve, or the best of one"
    if number.kind == "other":
        return "read off a plot, quoted or approximate"
    return number.differs


def _shaped(pattern: str, wish: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(f"takes {wish}, got {text!r}")
        return text

    return convert


def _n_seeds(text: str) -> int | None:
    return int(_shaped(r"|[1-9]\d{0,4}", "a number of seeds, or nothing")(text) or 0) or None


def _settings(text: str) -> dict[str, str]:
    _shaped(r"|\w+=[^;=]+(;\w+=[^;=]+)*", "settings such as parameters=seqgan;length=20, or nothing")(text)
    return dict(pair.split("=") for pair in text.split(";") if pair)


_FILLED = _shaped(r"(?s).*\S.*", "some text")
_COLUMNS: dict[str, Callable[[str], Any]] = {
    **{field.name: str for field in dataclasses.fields(Published) if field.default is dataclasses.MISSING},
    "id": _shaped(r"[\w.-]+(/[\w.-]+)+", "names parted by /, such as yu2017seqgan/oracle20/seqgan"),
    "model": _FILLED,
    "task_config": _settings,
    "key": _shaped(r"\w+", "the name of a score"),
    "value": _shaped(r"-?\d+(\.\d+)?", "a number as it is printed"),
    "std": _shaped(r"|\d+(\.\d+)?", "a standard deviation as it is printed, or nothing"),
    "n_seeds": _n_seeds,
    "kind": _shaped("|".join(get_args(Kind)), f"one of {', '.join(get_args(Kind))}"),
    "needs": _shaped(r"|\w+:\w+(\|\w+:\w+)*", "fields of a signature such as smoothing:method1|refs:10000, or nothing"),
    "source": _FILLED,
    "reported_by": _FILLED,
}
"""The columns of a file, and what each makes of a cell; raises ValueError."""
