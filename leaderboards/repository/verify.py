"""`leaderboards verify`: every score of a stored row, computed again from its samples and its data.

A row is `verified` if its record is whole, lies where it says, its samples have their hashes, its data are those of the
task, and every score of every set of samples that is kept comes out equal (to 1e-9; scores of the float32 oracle to
1e-7). Named, never passed over: scores that need the model's weights, and those of samples that are not kept.
"""

from __future__ import annotations

import concurrent.futures
import datetime
import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.places import RESULTS
from bench.record import Evaluation, RunRecord, is_altered, read_record, write_atomic
from bench.run_folder import MODEL_SOURCE, RECORD, find_records, is_temporary, read_regular, sweep_below
from leaderboards.formats import plain
from leaderboards.records import VERIFIED
from leaderboards.repository import rescore
from leaderboards.repository.results import (
    SOURCE,
    check_record,
    find_samples,
    find_source,
    kept_evaluations,
    n_samples,
    place,
    read_kept_samples,
    root_of,
)
from leaderboards.schema import END

__all__ = ["Verification", "describe", "verify", "write_verified"]

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


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
    files: int = 0
    """Sets of samples that were scored again."""
    scores: int = 0
    """Scores that came out equal."""
    largest_difference: float = 0.0
    """Of them; relative where a score is over 1."""
    recorded_only: dict[str, str] = field(default_factory=dict)
    """What was not computed again, and why."""


def verify(paths: Iterable[Path], jobs: int = 1) -> list[Verification]:
    """Check every record below the paths, in order; `jobs` processes at a time.

    Below a folder with `<task>@<version>` folders, as in the repository, every file must have its place and its
    record. Raises FileNotFoundError for a path that does not exist.
    """
    files: dict[Path, Path | None] = {}
    strays: list[Verification] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; name a folder with records or a record.json")
        found = [path] if path.is_file() else find_records(path)
        root = root_of(path)
        files |= dict.fromkeys(found, root)
        if root == path:
            strays += _strays(path, found)
        elif not found:
            strays.append(Verification(record=str(path), reasons=["it holds no record.json at any depth"]))
    if jobs <= 1 or len(files) < 2:
        return [*strays, *(_check(file, root) for file, root in files.items())]
    for name in _THREADS:  # a process each; their matrix products must not fight for the cores
        os.environ.setdefault(name, "1")
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context) as pool:
        return [*strays, *pool.map(_check, files, files.values(), chunksize=max(1, len(files) // (8 * jobs)))]


def _strays(root: Path, records: Sequence[Path]) -> Iterator[Verification]:
    """Links, and files that no record names."""
    folders = {file.parent for file in records}
    for path in sorted(root.rglob("*")):
        if any(map(is_temporary, path.relative_to(root).parts)):
            continue  # what a killed command left; the next one that writes there sweeps it
        if path.is_symlink():
            yield Verification(record=str(path), reasons=["it is a link; a file is expected"])
        elif path.is_file() and path != root / VERIFIED and path.parent not in folders:
            yield Verification(record=str(path), reasons=["no record.json lies beside it"])


def _check(path: Path, root: Path | None) -> Verification:
    """One record. Whatever is wrong with it is in the report."""
    report = Verification(record=str(path))
    try:
        report.sha256 = hashlib.sha256(read_regular(path)).hexdigest()
        record = read_record(path)
        report.task, report.model = f"{record.task}@{record.task_version}", record.model
        check_record(record)
        if root is not None:
            _check_place(record, path, root)
        if is_altered(path):
            report.reasons.append("it is not as it was written: its checksum differs")
        find_source(path.parent, record)
        loaded = rescore.load(record)
        for evaluation in record.evaluations:
            _check_evaluation(record, evaluation, path.parent, loaded, report)
    except rescore.NotCheckable as error:
        report.state = "not checked" if not report.reasons else "different"
        report.reasons.append(str(error))
        return report
    except (ValueError, OSError, MemoryError, RecursionError) as error:
        report.reasons.append(str(error) or type(error).__name__)
        return report
    if report.reasons:
        return report
    if record.status == "failed":
        report.state = "no evidence"
        report.reasons.append("the run failed: it counts as started and is evidence of nothing else")
    elif report.scores == 0:
        report.state = "not checked"
        report.reasons.append("none of its scores can be computed again without the model's weights")
    else:
        report.state = "verified"
    return report


def _check_place(record: RunRecord, path: Path, root: Path) -> None:
    if (expected := root / place(record) / RECORD) != path:
        raise ValueError(f"the record belongs at {expected}, by its task, model and run_id")
    allowed = {RECORD, SOURCE, *(f"{e.samples_file}.bz2" for e in record.evaluations)}
    allowed |= {f"{MODEL_SOURCE}.bz2"} if record.model_source else set()
    if strange := sorted(p.name for p in path.parent.iterdir() if p.name not in allowed and not is_temporary(p.name)):
        raise ValueError(f"{strange[0]!r} lies beside the record, which does not name it")


def _check_evaluation(
    record: RunRecord, evaluation: Evaluation, folder: Path, loaded: rescore.Loaded, report: Verification
) -> None:
    where = f"{evaluation.phase}, step {evaluation.step}, temperature {evaluation.temperature:g}"
    sentences = _sentences(record, evaluation, folder, loaded)
    if sentences is None:
        report.recorded_only |= {where: "these samples are not kept"} if evaluation.scores else {}
        return
    real = rescore.real_text(record.model, loaded, len(sentences))
    if real is not None and sentences != real:
        report.reasons.append(f"{where}: these are not the task's real sentences, which this row stands for")
    found = rescore.recompute(loaded, evaluation, sentences)
    report.files += 1
    report.scores += len(found.equal)
    report.largest_difference = max(report.largest_difference, found.largest)
    report.reasons += [f"{where}: {difference}" for difference in found.differences]
    report.recorded_only |= dict.fromkeys(found.needs_model, "needs the model's weights")


def _sentences(record: RunRecord, evaluation: Evaluation, folder: Path, loaded: rescore.Loaded) -> Sequence[str] | None:
    """The samples of an evaluation; None if they need not be there and are not."""
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
        source = json.loads(read_regular(path))
        name, url, sha256 = (str(source[key]) for key in ("name", "url", "sha256"))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} must have name, url and sha256: {error}") from error
    if not url.startswith("https://") or Path(name).name != name or name.startswith("."):
        raise ValueError(f"{path} must name a file and an https address, got {name!r} and {url!r}")
    file = rescore.fetch(name, url, sha256)
    sentences = rescore.read_sentences(loaded, file)
    digest = hashlib.sha256("".join(f"{s}\n" for s in sentences).encode()).hexdigest()
    if digest != evaluation.samples_sha256 or len(sentences) != n_samples(evaluation):
        raise ValueError(f"{file} does not give the samples of the record")
    return sentences


def describe(report: Verification) -> str:
    """For people: a line, and one below it for each reason and for what was not computed again."""
    lines = [f"{report.state:<12} {report.record}"]
    if report.files:
        apart = f", apart by at most {report.largest_difference:.1g}" if report.largest_difference else ""
        lines[0] += f": {report.scores} scores of {report.files} files equal{apart}"
    lines += [f"    {reason}" for reason in report.reasons]
    named: dict[str, list[str]] = {}
    for what, why in report.recorded_only.items():
        named.setdefault(why, []).append(what)
    lines += [f"    as recorded, {why}: {'; '.join(whats)}" for why, whats in named.items()]
    return "\n".join(map(plain, lines))


def write_verified(paths: Iterable[Path], reports: Iterable[Verification]) -> list[Path]:
    """Keep which records were verified, for the tables: `verified.json` in each folder, or in the results above it.

    A record that was checked and is not verified is taken out; what is said of the others stays.
    """
    by_folder: dict[Path, list[Verification]] = {}
    for report in reports:
        file = Path(report.record).resolve()
        home = next(h for h in map(_home, paths) if file.is_relative_to(h))
        by_folder.setdefault(home, []).append(report)
    written = []
    for folder, own in by_folder.items():
        sweep_below(folder)
        known = _known(folder / VERIFIED)
        checked = {Path(r.record).resolve().relative_to(folder).as_posix() for r in own}
        records = {
            sha256: entry
            for sha256, entry in known.items()
            if entry["record"] not in checked and (folder / entry["record"]).is_file()
        }
        for report in own:
            if report.state == "verified":
                records[report.sha256] = _entry(report, folder, known.get(report.sha256))
        text = json.dumps({"schema_version": 1, "records": records}, indent=1, sort_keys=True)
        write_atomic(folder / VERIFIED, f"{text}\n".encode())
        written.append(folder / VERIFIED)
    return written


def _home(path: Path) -> Path:
    path = path.resolve()
    return RESULTS.resolve() if path.is_relative_to(RESULTS.resolve()) else path if path.is_dir() else path.parent


def _known(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    try:
        return {
            sha256: {"record": str(e["record"]), **e} for sha256, e in json.loads(read_regular(path))["records"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}  # torn, or a conflict of two branches: it is made anew


def _entry(report: Verification, folder: Path, old: dict[str, Any] | None) -> dict[str, Any]:
    """With the old date where nothing but the day is new."""
    entry = {
        "record": Path(report.record).resolve().relative_to(folder).as_posix(),
        "files": report.files,
        "scores": report.scores,
        "recorded_only": report.recorded_only,
        "version": rescore.package_version(),
    }
    today = {"date": datetime.datetime.now(datetime.UTC).date().isoformat()}
    return old if old is not None and {**old, **today} == {**entry, **today} else {**entry, **today}
