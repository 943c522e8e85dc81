"""`leaderboards verify`: every score of a stored row, computed again from its samples and its data.

A row is `verified` if its record is whole, lies where it says, its samples have their hashes, its data are those of the
task, and every score of every set of samples that is kept comes out equal (to 1e-9; scores of the float32 oracle to
1e-7, a model's own likelihood to 1e-6). Named, never passed over: scores that need the model's weights where these are
not kept, and those of samples that are not kept.

A row of which nothing has changed since `verify --write` is not computed again, and of a row of which only the code of
some metrics has, these alone are: what was found stands in `verified.json` with what it rests on. Record and samples
are told by their hashes, so a flipped bit is noticed at once.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.hand_in.trained_by import read_trained_by
from bench.places import RESULTS
from bench.record import Evaluation, RunRecord, is_altered, read_record, write_atomic
from bench.run_folder import (
    INPUTS,
    MODEL_SOURCE,
    RECORD,
    TRAINED_BY,
    WEIGHTS,
    changing,
    find_records,
    is_regular,
    is_temporary,
    log_probs_name,
    read_regular,
    records_in,
    sweep_below,
)
from bench.text.escapes import shown_name
from leaderboards.evidence import (
    NO_SAMPLES,
    VERIFIED,
    Basis,
    Change,
    Check,
    Document,
    How,
    Outcome,
    Verified,
    VerifiedFile,
    gathered,
    outcomes,
    place_name,
    read_verified,
    verified_of,
)
from leaderboards.repository import rescore
from leaderboards.repository.processes import side_by_side
from leaderboards.repository.results import (
    SOURCE,
    check_inputs,
    check_record,
    find_samples,
    find_source,
    kept_evaluations,
    n_samples,
    place,
    read_kept_samples,
    root_of,
)
from leaderboards.retrained import RETRAINED
from leaderboards.schema import END

__all__ = ["Verification", "changed", "describe", "home_of", "sentences_of", "summary", "verify", "write_verified"]


@dataclass(kw_only=True)
class Verification:
    """What came out for one record."""

    record: str
    sha256: str = ""
    """Of the record file."""
    task: str = ""
    model: str = ""
    state: Literal["verified", "different", "not checked", "no evidence"] = "different"
    """`no evidence`: a failed run, which counts as started; nothing differs. `not checked`: nothing is wrong as far as
    it could be looked at, and data or samples are not on this machine."""
    reasons: list[str] = field(default_factory=list)
    """What differs, or why it was not checked."""
    computed: Literal["whole", "part", "nothing"] = "whole"
    """`part`: the scores of some metrics, the others taken over. `nothing`: all was taken over."""
    why_computed: list[str] = field(default_factory=list)
    """What has changed, or who asked for it; empty where all was taken over."""
    files: int = 0
    """Sets of samples that were scored again."""
    scores: int = 0
    """Scores that came out equal."""
    largest_difference: float = 0.0
    """Of them; relative where a score is over 1."""
    evaluations: list[str] = field(default_factory=list)
    """Of the record, in words."""
    checks: tuple[Check, ...] = ()
    """How each score was checked, or why it was not."""
    basis: Basis | None = None
    """What this rests on."""
    another: bool = False
    """Another record was verified in this place, and nobody asked for this one."""


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is to be done about a record."""

    path: Path
    root: Path | None
    why: tuple[Change, ...]
    """Why it is computed; empty: it is not."""
    metrics: frozenset[str] | None = None
    """Scores of these are computed; None: of all."""
    old: Verified | None = None
    """What stands where a score is not computed."""
    verified: str = ""
    """The day on which another record was verified in this place."""


def verify(
    paths: Iterable[Path], jobs: int = 1, *, everything: bool = False, again: Collection[Path] = ()
) -> list[Verification]:
    """Check every record below the paths, in order; `jobs` processes at a time.

    What `verified.json` says of a record stands as long as nothing has changed, but for records in `again`, and for
    `everything` of all. Below a folder with `<task>@<version>` folders, as in the repository, every file must have its
    place and its record. Raises FileNotFoundError for a path without records.
    """
    files, strays = _found(paths)
    known: dict[Path, VerifiedFile] = {}
    asked = {path.resolve() for path in again}
    plans = [_plan(file, root, known, everything or file.resolve() in asked) for file, root in files.items()]
    todo = [plan for plan in plans if plan.why]
    done = dict(zip((plan.path for plan in todo), _carry_out(todo, jobs), strict=True))
    return [*strays, *(done.get(plan.path) or _check(plan) for plan in plans)]


def _found(paths: Iterable[Path]) -> tuple[dict[Path, Path | None], list[Verification]]:
    """Record file -> the folder of results that it lies in; and what lies there and is no record's."""
    files: dict[Path, Path | None] = {}
    strays: list[Verification] = []
    for path in paths:
        root = root_of(path)
        found = find_records(path) if root == path else records_in(path)
        files |= dict.fromkeys(found, root)
        if root == path:
            strays += _strays(path, found)
    return files, strays


def _carry_out(plans: Sequence[_Plan], jobs: int) -> list[Verification]:
    if jobs <= 1 or len(plans) < 2:
        return [_check(plan) for plan in plans]
    return side_by_side(_check, [(plan,) for plan in plans], jobs, _lost)


def _lost(item: tuple[_Plan]) -> Verification:
    """What is said of a record whose process died."""
    reason = "the process that checked it was killed, or ran out of memory: verify this row alone"
    return Verification(record=str(item[0].path), state="not checked", reasons=[reason])


def changed(paths: Iterable[Path]) -> dict[Path, tuple[Change, ...]]:
    """Every record below the paths, and why `verify` would compute it: empty if it would not. Computes nothing."""
    known: dict[Path, VerifiedFile] = {}
    return {file: _plan(file, root, known, asked=False).why for file, root in _found(paths)[0].items()}


def _plan(path: Path, root: Path | None, known: dict[Path, VerifiedFile], asked: bool) -> _Plan:
    """What of a record is to be computed; `known` keeps what was read of each folder."""
    try:
        record = read_record(path)
        old = verified_of(path, record, known)
        changes = [] if old is None or old.basis is None else _changes(record, path.parent, old.basis)
    except (ValueError, KeyError, OSError, RecursionError):  # `_check` says what is wrong
        return _Plan(path=path, root=root, why=(Change(what="record", name="it, or what is said of it, is not read"),))
    if asked:
        return _Plan(path=path, root=root, why=(Change(what="asked", name="asked for"),), old=old)
    if old is None or old.basis is None:
        name = "not verified before" if old is None else "not known what it rested on"
        before = "" if old is not None else _verified_here(path, known)
        return _Plan(path=path, root=root, why=(Change(what="record", name=name),), verified=before)
    concerned = {change.metric for change in changes}
    metrics = None if None in concerned else frozenset(name for name in concerned if name is not None)
    if metrics is not None and "model" in metrics:
        of_weights = {key for check in old.checks if check.how == "weights" for key in check.scores}
        scores = (s for e in record.evaluations for key, s in e.scores.items() if key in of_weights)
        metrics |= {score.metric for score in scores}
    return _Plan(path=path, root=root, why=tuple(changes), metrics=metrics, old=old)


def _changes(record: RunRecord, folder: Path, old: Basis) -> list[Change]:
    """What is not as it was. Libraries that are not here change nothing where scores of an extra cannot be computed."""
    changes = _basis(record, folder).changes(old)
    if any(change.what == "library" and change.now is None for change in changes):
        metrics = {score.metric for e in record.evaluations for score in e.scores.values()}
        if rescore.not_installed(metrics):
            changes = [change for change in changes if change.what != "library" or change.now is not None]
    return changes


def _verified_here(path: Path, known: Mapping[Path, VerifiedFile]) -> str:
    """The day on which another record was verified in this place; empty: none was."""
    place = path.resolve()
    for folder, file in known.items():
        if place.is_relative_to(folder):
            name = place.relative_to(folder).as_posix()
            found = (entry.date for entry in file.entries.values() if entry.record == name)
            if (date := next(found, None)) is not None:
                return date
    return ""


def _basis(record: RunRecord, folder: Path) -> Basis:
    """Of a record as it lies there, in the repository or as its run left it."""
    packed, plain = _beside(record)
    beside = {p.name: p for p in sorted(folder.iterdir()) if p.name in packed | plain}
    if rescore.weights_of(record, folder) is None:
        beside.pop(WEIGHTS, None)
    return rescore.basis(record, {name: hashlib.sha256(read_regular(p)).hexdigest() for name, p in beside.items()})


def _beside(record: RunRecord) -> tuple[set[str], set[str]]:
    """Names of the files that may lie beside a record of the repository, and of those in a run's own folder."""
    samples = [e.samples_file for e in record.evaluations if e.samples_file]
    own = [*samples, *([INPUTS] if samples else []), *([MODEL_SOURCE] if record.model_source else [])]
    return {SOURCE, WEIGHTS, *(f"{name}.bz2" for name in own), *map(log_probs_name, samples)}, set(own)


def _strays(root: Path, records: Sequence[Path]) -> Iterator[Verification]:
    """Links, and files that no record names."""
    folders = {file.parent for file in records}
    for path in sorted(root.rglob("*")):
        if any(map(is_temporary, path.relative_to(root).parts)):
            continue  # what a killed command left; the next one that writes there sweeps it
        if path.is_symlink():
            yield Verification(record=str(path), reasons=["it is a link; a file is expected"])
        elif path.is_file() and path not in (root / VERIFIED, root / RETRAINED) and path.parent not in folders:
            yield Verification(record=str(path), reasons=["no record.json lies beside it"])


def _check(plan: _Plan) -> Verification:
    """One record, as far as it is to be computed. Whatever is wrong with it is in the report."""
    path, old = plan.path, plan.old
    report = Verification(record=str(path), why_computed=list(map(str, plan.why)))
    report.computed = "nothing" if not plan.why else "whole" if plan.metrics is None else "part"
    try:
        report.sha256 = hashlib.sha256(read_regular(path)).hexdigest()
        record = read_record(path)
        report.task, report.model = f"{record.task}@{record.task_version}", record.model
        report.evaluations = list(map(place_name, record.evaluations))
        check_record(record)
        if plan.root is not None:
            _check_place(record, path, plan.root)
        if plan.verified:
            report.another = True
            report.reasons.append(
                f"it is not the record that was verified here on {plan.verified}: take that one from a copy; if this "
                "one is meant to stand in its place, verify it with --all"
            )
        if is_altered(path):
            report.reasons.append("it is not as it was written: its checksum differs")
        found = {} if old is None or plan.metrics is None else outcomes(old.checks)
        if plan.why:
            find_source(path.parent, record)
            loaded = rescore.load(record)
            check_inputs(path.parent, rescore.inputs(record.model, loaded))
            absent = rescore.not_installed(s.metric for e in record.evaluations for s in e.scores.values())
            before = {} if old is None else outcomes(old.checks)
            for place, evaluation in enumerate(record.evaluations):
                own = _check_evaluation(record, evaluation, path.parent, loaded, plan.metrics, absent, report)
                found |= {(place, key): outcome for key, outcome in own.items()}
                unseen = {key: absent[s.metric] for key, s in evaluation.scores.items() if s.metric in absent}
                found |= {(place, key): before.get((place, key), ("recorded", why)) for key, why in unseen.items()}
        report.checks = gathered(found)
        report.basis = _basis(record, path.parent)
    except rescore.NotCheckable as error:
        report.state = "not checked" if not report.reasons else "different"
        report.reasons.append(str(error))
        return report
    except (ValueError, KeyError, OSError, MemoryError, RecursionError) as error:
        report.reasons.append(str(error.args[0] if isinstance(error, KeyError) else error) or type(error).__name__)
        return report
    if report.reasons:
        return report
    if record.status == "failed":
        report.state = "no evidence"
        report.reasons.append("the run failed: it counts as started and is evidence of nothing else")
    elif all(check.how == "recorded" for check in report.checks):
        report.state = "not checked"
        report.reasons.append("none of its scores can be computed again without the model's weights")
    else:
        report.state = "verified"
    return report


def _check_place(record: RunRecord, path: Path, root: Path) -> None:
    if (expected := root / place(record) / RECORD) != path:
        raise ValueError(f"the record belongs at {expected}, by its task, model and run_id")
    allowed = {RECORD, TRAINED_BY, *_beside(record)[0]}
    read_trained_by(path.parent)
    if strange := sorted(p.name for p in path.parent.iterdir() if p.name not in allowed and not is_temporary(p.name)):
        raise ValueError(f"{strange[0]!r} lies beside the record, which does not name it")


def _check_evaluation(
    record: RunRecord,
    evaluation: Evaluation,
    folder: Path,
    loaded: rescore.Loaded,
    metrics: Collection[str] | None,
    absent: Collection[str],
    report: Verification,
) -> dict[str, Outcome]:
    """Compute the scores of some metrics, but for those that are absent here; how each of them was checked."""
    where = place_name(evaluation)
    if absent:
        metrics = {s.metric for s in evaluation.scores.values() if metrics is None or s.metric in metrics} - {*absent}
    sentences = sentences_of(record, evaluation, folder, loaded)
    if sentences is None:
        chosen = (key for key, score in evaluation.scores.items() if metrics is None or score.metric in metrics)
        return dict.fromkeys(chosen, ("recorded", NO_SAMPLES))
    real = rescore.real_text(record.model, loaded, len(sentences))
    if real is not None and sentences != real:
        report.reasons.append(f"{where}: these are not the task's real sentences, which this row stands for")
    model = rescore.likelihood(record, evaluation, folder, loaded)
    found = rescore.recompute(loaded, evaluation, sentences, model, metrics)
    report.files += 1
    report.scores += sum(how != "recorded" for how, _ in found.outcomes.values())
    report.largest_difference = max(report.largest_difference, found.largest)
    report.reasons += [f"{where}: {difference}" for difference in found.differences]
    return found.outcomes


def sentences_of(
    record: RunRecord, evaluation: Evaluation, folder: Path, loaded: rescore.Loaded
) -> Sequence[str] | None:
    """The samples of an evaluation; None if they need not be there and are not.

    Raises ValueError where they are not what the record says, NotCheckable where they cannot be had here.
    """
    if (path := find_samples(folder, evaluation)) is not None:
        return read_kept_samples(path, evaluation)
    if not any(evaluation is needed for needed in kept_evaluations(record)):
        return None
    if (folder / SOURCE).is_file() and evaluation.at in END:
        return _from_source(folder / SOURCE, evaluation, loaded)
    raise ValueError(f"{folder / str(evaluation.samples_file)} is missing")


def _from_source(path: Path, evaluation: Evaluation, loaded: rescore.Loaded) -> Sequence[str]:
    """Sentences of a published file that is not ours to hand on."""
    try:
        read = json.loads(read_regular(path))
        sources = [tuple(str(one[key]) for key in ("name", "url", "sha256")) for one in _listed(read)]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} must have name, url and sha256, or a list of such: {error}") from error
    for name, url, _ in sources:
        if not url.startswith("https://") or Path(name).name != name or name.startswith("."):
            raise ValueError(f"{path} must name a file and an https address, got {name!r} and {url!r}")
    files = [rescore.fetch(name, url, sha256) for name, url, sha256 in sources]
    sentences = rescore.read_sentences(loaded, *files)
    digest = hashlib.sha256("".join(f"{s}\n" for s in sentences).encode()).hexdigest()
    if digest != evaluation.samples_sha256 or len(sentences) != n_samples(evaluation):
        told = ", ".join(map(str, files))
        raise ValueError(f"{told}: these are not the samples of the record")
    return sentences


def _listed(source: Any) -> list[Any]:
    """One source, or several."""
    return source if isinstance(source, list) and source else [source]


def describe(report: Verification) -> str:
    """For people: a line, and below it each reason, and what was not computed from samples."""
    lines = [f"{report.state:<12} {report.record}"]
    if report.files:
        apart = f", apart by at most {report.largest_difference:.1g}" if report.largest_difference else ""
        lines[0] += f": {report.scores} scores of {report.files} files equal{apart}"
    if report.computed == "part":
        lines[0] += "; the others as they were verified"
    elif report.computed == "nothing" and report.state == "verified":
        lines[0] += ": unchanged since it was verified"
    lines += [f"    {reason}" for reason in report.reasons]
    named: dict[str, dict[str, None]] = {}
    for check in report.checks:
        whole = check.why == NO_SAMPLES
        whats = [report.evaluations[place] for place in check.evaluations] if whole else check.scores
        named.setdefault(_TOLD[check.how].format(check.why), {}).update(dict.fromkeys(whats))
    lines += [f"    {how}: {'; '.join(whats)}" for how, whats in named.items() if how]
    return "\n".join(map(shown_name, lines))


_TOLD: Mapping[How, str] = {
    "samples": "",
    "weights": "recomputed from weights",
    "log_probabilities": "averaged from stored log-probabilities",
    "recorded": "as recorded, {}",
}


def summary(reports: Iterable[Verification]) -> str:
    """How many records were computed and why, and how many were taken over."""
    reports = [report for report in reports if report.sha256]
    parts = {
        "computed": [r for r in reports if r.computed == "whole"],
        "computed in part": [r for r in reports if r.computed == "part"],
    }
    told = []
    for what, own in parts.items():
        reasons: dict[str, int] = {}
        for report in own:
            for why in report.why_computed:
                reasons[why] = reasons.get(why, 0) + 1
        if own:
            told.append(f"{len(own)} {what} ({', '.join(f'{why}: {n}' for why, n in reasons.items())})")
    if n := sum(report.computed == "nothing" for report in reports):
        told.append(f"{n} unchanged since {VERIFIED} was written, taken over from it (--all computes them too)")
    return "; ".join(told)


def write_verified(paths: Iterable[Path], reports: Iterable[Verification]) -> list[Path]:
    """Keep which records were verified, for the tables: `verified.json` in each folder, or in the results above it.

    A record that was checked and is not verified is taken out; what is said of the others stays.
    """
    by_folder: dict[Path, list[Verification]] = {}
    for report in reports:
        file = Path(report.record).resolve()
        home = next(h for h in map(home_of, paths) if file.is_relative_to(h))
        by_folder.setdefault(home, []).append(report)
    written = []
    for folder, own in by_folder.items():
        with changing(folder / VERIFIED):
            _write_verified(folder, own)
        written.append(folder / VERIFIED)
    return written


def _write_verified(folder: Path, own: Sequence[Verification]) -> None:
    sweep_below(folder)
    before = _known(folder / VERIFIED)
    known = before.read(folder)
    checked = {Path(r.record).resolve().relative_to(folder).as_posix() for r in own if not r.another}
    known |= {
        sha256: entry
        for sha256, entry in before.entries.items()
        if sha256 not in known and isinstance(entry, Verified) and entry.record not in checked
    }
    records = {
        sha256: entry
        for sha256, entry in known.items()
        if entry.record not in checked and is_regular(folder / entry.record)
    }
    for report in own:
        if report.state == "verified":
            records[report.sha256] = _entry(report, folder, known.get(report.sha256))
    write_atomic(folder / VERIFIED, Document(records=records).to_json().encode())


def home_of(path: Path) -> Path:
    """The folder that holds `verified.json` for the records below a path."""
    path = path.resolve()
    return RESULTS.resolve() if path.is_relative_to(RESULTS.resolve()) else path if path.is_dir() else path.parent


def _known(path: Path) -> VerifiedFile:
    try:
        return read_verified(path)
    except (ValueError, OSError):
        return VerifiedFile()  # torn, or a conflict of two branches: it is made anew


def _entry(report: Verification, folder: Path, old: Verified | None) -> Verified:
    """With the old date and version where nothing has changed but these."""
    record = Path(report.record).resolve().relative_to(folder).as_posix()
    if old is not None and (old.record, old.checks, old.basis) == (record, report.checks, report.basis):
        return old
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    version = rescore.package_version()
    return Verified(record=record, date=today, version=version, checks=report.checks, basis=report.basis)
