"""Rebuild MLflow from run folders, by the code that tracks a live run. Doing it again adds nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from bench.record import read_record, read_start
from bench.run_folder import RECORD, START
from bench.tracking import mlflow_store
from bench.tracking.mlflow import EXPERIMENT, one_line
from bench.tracking.mlflow_run import MlflowRun

__all__ = ["Synced", "sync"]


class Synced(NamedTuple):
    """What became of each folder."""

    runs: list[tuple[Path, str]]
    """Folder and MLflow's run id."""
    errors: list[tuple[Path, str]]
    """Folder and why MLflow does not have it."""


def sync(run_folders: Iterable[Path], tracking_uri: str, experiment: str = EXPERIMENT) -> Synced:
    """Tell MLflow every run of the folders, with the original times; a folder that cannot be read stops no other.

    A run without a record is told as interrupted; if it is still going on, its own tracker corrects that at the end.
    Raises ValueError if MLflow is not installed or if it refuses this kind of address.
    """
    mlflow_store.check(tracking_uri)
    synced = Synced([], [])
    for folder in run_folders:
        try:
            synced.runs.append((folder, _sync_folder(folder, tracking_uri, experiment)))
        except mlflow_store.failures(ValueError) as error:
            synced.errors.append((folder, one_line(error)))
    return synced


def _sync_folder(folder: Path, tracking_uri: str, experiment: str) -> str:
    info = read_start(folder / START)
    record = read_record(folder / RECORD) if (folder / RECORD).exists() else None
    run = MlflowRun(tracking_uri, experiment, system_metrics=False)
    run.start(info, folder)
    run.finish(record)
    return run.run_id
