"""`verify` side by side: a process that dies costs its row alone, and the report comes though nothing can be kept."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from helpers.commands import call_leaderboards
from helpers.records import example

from leaderboards.repository import cli, verify
from leaderboards.repository.processes import side_by_side


def answer(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_process_costs_its_item_alone(jobs: int) -> None:
    items = [(number,) for number in range(8)]
    found = side_by_side(answer, items, jobs, lambda item: -item[0])
    assert found == [0, 1, 4, -3, 16, 25, 36, 49]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    for number, one in enumerate(example()[:4]):
        one.write(tmp_path / "rows" / str(number) / "record.json")
    return tmp_path / "rows"


def test_every_row_is_reported_and_the_lost_one_is_named(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_one(work: object, items: list[tuple[Path, None]], jobs: int, lost: object) -> list[verify.Verification]:
        return [verify._lost(items[0]), *(verify._check(*item) for item in items[1:])]

    monkeypatch.setattr(verify, "side_by_side", lose_one)
    result = call_leaderboards("verify", rows, "--jobs", 2, code=cli._DIFFERENT)
    for number in range(4):
        assert f"{rows / str(number) / 'record.json'}" in result.output
    assert "not checked" in result.output
    assert "the process that checked it was killed, or ran out of memory: verify this row alone" in result.output


def test_the_report_comes_where_nothing_can_be_written(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(30, "Read-only file system", "verified.json")

    monkeypatch.setattr(verify, "write_atomic", refuse)
    monkeypatch.setattr(verify, "_check", lambda plan: verify.Verification(record=str(plan.path), sha256="a" * 64))
    plain = call_leaderboards("verify", rows, code=cli._DIFFERENT)
    result = call_leaderboards("verify", rows, "--write", code=cli._DIFFERENT)
    assert result.stdout == plain.stdout
    assert "what was verified cannot be kept: [Errno 30] Read-only file system" in result.stderr

    monkeypatch.setattr(verify, "verify", lambda *_, **__: [])
    monkeypatch.setattr(cli, "_keep", lambda *_: False)
    call_leaderboards("verify", rows, "--write", code=2)
