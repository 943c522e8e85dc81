"""A run whose first phases were trained already, by the run that ends with them (`last_phase`).

Settings and seed are the same and so are the steps: where the one ended, the other stands too, bit for bit. A run that
ends before the model's last phase keeps that state; the run of more phases begins with it, and removes it at its end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.config import Resolved
from bench.environment import describe_environment
from bench.record import read_record
from bench.run_folder import PHASE_END, RECORD

__all__ = ["run_before", "runs_before"]


def runs_before(resolved: Resolved, runs: Path, phases: Sequence[str]) -> Iterator[Path]:
    """Folders of the runs that train the first of these phases and are the same else, those of the most phases first.

    `phases`: those of the run, in order. None where the best weights are kept: such a run ends with other weights.
    """
    if resolved.run.selection == "last":
        for last in reversed(phases[:-1]):
            settings = resolved.run.model_copy(update={"last_phase": last})
            yield dataclasses.replace(resolved, run=settings).folder(runs)


def run_before(resolved: Resolved, runs: Path, phases: Sequence[str]) -> Path | None:
    """The first of `runs_before` that kept its state and was trained on this machine, by this commit and versions."""
    for folder in runs_before(resolved, runs, phases):
        if (folder / PHASE_END).is_file() and (folder / RECORD).is_file():
            record = read_record(folder / RECORD)
            here = describe_environment(resolved.device, resolved.run.threads)
            if record.status == "completed" and _surroundings(record.environment) == _surroundings(here):
                return folder
    return None


def _surroundings(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Without the precision, which the settings name, and which is known only while a run is under way."""
    return {name: value for name, value in environment.items() if name != "fp32_precision"}
