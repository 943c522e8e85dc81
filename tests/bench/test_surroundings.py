"""What lies around a run and is none of its business: git, who reads the output, memory, a cache, read-only folders."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.paths import ROOT, TOY
from typer.testing import CliRunner

from bench import data, environment
from bench.cli import app
from bench.config import Resolved, RunConfig, build
from bench.registry import find
from bench.run import runner
from bench.run.runner import run
from bench.tasks.grammar import GrammarTask


def toy(**settings: Any) -> Resolved:
    values = {"model": TOY, "task": "oracle_lstm", "scale": "smoke", "n_samples": 200, **settings}
    return RunConfig.model_validate(values).resolve()


def fake_git(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(environment, "ROOT", folder)
    (folder / ".git").mkdir()
    environment._warn.cache_clear()


def test_git_that_refuses_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a checkout of another owner."""
    fake_git(tmp_path / "bin", monkeypatch, "echo 'fatal: detected dubious ownership in repository' >&2; exit 128")
    assert "git.sha" not in environment.describe_environment()
    environment.describe_environment()
    (warning,) = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert "dubious ownership" in warning


def test_git_that_hangs_costs_its_limit_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_git(tmp_path / "bin", monkeypatch, "exec sleep 60")
    monkeypatch.setattr(environment, "_GIT_SECONDS", 0.5)
    started = time.monotonic()
    for _ in range(5):
        assert "git.sha" not in environment.describe_environment()
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
        ),
    ],
)
def test_too_little_memory_is_no_failure_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    resolved = toy()

    def full(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(runner.Trainer, "train", full)
        with pytest.raises(OSError, match=r"memory.*the same command goes on from it"):
            run(resolved, tmp_path)
    assert not (resolved.folder(tmp_path) / "record.json").exists()
    assert run(resolved, tmp_path).status == "completed"


@pytest.mark.parametrize("left_over", [False, True])
def test_a_finished_run_in_a_read_only_folder_is_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_over: bool
) -> None:
    resolved = toy()
    record = run(resolved, tmp_path)
    folder = resolved.folder(tmp_path)
    if left_over:
        (folder / "checkpoint.pt").touch()

    def refused(*_: object, **__: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(runner, "FileLock", refused)
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    assert run(resolved, tmp_path) == record


def test_whatever_is_wrong_with_a_derived_file_it_is_built_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "cache_folder", lambda: tmp_path)
    arrays = {"a": np.arange(50), "b": np.ones((3, 4))}
    data.derived("key", lambda: arrays)
    path = tmp_path / "derived" / "key.npz"
    content = path.read_bytes()
    random = np.random.default_rng(1)
    for _ in range(2_000):
        damaged = bytearray(content)
        damaged[int(random.integers(len(content)))] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        assert set(data.derived("key", lambda: arrays)) <= {"a", "b"}


@pytest.mark.parametrize("end", ["closed pipe", "full disk", "closed"])
def test_runs_go_on_when_nobody_can_be_told(tmp_path: Path, end: str) -> None:
    command = [sys.executable, "-m", "bench", "run", TOY, "oracle_lstm", "--scale", "smoke", "--seed", "0", "1"]
    command += ["--set", "n_samples=50", "--tracker", "none", "--runs", str(tmp_path)]
    if end == "closed pipe":
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
        os.close(writing)
    elif end == "full disk":
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    else:
        shell = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
        done = subprocess.run(shell, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert len(list(tmp_path.glob("*toy_gan*/record.json"))) == 2


def threads_of_numpy(program: str, **variables: str) -> list[int]:
    """Of each BLAS that numpy has loaded once a program's commands are, where only these variables say how many."""
    code = (
        f"import runpy, sys, threadpoolctl; sys.argv = ['{program}', '--help']\n"
        f"try: runpy.run_module('{program}', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "import bench.task\n"
        "print([each['num_threads'] for each in threadpoolctl.threadpool_info() if each['user_api'] == 'blas'])"
    )
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    told = subprocess.run(
        [sys.executable, "-c", code], env=inherited | variables, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [int(number) for number in json.loads(told.stdout.splitlines()[-1])]


@pytest.mark.parametrize("program", ["bench", "leaderboards"])
def test_numpy_multiplies_on_one_thread_unless_the_user_says_otherwise(program: str) -> None:
    pytest.importorskip("threadpoolctl")
    assert set(threads_of_numpy(program)) == {1}
    if (os.cpu_count() or 1) > 1:
        assert set(threads_of_numpy(program, OPENBLAS_NUM_THREADS="2")) == {2}


WITHOUT = """
import importlib.metadata as metadata, runpy, sys
absent = ['datasets', 'evaluate', 'matplotlib', 'mlflow', 'nltk', 'plotly', 'pooch']
sys.modules.update(dict.fromkeys(absent))
of_all = metadata.version
def version(name):
    if name in absent:
        raise metadata.PackageNotFoundError(name)
    return of_all(name)
metadata.version = version
runpy.run_module('bench', run_name='__main__', alter_sys=True)
"""


@pytest.mark.parametrize(("task", "metrics"), [("grammar", ("unique", "nll_gen")), ("image_coco", ("unique",))])
def test_a_run_and_its_scores_need_no_library_for_what_they_do_not_do(
    tmp_path: Path, study_data: Path, monkeypatch: pytest.MonkeyPatch, task: str, metrics: tuple[str, ...]
) -> None:
    """On a computer of a cluster often nothing but torch and what it takes to train is installed.

    What NLTK reads is found in a cache that was brought along; without one, it is what is missing.
    """
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(study_data))
    data_of = build(find("tasks", task), find("tasks", task).scales.get("smoke", {}), task).load()  # here there is NLTK
    words = ["run", "mle", task, "--scale", "smoke", "--tracker", "none", "--set", "n_samples=50", "steps=2"]

    def done(runs: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", WITHOUT, *words, "--metric", *metrics, "--runs", str(runs)]
        return subprocess.run(
            program, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )

    told = done(tmp_path / "runs")
    assert told.returncode == 0, told.stderr
    (start,) = (tmp_path / "runs").glob(f"{task}-mle-0-*/run.json")
    assert json.loads(start.read_text())["data_sha256"] == data_of.sha256
    assert next((tmp_path / "runs").glob(f"{task}-mle-0-*/record.json")).is_file()
    told = done(tmp_path / "none", TEXTGAN_BENCH_CACHE=str(tmp_path / "empty"))
    assert told.returncode == 2
    assert "error: this needs nltk, which is not installed here: `pip install nltk`" in told.stderr


@pytest.mark.parametrize("error", [ModuleNotFoundError("No module", name="nltk.grammar"), PackageNotFoundError("nltk")])
@pytest.mark.parametrize("words", [("run", "mle", "grammar", "--scale", "smoke"), ("score", "{file}", "grammar")])
def test_a_library_that_is_needed_and_not_there_is_named_before_anything_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: ImportError, words: Sequence[str]
) -> None:
    errors = [error]

    def load(_: object) -> None:
        raise errors[-1]

    monkeypatch.setattr(GrammarTask, "load", load)
    (tmp_path / "samples.txt").write_text("the dog sees the cat\n")
    place = [word.format(file=tmp_path / "samples.txt") for word in words]
    told = CliRunner().invoke(app, place, env={"COLUMNS": "200"})
    assert told.exit_code == 2
    assert "error: this needs nltk, which is not installed here: `pip install nltk`" in told.output
    errors.append(ModuleNotFoundError("ours", name="bench.nowhere"))
    assert CliRunner().invoke(app, place).exception is errors[-1]  # a bug shows itself
