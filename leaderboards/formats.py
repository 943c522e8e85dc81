"""Values -> the text that readers see. The only place that rounds."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Literal

__all__ = [
    "ARROWS",
    "Kind",
    "Value",
    "count",
    "duration",
    "fact",
    "fixed",
    "interval",
    "number",
    "phases",
    "plain",
    "rate",
    "six_digits",
    "temperature",
    "uncertainty_text",
    "value_text",
]

Value = float | str | None
"""What a cell may hold; None where there is nothing."""
Kind = Literal["words", "tag", "printed", "score", "change", "places", "temperature", "count", "duration"]
"""How a column's values are written: `words` and a `tag` (a word that the page frames) as they are, on the left; what
is `printed` as it is, on the right; a `score`; a `change` with its sign; the `places` from a first to a last; a
`temperature`; a `count` with thousands apart; a `duration` from seconds."""

ARROWS = {"higher": "↑", "lower": "↓", "real": "="}
"""Which direction is better."""


def plain(text: str) -> str:
    """One line without control, format or bidirectional characters: names come from other people's files."""
    return "".join(" " if c.isspace() else "\ufffd" if unicodedata.category(c)[0] == "C" else c for c in text)


def value_text(value: Value, kind: Kind) -> str:
    """A value without its uncertainty."""
    if value is None:
        return ""
    if isinstance(value, str):
        return plain(value)
    match kind:
        case "change":
            return f"{value:+.3f}"
        case "places":
            return f"{value:.0f}"
        case "temperature":
            return temperature(value)
        case "count":
            return count(value)
        case "duration":
            return duration(value)
        case _:
            return number(value)


def uncertainty_text(uncertainty: float | None, kind: Kind) -> str:
    """What follows a value: `±.012`, the half width of its interval; of places `–3`, the last."""
    if uncertainty is None:
        return ""
    return f"–{uncertainty:.0f}" if kind == "places" else interval(uncertainty)


def number(value: float) -> str:
    """Three decimals; large numbers with six digits."""
    return f"{value:.3f}" if abs(value) < 10_000 else f"{value:.6g}"


def interval(value: float) -> str:
    """`±.012`; an interval that is not zero is never printed as zero."""
    if value == 0:
        return "±0"
    return "±<.001" if value < 0.0005 else "±" + (number(value).removeprefix("0"))


def count(value: float) -> str:
    """Thousands apart: `7,334,990`."""
    return f"{value:,}"


def rate(value: float) -> str:
    """Steps in a second: three digits."""
    return f"{value:.3g}"


def fixed(value: float) -> str:
    """Four decimals: a score of one run."""
    return f"{value:.4f}"


def fact(value: float | str) -> str:
    """What a task says of its data."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def temperature(value: float) -> str:
    """`0.5`, `1`."""
    return f"{value:g}"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, two or three digits: `0.4 s`, `88 s`, `12.5 min`, `3.1 h`."""
    if seconds < 0.05:
        return "<.1 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6_000 else f"{seconds / 3_600:.1f} h"


def phases(seconds: Mapping[str, float]) -> str:
    """Every phase with its time: `mle 88 s, adversarial 3.1 h`."""
    return ", ".join(f"{plain(name)} {duration(time)}" for name, time in seconds.items())


def six_digits(value: float) -> float:
    """A number to sort by or to draw: what can be told apart, in a third of the bytes."""
    return value if isinstance(value, int) else float(f"{value:.6g}")
