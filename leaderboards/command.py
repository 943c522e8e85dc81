"""The command that makes a row again, for a shell."""

from __future__ import annotations

import json
import math
import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.places import program
from bench.record import RunRecord
from leaderboards.schema import END

__all__ = ["precision", "reproduce"]

_USUAL = "ieee"
_SAMPLES = re.compile(r"(?:^|\|)samples:(\d+)(?:\||$)")


def reproduce(records: Sequence[RunRecord], path: Path) -> str:
    """The command of a row's records; the first lies at `path`. Empty where the samples of a file were not kept.

    Every setting of model and task is written out, so that the command means the same when defaults change, except
    those that are not set: TOML has no word for nothing. Which metrics were asked for is not in a record: the command
    scores with the task's own.
    """
    record = records[0]
    if record.origin == "samples":
        return _score(record, path)
    words = ["run", record.model, record.task]
    seeds = sorted({r.seed for r in records if r.seed is not None})
    words += ["--seed", *map(str, seeds), "--scale", record.scale]
    temperatures = sorted({e.temperature for r in records for e in r.evaluations if e.at == "end"} - {1.0})
    words += ["--temperature", *(f"{t:g}" for t in temperatures)] if temperatures else []
    settings = _assignments("model", record.model_config) + _assignments("task", record.task_config)
    settings += [f"{key}={value}" for key, value in _run_settings(records).items()]
    words += ["--set", *settings] if settings else []
    return f"{program('bench')} {shlex.join(words)}"


def _score(record: RunRecord, path: Path) -> str:
    files = [e.samples_file for e in record.evaluations if e.samples_file]
    if not files:
        return ""
    settings = [f"--set={text}" for text in _assignments("", record.task_config)]
    words = ["score", str(path.parent / files[-1]), record.task, "--name", record.model, "--runs", "runs", *settings]
    return f"{program('bench')} {shlex.join(words)}"


def precision(record: RunRecord) -> dict[str, str]:
    """`fp32_precision` where a run had another than the usual one, which a record does not mention on every machine."""
    found = record.environment.get("fp32_precision", _USUAL)
    return {} if found == _USUAL else {"fp32_precision": str(found)}


def _run_settings(records: Sequence[RunRecord]) -> dict[str, int | str]:
    """What the records tell of the run's own settings: samples drawn, steps between evaluations, threads, precision."""
    evaluations = [e for record in records for e in record.evaluations]
    found: dict[str, int | str] = {**precision(records[0])}
    signatures = (s.signature for e in evaluations if e.at in END for s in e.scores.values())
    if (match := next(filter(None, map(_SAMPLES.search, signatures)), None)) is not None:
        found["n_samples"] = int(match[1])
    if every := math.gcd(*(e.step for e in evaluations if e.at == "cadence")):
        found["evaluate_every"] = every
    threads = records[0].environment.get("threads")
    if isinstance(threads, int) and threads > 1:
        found["threads"] = threads
    return found


def _assignments(owner: str, settings: Mapping[str, Any]) -> list[str]:
    """`model.lr=0.01`, as `--set` reads it: a value is TOML, and what is not TOML is text."""
    prefix = f"{owner}." if owner else ""
    return [f"{prefix}{key}={_toml(value)}" for key, value in sorted(settings.items()) if value is not None]


def _toml(value: Any, *, nested: bool = False) -> str:
    if isinstance(value, str):
        return json.dumps(value) if nested or _is_toml(value) else value
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item, nested=True) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{json.dumps(k)} = {_toml(v, nested=True)}' for k, v in value.items())}}}"
    return json.dumps(value)


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return False
    return True
