"""Find and read run records. Nothing is dropped without a word: what cannot be read or counted twice is reported."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.record import RunRecord, read_record
from bench.registry import meaning_of
from bench.run_folder import find_begun, find_records, read_regular
from bench.seeds import newest_of_each

__all__ = ["VERIFIED", "Entry", "Store", "impossible", "read_store"]

VERIFIED = "verified.json"
"""What `verify --write` leaves in a folder of records: SHA-256 of a record file -> what was recomputed."""
_DEPTH = 4
"""Folders above a record in which `VERIFIED` may lie: `<results>/<task>@<version>/<model>/<run_id>/record.json`."""


@dataclass(frozen=True)
class Entry:
    """A record and where it was found."""

    path: Path
    record: RunRecord
    verified: bool = False
    """Whether `verify` recomputed the scores of exactly this file from its samples and found them equal."""


@dataclass(frozen=True)
class Store:
    """What was found below some paths."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]
    """Records that could not be read, each with its path and the reason."""
    notices: tuple[str, ...]
    """Records that were read but do not count, each with the reason."""
    unfinished: Mapping[str, int]
    """config_hash -> runs that were begun and have no record: under way, stopped or killed."""


def read_store(paths: Iterable[Path]) -> Store:
    """Every `record.json` at any depth below `paths` (or a record file itself), each run once.

    Raises FileNotFoundError for a path that does not exist.
    """
    paths = list(paths)
    entries: list[Entry] = []
    problems: list[str] = []
    verified: dict[Path, frozenset[str]] = {}
    for path in _files(paths, problems):
        try:
            entry = Entry(path, read_record(path), _is_verified(path, verified))
            if (why := impossible(entry.record)) is not None:
                problems.append(f"{path} is not counted: {why}")
            else:
                entries.append(entry)
        except ValueError as error:  # the message of `read_record` names the file
            problems.append(str(error))
        except (OSError, RecursionError) as error:
            problems.append(f"{path} cannot be read: {error}")
    kept, notices = _each_once(entries)
    return Store(tuple(kept), tuple(problems), tuple(notices), _unfinished(paths))


_ROUNDING = 1e-4


def impossible(record: RunRecord) -> str | None:
    """A value that no run and no metric gives, or None. Such a record is no evidence of anything."""
    started = datetime.datetime.fromisoformat(record.created_at)
    started = started if started.tzinfo else started.replace(tzinfo=datetime.UTC)
    if started > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2):
        return f"created_at {record.created_at} lies in the future"
    if record.n_parameters is not None and record.n_parameters < 0:
        return f"n_parameters {record.n_parameters} is negative"
    for phase in record.phases:
        if phase.seconds < 0 or phase.steps < 0 or phase.real_sentences < 0:
            return f"phase {phase.name} has negative steps, seconds or sentences"
    for e in record.evaluations:
        if not 0 < e.temperature <= 100 or e.step < 0:
            return f"an evaluation has temperature {e.temperature} and step {e.step}"
        for key, score in e.scores.items():
            low, high = meaning_of(score.metric, key, score.better).bounds
            if low is not None and high is not None and not low - _ROUNDING <= score.value <= high + _ROUNDING:
                return f"{key} is {score.value:g}, not between {low:g} and {high:g}"
            if low is not None and score.value < low - _ROUNDING:
                cost = score.metric.startswith("nll_")
                return f"{key} is {score.value:g}, {'a probability over 1' if cost else f'which is below {low:g}'}"
            if score.standard_error is not None and score.standard_error < 0:
                return f"{key} has the negative standard error {score.standard_error:g}"
    return None


def _is_verified(path: Path, known: dict[Path, frozenset[str]]) -> bool:
    """Whether a folder above lists this very file; `known` keeps what was read of each folder."""
    sha256 = hashlib.sha256(read_regular(path)).hexdigest()
    for folder in path.resolve().parents[:_DEPTH]:
        if folder not in known:
            known[folder] = _listed(folder / VERIFIED)
        if sha256 in known[folder]:
            return True
    return False


def _listed(path: Path) -> frozenset[str]:
    if not os.path.lexists(path):
        return frozenset()
    try:
        return frozenset(json.loads(read_regular(path))["records"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is not what `verify --write` writes: {error}; write it anew") from error


def _unfinished(paths: Iterable[Path]) -> Counter[str]:
    """Runs that were begun and have no record, each once however often its folder is named."""
    begun = {(run.config_hash, run.run_id) for path in paths for run in find_begun(path)}
    return Counter(config_hash for config_hash, _ in begun)


def _files(paths: Iterable[Path], problems: list[str]) -> list[Path]:
    """The record files, in a fixed order, one file once however often it is named."""
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; name a folder with run records or a record.json")
        below = [path] if path.is_file() else find_records(path)
        if not below:
            problems.append(f"{path} holds no record.json at any depth")
        for file in below:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _each_once(entries: list[Entry]) -> tuple[list[Entry], list[str]]:
    """One record per run, and one run per seed of a row (`bench.seeds`); and a line on each that does not count."""
    counted, others = newest_of_each(
        entries, key=_replicate, record=lambda entry: entry.record, place=lambda entry: str(entry.path)
    )
    notices = []
    for older, newer in others:
        record = older.record
        what = f"{record.model} seed {record.seed}" if record.seed is not None else f"run {record.run_id}"
        same = record.content() == newer.record.content()
        why = "has the same content" if same else f"is the newer record of {what}"
        notices.append(f"{older.path} is not counted: {newer.path} {why}")
    return sorted(counted, key=lambda entry: str(entry.path)), notices


def _replicate(entry: Entry) -> tuple[str, ...]:
    """What is one seed of one row; samples without a seed are each their own."""
    record = entry.record
    if record.seed is None:
        return ("run", record.run_id)
    row = (record.config_hash, record.model_identity, record.origin, record.task, record.data_sha256, record.scale)
    return ("seed", *row, str(record.seed))
