"""How the runs of one command are done: how many at once, on which devices, until when, tracked where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.config import RunConfig
from bench.places import check_folder
from bench.tracking.options import TrackingOptions

__all__ = ["LaunchOptions", "slots"]


@dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """What all runs of a command have in common. Goes to worker processes."""

    runs: Path
    """Holds the run folders."""
    slots: Sequence[str] = ("",)
    """One run at a time for each, as `slots` gives them."""
    tracking: TrackingOptions = field(default_factory=TrackingOptions)
    rerun: bool = False
    """Train again what is finished."""
    save_every: float = 60.0
    """Seconds between checkpoints."""
    deadline: float = math.inf
    """Seconds since the epoch, before which every run has saved its state and stopped."""

    def __post_init__(self) -> None:
        """Refuse what cannot be, before anything is loaded."""
        check_folder(self.runs, "--runs")
        if math.isnan(self.save_every):
            raise ValueError("--save-every takes seconds, got nan")


def slots(runs: Sequence[RunConfig], jobs: int | None, jobs_per_gpu: int | None) -> tuple[str, ...]:
    """One entry for each run at a time: the GPU it is put on, or "" where its settings say the device.

    With `jobs_per_gpu`, GPUs take turns, so that a few runs are spread over all. Raises ValueError where both numbers
    are given, and where runs cannot share GPUs.
    """
    if jobs_per_gpu is None:
        return ("",) * (jobs or 1)
    if jobs is not None:
        raise ValueError("--jobs and --jobs-per-gpu both say how many runs go on at once: give one of them")
    devices = sorted({run.device for run in runs}) or ["auto"]
    if len(devices) > 1:
        raise ValueError(f"--jobs-per-gpu takes runs that are all set to one device, got {' and '.join(devices)}")
    kind, _, index = devices[0].partition(":")
    if kind not in ("auto", "cuda"):
        raise ValueError(f"--jobs-per-gpu is for runs on GPUs, and device is {devices[0]}: use --jobs")
    import torch  # a wrong option is said without it

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not found:
        raise ValueError("--jobs-per-gpu is for runs on GPUs, and there is none here: use --jobs")
    gpus = [index] if index else [str(i) for i in range(found)]
    return tuple(f"cuda:{gpu}" for _ in range(jobs_per_gpu) for gpu in gpus)
