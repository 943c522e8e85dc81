"""What the hardware does to a run: how exact its products are, how its memory is kept, and the most it held at once."""

from __future__ import annotations

import ctypes
import dataclasses
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from bench.record import PhaseCost
from bench.run_settings import Precision

__all__ = ["PeakMemory", "exact_products", "is_lost", "keep_memory", "use_precision"]

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of mallopt(3)


class PeakMemory:
    """The peaks since it was made or since `restart`. What cannot be measured stays None."""

    def __init__(self, device: torch.device) -> None:
        self._gpu = device if device.type == "cuda" else None
        self.restart()

    def restart(self) -> None:
        """Leave out what was before: an evaluation, a checkpoint, another run of this process."""
        if self._gpu is not None:
            torch.cuda.reset_peak_memory_stats(self._gpu)
        _give_back()
        self._resets = _reset_resident()

    def noted(self, cost: PhaseCost) -> PhaseCost:
        """The cost with its peaks raised to those since the last start."""
        gpu = None if self._gpu is None else torch.cuda.max_memory_allocated(self._gpu)
        resident = _peak_resident() if self._resets else None
        return dataclasses.replace(
            cost,
            peak_gpu_bytes=_higher(cost.peak_gpu_bytes, gpu),
            peak_resident_bytes=_higher(cost.peak_resident_bytes, resident),
        )


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


def is_lost(device: str) -> bool:
    """Whether this process can do nothing more on a GPU: once an assertion has failed there, every call does."""
    if torch.device(device).type != "cuda":
        return False
    try:
        torch.cuda.synchronize(device)
    except RuntimeError:
        return True
    return False


def keep_memory() -> None:
    """Let glibc keep what the tensors of one step leave behind for those of the next, in this process from now on.

    Of itself it gives blocks of many megabytes back to the system at once, and each step of training gets them anew,
    page by page: on an Intel Xeon in a virtual machine 13% of a step of MLE and 10% of one of RelGAN, whose temporary
    tensors take 600 MB. Kept are up to 1 GiB that are not in use. Without glibc nothing happens.
    """
    if (mallopt := _of_glibc("mallopt")) is not None:
        for option, size in ((_MMAP_THRESHOLD, 1 << 28), (_TRIM_THRESHOLD, 1 << 30), (_TOP_PAD, 1 << 26)):
            mallopt(option, size)


def _give_back() -> None:
    """What is kept and not in use, to the system."""
    if (trim := _of_glibc("malloc_trim")) is not None:
        trim(0)


def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function of the C library; None where there is another that does not have it."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def use_precision(precision: Precision) -> None:
    """Of all libraries at once: PyTorch itself would have TF32 in a GPU's convolutions and LSTMs.

    `baselines.common.fast.kernels` rounds what it multiplies to bf16 where that is set. On a GPU PyTorch has no such
    setting; there its own products, convolutions and LSTMs are TF32 then.
    """
    backends: Any = torch.backends
    backends.fp32_precision = precision
    for part in (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn):
        part.fp32_precision = "tf32" if precision == "bf16" else precision


@contextmanager
def exact_products(otherwise: Precision) -> Iterator[None]:
    """Inside, products are exact; behind it, as they are `otherwise`."""
    use_precision("ieee")
    try:
        yield
    finally:
        use_precision(otherwise)
