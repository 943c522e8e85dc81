"""The folder of one run: the names of its files, the names of folders, and how runs are found below a folder.

<runs>/<task>-<model>-<seed>-<run_id>/     a training
<runs>/<task>-samples-<hash>/              samples that were handed in
<runs>/<task>-real_text-<hash>/            the row of real text, and beside it
<runs>/<task>-real_text_test-<hash>/       that of the test text

A folder may be anybody's. So its files are opened by `open_regular` and `read_regular` alone: a link, which may lead to
anything of the reader's, and a pipe or a device, which may have no end, are no files of a run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "CHECKPOINT",
    "DIARY",
    "ERROR",
    "INPUTS",
    "LOCK",
    "LOG",
    "MODEL_SOURCE",
    "MOST_BYTES",
    "PHASE_END",
    "RECORD",
    "SAMPLES",
    "START",
    "TEMPORARY",
    "TRAINED_BY",
    "WEIGHTS",
    "Begun",
    "changing",
    "find_begun",
    "find_records",
    "find_starts",
    "folder_name",
    "is_being_trained",
    "is_regular",
    "is_temporary",
    "log_probs_name",
    "number_text",
    "open_regular",
    "read_regular",
    "records_in",
    "samples_name",
    "sweep",
    "sweep_below",
    "temporary_prefix",
]

RECORD = "record.json"
"""`bench.record.RunRecord`: a folder that has it is of a run that ended."""
START = "run.json"
"""`bench.record.RunStart`, from the first moment on."""
DIARY = "train.jsonl"
"""What happened, one event a line."""
CHECKPOINT = "checkpoint.pt"
"""Where a training stands; removed when it is completed."""
PHASE_END = "phase-end.pt"
"""Where a training stands that ended with an early phase, for the one that goes on (`bench.run.first_phases`)."""
WEIGHTS = "weights.safetensors"
ERROR = "error.txt"
"""The traceback of a failure."""
LOG = "run.log"
"""What was printed and warned of, by every attempt: for reading."""
MODEL_SOURCE = "model.py"
"""The file of a user's own model, as it was trained."""
LOCK = ".lock"
"""Held by the process that is at the run."""
SAMPLES = "samples.txt"
"""The samples at the end at temperature 1, or those that were handed in."""
TRAINED_BY = "trained-by.json"
"""Who trained it, where that was said when the run was handed in (`bench.hand_in.trained_by`)."""

INPUTS = "inputs.txt"
"""Where sentences are rewritten: the sentences that the samples answer, line by line."""

TEMPORARY = ".tmp"
"""The end of the name of what is half-written."""
_HOST = re.sub(r"\W", "_", socket.gethostname())
_HOUR = 3600.0


def folder_name(task: str, what: str, *rest: object) -> str:
    """`grammar-seqgan-0-34ffa7438f1f`; of `my_gan.py:MyGAN` the name of the file."""
    return "-".join([_stem(task), _stem(what), *map(str, rest)])


def _stem(name: str) -> str:
    return Path(name.rpartition(":")[0] if ".py:" in name else name).stem


def samples_name(phase: str, at: str, temperature: float) -> str:
    """The file of an evaluation's samples."""
    if at == "phase_end":
        return f"samples-after-{phase}.txt"
    return SAMPLES if temperature == 1.0 else f"samples-t{number_text(temperature)}.txt"


def number_text(value: float) -> str:
    """The shortest text that is read as this very number: 2, 0.5, 0.1234567."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def log_probs_name(samples: str) -> str:
    """The file of the log-probabilities that the model gave at an evaluation, by the file of its samples."""
    return f"log-probs-{Path(samples).stem}.npz"


MOST_BYTES = 64 << 20
"""Of a document and of a line of a diary; a record with a thousand evaluations has about 3 MB."""


def is_regular(path: Path) -> bool:
    """Whether a file lies there: no link, folder, pipe or device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):  # ValueError: a zero character in the name
        return False


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. Raises ValueError where something else lies, OSError (there is none)."""
    if stat.S_ISREG(path.lstat().st_mode):
        # What is put there in the meantime is noticed too, and is not waited for.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        file = os.fdopen(os.open(path, flags), "rb")
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        file.close()
    raise ValueError(f"{path} is a link, a folder, a pipe or a device; a file is expected")


def read_regular(path: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of a file. Raises ValueError for what is no file or has over `most` bytes, OSError."""
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path} has {path.lstat().st_size} bytes; at most {most} are read")
    return content


def temporary_prefix(name: str) -> str:
    """What the name of a half-written file or folder begins with; `TEMPORARY` ends it. Says whose it is."""
    return f".{name}.{_HOST}-{os.getpid()}."


def is_temporary(name: str) -> bool:
    """Whether it names something half-written, which is no part of what lies around it."""
    return name.startswith(".") and (name.endswith(TEMPORARY) or name.startswith(".adding-"))


def sweep(folder: Path, name: str = "") -> None:
    """Remove what killed processes left half-written in a folder, or of one file there; what is being written stays."""
    for path in list(folder.iterdir()) if folder.is_dir() else ():
        if is_temporary(path.name) and path.name.startswith(f".{name}") and _is_abandoned(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def sweep_below(root: Path) -> None:
    """`sweep` every folder below one in which something half-written lies."""
    for folder in {path.parent for path in root.rglob(".*") if is_temporary(path.name)}:
        sweep(folder)


def _is_abandoned(path: Path) -> bool:
    found = re.fullmatch(rf"\..+\.(\w+)-(\d+)\.[^.]+{re.escape(TEMPORARY)}", path.name)
    if found is None:
        return True  # of an older version, or put there by hand
    host, process = found.groups()
    try:
        if host != _HOST:  # whether it lives cannot be asked
            return time.time() - path.lstat().st_mtime > _HOUR
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Inside, no other process of this machine reads the file in order to write it anew.

    The lock lies in the temporary folder, as beside the file nothing else may lie.
    """
    from filelock import FileLock

    user = os.getuid() if hasattr(os, "getuid") else ""
    name = hashlib.sha256(f"{user} {path.resolve()}".encode()).hexdigest()[:16]
    with FileLock(Path(tempfile.gettempdir()) / f"textgan-bench-{name}.lock"):
        yield


def is_being_trained(folder: Path) -> bool:
    """Whether a process is at this run: on this machine, or on any that shares the disk where the disk has `flock`."""
    if not (path := folder / LOCK).is_file():
        return False
    from filelock import FileLock, Timeout

    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def find_records(root: Path) -> list[Path]:
    """The records at any depth below `root`, in order."""
    return _found(root, RECORD)


def records_in(place: Path) -> list[Path]:
    """The record files that a user means: the file itself, or those below a folder. Raises FileNotFoundError."""
    if not place.exists():
        raise FileNotFoundError(f"{place} does not exist; name a folder with run records or a {RECORD}")
    if found := [place] if place.is_file() else find_records(place):
        return found
    unfinished = "; the runs below it have not ended" if find_starts(place) else ""
    raise FileNotFoundError(f"{place} holds no {RECORD} at any depth{unfinished}")


def find_starts(root: Path) -> list[Path]:
    """The `run.json` of every training at any depth below `root`, in order."""
    return _found(root, START)


def _found(root: Path, name: str) -> list[Path]:
    """Without the copies that MLflow keeps as artifacts, and without what is half-written."""
    found = ((path, path.relative_to(root).parts) for path in root.rglob(name))
    return sorted(path for path, parts in found if "mlartifacts" not in parts and not any(map(is_temporary, parts)))


@dataclass(frozen=True)
class Begun:
    """A run that was begun and has no record yet: under way, stopped or killed."""

    config_hash: str
    run_id: str
    seed: int
    folder: Path
    """May hold no checkpoint: killed before it was first saved."""


def find_begun(root: Path) -> Iterator[Begun]:
    """Every training below `root` without a record. A `run.json` that is torn, or of something else, claims nothing."""
    for path in find_starts(root):
        if path.with_name(RECORD).exists():
            continue
        try:
            start = json.loads(read_regular(path))
            yield Begun(str(start["config_hash"]), str(start["run_id"]), int(start["seed"]), path.parent)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
