"""`leaderboards add`: a run becomes a row of the repository's boards, if anybody can check it.

Refused is what nobody could make again or score again: a checkout with uncommitted changes or without a known commit, a
task, version or data that are not the ones of this installation, samples that are missing or have another hash, an id
that is there with other content. A failed run is taken like any other: it counts as started, and rows that leave their
failures out look better than they are. A run that was begun and has no record is not a row.

Small weights of an installed model come along, so that `verify` can compute its likelihood again; of other models the
log-probabilities that they gave, which show the arithmetic alone.
"""

from __future__ import annotations

import bz2
import hashlib
import json
import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.hand_in.bundle import MOST_WEIGHTS, commit_problem
from bench.hand_in.trained_by import read_trained_by, trained_by_json, who_trained
from bench.places import ROOT
from bench.record import RunRecord, is_altered, read_record
from bench.run_folder import (
    INPUTS,
    MODEL_SOURCE,
    RECORD,
    TEMPORARY,
    TRAINED_BY,
    WEIGHTS,
    is_regular,
    log_probs_name,
    read_regular,
    records_in,
    sweep_below,
    temporary_prefix,
)
from leaderboards.repository import rescore
from leaderboards.repository.results import (
    SOURCE,
    check_record,
    find_samples,
    find_source,
    kept_evaluations,
    pack,
    place,
    read_kept_samples,
)
from leaderboards.schema import END

__all__ = ["Added", "PublishedFile", "add", "find_runs"]


@dataclass(frozen=True, kw_only=True)
class Added:
    """A run in its place."""

    run: str
    folder: str
    files: list[str]
    bytes: int
    new: bool
    """False: it was there already."""


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """Samples that are published elsewhere and not ours to hand on: address and hash are kept in their place."""

    file: Path
    url: str


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Record files: of a run's folder, of all folders below one, or as named. Raises FileNotFoundError."""
    found: dict[Path, None] = {}
    for path in paths:
        found |= dict.fromkeys(records_in(path))
    return list(found)


def add(
    path: Path,
    results: Path,
    sources: Sequence[PublishedFile] = (),
    *,
    most_weights: int = MOST_WEIGHTS,
    trained_by: str | None = None,
) -> Added:
    """Check one record and its samples and copy them, all or nothing. Raises ValueError: what is wrong, what to do.

    `sources`: the published files that the samples were read from, one after another, which are kept by their address.
    Weights of more than `most_weights` bytes stay where they are. `trained_by`: where no file beside it says so.
    """
    if path.is_symlink():
        raise ValueError(f"{path} is a link; a file is expected")
    record = read_record(path)
    try:
        if is_altered(path):
            raise ValueError("it is not as it was written: its checksum differs")
        check_record(record)
        _check_commit(record)
        loaded = rescore.load(record)
        files = _source_files(record, sources, loaded) if sources else _samples(record, path.parent, loaded)
        if (code := find_source(path.parent, record)) is not None:
            files[f"{MODEL_SOURCE}.bz2"] = bz2.compress(code)
        files |= _likelihoods(record, path.parent, most_weights)
        if (who := who_trained(record, path.parent, trained_by)) is not None:
            files[TRAINED_BY] = trained_by_json(who)
    except rescore.NotCheckable as error:
        raise ValueError(f"{path}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    folder = results / place(record)
    files = {RECORD: record.to_json().encode(), **files}
    told = Added(
        run=str(path),
        folder=str(folder),
        files=sorted(files),
        bytes=sum(map(len, files.values())),
        new=not folder.exists(),
    )
    sweep_below(results)
    if told.new:
        _write(folder, files)
    elif not _same(folder, record):
        raise ValueError(
            f"{path}: {folder} holds another record of this run_id; remove it if this one is to replace it"
        )
    elif who is not None and (was := read_trained_by(folder)) != who:
        raise ValueError(
            f"{path}: {folder} holds an equal record, trained by {was or 'whoever keeps these rows'}; that {who} got "
            "the same is kept by `verify --retrain`"
        )
    return told


def _check_commit(record: RunRecord) -> None:
    if (problem := commit_problem(record)) is not None:
        raise ValueError(problem)
    sha = str(record.environment["git.sha"])
    if (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "cat-file", "-e", f"{sha}^{{commit}}"]
        known = subprocess.run(command, capture_output=True, check=False, timeout=60)  # noqa: S603 - checked digits
        if known.returncode:
            raise ValueError(f"this checkout does not know the commit {sha[:12]} of the run: fetch it first")


def _samples(record: RunRecord, folder: Path, loaded: rescore.Loaded) -> dict[str, bytes]:
    """File name -> compressed samples, and the sentences that they answer, where they are rewritten ones."""
    files = {}
    for evaluation in kept_evaluations(record):
        if (path := find_samples(folder, evaluation)) is None:
            raise ValueError(f"{evaluation.samples_file or 'the samples file'} is missing beside the record")
        files[f"{evaluation.samples_file}.bz2"] = pack(read_kept_samples(path, evaluation))
    if files and (inputs := rescore.inputs(record.model, loaded)) is not None:
        files[f"{INPUTS}.bz2"] = pack(inputs)
    return files


def _likelihoods(record: RunRecord, folder: Path, most_weights: int) -> dict[str, bytes]:
    """Weights, or log-probabilities where they are too large or the model's code is not of an installed package."""
    files = {}
    weights = rescore.weights_of(record, folder)
    if weights is not None and (weights.stat().st_size > most_weights or not rescore.has_likelihood(record)):
        weights = None
    for evaluation in kept_evaluations(record):
        path = folder / log_probs_name(str(evaluation.samples_file))
        if is_regular(path) and (weights is None or evaluation.at not in END):
            files[path.name] = read_regular(path)
    if weights is not None:
        files[WEIGHTS] = read_regular(weights)
    return files


def _source_files(record: RunRecord, sources: Sequence[PublishedFile], loaded: rescore.Loaded) -> dict[str, bytes]:
    """`source.json` in place of the samples, if the published files give exactly the record's sentences."""
    if record.origin != "samples" or len(kept_evaluations(record)) != 1:
        raise ValueError("a source is of samples that were handed in, and this is a run of the harness")
    if wrong := next((source.url for source in sources if not source.url.startswith("https://")), None):
        raise ValueError(f"the source must be an https address, got {wrong!r}")
    sentences = rescore.read_sentences(loaded, *(source.file for source in sources))
    digest = hashlib.sha256("".join(f"{s}\n" for s in sentences).encode()).hexdigest()
    if digest != kept_evaluations(record)[0].samples_sha256:
        told, verb = ", ".join(str(source.file) for source in sources), "does" if len(sources) == 1 else "do"
        raise ValueError(f"{told} {verb} not hold the samples that the record was made of")
    entries = [
        {"name": s.file.name, "url": s.url, "sha256": hashlib.sha256(s.file.read_bytes()).hexdigest()} for s in sources
    ]
    kept = entries[0] if len(entries) == 1 else entries
    return {SOURCE: (json.dumps(kept, indent=2, sort_keys=True) + "\n").encode()}


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Beside the place, then there by one renaming."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(dir=folder.parent, prefix=temporary_prefix("adding"), suffix=TEMPORARY))
    try:
        for name, content in files.items():
            (half / name).write_bytes(content)
        half.chmod(0o755)
        half.rename(folder)
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise


def _same(folder: Path, record: RunRecord) -> bool:
    """Whether the record that is there is of the same run, clock, machine and the rounding of sums aside.

    Which end of a score is better, and why one is absent, is this version's word and no part of the run.
    """
    stored = folder / RECORD
    return stored.is_file() and _equal(*(_measured(each.content()) for each in (read_record(stored), record)))


def _measured(value: Any) -> Any:
    """JSON values without what is said of them."""
    if isinstance(value, dict):
        return {key: _measured(each) for key, each in value.items() if key not in ("better", "skipped")}
    return [_measured(each) for each in value] if isinstance(value, list) else value


def _equal(one: Any, other: Any) -> bool:
    """JSON values, numbers to as many digits as two processors give the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-7, abs_tol=1e-9)
    return bool(one == other)
