"""No command ends because of what its terminal cannot show: each is tried under cp1252 and ASCII."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.paths import ROOT, TOY
from helpers.records import example

from bench.streams import shown

SENTENCES = "ein Löwe schläft · 一 只 猫\nthe dog sleeps ✓\n"


def run(encoding: str, program: str, *arguments: object) -> str:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", program, *map(str, arguments)],
        cwd=ROOT, env=environment, capture_output=True, check=False,
    )  # fmt: skip
    output = (done.stdout + done.stderr).decode(encoding, errors="replace")
    assert done.returncode == 0, output
    assert "Traceback" not in output
    return output


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_every_command_prints_what_it_can(tmp_path: Path, encoding: str) -> None:
    samples = tmp_path / "löwe.txt"
    samples.write_text(SENTENCES, encoding="utf-8")
    for i, one in enumerate(example()):
        one.write(tmp_path / "rows" / f"r{i}" / "record.json")
    run(encoding, "bench", "list")
    run(encoding, "bench", "show", "seqgan")
    run(encoding, "bench", "score", samples, "--references", samples)
    run(encoding, "bench", "explain-score", samples, "--references", samples)
    run(encoding, "bench", "reproduce", "--list")
    run(encoding, "leaderboards", "published", "--task", "emnlp_news")
    output = run(encoding, "leaderboards", "build", tmp_path / "rows")
    assert "±" in output or "\\xb1" in output
    assert (tmp_path / "rows" / "leaderboard" / "leaderboard.csv").is_file()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_training_with_mlflow_ends_under_cp1252(tmp_path: Path, jobs: int) -> None:
    settings = ("--set", "n_samples=60", "n_train=200", "n_valid=20", "n_test=60")
    arguments = (TOY, "grammar", "--scale", "smoke", "--seed", 0, 1, "--jobs", jobs, "--runs", tmp_path)
    output = run("cp1252", "bench", "run", *arguments, *settings)
    assert output.count("completed") == 2
    assert "MLflow failed" not in output


def test_tables_are_written_though_nobody_reads_what_is_printed(tmp_path: Path) -> None:
    for i, one in enumerate(example()):
        one.write(tmp_path / f"r{i}" / "record.json")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "leaderboards", "build", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.DEVNULL, check=False)
    os.close(writing)
    assert (tmp_path / "leaderboard" / "leaderboard.md").is_file()


@pytest.mark.parametrize("name", ["[bold]mine", "mine[/x]", "a\x1b]0;title\x07b", "turned\u202eround", "c1\x9bm"])
def test_names_are_printed_as_they_are_and_steer_nothing(tmp_path: Path, name: str) -> None:
    samples = tmp_path / "samples.txt"
    samples.write_text("the dog sleeps\na cat runs\n")
    output = run(
        "utf-8", "bench", "score", samples, samples, "--references", samples, "--name", name, "--name", "other"
    )
    assert shown(name) in "".join(output.split("\n"))
    assert not any(steering in output for steering in "\x1b\x07\u202e\x9b")


def test_a_folder_with_markup_in_its_name_costs_no_run(tmp_path: Path) -> None:
    settings = ("--set", "n_samples=60", "n_train=200", "n_valid=20", "n_test=60")
    runs = tmp_path / "r[x]"
    output = run(
        "utf-8", "bench", "run", TOY, "grammar", "--scale", "smoke", "--runs", runs, "--tracker", "none", *settings
    )
    assert f"1 runs in {runs}" in output
