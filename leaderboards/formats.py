"""Values -> the text that readers see. The only place that rounds."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import Literal

from metrics.common.base import Bounds

__all__ = [
    "ARROWS",
    "Kind",
    "Value",
    "ends",
    "interval",
    "of_change",
    "phases",
    "plain",
    "six_digits",
    "uncertainty_text",
    "value_text",
]

Value = float | str | None
"""What a cell may hold; None where there is nothing."""
Kind = Literal[
    "words", "tag", "printed", "score", "change", "run_score", "run_error", "places", "temperature", "count", "rate",
    "duration",
]  # fmt: skip
"""How values are written. `words` and a `tag` (a word that the page frames) as they are, on the left; what is `printed`
as it is, on the right; numbers in their own ways, on the right."""

ARROWS = {"higher": "↑", "lower": "↓", "real": "="}
"""Which direction is better."""


def plain(text: str) -> str:
    """One line without control, format or bidirectional characters: names come from other people's files."""
    return "".join(" " if c.isspace() else "\ufffd" if unicodedata.category(c)[0] == "C" else c for c in text)


def value_text(value: Value, kind: Kind) -> str:
    """A value without its uncertainty; empty where there is none."""
    if value is None or isinstance(value, str):
        return plain(value or "")
    return _WRITERS[kind](value)


def uncertainty_text(value: Value, uncertainty: float | None, kind: Kind, bounds: Bounds = (None, None)) -> str:
    """What follows a value: `±.012`, the half width of its interval; of places `–3`, the last.

    ` [0.000, 0.812]` in place of ± where the interval would leave the range of the score: both ends, cut there.
    """
    if uncertainty is None or value is None or isinstance(value, str):
        return ""
    if kind == "places":
        return f"–{uncertainty:.0f}"
    low, high = ends(value, uncertainty, bounds)
    if (low, high) == (value - uncertainty, value + uncertainty):
        return interval(uncertainty)
    return f" [{value_text(low, kind)}, {value_text(high, kind)}]"


def ends(value: float, half_width: float, bounds: Bounds) -> tuple[float, float]:
    """The interval's ends, neither beyond what a value can be."""
    low, high = bounds
    return (
        value - half_width if low is None else max(low, value - half_width),
        value + half_width if high is None else min(high, value + half_width),
    )


def of_change(bounds: Bounds) -> Bounds:
    """What a difference of two values in this range cannot leave."""
    low, high = bounds
    return (None, None) if low is None or high is None else (low - high, high - low)


def interval(half_width: float) -> str:
    """`±.012`; an interval that is not zero is never printed as zero."""
    if half_width == 0:
        return "±0"
    return "±<.001" if half_width < 0.0005 else "±" + _number(half_width).removeprefix("0")


def _number(value: float) -> str:
    """Three decimals; large numbers with six digits."""
    return f"{value:.3f}" if abs(value) < 10_000 else f"{value:.6g}"


def _duration(seconds: float) -> str:
    """Seconds, minutes or hours, two or three digits: `0.4 s`, `88 s`, `12.5 min`, `3.1 h`."""
    if seconds < 0.05:
        return "<.1 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6_000 else f"{seconds / 3_600:.1f} h"


_WRITERS: Mapping[Kind, Callable[[float], str]] = {
    "score": _number,
    "change": "{:+.3f}".format,
    "run_score": "{:.4f}".format,
    "run_error": lambda error: "<0.0001" if 0 < error < 0.00005 else f"{error:.4f}",
    "places": "{:.0f}".format,
    "temperature": "{:g}".format,
    "count": "{:,}".format,
    "rate": "{:.3g}".format,
    "duration": _duration,
}


def phases(seconds: Mapping[str, float]) -> str:
    """Every phase with its time: `mle 88 s, adversarial 3.1 h`."""
    return ", ".join(f"{plain(name)} {_duration(time)}" for name, time in seconds.items())


def six_digits(value: float) -> float:
    """A number to sort by or to draw: what can be told apart, in a third of the bytes."""
    return value if isinstance(value, int) else float(f"{value:.6g}")
