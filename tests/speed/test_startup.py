"""The benchmark of start-up: it measures a command, and says which goals are met."""

from __future__ import annotations

from pathlib import Path

import pytest

from speed.startup import COMMANDS, Cost, markdown, measure


def test_a_command_has_a_cost_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    assert 0 < measure(COMMANDS["help"].words, tmp_path, None) < 60
    with pytest.raises(RuntimeError, match="Did you mean 'list'"):
        measure(("lisst",), tmp_path, None)


def test_the_table_has_medians_and_goals() -> None:
    told = markdown([Cost("list", [0.9, 0.4, 0.3], [0.7, 0.6, 0.2])])
    assert "| list | 0.40 (0.30–0.90) | 0.60 (0.20–0.70) |" in told
    assert "met    list, cold: at most 0.5 CPU s" in told
    assert "MISSED list, warm: at most 0.5 CPU s" in told
