"""A run whose first phases were trained already, by the run that ends with them (`last_phase`).

Settings, places of evaluation and seed are the same and so are the steps: where the one ended the other stands too, bit
for bit. A run that ends with a phase that is named keeps that state; the run of more phases begins with it, and removes
it at its end.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.config import Resolved
from bench.environment import describe_environment
from bench.record import read_record
from bench.run_folder import PHASE_END, RECORD
from bench.task import TextData

__all__ = ["run_before", "runs_before"]

_log = logging.getLogger(__name__)


def runs_before(resolved: Resolved, runs: Path, phases: Mapping[str, int]) -> Iterator[Path]:
    """Folders of the runs that train the first of these phases and are the same else, those of the most phases first.

    `phases`: those of the run and their steps, in order. Places of evaluation after the end of such a run are in its
    settings or are not.
    """
    ends = list(zip(phases, itertools.accumulate(phases.values()), strict=True))
    for last, end in reversed(ends[:-1]):
        places = resolved.run.evaluate_at
        for evaluated in {places, tuple(step for step in places if step <= end)}:
            settings = resolved.run.model_copy(update={"last_phase": last, "evaluate_at": evaluated})
            yield dataclasses.replace(resolved, run=settings).folder(runs)


def run_before(resolved: Resolved, runs: Path, phases: Mapping[str, int], data: TextData) -> Path | None:
    """The first of `runs_before` that kept its state and was trained on these data, by this machine and this code."""
    for folder in runs_before(resolved, runs, phases):
        if (folder / PHASE_END).is_file() and (folder / RECORD).is_file():
            try:
                record = read_record(folder / RECORD)
            except (OSError, ValueError) as error:  # of another run: it costs time and not this one
                _log.warning("%s; the run begins from its start", error)
                continue
            if record.status != "completed" or record.data_sha256 != data.sha256:
                continue
            here = describe_environment(resolved.device, resolved.run.threads)
            if _surroundings(record.environment) == _surroundings(here):
                return folder
    return None


def _surroundings(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Without the precision, which the settings name, and which is known only while a run is under way."""
    return {name: value for name, value in environment.items() if name != "fp32_precision"}
