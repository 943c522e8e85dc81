"""Log-probabilities that a model gave to sentences, one for each, in a file beside a record.

An `.npz` that `numpy.load` reads, with equal bytes for equal numbers on every machine: entries without a clock, packed
by bzip2. Numbers that are whole in float32, as most models give them, are kept in float32.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.run_folder import read_regular

__all__ = ["LABEL", "OWN", "TEST", "pack_log_probs", "read_log_probs"]

TEST = "test"
"""Of the test sentences that the vocabulary can write, in the task's order."""
OWN = "samples"
"""Of the samples, in the order of their file."""
LABEL = "label_of_"
"""Before either name: the label's part of it, of a model that can be told a class."""
_MOST_BYTES = 32 << 20
_MOST_SENTENCES = 1_000_000
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
_ROUNDING = 1e-4


def pack_log_probs(arrays: Mapping[str, NDArray[np.float64]]) -> bytes:
    """Name -> (N,) nats, as the bytes of a file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name in sorted(arrays):
            entry = zipfile.ZipInfo(f"{name}.npy", _FIRST_DAY)
            entry.compress_type = zipfile.ZIP_BZIP2
            content = io.BytesIO()
            np.lib.format.write_array(content, _narrow(arrays[name]), allow_pickle=False)
            file.writestr(entry, content.getvalue())
    return out.getvalue()


def _narrow(values: NDArray[np.float64]) -> NDArray[np.floating]:
    narrow = values.astype("<f4")
    return narrow if np.array_equal(narrow.astype(np.float64), values) else values.astype("<f8")


def read_log_probs(path: Path) -> dict[str, NDArray[np.float64]]:
    """Read `pack_log_probs` back, from a file that may be anybody's. Raises ValueError, OSError."""
    content = io.BytesIO(read_regular(path, _MOST_BYTES))
    found = {}
    try:
        with zipfile.ZipFile(content) as file:
            for entry in file.infolist():
                name = entry.filename.removesuffix(".npy")
                if name.removeprefix(LABEL) not in (TEST, OWN) or entry.file_size > 8 * _MOST_SENTENCES + 1024:
                    raise ValueError(f"it holds {entry.filename!r} of {entry.file_size} bytes")
                with file.open(entry) as part:
                    found[name] = _checked(np.lib.format.read_array(part, allow_pickle=False), name)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, NotImplementedError, MemoryError) as error:
        raise ValueError(f"{path} does not hold log-probabilities of sentences: {error}") from error
    return found


def _checked(values: NDArray[np.floating], name: str) -> NDArray[np.float64]:
    if values.ndim != 1 or values.dtype.kind != "f" or not (values <= _ROUNDING).all():
        raise ValueError(
            f"{name} must be one number for each sentence, none above 0, got {values.dtype} {values.shape}"
        )
    return values.astype(np.float64)
