"""Numbers from papers and their authors' pages. They are `reported`: never ranked, never joined with ours.

The files in `published/` have one number a row. `task` and `task_config` say which board of ours the number belongs
to; an empty `task` means that no board has that data, and the number is never shown beside ours. `key` is our name for
the quantity; a quantity that we do not compute has a name of its own (`nll_gen_padded_train`).

A number is comparable with a board's if one model would be expected to get one score by both protocols:

- it is of the board's data: `task` and all of `task_config` are the board's;
- it is a table's final value, not a point of a curve and not read off a plot (`kind`);
- the score is defined as ours: `needs` are the fields that our signature must have (`smoothing:method1|refs:10000`).
  The number of samples is among them where the score depends on it (Self-BLEU) and not where it only sets the noise
  (BLEU, NLL);
- nothing else is known to differ, such as samples drawn with sharpened logits or a state chosen by its test score:
  `differs` says what.

What is not comparable is shown apart, with the reason. Not here at all: numbers that were not seen in a source that
anybody can open (quoted from memory, or from a survey that nobody names), and our own.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bench.places import PUBLISHED
from metrics.common.signature import Setting, setting_text

__all__ = ["Published", "published_for", "read_published"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """One published number."""

    model: str
    variant: str
    """What tells two rows of one model in one source apart, or empty."""
    task: str
    task_config: Mapping[str, str]
    key: str
    value: str
    """As printed in the source."""
    std: str
    """Standard deviation over seeds as printed, or empty. Not an interval."""
    n_seeds: int | None
    kind: Literal["final", "curve", "other"]
    """A table's value; a point of a training curve or the best of one; read from a plot, quoted or approximate."""
    needs: str
    """Fields of our signature with which the number compares, parted by `|`."""
    differs: str
    """What else is known to be unlike our protocol, or empty."""
    source: str
    reported_by: str
    published_task: str
    published_metric: str
    protocol: str
    comparable: bool = False
    """With the board that was asked for; from `read_published`, with any board that has `needs`."""
    reason: str = ""
    """Why not."""

    @property
    def needed(self) -> list[tuple[str, str]]:
        """`needs` as pairs of setting and value."""
        pairs = (part.partition(":") for part in self.needs.split("|") if part)
        return [(key, value) for key, _, value in pairs]


@functools.cache
def read_published() -> tuple[Published, ...]:
    """Every published number. Raises ValueError that names the file and the line of a bad row."""
    rows = []
    for path in sorted(PUBLISHED.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += [_row(row, f"{path.name} row {i}") for i, row in enumerate(csv.DictReader(file), 2)]
    return tuple(rows)


def _row(row: dict[str, str], where: str) -> Published:
    try:
        float(row["value"])
        float(row["std"] or 0)
        settings = dict(pair.split("=", 1) for pair in row["task_config"].split(";") if pair)
        n_seeds = int(row["n_seeds"]) if row["n_seeds"] else None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    kind = row["kind"]
    if kind not in ("final", "curve", "other"):
        raise ValueError(f"{where}: kind must be final, curve or other, got {kind!r}")
    if not row["source"] or not row["reported_by"]:
        raise ValueError(f"{where}: no source, or nobody who reports it")
    typed: dict[str, Any] = {**row, "task_config": settings, "n_seeds": n_seeds}
    published = Published(**typed)
    reason = _apart(published)
    return dataclasses.replace(published, comparable=not reason, reason=reason)


def _apart(row: Published) -> str:
    """Why a number compares with no board at all, or empty."""
    if not row.task:
        return "no task here has these data"
    if row.kind == "curve":
        return "a point of a training curve, or the best of one"
    if row.kind == "other":
        return "read off a plot, quoted or approximate"
    return row.differs


def _unlike(row: Published, settings: Mapping[str, Setting]) -> str:
    """Which of our settings are not what the number needs, or empty."""
    ours = {name: setting_text(value) for name, value in settings.items()}
    return ", ".join(
        f"{key}:{value}, here {key}:{ours.get(key)}" for key, value in row.needed if ours.get(key) != value
    )


def published_for(
    task: str, task_config: Mapping[str, Any], settings: Mapping[str, Mapping[str, Setting]]
) -> dict[str, list[Published]]:
    """Source -> its final numbers for a board's data and score keys, each comparable or with the reason why not.

    `settings`: of the scores of each column. Rows of two sources are never to be joined.
    """
    blocks: dict[str, list[Published]] = {}
    for row in read_published():
        fits = all(str(task_config.get(name)) == value for name, value in row.task_config.items())
        if row.task == task and fits and row.kind == "final" and row.key in settings:
            reason = row.reason or _unlike(row, settings[row.key])
            blocks.setdefault(row.source, []).append(dataclasses.replace(row, comparable=not reason, reason=reason))
    return blocks
