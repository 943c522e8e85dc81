"""Where the runs of a command are tracked beside their files: chosen on the command line, tried before any run starts.

Another tracker is one file with a class that is a `Tracker`, and its name here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bench.places import command
from bench.terminal import counted
from bench.tracking import mlflow_store
from bench.tracking.mlflow_store import default_uri

if TYPE_CHECKING:
    from bench.record import RunRecord

__all__ = ["Tracker", "TrackerName", "TrackingOptions", "default_uri"]


_OWN_PAGES = "http://127.0.0.1:5000/"
"""Where `mlflow ui` opens its pages, unless it is told another port."""


class Tracker(Protocol):
    """Shows one run somewhere else, by what its folder has (`bench.tracking.diary`). Its own troubles cost no run."""

    def start(self, folder: Path) -> None:
        """The run starts, or goes on after a kill: `run.json` is written, and the diary has what belongs to it."""

    def follow(self) -> None:
        """The diary may have more; called after every step, so it must be cheap."""

    def finish(self, record: RunRecord | None) -> None:
        """The run has ended, and its folder has all; None: it was interrupted and can go on."""


class TrackerName(StrEnum):
    """Trackers beside the files, which are always written."""

    mlflow = "mlflow"
    none = "none"


@dataclass(frozen=True)
class TrackingOptions:
    """What the command line says. Goes to worker processes."""

    tracker: TrackerName = TrackerName.none
    uri: str = ""
    experiment: str | None = None
    """Its name; None: one for each text."""

    def check(self) -> None:
        """Raise ValueError, before anything slow, if MLflow is not installed or refuses this kind of address."""
        if self.tracker is TrackerName.mlflow:
            mlflow_store.check(self.uri)

    def prepared(self, runs: Path = Path("runs")) -> TrackingOptions:
        """Meet the tracker once, in one process. If it fails: a warning, and files only."""
        if self.tracker is TrackerName.none:
            return self
        from bench.tracking.mlflow import prepare

        if prepare(self.uri, self.experiment, runs):
            return self
        return replace(self, tracker=TrackerName.none)

    def trackers(self) -> Sequence[Tracker]:
        """New ones, for one run."""
        if self.tracker is TrackerName.none:
            return []
        from bench.tracking.mlflow import MlflowTracker

        return [MlflowTracker(self.uri, self.experiment)]

    def not_told(self, folders: Sequence[Path], runs: Path) -> str:
        """How the tracker gets those of these finished runs that it has not, as they were trained without it."""
        if self.tracker is TrackerName.none or not folders:
            return ""
        from bench.tracking.sync import lacking

        if not (found := lacking(folders, self.uri, self.experiment)):
            return ""
        named = ("--experiment", self.experiment) if self.experiment else ()
        told = command("bench", "sync", str(runs), "--tracking-uri", self.uri, *named)
        return f"{counted(len(found), 'run')} finished without MLflow, which learns of them by {told}"

    def hint(self, folders: Sequence[Path] = ()) -> str:
        """Where these runs went: the command that opens MLflow's pages, and the address of the prepared view there.

        Empty where nothing is tracked; one line where MLflow cannot be asked.
        """
        if self.tracker is TrackerName.none:
            return ""
        from bench.tracking import views
        from bench.tracking.sync import experiments_of

        found = experiments_of(folders, self.uri, self.experiment) if folders else {}
        named = ", ".join(found) or self.experiment
        where = "MLflow" + (f": experiment{'s' if len(found) > 1 else ''} {named}" if named else "")
        if mlflow_store.has_pages(self.uri):
            first = f"{where}: {command('mlflow', 'ui', '--backend-store-uri', self.uri)}"
            opened = [f"then open {views.address(_OWN_PAGES, number)}" for number in found.values()]
        else:
            first = f"{where} at {self.uri}"
            is_server = self.uri.startswith(("http:", "https:"))
            opened = [f"open {views.address(f'{self.uri}/', number)}" for number in found.values() if is_server]
        return "\n".join([first, *(f"  {line}" for line in opened)])
