"""What this machine is, and what of it would make a run fail or differ: each finding in fields, with advice.

Nothing is written but one file, which is removed again, in the folder of the runs. Nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.data import RemoteFile, cache_folder
from bench.environment import package_version, processor, processor_facts, uncommitted
from bench.registry import find, names

__all__ = ["Finding", "State", "examine"]

State = Literal["ok", "note", "bad"]
"""`note`: a run works, and something is not there or not as usual. `bad`: runs fail."""

_LITTLE_DISK = 2 << 30
"""Bytes. A run of the published scale keeps some tens of MB; a download of a text up to 60."""
_CLOCK_OFF = 2.0
"""Seconds between a file's time and this machine's clock from which runs of several machines are in a wrong order."""
_SECONDS = 10.0
_EXTENSIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile", "sve")
"""Of a processor, what the speed of a product depends on."""
_PACKAGES = {
    "torch": "training",
    "numpy": "everything",
    "pydantic": "everything",
    "nltk": "the English tokenizer",
    "sacrebleu": "corpus_bleu and chrf",
    "mlflow": "tracking",
    "pandas": "tables",
    "evaluate": "single metrics through Hugging Face evaluate",
    "sentence-transformers": "metrics on embeddings",
    "mauve-text": "mauve",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing about the machine."""

    name: str
    state: State
    said: str
    """In words."""
    advice: str = ""
    """What helps; empty: nothing is needed."""
    facts: dict[str, Any] = field(default_factory=dict)
    """The same, for programs."""


def examine(runs: Path, tracking_uri: str, tasks: Iterable[str] = ()) -> Iterator[Finding]:
    """Every finding, one by one. `tasks`: those whose published files are looked for; empty: all."""
    checks: list[Callable[[], Iterable[Finding]]] = [
        _machine,
        _packages,
        _torch,
        _gpus,
        lambda: [_disk("the runs", runs), _disk("downloads", cache_folder())],
        lambda: [_clock(runs)],
        lambda: [_tracking(tracking_uri)],
        _data_folder,
        lambda: _data(tasks or names("tasks")),
        _checkout,
    ]
    for check in checks:
        yield from check()


def _machine() -> Iterator[Finding]:
    facts, model = processor_facts(), processor()
    known = set(facts.get("flags", facts.get("Features", "")).split())
    flags = [name for name in _EXTENSIONS if name in known]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    said = f"{model}, {cores} cores for this process" + (f"; {', '.join(flags)}" if flags else "")
    told = {"model": model, "cores": cores, "extensions": flags, "platform": platform.platform()}
    yield Finding(name="processor", state="ok", said=said, facts=told)
    total, free = _memory()
    if total is not None and free is not None:
        little = free < 2 << 30
        yield Finding(
            name="memory",
            state="note" if little else "ok",
            said=f"{_gib(free)} of {_gib(total)} free",
            advice="the published scale of LeakGAN and RelGAN holds up to 2 GiB a run" if little else "",
            facts={"total_bytes": total, "free_bytes": free},
        )
    version = platform.python_version()
    right = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding(
        name="python",
        state="ok" if right else "bad",
        said=f"{version} at {sys.executable}",
        advice="" if right else "Python 3.11 to 3.13 is supported",
        facts={"version": version},
    )


def _memory() -> tuple[int | None, int | None]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None, None
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return found.get("MemTotal"), found.get("MemAvailable")


def _packages() -> Iterator[Finding]:
    versions = {name: package_version(name) for name in _PACKAGES}
    there = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    absent = {name: use for name, use in _PACKAGES.items() if versions[name] is None}
    needed = [name for name in ("numpy", "pydantic") if name in absent]
    yield Finding(
        name="packages",
        state="bad" if needed else "note" if absent else "ok",
        said=there + "".join(f"; no {name}, for {use}" for name, use in absent.items()),
        advice=f"pip install {' '.join(absent)}" if absent else "",
        facts={"versions": versions},
    )


def _torch() -> Iterator[Finding]:
    if importlib.util.find_spec("torch") is None:
        yield Finding(name="torch", state="note", said="not installed: scoring and tables work, training does not")
        return
    import torch

    precision = torch.backends.fp32_precision  # type: ignore[attr-defined]
    a = torch.arange(96, dtype=torch.float32).view(8, 12)
    wrong = not torch.equal(a @ a.T, (a.double() @ a.double().T).float())
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    yield Finding(
        name="torch",
        state="bad" if wrong else "ok",
        said=f"{torch.__version__}, {build}, {torch.get_num_threads()} threads, products {precision} by default"
        + ("; A PRODUCT OF WHOLE NUMBERS IS WRONG" if wrong else ""),
        advice="this build computes wrongly on this processor: install another" if wrong else "",
        facts={
            "version": torch.__version__,
            "cuda": torch.version.cuda,
            "threads": torch.get_num_threads(),
            "fp32_precision": precision,
            "capability": torch.backends.cpu.get_cpu_capability(),
        },
    )


def _gpus() -> Iterator[Finding]:
    driver = _asked("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    if importlib.util.find_spec("torch") is None:
        return
    import torch

    if not torch.cuda.is_available():
        advice = ""
        if driver:
            why = "this torch is built without CUDA" if torch.version.cuda is None else "CUDA does not start"
            advice = f"there is a driver ({driver}), but {why}: see pytorch.org for the build that fits it"
        said = "none that torch can use" + (", though there is a driver" if driver else "; runs take the CPU")
        yield Finding(name="gpu", state="bad" if driver else "note", said=said, advice=advice, facts={"devices": []})
        return
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        major, minor = torch.cuda.get_device_capability(index)
        name = torch.cuda.get_device_name(index)
        yield Finding(
            name=f"gpu {index}",
            state="ok" if free > total / 2 else "note",
            said=f"{name}, compute {major}.{minor}, {_gib(free)} of {_gib(total)} free, driver {driver or 'unknown'}",
            advice="" if free > total / 2 else "another process holds most of its memory",
            facts={"name": name, "capability": [major, minor], "free_bytes": free, "total_bytes": total}
            | {"bf16": torch.cuda.is_bf16_supported(), "driver": driver},
        )


def _asked(*words: str) -> str:
    """The first line that a program prints; empty where there is none or it fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=True)  # noqa: S603 - our words
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip().split("\n")[0]


def _disk(what: str, folder: Path) -> Finding:
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(place).free
    writable = os.access(place, os.W_OK)
    little = free < _LITTLE_DISK
    advice = "" if writable else f"{place} cannot be written to: choose another folder"
    return Finding(
        name=f"disk for {what}",
        state="bad" if not writable else "note" if little else "ok",
        said=f"{_gib(free)} free at {folder}" + ("" if writable else ", not writable"),
        advice=advice or ("there is little room" if little else ""),
        facts={"folder": str(folder), "free_bytes": free, "writable": writable},
    )


def _clock(runs: Path) -> Finding:
    """A shared disk has a clock of its own: which of two runs is the newer goes by it."""
    place = next(path for path in (runs.absolute(), *runs.absolute().parents) if path.is_dir())
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".doctor-") as file:
            file.write(b"1")
            file.flush()
            off = os.fstat(file.fileno()).st_mtime - time.time()
    except OSError as error:
        return Finding(name="clock", state="note", said=f"not compared with the disk's: {error}")
    bad = abs(off) > _CLOCK_OFF
    return Finding(
        name="clock",
        state="note" if bad else "ok",
        said=f"{time.strftime('%Y-%m-%d %H:%M:%S %Z')}, {abs(off):.1f} s from the clock of the disk at {place}",
        advice="set it by NTP: runs of several machines would be in a wrong order" if bad else "",
        facts={"seconds_off": round(off, 3)},
    )


def _tracking(uri: str) -> Finding:
    facts = {"uri": uri}
    if importlib.util.find_spec("mlflow") is None:
        return Finding(
            name="mlflow", state="note", said="not installed: runs are tracked by their files alone (--tracker none)",
            facts=facts,
        )  # fmt: skip
    if not uri.startswith(("http://", "https://")):
        place = Path(uri.partition(":///")[2] or uri)
        there = "is there" if place.exists() else "is made by the first run"
        return Finding(name="mlflow", state="ok", said=f"{uri}, which {there}", facts=facts)
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=_SECONDS):  # noqa: S310 - http or https
            return Finding(name="mlflow", state="ok", said=f"{uri} answers", facts=facts)
    except (OSError, ValueError) as error:
        why = str(error)
    advice = "runs are kept in their folders all the same; `bench sync` brings them there later"
    return Finding(name="mlflow", state="note", said=f"{uri} does not answer ({why})", advice=advice, facts=facts)


def _data(tasks: Iterable[str]) -> Iterator[Finding]:
    for task in tasks:
        files = _published(task)
        if not files:
            continue
        absent = [file.name for file in files if not _at_hand(file)]
        yield Finding(
            name=f"data of {task}",
            state="note" if absent else "ok",
            said=f"{len(files) - len(absent)} of {len(files)} files are here"
            + (f"; not {', '.join(absent)}" if absent else ""),
            advice="a run downloads them; without a network put them below TEXTGAN_BENCH_DATA" if absent else "",
            facts={"files": [file.name for file in files], "absent": absent},
        )


def _data_folder() -> Iterator[Finding]:
    named = os.environ.get("TEXTGAN_BENCH_DATA")
    if named and not Path(named).expanduser().is_dir():
        yield Finding(
            name="TEXTGAN_BENCH_DATA",
            state="bad",
            said=f"names {named!r}, which is not a folder",
            advice="name the folder with the files, or unset it",
            facts={"path": named},
        )


def _at_hand(file: RemoteFile) -> bool:
    """Whether a file of its name and checksum lies where runs look for it. Nothing is downloaded."""
    named = os.environ.get("TEXTGAN_BENCH_DATA")
    places = [cache_folder() / "files", *([Path(named).expanduser()] if named else [])]
    return any(file.matches(path) for place in places for path in place.rglob(file.name) if path.is_file())


def _published(task: str) -> list[RemoteFile]:
    """The published files that the module of a task names."""
    found: dict[str, RemoteFile] = {}

    def gather(value: object) -> None:
        if isinstance(value, RemoteFile):
            found.setdefault(value.checksum, value)
        elif isinstance(value, dict):
            gather(list(value.values()))
        elif isinstance(value, list | tuple):
            for each in value:
                gather(each)

    module = sys.modules[find("tasks", task).__module__]
    gather(list(vars(module).values()))
    return list(found.values())


def _checkout() -> Iterator[Finding]:
    changed = uncommitted()
    if changed is None:
        return
    yield Finding(
        name="checkout",
        state="note" if changed else "ok",
        said=f"{len(changed)} uncommitted files, such as {changed[0]}" if changed else "clean",
        advice="rows made from it are refused by `leaderboards add`: commit first" if changed else "",
        facts={"uncommitted": len(changed)},
    )


def _gib(n: int) -> str:
    return f"{n / 2**30:.1f} GiB"
