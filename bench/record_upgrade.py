"""Documents of schema 1 -> schema 2, as JSON values. The one place that reads a signature, and for old documents alone.

Schema 1 had a score's settings as one text alone, its signature, and did not have the run's own settings. The former
are read back, with their types; a value that would not give the same text again stays text. The latter are inferred:
samples from the signatures, temperatures and cadence from the evaluations, precision and threads from the environment.
What none of these tells (how often was logged, limits of alarms, which metrics were named) has today's default.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from metrics.common.signature import Setting, setting_text

__all__ = ["OLD_SCHEMA", "upgrade_evaluation", "upgrade_record"]

OLD_SCHEMA = 1
_LISTS = ("orders", "seeds")
"""Settings that are lists, also where they have one item."""
_RANGE = re.compile(r"(\d{1,3})-(\d{1,3})")


def upgrade_record(document: Mapping[str, Any]) -> dict[str, Any]:
    """A record of schema 1 as one of schema 2; what does not look like a record is left for the decoder to refuse."""
    new = {key: value for key, value in document.items() if key != "selection"}
    new["schema_version"], new["upgraded_from"] = 2, OLD_SCHEMA
    evaluations = document.get("evaluations")
    if isinstance(evaluations, list):
        new["evaluations"] = [upgrade_evaluation(e) if isinstance(e, dict) else e for e in evaluations]
    if document.get("origin") == "run":
        new["run"] = _inferred(new)
    return new


def upgrade_evaluation(document: Mapping[str, Any]) -> dict[str, Any]:
    """An evaluation of schema 1 as one of schema 2; of schema 2 as it is."""
    scores = document.get("scores")
    if not isinstance(scores, dict):
        return dict(document)
    return {**document, "scores": {key: _score(score) for key, score in scores.items()}}


def _score(score: Any) -> Any:
    if not isinstance(score, dict) or not isinstance(score.get("signature"), str):
        return score
    new = {key: value for key, value in score.items() if key != "signature"}
    metric, *parts = score["signature"].split("|")
    if metric != score.get("metric") or not all(":" in part for part in parts):
        raise ValueError(f"{score['signature'][:100]!r} is no signature of {score.get('metric')!r}")
    pairs = [part.split(":", 1) for part in parts]
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError(f"{score['signature'][:100]!r} names a setting twice")
    return {**new, "settings": {name: _setting(name, text) for name, text in pairs}}


def _setting(name: str, text: str) -> Setting:
    """The value whose text it is."""
    if name in _LISTS:
        value: Setting = _numbers(text)
    else:
        value = _plain(text)
    return value if setting_text(value) == text else text


def _numbers(text: str) -> Setting:
    if found := _RANGE.fullmatch(text):
        return tuple(range(int(found[1]), int(found[2]) + 1))
    items = text.split(",")
    return tuple(map(int, items)) if all(item.isdecimal() and len(item) < 10 for item in items) else text


def _plain(text: str) -> Setting:
    words: dict[str, Setting] = {"None": None, "True": True, "False": False}
    if text in words:
        return words[text]
    kinds: tuple[Callable[[str], int | float], ...] = (int, float)
    for kind in kinds:
        try:
            number = kind(text) if len(text) < 30 else text
        except ValueError:
            continue
        return number if isinstance(number, str) or math.isfinite(number) else text
    return text


def _inferred(document: Mapping[str, Any]) -> dict[str, Any]:
    """The run's own settings, as far as an upgraded document tells them."""
    environment = document.get("environment")
    environment = environment if isinstance(environment, dict) else {}
    listed = document.get("evaluations")
    evaluations = [e for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []
    found: dict[str, Any] = {}
    scores = [score for e in evaluations if isinstance(of := e.get("scores"), dict) for score in of.values()]
    settings = [score.get("settings") for score in scores if isinstance(score, dict)]
    counts = [s["samples"] for s in settings if isinstance(s, dict) and type(s.get("samples")) is int]
    if counts:
        found["n_samples"] = counts[0]
    at_end = [e.get("temperature") for e in evaluations if e.get("at") == "end"]
    if temperatures := {t for t in at_end if isinstance(t, int | float)}:
        found["temperatures"] = sorted(temperatures)
    steps = [e.get("step") for e in evaluations if e.get("at") == "cadence"]
    if every := math.gcd(*(step for step in steps if isinstance(step, int))):
        found["evaluate_every"] = every
    if isinstance(threads := environment.get("threads"), int) and threads > 0:
        found["threads"] = threads
    if (precision := environment.get("fp32_precision")) in ("tf32", "bf16"):
        found["fp32_precision"] = precision
    if isinstance(device := environment.get("device"), str):
        found["device"] = device.partition(":")[0]
    return found
