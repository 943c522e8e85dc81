"""Published numbers of the tests' own."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest

from bench.published import Published

COLUMNS = [field.name for field in dataclasses.fields(Published) if field.default is dataclasses.MISSING]
NUMBER = {"model": "A", "key": "nll_oracle", "value": "4.0", "kind": "final"}
NUMBER |= {"source": "A paper", "reported_by": "its authors", "protocol": "nats"}


def write_published(folder: Path, *rows: dict[str, str], patch: pytest.MonkeyPatch | None = None) -> Path:
    """A file of rows that are `NUMBER` but for what they say; with `patch`, these are all published numbers."""
    folder.mkdir(exist_ok=True)
    path = folder / "numbers.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({**NUMBER, **row} for row in rows)
    if patch:
        patch.setattr("bench.published.PUBLISHED", folder)
    return path
