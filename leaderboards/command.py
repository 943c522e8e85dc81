"""The command that makes a row again, for a shell."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.places import command
from bench.record import HELD_OUT_TEXT, RunRecord
from bench.run_folder import number_text
from bench.run_settings import RunSettings

__all__ = ["reproduce"]


def reproduce(records: Sequence[RunRecord], path: Path) -> str:
    """The command of a row's records; the first lies at `path`. Empty where the samples of a file were not kept.

    Every setting of model and task is written out, so that the command means the same when defaults change, except
    those that are not set: TOML has no word for nothing.
    """
    record = records[0]
    if record.origin == "samples":
        return _score(record, path)
    words = ["run", record.model, record.task]
    seeds = sorted({r.seed for r in records if r.seed is not None})
    words += ["--seed", *map(str, seeds), "--scale", record.scale]
    temperatures = sorted({t for r in records if r.run is not None for t in r.run.temperatures} - {1.0})
    words += ["--temperature", *map(number_text, temperatures)] if temperatures else []
    settings = _assignments("model", record.model_config) + _assignments("task", record.task_config)
    settings += _assignments("", _run_settings(records))
    words += ["--set", *settings] if settings else []
    return command("bench", *words, here=False)


def _score(record: RunRecord, path: Path) -> str:
    files = [e.samples_file for e in record.evaluations if e.samples_file]
    if not files or record.model == HELD_OUT_TEXT:  # any run makes it, without what compares it with itself
        return ""
    settings = [f"--set={text}" for text in _assignments("", record.task_config)]
    words = [record.task, "--name", record.model, "--runs", "runs", *settings]
    return command("bench", "score", path.parent / files[-1], *words, here=False)


def _run_settings(records: Sequence[RunRecord]) -> dict[str, Any]:
    """The run's own settings that are not the usual ones; what options of their own say is left out."""
    run = records[0].run
    if run is None:
        return {}
    usual = RunSettings().model_dump(mode="json")
    found = {name: value for name, value in run.model_dump(mode="json").items() if value != usual[name]}
    kept = {name: found[name] for name in found if name not in ("temperatures", "metric_settings", "device")}
    kept = {"n_samples": run.n_samples, **kept}
    of_metrics = {f"{m}.{name}": v for m, settings in run.metric_settings.items() for name, v in settings.items()}
    return kept | of_metrics


def _assignments(owner: str, settings: Mapping[str, Any]) -> list[str]:
    """`model.lr=0.01`, as `--set` reads it: a value is TOML, and what is not TOML is text."""
    prefix = f"{owner}." if owner else ""
    return [f"{prefix}{key}={_toml(value)}" for key, value in sorted(settings.items()) if value is not None]


def _toml(value: Any, *, nested: bool = False) -> str:
    if isinstance(value, str):
        return _quoted(value) if nested or _is_toml(value) else value
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item, nested=True) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_quoted(k)} = {_toml(v, nested=True)}' for k, v in value.items())}}}"
    return json.dumps(value)


def _quoted(text: str) -> str:
    """As TOML has it: like JSON, but letters beyond U+FFFF as they are, and DEL escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return False
    return True
