"""`leaderboards verify --retrain K`: K seeds of a row are trained again from their records, and compared.

What a record holds makes the run again: every setting of model, task and run, the seed, the device's kind, the threads.
The ordinary runner trains it, so what is stopped goes on. Then

- **bit for bit**, where the machine is of the same kind (processor, torch, threads, device, precision) and the code of
  model and task is the same: samples by their SHA-256, and every score, along the training too. A seed whose samples
  are all equal shows that the arithmetic is the same, whatever the machines are called: then all must be equal;
- else by a **two-sample test** over seeds (`leaderboards.agreement`): other processors round otherwise, and after some
  thousand steps another rounding is another run. It needs two seeds on each side.

A record may be anybody's, and its settings are only looked up and checked; code of a file is run where the user names
that file, never because a record does.
"""

from __future__ import annotations

import datetime
import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.record import BEFORE, Evaluation, RunRecord, read_record
from bench.registry import find, is_file, meaning_of, names, suggest
from bench.run_folder import RECORD, read_regular
from leaderboards.evidence import place_name
from leaderboards.records import Entry, read_store
from leaderboards.repository.rescore import package_version
from leaderboards.repository.verify import home_of
from leaderboards.retrained import Method, Result, Retraining, keep, machine_text
from leaderboards.rows import labels, members

if TYPE_CHECKING:
    from bench.config import Resolved

__all__ = ["Again", "StoredRow", "describe", "retrain", "rows_below", "write_retrained"]

_MACHINE = ("processor", "device", "device_name", "torch", "threads", "fp32_precision", "python", "platform", "numpy")
"""Facts of an environment that are kept of the machine that trained again."""
_SAME = ("processor", "device", "torch", "threads", "fp32_precision")
"""Facts that must be known and equal for two machines to be of the same kind; of a GPU its name too."""
_EXACT, _NEAR = 1e-9, 1e-6
"""Of max(1, |value|): what a score may be apart on the same kind of machine, and on another with the same samples,
where a model's own likelihood is summed in another order. As `verify` has them."""
_OTHER = "not the same kind of machine and code, as far as it is known"
_SHOWN = 4
"""Differences that are said of a seed."""


@dataclass(frozen=True)
class StoredRow:
    """A row whose seeds may be trained again."""

    label: str
    entries: tuple[Entry, ...]
    """By seed; failed runs too."""

    @property
    def name(self) -> str:
        """With its task, for people."""
        return f"{self.label} on {self.entries[0].record.task}"

    @property
    def completed(self) -> list[Entry]:
        """The runs that ended well."""
        return [entry for entry in self.entries if entry.record.status == "completed"]


@dataclass(kw_only=True)
class Again:
    """What came out for one row."""

    row: str
    seeds: list[int]
    records: list[str]
    """Of the row, those that were compared with."""
    folders: list[str] = field(default_factory=list)
    """Of the runs that were trained again, in the order of `seeds`."""
    method: Method = "bit for bit"
    result: Result = "not decided"
    why: str = ""
    machine: dict[str, str | int | None] = field(default_factory=dict)
    p_values: dict[str, float] = field(default_factory=dict)


def rows_below(paths: Iterable[Path], wanted: Sequence[str]) -> list[StoredRow]:
    """The rows of trainings below some paths. `wanted`: labels, models, beginnings of a configuration's or run's hash.

    Raises ValueError for what names none, FileNotFoundError.
    """
    store = read_store(paths)
    groups = [group for group in members(store.entries) if group[0].record.origin == "run"]
    by_board: dict[tuple[str, ...], list[list[Entry]]] = {}
    for group in groups:
        first = group[0].record
        by_board.setdefault((first.task, first.data_sha256, first.scale), []).append(group)
    rows = [
        StoredRow(label, tuple(group))
        for same in by_board.values()
        for label, group in zip(labels([group[0].record for group in same]), same, strict=True)
    ]
    chosen = [row for row in rows if not wanted or any(_is_meant(row, word) for word in wanted)]
    if missing := next((word for word in wanted if not any(_is_meant(row, word) for row in rows)), None):
        known = dict.fromkeys(name for row in rows for name in (row.entries[0].record.model, row.label))
        raise ValueError(f"no row {missing!r} among the trainings; {suggest(missing, known)}")
    if not chosen:
        raise ValueError("there is no row of a training to train again")
    return chosen


def _is_meant(row: StoredRow, word: str) -> bool:
    hashes = {row.entries[0].record.config_hash, *(entry.record.run_id for entry in row.entries)}
    named = {row.label, row.entries[0].record.model, str(row.entries[0].path), str(row.entries[0].path.parent)}
    return word in named or (len(word) >= 6 and any(each.startswith(word) for each in hashes))


def retrain(
    rows: Sequence[StoredRow],
    k: int,
    into: Path,
    *,
    verified: Mapping[str, str],
    by: str | None = None,
    model: str | None = None,
    jobs: int = 1,
) -> tuple[list[Again], bool]:
    """Train the first `k` completed seeds of each row again, in run folders below `into`, and compare.

    `verified`: record file -> the state that `verify` found; what is not verified is not trained. `model`: the file of
    the user's own model, for rows of one. The second value: whether it was stopped, and goes on with the same call.
    Raises ValueError, KeyError, OSError before anything is trained.
    """
    plans: list[tuple[Again, list[tuple[Entry, Resolved]]]] = []
    for row in rows:
        chosen = row.completed[:k]
        told = Again(
            row=row.name,
            seeds=[entry.record.seed or 0 for entry in chosen],
            records=[str(entry.path) for entry in chosen],
        )
        why, resolved = _planned(row, chosen, into, verified, by, model)
        told.why = why
        plans.append((told, resolved))
    stopped = _train([each for _, resolved in plans for _, each in resolved], into, jobs)
    for (told, resolved), row in zip(plans, rows, strict=True):
        if resolved:
            _judge(told, row, [(entry, each.folder(into)) for entry, each in resolved], by)
    return [told for told, _ in plans], stopped


def _planned(
    row: StoredRow, chosen: Sequence[Entry], into: Path, verified: Mapping[str, str], by: str | None, model: str | None
) -> tuple[str, list[tuple[Entry, Resolved]]]:
    """Why nothing of a row can be trained again, or its runs."""
    if not chosen:
        return "none of its runs is completed", []
    if bad := next((entry for entry in chosen if verified.get(str(entry.path)) != "verified"), None):
        return f"{bad.path} is {verified.get(str(bad.path), 'not checked')}, so there is nothing to compare with", []
    if by is not None and any(entry.trained_by == by for entry in row.entries):
        return f"{by} trained it, and a second party is somebody else", []
    try:
        resolved = [(entry, _resolved(entry.record, model)) for entry in chosen]
        for entry, each in resolved:
            if (each.folder(into) / RECORD).resolve() == entry.path.resolve():
                return f"{into} holds the row's own runs: name another folder with --into", []
    except (ValueError, KeyError) as error:
        return str(error.args[0] if isinstance(error, KeyError) else error), []
    return "", resolved


def _resolved(record: RunRecord, model: str | None) -> Resolved:
    """The run that a record tells of. Raises ValueError, KeyError where it cannot be made here."""
    from bench.config import RunConfig

    if record.run is None or record.seed is None:
        raise ValueError("its record does not hold how it was run")
    if is_file(record.task):
        raise ValueError(f"the code of {record.task} is a file of its author's")
    if is_file(record.model) and model is None:
        raise ValueError(
            f"the code of {record.model} is a file, which is not run because a record names it: read model.py.bz2 "
            "beside the record, and name the unpacked file with --model"
        )
    config = RunConfig.model_validate(
        {
            **record.run.model_dump(),
            "model": model if is_file(record.model) else record.model,
            "task": record.task,
            "seed": record.seed,
            "scale": record.scale,
            "model_settings": dict(record.model_config),
            "task_settings": dict(record.task_config),
        }
    )
    resolved = config.resolve()
    if is_file(record.model) and resolved.sources.get("model.py") != record.model_source:
        raise ValueError(f"{model} is not the code of this row, which lies beside its record")
    if resolved.config_hash != record.config_hash:
        raise ValueError(f"with these settings this version makes another row, {resolved.config_hash}")
    _ = resolved.device  # it must be there
    return resolved


def _train(resolved: Sequence[Resolved], into: Path, jobs: int) -> bool:
    """Train what is not there yet; whether it was stopped."""
    if not resolved:
        return False
    from bench.launch.options import LaunchOptions
    from bench.launch.start import start
    from bench.streams import errors
    from bench.tracking.options import TrackerName, TrackingOptions, default_uri

    tracking = TrackingOptions(TrackerName.none, default_uri(into))
    options = LaunchOptions(runs=into, slots=("",) * jobs, tracking=tracking)
    outcomes = start(resolved, options, console=errors)
    return any(outcome.status == "stopped" for outcome in outcomes)


def _judge(told: Again, row: StoredRow, pairs: Sequence[tuple[Entry, Path]], by: str | None) -> None:
    """Say what the new runs of a row show."""
    told.folders = [str(folder) for _, folder in pairs]
    there = [(entry, read_record(folder / RECORD)) for entry, folder in pairs if (folder / RECORD).is_file()]
    if len(there) < len(pairs):
        told.why = f"{len(pairs) - len(there)} of {len(pairs)} trainings have not ended"
        return
    told.machine = {name: value for name in _MACHINE if (value := there[0][1].environment.get(name)) is not None}
    if copied := [entry for entry, new in there if new.created_at == entry.record.created_at]:
        told.why = f"the run of seed {copied[0].record.seed} began when the row's did: it is a copy of it"
        return
    kinds = dict.fromkeys(reason for entry, new in there for reason in _kind_apart(entry.record, new))
    exact = not kinds or any(_same_samples(entry.record, new) for entry, new in there)
    apart = []
    for entry, new in there:
        found = list(_differences(entry.record, new, _NEAR if kinds else _EXACT))
        told_of = f"seed {new.seed}: {'; '.join(found[:_SHOWN])}"
        apart += [told_of + (f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")] if found else []
    if not apart:
        told.result = "equal"
        told.why = f"though {_OTHER} ({'; '.join(kinds)})" if kinds else "on the same kind of machine"
    elif exact:
        same = "of the same arithmetic, as equal samples show" if kinds else "on the same kind of machine"
        told.result, told.why = "differs", f"{same}: {'. '.join(apart)}"
    else:
        _test(told, row, [new for _, new in there], by, f"{_OTHER} ({'; '.join(kinds)})")


def _test(told: Again, row: StoredRow, new: Sequence[RunRecord], by: str | None, kinds: str) -> None:
    """Two samples of seeds, those of the row and the new ones."""
    from leaderboards.agreement import compare

    signatures = {key: score.signature for key, score in _final(new[0]).items()}
    better = {key: meaning_of(score.metric, key, score.better) for key, score in _final(new[0]).items()}
    ours, theirs = (
        [{key: s.value for key, s in _final(r).items() if s.signature == signatures.get(key)} for r in records]
        for records in ([entry.record for entry in row.completed], new)
    )
    found = compare(ours, theirs, [key for key, meaning in better.items() if meaning.ranked])
    told.method, told.result, told.p_values = "two-sample test", found.result, found.p_values
    told.why = f"{kinds}; {found.why}"
    told.records = [str(entry.path) for entry in row.completed]


def _final(record: RunRecord) -> Mapping[str, Any]:
    final = record.final()
    return final.scores if final is not None else {}


def _kind_apart(old: RunRecord, new: RunRecord) -> Iterator[str]:
    """What makes two runs such as need not be equal bit for bit: another kind of machine, or other code."""
    was, now = old.environment, new.environment
    device = str(now.get("device", "")).partition(":")[0]
    for name in (*_SAME, *(["device_name"] if device == "cuda" else [])):
        a, b = (str(facts[name]).partition(":")[0] if name in facts else None for facts in (was, now))
        if a is None:
            yield f"of the row the {name} is not known"
        elif a != b:
            yield f"{name} {a}, now {b}"
        if f"{BEFORE}{name}" in was:
            yield f"the {name} of the row was another before it went on"
    for what in ("model", "task"):
        if (old.sources or {}).get(what) != (new.sources or {}).get(what):
            yield f"the code of the {what} is another"


def _same_samples(old: RunRecord, new: RunRecord) -> bool:
    """Whether all samples that are known of both are equal, and there are some: then the arithmetic is the same."""
    pairs = [(one.samples_sha256, other.samples_sha256) for one, other in _aligned(old, new) if other is not None]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return bool(known) and all(a == b for a, b in known)


def _aligned(old: RunRecord, new: RunRecord) -> Iterator[tuple[Evaluation, Evaluation | None]]:
    """The evaluations of a record, each with the new run's at the same place."""
    places = {(e.phase, e.step, e.at, e.temperature): e for e in new.evaluations}
    for e in old.evaluations:
        yield e, places.get((e.phase, e.step, e.at, e.temperature))


def _differences(old: RunRecord, new: RunRecord, tolerance: float) -> Iterator[str]:
    """Everything in which a new run is not the record's: status, phases, alarms, samples, scores along the training."""
    if new.status != old.status:
        yield f"it {new.status} ({new.error})"
        return
    for what in ("n_parameters", "phases", "alarms"):
        a, b = (_told(record, what) for record in (old, new))
        if a != b:
            yield f"{what} {a} are recorded, now {b}"
    if len(old.evaluations) != len(new.evaluations):
        yield f"{len(old.evaluations)} evaluations are recorded, now there are {len(new.evaluations)}"
    for before, now in _aligned(old, new):
        where = place_name(before)
        if now is None:
            yield f"{where}: there is no such evaluation now"
            continue
        if None not in (before.samples_sha256, now.samples_sha256) and before.samples_sha256 != now.samples_sha256:
            yield f"{where}: samples {str(before.samples_sha256)[:12]} are recorded, now {str(now.samples_sha256)[:12]}"
        for key, score in before.scores.items():
            if key not in now.scores or now.scores[key].signature != score.signature:
                continue  # of another version of the metric, or of one that is not installed here
            near = max(tolerance, _slack(score.metric, key))
            if not math.isclose(score.value, got := now.scores[key].value, rel_tol=near, abs_tol=near):
                yield f"{where}: {key} is recorded as {score.value}, now {got}"


def _slack(metric: str, key: str) -> float:
    """How far a fitted score may be from itself, by its metric."""
    return float(find("metrics", metric).slack.get(key, 0.0)) if metric in names("metrics") else 0.0


def _told(record: RunRecord, what: str) -> Any:
    """Facts of a training without what a clock and a memory tell."""
    if what == "phases":
        return [(phase.name, phase.steps, phase.real_sentences) for phase in record.phases]
    if what == "alarms":
        return [(alarm.kind, alarm.phase, alarm.step) for alarm in record.alarms]
    return getattr(record, what)


def describe(told: Again) -> str:
    """For people: a line for a row, and below it what was found."""
    seeds = f"seed{'s' * (len(told.seeds) != 1)} {', '.join(map(str, told.seeds))}" if told.seeds else "no seed"
    head = f"{told.result:<12} {told.row}, {seeds}"
    head += "" if told.result == "not decided" else f": {told.method}"
    machine = [f"trained again on {machine_text(told.machine)}"] if told.machine else []
    return "\n".join([head, *(f"    {line}" for line in (told.why, *machine) if line)])


def write_retrained(paths: Iterable[Path], found: Iterable[Again], by: str) -> list[Path]:
    """Keep what was decided, beside `verified.json`. Raises ValueError, OSError."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    homes = [home_of(path) for path in paths]
    entries: dict[Path, list[Retraining]] = {}
    for told in found:
        if told.result == "not decided":
            continue
        files = [Path(record).resolve() for record in told.records]
        home = next((each for each in homes if all(file.is_relative_to(each) for file in files)), None)
        if home is None:
            raise ValueError(f"the records of {told.row} lie in several folders: name one that holds them all")
        hashes = {p.relative_to(home).as_posix(): hashlib.sha256(read_regular(p)).hexdigest() for p in files}
        kept = {name: getattr(told, name) for name in ("machine", "method", "result", "why", "p_values")}
        entry = Retraining(
            by=by, date=today, version=package_version(), seeds=tuple(told.seeds), records=hashes, **kept
        )
        entries.setdefault(home, []).append(entry)
    return [keep(home, own) for home, own in entries.items()]
