"""Numbers from papers and their authors' pages. They are `reported`: shown apart, never ranked, never joined.

The files in `published/` have one number a row. `task` and `task_config` say which board of ours the number belongs
to; an empty `task` means that no board has that data, and the number is never shown beside ours. `key` is our name for
the quantity; a quantity that we do not compute has a name of its own (`bleu_2_train`, `nll_gen_padded_train`).
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["Published", "published_for", "read_published"]

_FOLDER = Path(__file__).parent / "published"


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
    source: str
    reported_by: str
    published_task: str
    published_metric: str
    protocol: str


@functools.cache
def read_published() -> tuple[Published, ...]:
    """Every published number. Raises ValueError that names the file and the line of a bad row."""
    rows = []
    for path in sorted(_FOLDER.glob("*.csv")):
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
    if not row["source"]:
        raise ValueError(f"{where}: no source")
    typed: dict[str, Any] = {**row, "task_config": settings, "n_seeds": n_seeds}
    return Published(**typed)


def published_for(task: str, task_config: Mapping[str, Any], keys: Iterable[str]) -> dict[str, list[Published]]:
    """Source -> its final numbers for a board's data and score keys. Rows of two sources are never to be joined."""
    known = set(keys)
    blocks: dict[str, list[Published]] = {}
    for row in read_published():
        fits = all(str(task_config.get(name)) == value for name, value in row.task_config.items())
        if row.task == task and fits and row.kind == "final" and row.key in known:
            blocks.setdefault(row.source, []).append(row)
    return blocks
