"""Where the runs of a command are tracked: chosen on the command line, prepared before any worker starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from bench.tracking.tracker import Tracker

__all__ = ["TrackerName", "TrackingOptions"]


class TrackerName(StrEnum):
    """Trackers beside the JSONL files, which are always written."""

    mlflow = "mlflow"
    none = "none"


@dataclass(frozen=True)
class TrackingOptions:
    """What the command line says."""

    tracker: TrackerName
    tracking_uri: str | None
    experiment: str

    def uri(self, runs: Path) -> str:
        """The MLflow tracking URI: as given, or a sqlite database in the runs folder."""
        return self.tracking_uri or f"sqlite:///{runs.resolve() / 'mlflow.db'}"
