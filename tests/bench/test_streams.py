"""No command ends because of what its terminal cannot show: each is tried under cp1252 and ASCII."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import programs
from helpers.paths import ROOT, TOY
from helpers.records import as_schema_1, example, record

import bench.__main__
import leaderboards.__main__
from bench.streams import shown

SENTENCES = "ein Löwe schläft · 一 只 猫\nthe dog sleeps ✓\n"


def run(encoding: str, program: str, *arguments: object) -> str:
    process = programs.start(program, *arguments, env={**os.environ, "PYTHONIOENCODING": encoding})
    output = "".join(process.communicate(timeout=300))
    assert process.returncode == 0, output
    assert "Traceback" not in output
    return output


def run_cold(encoding: str, program: str, *arguments: object) -> None:
    """Python itself sets the encoding of its streams."""
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", program, *map(str, arguments)],
        cwd=ROOT, env=environment, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_every_command_prints_what_it_can(tmp_path: Path, encoding: str) -> None:
    samples = tmp_path / "löwe.txt"
    samples.write_text(SENTENCES, encoding="utf-8")
    for i, one in enumerate(example()):
        one.write(tmp_path / "rows" / f"r{i}" / "record.json")
    run_cold(encoding, "bench", "show", "seqgan")
    run(encoding, "bench", "list")
    run(encoding, "bench", "score", samples, "--references", samples)
    run(encoding, "bench", "explain-score", samples, "--references", samples)
    run(encoding, "bench", "reproduce", "--list")
    run(encoding, "leaderboards", "published", "--task", "emnlp_news")
    output = run(encoding, "leaderboards", "build", tmp_path / "rows")
    assert "±" in output or "\\xb1" in output
    assert (tmp_path / "rows" / "leaderboard" / "leaderboard.csv").is_file()


Call = Callable[..., str]


@pytest.fixture(params=["cp1252", "ascii"])
def call(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """A program in this process, as its entry point starts it, with strict streams of an encoding."""
    factory, usual = logging.getLogRecordFactory(), warnings.formatwarning

    def called(program: str, *arguments: object, codes: tuple[int, ...] = (0,)) -> str:
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=request.param) for _ in range(2)]
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            {"bench": bench.__main__.main, "leaderboards": leaderboards.__main__.main}[program]()
        parts = []
        for stream in streams:
            stream.flush()
            parts.append(stream.buffer.getvalue().decode(request.param))
        assert (end.value.code or 0) in codes, parts
        return "".join(parts)

    yield called
    logging.setLogRecordFactory(factory)
    warnings.formatwarning = usual


def test_every_command_that_works_on_runs_prints_what_it_can(call: Call, tmp_path: Path) -> None:
    text = tmp_path / "löwe.txt"
    text.write_text("".join(f"ein Löwe schläft {'猫' * (i % 5)} ✓ {i}\n" for i in range(300)), encoding="utf-8")
    runs = tmp_path / "läufe ✓"
    suite = tmp_path / "suite ·.toml"
    suite.write_text(
        'metrics = ["unique"]\nn_samples = 60\nscale = "smoke"\n\n[[runs]]\nmodel = "copy_train"\ntask = "text_file"\n'
        f"task_settings = {{path = {json.dumps(str(text))}}}\n",
        encoding="utf-8",
    )
    settings = ("--set", f"path={text}", "n_samples=60")
    told = call(
        "bench", "run", "ngram", "text_file", "--scale", "smoke", "--runs", runs, "--tracker", "none", *settings
    )
    assert "completed" in told
    assert "1 run in" in told
    assert "completed" in call("bench", "suite", suite, "--runs", runs, "--tracker", "none")
    (folder,) = runs.glob("*-ngram-*")
    assert "ein L" in call("bench", "sample", folder, "-n", "5")
    assert "2 runs in" in call("bench", "sync", runs)
    results = tmp_path / "zeilen ✓"
    refused = call("leaderboards", "add", folder, "--results", results, codes=(0, 1))
    assert "refused" in refused or "added" in refused
    assert "record" in call("leaderboards", "verify", folder, codes=(0, 1, 3))
    old = tmp_path / "alt ✓" / "record.json"
    old.parent.mkdir()
    old.write_text(json.dumps(as_schema_1(record("möwe ✓"))), encoding="utf-8")
    assert "1 records upgraded" in call("leaderboards", "upgrade", old.parent)
    missing = call("leaderboards", "build", tmp_path / "nirgends ✓", codes=(2,))
    assert "does not exist" in missing


def test_a_reproduction_prints_what_it_can(call: Call, tmp_path: Path) -> None:
    settings = ("--seed", "0", "--tracker", "none", "--set", "n_samples=60", "steps=4")
    told = call("bench", "reproduce", "mle-oracle20", "--scale", "smoke", "--runs", tmp_path / "läufe ✓", *settings)
    assert "published" in told


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_training_with_mlflow_ends_under_cp1252(tmp_path: Path, jobs: int) -> None:
    settings = ("--set", "n_samples=60", "n_train=200", "n_valid=20", "n_test=60")
    arguments = (TOY, "grammar", "--scale", "smoke", "--seed", 0, 1, "--jobs", jobs, "--runs", tmp_path)
    output = run("cp1252", "bench", "run", *arguments, *settings)
    assert sum(line.startswith("completed ") for line in output.splitlines()) == 2
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
    assert f"1 run in {runs}" in output
