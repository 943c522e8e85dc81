"""Where a run happened: the commit of the code, versions, device, threads."""

from __future__ import annotations

import functools
import logging
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.places import ROOT

__all__ = ["describe_environment", "package_version", "processor", "processor_facts", "uncommitted"]

_log = logging.getLogger(__name__)
_GIT_SECONDS = 5.0
_hanging: set[Path] = set()
"""Checkouts whose git did not answer: it is not asked again in this process."""
_RESULTS = (
    *("leaderboards/results", "leaderboards/boards", "LEADERBOARD.md", "README.md", "REPRODUCTION.md"),
    *("runs", "leaderboard"),
)
"""In a checkout: what commands write, and no code reads while it trains."""
_PACKAGES = ("numpy", "nltk", "sacrebleu", "mlflow")


def package_version(name: str) -> str | None:
    """Version of an installed distribution, None if it is not installed. Imports nothing."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def describe_environment(device: str | None = None, threads: int | None = None) -> dict[str, Any]:
    """Flat, for the record and for a tracker's tags. `device` and `threads` are absent where nothing was trained."""
    facts: dict[str, Any] = {**_commit(), "python": platform.python_version(), "platform": platform.platform()}
    facts |= {name: version for name in _PACKAGES if (version := package_version(name))}
    if version := package_version("textgan-bench"):
        facts["textgan_bench"] = version
    if device is not None:
        import torch  # a machine that only scores has no need of it

        precision = torch.backends.fp32_precision  # type: ignore[attr-defined]
        facts |= {"torch": torch.__version__, "device": device, "threads": threads, "fp32_precision": precision}
        facts["processor"] = processor()
        if device.startswith("cuda"):
            facts["device_name"] = torch.cuda.get_device_name(device)
    return facts


def processor() -> str:
    """The processor's model, as far as the system says it: `AMD EPYC (family 25, model 17)`."""
    facts = processor_facts()
    name = facts.get("model name", "") or platform.processor() or platform.machine()
    numbers = [f"{word} {facts[key]}" for word, key in (("family", "cpu family"), ("model", "model")) if key in facts]
    return f"{name} ({', '.join(numbers)})" if numbers else name


@functools.cache
def processor_facts() -> dict[str, str]:
    """What Linux tells of the first processor, by its own names; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        pairs.setdefault(name.strip(), value.strip())
    return pairs


def _commit() -> dict[str, Any]:
    """Commit of the checkout that holds this code, not of the folder one stands in; empty for an installed wheel."""
    if not (ROOT / ".git").exists():
        return {}
    commit = _git(ROOT, "rev-parse", "HEAD")
    if commit is None:
        return {}
    changed = uncommitted()
    return {"git.sha": commit.strip()} | ({} if changed is None else {"git.dirty": bool(changed)})


def uncommitted() -> list[str] | None:
    """Files of this checkout that no commit holds and that can move a result; None where git does not say.

    Rows that were handed in, the tables made of them and runs are results, not code.
    """
    told = _git(ROOT, "status", "--porcelain", "--", ".", *(f":(exclude){path}" for path in _RESULTS))
    return None if told is None else [line[3:] for line in told.splitlines()]


@functools.cache
def _warn(reason: str) -> None:
    """Once in a process: the run goes on, but `leaderboards add` will ask for the commit."""
    _log.warning("the commit of %s is not known, so the record will not have it: %s", ROOT, reason)


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints. None, with a warning of one line, if it refuses (a checkout of another owner) or hangs."""
    if root in _hanging:
        return None
    try:
        return subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "-C", str(root), *arguments],  # noqa: S607 - git is looked up on the path, as everywhere
            capture_output=True, text=True, check=True, timeout=_GIT_SECONDS,
        ).stdout  # fmt: skip
    except subprocess.TimeoutExpired:
        _hanging.add(root)
        _warn(f"git does not answer within {_GIT_SECONDS:g} s")
    except subprocess.CalledProcessError as error:
        _warn((error.stderr.strip().splitlines() or [f"git ends with {error.returncode}"])[0])
    except OSError as error:
        _warn(str(error))
    return None
