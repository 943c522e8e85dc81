"""What second parties found when they trained a row's seeds again: one entry for each time, as fields.

`verify --retrain K --write` keeps them in `retrained.json`, beside `verified.json`. An entry holds of the very records
that it names, by their hashes; of a record that is another one since, it says nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict

from bench.record import as_json, canonical_json, decode, read_document, write_atomic
from bench.run_folder import changing, read_regular
from leaderboards.evidence import DEPTH

__all__ = [
    "AGREEING",
    "RETRAINED",
    "Method",
    "Result",
    "Retraining",
    "keep",
    "machine_text",
    "read_retrained",
    "retrainings_of",
]

RETRAINED = "retrained.json"
"""In a folder of records, or of the results above it."""
_SCHEMA = 1
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Method = Literal["bit for bit", "two-sample test"]
"""`bit for bit`: samples by their SHA-256, every score, along the training too. `two-sample test`: Welch's t for each
ranked score over seeds, with Holm's correction (`leaderboards.agreement`)."""
Result = Literal["equal", "agrees", "differs", "not decided"]
"""`equal`: bit for bit. `agrees`: the test finds no difference, which is no proof of equality."""
AGREEING: tuple[Result, ...] = ("equal", "agrees")


@dataclass(frozen=True, kw_only=True)
class Retraining:
    """A row's seeds, trained again by somebody."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    by: str
    date: str
    """UTC, of the comparison."""
    version: str
    """Of this package, where they were trained again."""
    machine: Mapping[str, str | int | None]
    """Facts of the environment that trained again: processor, torch, threads, device."""
    seeds: tuple[int, ...]
    """That were trained again."""
    records: Mapping[str, str]
    """The row's records that were compared with: file, relative to the folder -> its SHA-256."""
    method: Method
    result: Result
    why: str = ""
    """What differs, or what the test found, in words."""
    p_values: Mapping[str, float] = field(default_factory=dict)
    """Of a two-sample test: score -> its p, corrected by Holm's procedure."""


@dataclass(frozen=True, kw_only=True)
class _Document:
    """`retrained.json`."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    schema_version: int = _SCHEMA
    retrainings: tuple[Retraining, ...] = ()

    def to_json(self) -> str:
        """A line for each entry."""
        entries = [canonical_json(as_json(entry)) for entry in self.retrainings]
        head = f'{{"schema_version": {self.schema_version}, "retrainings": ['
        return "\n".join([head, ",\n".join(entries), "]}", ""])


def machine_text(machine: Mapping[str, str | int | None]) -> str:
    """A machine in words: `AMD EPYC (family 25, model 17), torch 2.11.0, 1 thread`."""
    threads = machine.get("threads")
    names = [machine.get("device_name") or machine.get("processor") or machine.get("device")]
    names += [f"torch {machine['torch']}"] if machine.get("torch") else []
    names += [f"{threads} thread{'s' * (threads != 1)}"] if threads else []
    return ", ".join(str(name) for name in names if name)


def read_retrained(path: Path) -> tuple[Retraining, ...]:
    """Read `retrained.json`; empty where there is none. Raises ValueError, OSError."""
    if not os.path.lexists(path):
        return ()
    try:
        document = read_document(path)
        if (version := document.get("schema_version")) != _SCHEMA:
            raise ValueError(f"schema_version is {version!r}, this version reads {_SCHEMA}")
        return decode(_Document, document, "retrained").retrainings
    except ValueError as error:
        raise ValueError(f"{path} is not what `verify --retrain --write` writes: {error}") from error


def retrainings_of(path: Path, content: bytes, known: dict[Path, tuple[Retraining, ...]]) -> tuple[Retraining, ...]:
    """What folders above say of this very record file; `known` keeps what was read of each folder."""
    found: list[Retraining] = []
    sha256 = ""
    for folder in path.resolve().parents[:DEPTH]:
        if folder not in known:
            known[folder] = read_retrained(folder / RETRAINED)
        if known[folder]:
            sha256 = sha256 or hashlib.sha256(content).hexdigest()
            found += [entry for entry in known[folder] if sha256 in entry.records.values()]
    return tuple(found)


def keep(folder: Path, entries: Iterable[Retraining]) -> Path:
    """Add entries to the file of a folder; one of the same party and records takes the place of the older one.

    Entries of records that are no more, or are others, go. Raises ValueError, OSError.
    """
    path = folder / RETRAINED
    with changing(path):
        found = {(entry.by, tuple(sorted(entry.records.items()))): entry for entry in (*read_retrained(path), *entries)}
        kept = [entry for entry in found.values() if all(_is_there(folder, *item) for item in entry.records.items())]
        write_atomic(path, _Document(retrainings=tuple(sorted(kept, key=_order))).to_json().encode())
    return path


def _order(entry: Retraining) -> tuple[Sequence[str], str]:
    return sorted(entry.records), entry.by


def _is_there(folder: Path, name: str, sha256: str) -> bool:
    try:
        return hashlib.sha256(read_regular(folder / name)).hexdigest() == sha256
    except (OSError, ValueError):
        return False
