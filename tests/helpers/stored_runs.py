"""Small real runs for the tests of `leaderboards add` and `leaderboards verify`."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from helpers.paths import ROOT, TOY

from bench.config import RunConfig, build, build_metrics
from bench.record import RunRecord, read_record
from bench.registry import find
from bench.run.runner import run
from bench.score.records import LoadedTask, record_samples
from bench.text.sample_files import read_samples


def head() -> str:
    """The commit of this checkout; any digits where there is no repository to know it."""
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() if (ROOT / ".git").exists() else "0" * 40


def change(folder: Path, how: Callable[[RunRecord], RunRecord]) -> RunRecord:
    """Write another record in place of a folder's."""
    record = how(read_record(folder / "record.json"))
    record.write(folder / "record.json")
    return record


def change_json(folder: Path, how: Callable[[dict[str, Any]], object]) -> None:
    """The same below what a record can hold."""
    document = json.loads((folder / "record.json").read_text())
    document.pop("checksum", None)  # as if it had been written so
    how(document)
    (folder / "record.json").write_text(json.dumps(document))


def as_from_a_clean_checkout(record: RunRecord) -> RunRecord:
    return replace(record, environment={**record.environment, "git.sha": head(), "git.dirty": False})


def train(runs: Path, name: str = TOY, **settings: Any) -> Path:
    """A run, of the toy GAN: cadence, end of pre-training, end at two temperatures."""
    kinds = find("models", name), find("tasks", "grammar")
    model, task = (dict(kind.scales.get("smoke", {})) for kind in kinds)  # as quick, and fit for a row
    values = {"model": name, "task": "grammar", "scale": "small", "n_samples": 60, "temperatures": [0.5]}
    values |= {"model_settings": model | settings.pop("model_settings", {}), "task_settings": task}
    resolved = RunConfig.model_validate({**values, "evaluate_every": 22, **settings}).resolve()
    run(resolved, runs)
    change(resolved.folder(runs), as_from_a_clean_checkout)
    return resolved.folder(runs)


def hand_in(file: Path, folder: Path, name: str = "Somebody's samples", **metrics: dict[str, Any]) -> Path:
    """The record of a samples file."""
    task = build(find("tasks", "grammar"), {}, "grammar")
    data = task.load()
    board = LoadedTask(
        name="grammar", task=task, data=data, metrics=build_metrics(tuple(metrics or task.metrics), metrics)
    )
    samples = read_samples(file, task, data.vocabulary, eos_id=data.spec.eos_id)
    record_samples(name, board, samples, folder)
    change(folder, as_from_a_clean_checkout)
    return folder


def copy(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
