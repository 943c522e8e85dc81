"""What tests of executors share: commands in this process, waiting, and what must be equal in two folders of runs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from helpers.commands import call_bench

from bench.run_folder import find_records

__all__ = ["finals", "said", "wait_until"]


def said(*arguments: object, code: int = 0) -> str:
    return " ".join(call_bench(*arguments, code=code).output.split())


def finals(runs: Path) -> dict[str, object]:
    """Run -> all that its record and its samples say, without times and places."""
    found: dict[str, object] = {}
    for path in find_records(runs):
        record = json.loads(path.read_bytes())
        if record["origin"] == "run":
            costs = [(each["name"], each["steps"], each["real_sentences"]) for each in record["phases"]]
            weights = path.with_name("weights.safetensors").read_bytes()
            samples = path.with_name("samples.txt").read_bytes()
            found[record["run_id"]] = (record["status"], record["evaluations"], costs, weights, samples)
    return found


def wait_until(happened: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)
