"""Run folders into MLflow afterwards: what it lacks of them, with the original times."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.record import read_record, read_start
from bench.run_folder import RECORD, START, is_regular
from bench.tracking import labels, mlflow_store
from bench.tracking.mlflow import TOLD, MlflowRun, digest, one_line

__all__ = ["Synced", "experiments_of", "lacking", "sync"]


class Synced(NamedTuple):
    """What became of each folder."""

    runs: list[tuple[Path, str]]
    """Folder and MLflow's run id."""
    errors: list[tuple[Path, str]]
    """Folder and why MLflow does not have it."""


def experiments_of(run_folders: Iterable[Path], uri: str, experiment: str | None = None) -> dict[str, str]:
    """Name -> MLflow's id of the experiments that have these runs. Empty where MLflow cannot be asked."""
    try:
        starts = [read_start(folder / START) for folder in run_folders if is_regular(folder / START)]
        wanted = dict.fromkeys([experiment] if experiment else map(labels.experiment_name, starts))
        mlflow_store.load()
        with mlflow_store.lock(uri):
            client = mlflow_store.connect(uri)
        if experiment is None and (old := mlflow_store.alive(client, labels.EXPERIMENT)):
            there = {run.data.tags.get("run_id") for run in mlflow_store.all_runs(client, [old])}
            wanted = dict.fromkeys(
                labels.EXPERIMENT if start.run_id in there else labels.experiment_name(start) for start in starts
            )
        return {name: found for name in wanted if (found := mlflow_store.alive(client, name))}
    except Exception:  # noqa: BLE001 - a server, a driver or a damaged file may raise anything
        return {}


def lacking(run_folders: Iterable[Path], uri: str, experiment: str | None = None) -> list[Path]:
    """Those of these run folders that MLflow has no run of. Empty where it cannot be asked."""
    folders = list(run_folders)
    places = list(experiments_of(folders, uri, experiment).values())
    try:
        with mlflow_store.lock(uri):
            client = mlflow_store.connect(uri)
        there = {run.data.tags.get("run_id") for run in mlflow_store.all_runs(client, places)}
        return [folder for folder in folders if read_start(folder / START).run_id not in there]
    except Exception:  # noqa: BLE001 - as above
        return []


def sync(run_folders: Iterable[Path], uri: str, experiment: str | None = None) -> Synced:
    """Tell MLflow all that it lacks of these folders, with the original times. A folder that cannot be read stops none.

    A run without a record is told as interrupted; if it is still going on, its own tracker corrects that at the end.
    Raises ValueError as `mlflow_store.check` does.
    """
    mlflow_store.check(uri)
    telling = _Telling(uri, experiment)
    folders = list(run_folders)
    for folder in folders:
        telling.attempt(folder, partial(telling.tell, folder))
    telling.end_parents()
    return Synced(
        [(folder, telling.ids[folder]) for folder in folders if folder in telling.ids],
        [(folder, telling.errors[folder]) for folder in folders if folder in telling.errors],
    )


class _Telling:
    """One `sync`.

    A parent looks at all of its runs, so it is brought up to date once, at the end, by the first of its completed
    seeds, whose sentences it shows. That run alone is not noted as told before, so what is stopped on the way tells
    one run of a parent again, and no other.
    """

    def __init__(self, uri: str, experiment: str | None) -> None:
        self.ids: dict[Path, str] = {}
        """Folder -> MLflow's run id."""
        self.errors: dict[Path, str] = {}
        self._uri = uri
        self._experiment = experiment
        self._told = _told(uri, experiment)
        self._first: dict[str, tuple[tuple[bool, int], Path, MlflowRun]] = {}
        """Parent -> order, folder and run of the first seed."""

    def attempt(self, folder: Path, call: Callable[[], None]) -> None:
        """A failure is noted, and stops nothing else."""
        try:
            call()
        except Exception as error:  # noqa: BLE001 - a server, a driver or a damaged file may raise anything
            self.ids.pop(folder, None)
            self.errors[folder] = one_line(error)

    def tell(self, folder: Path) -> None:
        """All but what its parent says of it, if MLflow does not have it."""
        if known := self._told.get(digest(folder)):
            self.ids[folder] = known
            return
        record = read_record(folder / RECORD) if (folder / RECORD).exists() else None
        run = MlflowRun(folder, self._uri, self._experiment)
        run.finish_run(record)
        self.ids[folder] = run.run_id
        mine = ((record is None or record.status != "completed", run.seed or 0), folder, run)
        first = self._first.setdefault(run.parent_id, mine)
        if first is not mine:
            self._first[run.parent_id], (_, other, later) = sorted((first, mine), key=lambda one: one[0])
            self.attempt(other, later.confirm)

    def end_parents(self) -> None:
        """Bring every parent up to date that has a run which was told."""
        for _, folder, run in self._first.values():
            self.attempt(folder, run.finish_parent)


def _told(uri: str, experiment: str | None) -> dict[str, str]:
    """Digest of a folder -> MLflow's run id, of the runs that are whole there, their parents too.

    Empty where nothing can be asked.
    """
    try:
        mlflow_store.load()
        with mlflow_store.lock(uri):
            client = mlflow_store.connect(uri)
            if experiment is None:
                named = client.search_experiments(filter_string=f"name LIKE '{labels.EXPERIMENT}%'")
                places = [e.experiment_id for e in named if f"{e.name}/".startswith(f"{labels.EXPERIMENT}/")]
            else:
                places = [found] if (found := mlflow_store.alive(client, experiment)) else []
        runs = mlflow_store.all_runs(client, places)
    except Exception:  # noqa: BLE001 - the first folder says what is wrong
        return {}
    there = {run.info.run_id for run in runs}
    return {
        run.data.tags[TOLD]: str(run.info.run_id)
        for run in runs
        if TOLD in run.data.tags and run.info.status != "RUNNING" and run.data.tags.get(labels.PARENT) in there
    }
