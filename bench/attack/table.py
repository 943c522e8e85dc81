"""What an attack table holds, when an attack has fooled a metric, and the table that is kept with the project.

A score of n attacking sentences is compared with h, that of n real held-out sentences, whose standard error is s. Other
sets of n real sentences would score around h as well: the difference of two such sets has the standard error sqrt(2) s.
An attack has **fooled** a metric where its score is no further off than 19 of 20 real sets would be:

    direction higher    score >= h - 1.645 sqrt(2) s
    direction lower     score <= h + 1.645 sqrt(2) s
    direction real      |score - h| <= 1.960 sqrt(2) s

So for "higher" and "lower" it is at least as good as real text, up to the sampling error of real text; for "real" it is
within that error, on either side. Only the error of real text counts: an attack is not excused for being unsteady
itself. An s of 0 (all real sentences are valid) leaves nothing to chance. No torch, nothing is scored here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from bench.places import METRICS
from metrics.common.base import Better

__all__ = [
    "HELD_OUT",
    "KEPT",
    "MARKS",
    "TRAINING",
    "AttackTable",
    "Column",
    "Line",
    "Value",
    "Verdict",
    "note",
    "read_kept",
]

KEPT = METRICS / "attacks.json"
"""The tables that cards and pages show, made by `bench attack ... --write`."""
HELD_OUT, TRAINING = "held_out", "training"
"""Names of the two lines of real text."""
ONE_SIDED, TWO_SIDED = 1.645, 1.960
"""Standard errors that one real set in twenty is beyond: on the bad side, on either side."""

Verdict = Literal["fooled", "not fooled", "absent"]
MARKS: Mapping[Verdict, str] = {"fooled": "fooled", "not fooled": "no", "absent": "absent"}
"""How a table says it."""


@dataclass(frozen=True)
class Value:
    """A score."""

    value: float
    standard_error: float | None = None
    """Over its sentences; None: not known."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A score that real held-out text has."""

    key: str
    metric: str
    better: Better
    signature: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """An attack, or real text."""

    name: str
    what: str
    """In a few words."""
    real: bool = False
    scores: dict[str, Value] = field(default_factory=dict)
    """By key."""
    absent: dict[str, str] = field(default_factory=dict)
    """Key, or metric for all of its keys -> why there is no score; of an attack that cannot be made, its name."""


@dataclass(frozen=True, kw_only=True)
class AttackTable:
    """A task's attacks: values, from which every mark follows."""

    task: str
    task_version: int
    task_config: dict[str, Any]
    data_sha256: str
    """Of the whole task, before real text was set aside."""
    n_samples: int
    seed: int
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    """First `HELD_OUT`, then `TRAINING`, then the attacks."""

    @property
    def held_out(self) -> Line:
        """The line that the others are compared with."""
        return self.lines[0]

    @property
    def attacks(self) -> tuple[Line, ...]:
        """The lines that are no real text."""
        return tuple(line for line in self.lines if not line.real)

    @property
    def not_scored(self) -> dict[str, str]:
        """Metrics and keys that have no column, as real held-out text has no such score, and why."""
        return dict(self.held_out.absent)

    def allowance(self, column: Column) -> float:
        """How far from real held-out text, on the bad side, a score may be and still fool: see the module."""
        sizes = ONE_SIDED if column.better != "real" else TWO_SIDED
        return sizes * math.sqrt(2) * (self.held_out.scores[column.key].standard_error or 0.0)

    def gap(self, line: Line, column: Column) -> float | None:
        """How far a score is from real held-out text on the bad side; under 0 where it is better. None: absent."""
        if column.key not in line.scores:
            return None
        above = line.scores[column.key].value - self.held_out.scores[column.key].value
        return {"higher": -above, "lower": above, "real": abs(above)}[column.better]

    def verdict(self, line: Line, column: Column) -> Verdict:
        """Whether a metric takes a line for real text."""
        gap = self.gap(line, column)
        if gap is None:
            return "absent"
        return "fooled" if gap <= self.allowance(column) else "not fooled"

    def reason(self, line: Line, column: Column) -> str:
        """Why a score is absent; empty where it is there."""
        if column.key in line.scores:
            return ""
        found = (line.absent.get(name) for name in (line.name, column.key, column.metric))
        return next((reason for reason in found if reason), "there is no such score of these sentences")


def note(table: AttackTable) -> list[str]:
    """What a reader must know of a table, a paragraph each."""
    return [
        f"fooled: by the metric's own direction the attack scores at least as well as {table.n_samples:,} real "
        "sentences that nobody trained on (real text, held out), up to the sampling error of real text: for higher and "
        f"lower it may be {ONE_SIDED} √2 standard errors of theirs worse, for real {TWO_SIDED:.2f} √2 of them away on "
        "either side, which is further than 19 of 20 sets of real sentences would be. no: it does not. absent: "
        "there is no such score, for the reason below.",
        "Who attacks has the training text, without the sentences that were set aside, and nothing of the test. "
        "Training text is real too: a metric that does not take it for real sees that it is copied.",
    ]


def read_kept(path: Path = KEPT) -> Sequence[AttackTable]:
    """The tables that are kept with the project; none where there is no such file. ValueError: it holds others."""
    if not path.is_file():
        return ()
    try:
        return _TABLES.validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path}: no tables of attacks: {error.errors()[0]['msg']}") from None


_TABLES = TypeAdapter(tuple[AttackTable, ...])


def document(tables: Sequence[AttackTable]) -> str:
    """Tables as JSON, which `read_kept` reads."""
    return _TABLES.dump_json(tuple(tables), indent=1).decode() + "\n"
