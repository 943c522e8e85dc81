"""The most memory that was held at once while a phase trained: by the process, and on a GPU."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from bench.checkpoint import PhaseProgress

__all__ = ["PeakMemory"]


class PeakMemory:
    """The peaks since it was made or since `restart`. What cannot be measured stays None."""

    def __init__(self, device: torch.device) -> None:
        self._gpu = device if device.type == "cuda" else None
        self.restart()

    def restart(self) -> None:
        """Leave out what was before: an evaluation, a checkpoint, another run of this process."""
        if self._gpu is not None:
            torch.cuda.reset_peak_memory_stats(self._gpu)
        self._resets = _reset_resident()

    def note(self, phase: PhaseProgress) -> None:
        """Raise the phase's peaks to those since the last start."""
        if self._gpu is not None:
            phase.peak_gpu_bytes = _higher(phase.peak_gpu_bytes, torch.cuda.max_memory_allocated(self._gpu))
        if self._resets:
            phase.peak_resident_bytes = _higher(phase.peak_resident_bytes, _peak_resident())


def _higher(known: int | None, new: int | None) -> int | None:
    return max((value for value in (known, new) if value is not None), default=None)


def _reset_resident() -> bool:
    """Lower the peak of the resident set to what it is now (proc(5)): Linux can, and `getrusage` nowhere."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _peak_resident() -> int | None:
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="utf-8"), re.MULTILINE)
    return int(found[1]) * 1024 if found else None
