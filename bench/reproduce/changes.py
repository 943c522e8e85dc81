"""Verdicts that were others in the first release of the project: which, and why (`changes.toml`)."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict

__all__ = ["Change", "read_changes"]

_FILE = Path(__file__).with_suffix(".toml")


class Change(BaseModel):
    """Some numbers of one row, which had one verdict and have another for one reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str
    row: str
    """That the numbers have now."""
    keys: tuple[str, ...]
    was: str
    """By the first rule: reproduced, not reproduced, undecided."""
    why: str


def read_changes() -> tuple[Change, ...]:
    """All of them, in the order of the file."""
    return tuple(Change(**entry) for entry in tomllib.loads(_FILE.read_text(encoding="utf-8"))["changes"])
