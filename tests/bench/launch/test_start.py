"""What is said before a training starts, once the task's facts are known."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.config import RunConfig
from bench.launch import start
from bench.launch.options import LaunchOptions
from bench.tracking.options import TrackerName, TrackingOptions


def said(task: dict[str, Any], runs: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What stands on the screen when the runs would be launched."""
    monkeypatch.setattr(start, "launch", lambda *_, **__: [])
    screen = io.StringIO()
    config = RunConfig.model_validate(
        {"model": "mle", "scale": "smoke", "n_samples": 20, "metrics": ["unique"], **task}
    )
    tracking = TrackingOptions(TrackerName.none, "")
    start.start([config.resolve()] * 2, LaunchOptions(runs=runs, tracking=tracking), console=Console(file=screen))
    return " ".join(screen.getvalue().split())


def test_long_lines_and_repeated_ones_are_said_once_with_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"the dog sees cat{i % 17} now" for i in range(200)]
    (tmp_path / "mine.txt").write_text("\n".join([*lines, " ".join(["word"] * 300)]) + "\n")
    task = {"task": "text_file", "task_settings": {"path": str(tmp_path / "mine.txt")}}
    found = said(task, tmp_path / "runs", monkeypatch)
    assert found.count("warning: text_file: the longest training line has 300 words") == 1
    assert found.count("--set max_len=5 leaves out") == 1
    assert found.count("20 of 20 test sentences stand in train") == 1
    task["task_settings"] |= {"max_len": 5, "distinct": True}  # type: ignore[operator]
    assert said(task, tmp_path / "runs", monkeypatch) == ""
    assert said({"task": "grammar"}, tmp_path / "runs", monkeypatch) == ""


def test_a_run_goes_on_with_the_data_that_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task of a user's own may read what it likes."""
    task = tmp_path / "own_task.py"
    task.write_text(
        "from typing import ClassVar\n\nfrom bench.task import TextData\n"
        "from bench.tasks.text_file import TextFile\n\n\n"
        "class Own(TextFile):\n    path: str = ''\n    version: ClassVar[int] = 1\n\n"
        f"    def load(self) -> TextData:\n        return TextFile(path={str(tmp_path / 'mine.txt')!r}).load()\n\n"
        "    def files(self):\n        return {}\n"
    )
    settings = {"task": f"{task}:Own", "task_settings": {"path": "none"}, "seed": 3, "model_settings": {"steps": 2}}
    lines = [f"the dog sees cat{i % 17} now" for i in range(200)]
    (tmp_path / "mine.txt").write_text("\n".join(lines) + "\n")
    config = RunConfig.model_validate(
        {"model": "mle", "scale": "smoke", "n_samples": 20, "metrics": ["unique"], **settings}
    )
    tracking = TrackingOptions(TrackerName.none, "")
    for _ in range(2):
        start.start([config.resolve()], LaunchOptions(runs=tmp_path / "runs", tracking=tracking), console=Console())
    (tmp_path / "mine.txt").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(ValueError, match="is a run of other data"):
        start.start([config.resolve()], LaunchOptions(runs=tmp_path / "runs", tracking=tracking), console=Console())
