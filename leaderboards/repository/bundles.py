"""Bundles on their way into the rows: each run is unpacked by itself, checked and added as a folder would be."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.hand_in.bundle import opened
from leaderboards.repository.add import Added, add

__all__ = ["add_bundle"]


def add_bundle(
    path: Path, results: Path, *, most_weights: int, trained_by: str | None = None
) -> tuple[list[Added], list[str]]:
    """What was added of a bundle, and the runs that were refused, each with the reason.

    Raises ValueError, OSError where the bundle itself is not in order: then nothing of it is added.
    """
    added, refused = [], []
    with opened(path) as bundle:
        for run in bundle.runs:
            with tempfile.TemporaryDirectory(prefix="bundle-") as name:
                folder = Path(name)
                try:
                    record = bundle.unpack(run, folder)
                    told = add(record, results, most_weights=most_weights, trained_by=trained_by)
                except (ValueError, OSError) as error:  # of the unpacked files the reader knows the bundle alone
                    reason = str(error).removeprefix(f"{folder / run / 'record.json'}: ").replace(f"{folder}/", "")
                    refused.append(f"{path}: {run}: {reason}")
                else:
                    added.append(Added(**{**vars(told), "run": f"{path}: {run}"}))
    return added, refused
