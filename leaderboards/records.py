"""Find and read run records. Nothing is dropped without a word: what cannot be read or counted twice is reported."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.hand_in.trained_by import read_trained_by
from bench.record import RunRecord, record_of
from bench.registry import meaning_of
from bench.run_folder import find_begun, read_regular, records_in
from bench.run_settings import MOST_HEAT
from bench.seeds import newest_of_each
from leaderboards.evidence import Verified, VerifiedFile, verified_of
from leaderboards.retrained import Retraining, retrainings_of

__all__ = ["Entry", "Store", "impossible", "read_store"]


@dataclass(frozen=True)
class Entry:
    """A record and where it was found."""

    path: Path
    record: RunRecord
    verification: Verified | None = None
    """What `verify` found of exactly this file; None: nothing is known of it."""
    trained_by: str | None = None
    """As it was said when it was handed in; None: whoever keeps these records."""
    retrainings: tuple[Retraining, ...] = ()
    """What second parties found who trained it again."""

    @property
    def verified(self) -> bool:
        """Whether its scores were computed again, as far as they could be, and are equal."""
        return self.verification is not None


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
    known: dict[Path, VerifiedFile] = {}
    again: dict[Path, tuple[Retraining, ...]] = {}
    for path in _files(paths, problems):
        try:
            content = read_regular(path)
            record = record_of(content, path)
            entry = Entry(
                path,
                record,
                verified_of(path, record, known, content),
                read_trained_by(path.parent),
                retrainings_of(path, content, again),
            )
            if (why := impossible(entry.record)) is not None:
                problems.append(f"{path} is not counted: {why}")
            else:
                entries.append(entry)
        except ValueError as error:  # its message names the file
            problems.append(str(error))
        except (OSError, RecursionError) as error:
            problems.append(f"{path} cannot be read: {error}")
    kept, notices = _each_once(entries)
    return Store(tuple(kept), tuple(problems), tuple(notices), _unfinished(paths, entries))


_ROUNDING = 1e-4


def impossible(record: RunRecord) -> str | None:
    """A value that no run and no metric gives, or None. Such a record is no evidence of anything."""
    if record.moment > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2):
        return f"created_at {record.created_at} lies in the future"
    if record.n_parameters is not None and record.n_parameters < 0:
        return f"n_parameters {record.n_parameters} is negative"
    for phase in record.phases:
        if phase.seconds < 0 or phase.steps < 0 or phase.real_sentences < 0:
            return f"phase {phase.name} has negative steps, seconds or sentences"
    for e in record.evaluations:
        if not 0 < e.temperature <= MOST_HEAT or e.step < 0:
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


def _unfinished(paths: Iterable[Path], entries: Iterable[Entry]) -> Counter[str]:
    """Runs that were begun and have no record anywhere here, each once however often its folder is named."""
    ended = {entry.record.run_id for entry in entries}
    begun = {(run.config_hash, run.run_id) for path in paths for run in find_begun(path) if run.run_id not in ended}
    return Counter(config_hash for config_hash, _ in begun)


def _files(paths: Iterable[Path], problems: list[str]) -> list[Path]:
    """The record files, in a fixed order, one file once however often it is named."""
    found: dict[Path, Path] = {}
    for path in paths:
        try:
            below = records_in(path)
        except FileNotFoundError as error:
            if not path.exists():
                raise
            problems.append(str(error))
            continue
        for file in below:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _each_once(entries: list[Entry]) -> tuple[list[Entry], list[str]]:
    """One record per run, and one run per seed of a row (`bench.seeds`); and a line on each that does not count.

    A seed that its keeper has is not replaced by what somebody else handed in.
    """
    kept = {_replicate(entry) for entry in entries if entry.trained_by is None}
    others_seeds = (e for e in entries if e.trained_by is not None and e.record.seed is not None)
    again = [entry for entry in others_seeds if _replicate(entry) in kept]
    notices = [
        f"{entry.path} is not counted: {entry.trained_by} trained seed {entry.record.seed} again, and a seed counts "
        "once; `leaderboards verify --retrain` compares such runs"
        for entry in again
    ]
    aside = set(map(id, again))
    counted, others = newest_of_each(
        (entry for entry in entries if id(entry) not in aside),
        key=_replicate,
        record=lambda entry: entry.record,
        place=lambda entry: str(entry.path),
    )
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
