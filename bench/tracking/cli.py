"""The command `sync`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.places import check_folder
from bench.terminal import Experiment, TrackingUri, UserErrors, console, counted, errors
from bench.tracking.options import TrackerName, TrackingOptions, default_uri

__all__ = ["sync_command"]


def sync_command(
    runs: Annotated[Path, typer.Argument(help="Folder that holds run folders.")],
    tracking_uri: TrackingUri = None,
    experiment: Experiment = None,
) -> None:
    """Rebuild MLflow from run folders."""
    from bench.run_folder import find_starts
    from bench.tracking.sync import sync

    with UserErrors():
        check_folder(runs, "sync")
        folders = [path.parent for path in find_starts(runs)]
        if not folders:
            raise ValueError(f"no run.json below {runs}")
        uri = tracking_uri or default_uri(runs)
        synced = sync(folders, uri, experiment or None)
        console.print(f"{counted(len(synced.runs), 'run')} in {uri}")
        if synced.runs:
            tracking = TrackingOptions(TrackerName.mlflow, uri, experiment or None)
            console.print(tracking.hint([folder for folder, _ in synced.runs]))
        for folder, reason in synced.errors:
            errors.print(f"{folder}: {reason}", style="red")
        if synced.errors:
            raise typer.Exit(1)
