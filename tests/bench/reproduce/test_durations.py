"""Durations as they are written and read."""

from __future__ import annotations

import pytest

from bench.reproduce.durations import duration_text, read_duration


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.4, "0 s"),
        (99.4, "99 s"),
        (100, "2 min"),
        (5_969, "99 min"),
        (5_970, "1 h 40 min"),
        (172_740, "47 h 59 min"),
        (172_800, "2 days 0 h"),
    ],
)
def test_written(seconds: float, expected: str) -> None:
    assert duration_text(seconds) == expected


def test_read() -> None:
    assert [read_duration(text, "--budget") for text in ("540s", "9m", "1.5h", "1d")] == [540, 540, 5_400, 86_400]
    for text in ("9 minutes", "9", "-1s", "h", "٣s٣"):
        with pytest.raises(ValueError, match="--budget takes a number and s, m, h or d, such as 9m; got"):
            read_duration(text, "--budget")
