"""Where a run happened: a checkout is clean by its code."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from helpers.paths import TOY
from rich.console import Console

from bench import environment
from bench.config import RunConfig
from bench.launch import start as starting
from bench.launch.options import LaunchOptions


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "checkout"
    for name in ("bench/run.py", "leaderboards/results/a/record.json", "LEADERBOARD.md", "REPRODUCTION.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("as committed\n")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", root, *words], check=True)
    monkeypatch.setattr(environment, "ROOT", root)
    return root


def test_results_and_tables_leave_a_checkout_clean(checkout: Path) -> None:
    for name in ("leaderboards/results/a/record.json", "leaderboards/results/verified.json", "LEADERBOARD.md"):
        (checkout / name).write_text("a row was added\n")
    (checkout / "REPRODUCTION.md").write_text("another verdict\n")
    (checkout / "leaderboards" / "boards").mkdir()
    for name in ("leaderboards/boards/a.md", "leaderboards/boards/quality-diversity.svg", "README.md"):
        (checkout / name).write_text("made anew\n")
    (checkout / "runs").mkdir()
    (checkout / "runs" / "record.json").write_text("{}")
    assert environment.uncommitted() == []
    assert environment.describe_environment()["git.dirty"] is False
    (checkout / "bench" / "run.py").write_text("other code\n")
    (checkout / "bench" / "new.py").write_text("new code\n")
    assert environment.uncommitted() == ["bench/run.py", "bench/new.py"]
    assert environment.describe_environment()["git.dirty"] is True


def test_a_checkout_that_git_does_not_describe_is_not_called_clean(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = environment._git
    monkeypatch.setattr(environment, "_git", lambda root, *words: None if "status" in words else plain(root, *words))
    assert "git.dirty" not in environment.describe_environment()


def test_what_add_will_refuse_is_said_before_the_training(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "launch", lambda *_, **__: [])
    monkeypatch.setattr(starting, "record_real_text", lambda *_, **__: None)

    def said(scale: str, model: str = TOY) -> str:
        settings = {"n_train": 200, "n_valid": 20, "n_test": 60}
        run = RunConfig.model_validate({"model": model, "task": "grammar", "scale": scale, "task_settings": settings})
        file = io.StringIO()
        starting.start([run.resolve()], LaunchOptions(runs=tmp_path / "runs"), console=Console(file=file, width=500))
        return file.getvalue()

    assert said("small") == ""
    (checkout / "bench" / "run.py").write_text("other code\n")
    assert "uncommitted changes (bench/run.py), so `leaderboards add` will refuse" in said("small")
    assert said("smoke") == ""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "toy_layers.py").write_text("WIDTH = 3\n")
    source = Path(TOY.partition(":")[0]).read_text()
    (tmp_path / "toy_in_parts.py").write_text(source.replace("\nclass ", "\nimport toy_layers\n\n\nclass ", 1))
    parts = said("small", f"{tmp_path / 'toy_in_parts.py'}:ToyGAN")
    assert "toy_in_parts.py:ToyGAN imports toy_layers, a file of its own" in parts
