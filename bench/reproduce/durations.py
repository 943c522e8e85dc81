"""Durations in words: how this package writes them, and how an option of the command line is read."""

from __future__ import annotations

import re

__all__ = ["duration_text", "read_duration"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration_text(seconds: float) -> str:
    """`5 s`, `12 min`, `3 h 20 min`, `4 days 2 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} days {hours % 24} h"


def read_duration(text: str, owner: str) -> float:
    """`9m` -> 540 seconds. Raises ValueError that speaks of `owner`, such as `--budget`."""
    if not (found := re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])", text)):
        raise ValueError(f"{owner} takes a number and s, m, h or d, such as 9m; got {text!r}")
    return float(found[1]) * _UNITS[found[2]]
