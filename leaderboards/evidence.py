"""What was checked of a record: how each of its scores was computed again, or why it stands as recorded.

`verify --write` keeps this in `verified.json` beside the records, with what each verification rests on, so that a row
of which nothing has changed is not computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict

from bench.record import Evaluation, RunRecord, as_json, canonical_json, decode, read_document, read_record
from bench.run_folder import read_regular

__all__ = [
    "DEPTH",
    "NO_SAMPLES",
    "NO_WEIGHTS",
    "SHARED",
    "VERIFIED",
    "Basis",
    "Change",
    "Check",
    "Document",
    "How",
    "Outcome",
    "Verified",
    "VerifiedFile",
    "gathered",
    "outcomes",
    "place_name",
    "read_verified",
    "verified_of",
]

VERIFIED = "verified.json"
"""In a folder of records, or of the results above it."""
_SCHEMA, _OLD_SCHEMA = 2, 1

How = Literal["samples", "weights", "log_probabilities", "recorded"]
"""`samples`: computed again from the stored sentences. `weights`: with the model's stored weights beside them.
`log_probabilities`: averaged again from stored log-probabilities, which shows the arithmetic and not the model.
`recorded`: not computed again."""
DEPTH = 4
"""Folders above a record in which it may lie: `<results>/<task>@<version>/<model>/<run_id>/record.json`."""
NO_SAMPLES = "these samples are not kept"
NO_WEIGHTS = "needs the model's weights"

Outcome = tuple[How, str]
"""How a score was checked and, of `recorded`, why it was not computed again."""


class _Strict:
    """What is written has these fields alone, of these types."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, kw_only=True)
class Check(_Strict):
    """Scores of a record that were checked in one way."""

    how: How
    why: str = ""
    """Of `recorded`: why they were not computed again."""
    evaluations: tuple[int, ...]
    """Their places in the record."""
    scores: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Basis(_Strict):
    """All that a verification rests on, beside the record itself."""

    files: Mapping[str, str]
    """SHA-256 of every file beside the record."""
    code: Mapping[str, str]
    """Hash of the code: `task`, `scoring`, each metric by its name, and `model` where its weights are kept."""
    libraries: Mapping[str, str]
    """Version of everything that this code imports, Python's included."""

    def changes(self, old: Basis) -> list[Change]:
        """What is not as it was."""
        pairs: tuple[tuple[What, Mapping[str, str], Mapping[str, str]], ...] = (
            ("file", old.files, self.files),
            ("library", old.libraries, self.libraries),
            ("code", old.code, self.code),
        )
        return [
            Change(what=what, name=name, was=was.get(name), now=now.get(name))
            for what, was, now in pairs
            for name in sorted(was.keys() | now.keys())
            if was.get(name) != now.get(name)
        ]


What = Literal["file", "library", "code", "record", "asked"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """Why a record is computed again."""

    what: What
    """`record`: nothing is known of it. `asked`: somebody wants it."""
    name: str
    """Of the file, the library, the part of the code; else the reason in words."""
    was: str | None = None
    now: str | None = None

    @property
    def metric(self) -> str | None:
        """The metric that alone it concerns; None: every score."""
        return self.name if self.what == "code" and self.name not in SHARED else None

    def __str__(self) -> str:
        if self.what == "file":
            return f"{self.name} is {'new' if self.was is None else 'gone' if self.now is None else 'another file'}"
        if self.what == "library":
            return f"{self.name} {self.was or '(absent)'} is now {self.now or '(absent)'}"
        return f"the code of {self.name} has changed" if self.what == "code" else self.name


SHARED = ("task", "scoring")
"""Parts of the code that every score rests on."""


@dataclass(frozen=True, kw_only=True)
class Verified(_Strict):
    """What is kept of a record that was verified."""

    record: str
    """Its file, relative to the folder."""
    date: str
    version: str
    """Of this package."""
    checks: tuple[Check, ...]
    basis: Basis | None = None
    """None: not known, as of files of before this field; such a record is computed again."""


@dataclass(frozen=True, kw_only=True)
class _Schema1(_Strict):
    """What was kept of a record in schema 1."""

    record: str
    files: int
    scores: int
    recorded_only: Mapping[str, str]
    version: str
    date: str


@dataclass(frozen=True, kw_only=True)
class Document(_Strict):
    """`verified.json`."""

    schema_version: int = _SCHEMA
    records: Mapping[str, Verified]
    """SHA-256 of a record's file -> what was checked of it."""

    def to_json(self) -> str:
        """A line for each record, in the order of their hashes."""
        entries = [f"{json.dumps(key)}: {canonical_json(as_json(self.records[key]))}" for key in sorted(self.records)]
        return "\n".join([f'{{"schema_version": {self.schema_version}, "records": {{', ",\n".join(entries), "}}", ""])


@dataclass(frozen=True, kw_only=True)
class _Document1(_Strict):
    schema_version: int
    records: Mapping[str, _Schema1]


@dataclass(frozen=True)
class VerifiedFile:
    """What `verified.json` says: SHA-256 of a record's file -> what was checked of it."""

    entries: Mapping[str, Verified | _Schema1] = field(default_factory=dict)

    def of(self, sha256: str, record: RunRecord) -> Verified | None:
        """What is said of a record's very bytes. Raises ValueError where it does not fit the record."""
        found = self.entries.get(sha256)
        if found is None:
            return None
        if isinstance(found, _Schema1):
            checks = gathered(_outcomes_of_schema_1(found, record))
            return Verified(record=found.record, date=found.date, version=found.version, checks=checks)
        if sorted(_each(found.checks)) != sorted(_scores(record)):
            raise ValueError(f"{VERIFIED} does not say of each score of {found.record} how it was checked")
        return found

    def read(self, folder: Path) -> dict[str, Verified]:
        """All that fits a record which still lies in the folder, in this schema."""
        found = {}
        for sha256, entry in self.entries.items():
            try:
                file = folder / entry.record
                content = read_regular(file)
                known = self.of(sha256, read_record(file)) if hashlib.sha256(content).hexdigest() == sha256 else None
            except (ValueError, OSError):
                continue
            if known is not None:
                found[sha256] = known
        return found


def read_verified(path: Path) -> VerifiedFile:
    """Read `verified.json` of schema 1 or 2; empty where there is none. Raises ValueError, OSError."""
    if not os.path.lexists(path):
        return VerifiedFile()
    try:
        document = read_document(path)
        version = document.get("schema_version")
        if version not in (_OLD_SCHEMA, _SCHEMA):
            raise ValueError(f"schema_version is {version!r}, this version reads {_OLD_SCHEMA} and {_SCHEMA}")
        if version == _OLD_SCHEMA:
            return VerifiedFile(decode(_Document1, document, "verified").records)
        return VerifiedFile(decode(Document, document, "verified").records)
    except ValueError as error:
        raise ValueError(f"{path} is not what `verify --write` writes: {error}; write it anew") from error


def verified_of(
    path: Path, record: RunRecord, known: dict[Path, VerifiedFile], content: bytes | None = None
) -> Verified | None:
    """What a folder above says of this very file; `known` keeps what was read of each folder. Raises as it reads.

    `content`: the file's bytes, where they have been read.
    """
    sha256 = hashlib.sha256(read_regular(path) if content is None else content).hexdigest()
    for folder in path.resolve().parents[:DEPTH]:
        if folder not in known:
            known[folder] = read_verified(folder / VERIFIED)
        if (found := known[folder].of(sha256, record)) is not None:
            return found
    return None


def outcomes(checks: tuple[Check, ...]) -> dict[tuple[int, str], Outcome]:
    """(Place of the evaluation in the record, key of the score) -> how it was checked."""
    return {(place, key): (c.how, c.why) for c in checks for place in c.evaluations for key in c.scores}


def gathered(found: Mapping[tuple[int, str], Outcome]) -> tuple[Check, ...]:
    """The same, scores of one outcome together."""
    of_evaluation: dict[tuple[int, Outcome], list[str]] = {}
    for (place, key), outcome in sorted(found.items()):
        of_evaluation.setdefault((place, outcome), []).append(key)
    places: dict[tuple[Outcome, tuple[str, ...]], list[int]] = {}
    for (place, outcome), keys in of_evaluation.items():
        places.setdefault((outcome, tuple(keys)), []).append(place)
    return tuple(
        Check(how=how, why=why, evaluations=tuple(at), scores=keys) for ((how, why), keys), at in places.items()
    )


def _each(checks: tuple[Check, ...]) -> Iterator[tuple[int, str]]:
    return ((place, key) for c in checks for place in c.evaluations for key in c.scores)


def _scores(record: RunRecord) -> Iterator[tuple[int, str]]:
    return ((place, key) for place, e in enumerate(record.evaluations) for key in e.scores)


def place_name(evaluation: Evaluation) -> str:
    """An evaluation in words, as messages and schema 1 name it."""
    return f"{evaluation.phase}, step {evaluation.step}, temperature {evaluation.temperature:g}"


def _outcomes_of_schema_1(old: _Schema1, record: RunRecord) -> dict[tuple[int, str], Outcome]:
    """Schema 1 named what was not computed again: whole evaluations in words, and scores of all the others by key."""
    found: dict[tuple[int, str], Outcome] = {}
    for place, key in _scores(record):
        why = old.recorded_only.get(place_name(record.evaluations[place]), old.recorded_only.get(key))
        found[place, key] = ("samples", "") if why is None else ("recorded", why)
    return found
