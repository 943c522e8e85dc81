"""`doctor`: what is found on a machine is said with what helps, and nothing is left behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.commands import call_bench

from bench.doctor import checks
from bench.doctor.checks import examine
from bench.registry import find


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTGAN_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TEXTGAN_BENCH_DATA", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def doctor(*words: object, code: int = 0) -> str:
    return call_bench("doctor", *words, code=code).stdout


def findings(runs: Path, *words: object, code: int = 0) -> dict[str, dict[str, Any]]:
    told = json.loads(doctor("grammar", "image_coco", "--runs", runs, "--json", *words, code=code))
    return {finding["name"]: finding for finding in told["findings"]}


def test_this_machine(tmp_path: Path) -> None:
    found = findings(tmp_path / "runs")
    assert {"python", "processor", "packages", "torch", "disk for the runs", "clock", "mlflow"} <= found.keys()
    assert found["torch"]["facts"]["version"] == torch.__version__
    assert found["disk for the runs"]["facts"]["free_bytes"] == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.2)
    assert found["data of image_coco"]["facts"]["absent"] == ["image_coco.txt", "test_coco.txt"]
    assert "TEXTGAN_BENCH_DATA" in found["data of image_coco"]["advice"]
    assert "data of grammar" not in found  # it needs no file
    assert list(tmp_path.iterdir()) == []
    lines = doctor("grammar", "--runs", tmp_path / "runs").splitlines()
    assert any(line.startswith("✓ torch: ") for line in lines)


def test_files_at_hand_are_found(tmp_path: Path, study_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(study_data))
    assert findings(tmp_path)["data of image_coco"]["state"] == "ok"
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(tmp_path))
    (tmp_path / "image_coco.txt").write_text("of that name, and not that file\n")
    assert findings(tmp_path)["data of image_coco"]["facts"]["absent"] == ["image_coco.txt", "test_coco.txt"]
    assert "TEXTGAN_BENCH_DATA" not in findings(tmp_path)
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(tmp_path / "nowhere"))
    assert findings(tmp_path, code=1)["TEXTGAN_BENCH_DATA"]["state"] == "bad"


def test_what_would_fail_is_told_by_the_exit_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_asked", lambda *_: "580.00")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = findings(tmp_path, code=1)
    assert found["gpu"]["state"] == "bad"
    assert "there is a driver (580.00)" in found["gpu"]["advice"]


def test_a_server_that_does_not_answer_costs_no_run(tmp_path: Path) -> None:
    found = findings(tmp_path, "--tracking-uri", "http://127.0.0.1:9")["mlflow"]
    assert found["state"] == "note"
    assert "does not answer" in found["said"]
    assert "sync" in found["advice"]


def test_a_clock_that_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = checks.time.time()
    monkeypatch.setattr(checks.time, "time", lambda: now - 100)
    (clock,) = (finding for finding in examine(tmp_path, "none", ["grammar"]) if finding.name == "clock")
    assert clock.state == "note"
    assert clock.facts["seconds_off"] == pytest.approx(100, abs=10)


def test_without_torch_scoring_is_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.importlib.util, "find_spec", lambda name: None)
    (finding,) = checks._torch()
    assert "scoring and tables work, training does not" in finding.said
    assert list(checks._gpus()) == []


def test_a_wrong_name_is_told_before_anything() -> None:
    assert "grammar" in call_bench("doctor", "gramar", code=2).output
    assert find("tasks", "grammar")
