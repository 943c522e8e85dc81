"""What is said of a run over all attempts at it: where it was, when it was made, what became of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.paths import TOY
from rich.console import Console

import bench.run.runner as runner
from bench.config import Resolved, RunConfig
from bench.launch import workers
from bench.launch.options import LaunchOptions
from bench.launch.start import start
from bench.record import read_record, read_start
from bench.registry import find
from bench.run.contract import built, checked_phases
from bench.run.first_phases import runs_before
from bench.run.runner import run
from bench.run.trainer import Interrupted
from bench.run_folder import ERROR, PHASE_END, RECORD, START, folder_name, samples_name
from bench.seeds import newest_of_each


def toy(**changes: Any) -> Resolved:
    settings = {"model": TOY, "task": "grammar", "scale": "smoke", "n_samples": 50, "metrics": ("unique",)}
    return RunConfig.model_validate(settings | changes).resolve()


def test_a_run_is_of_all_the_places_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, resolved = runner.describe_environment, toy()

    def place(**facts: Any) -> None:
        monkeypatch.setattr(runner, "describe_environment", lambda *a: real(*a) | facts)

    for sha, dirty, processor in (("a" * 40, True, "old"), ("b" * 40, False, "old"), ("c" * 40, False, "new")):
        place(**{"git.sha": sha, "git.dirty": dirty, "processor": processor})
        if sha[0] < "c":
            with pytest.raises(Interrupted):
                run(resolved, tmp_path, should_stop=lambda: True)
    environment = run(resolved, tmp_path).environment
    assert environment["git.sha"] == "c" * 40
    assert environment["before.git.sha"] == ["a" * 40, "b" * 40]
    assert (environment["processor"], environment["before.processor"]) == ("new", ["old"])
    assert environment["git.dirty"] is True, "part of it is of code that nobody has"
    again = run(resolved, tmp_path, rerun=True).environment
    assert again["git.dirty"] is False
    assert not [name for name in again if name.startswith("before.")]


def test_a_run_that_is_done_again_is_the_newer_one(tmp_path: Path) -> None:
    first = run(toy(), tmp_path)
    second = run(toy(), tmp_path, rerun=True)
    assert second.moment > first.moment


def test_the_newest_is_told_by_the_moment_and_not_by_its_text(tmp_path: Path) -> None:
    record = run(toy(), tmp_path)
    texts = ("2026-06-01T01:00:00+05:00", "2026-05-31T23:00:00+00:00", "2026-05-31T20:30:00")
    records = [dataclasses.replace(record, created_at=text) for text in texts]
    (kept,), _ = newest_of_each(records, key=lambda _: "a seed", record=lambda each: each)
    assert kept.created_at == texts[1]


@pytest.mark.parametrize(
    "told",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_no_memory_is_no_result(told: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise told

    resolved = toy()
    monkeypatch.setattr(resolved.model_class, "sample", fail)
    with pytest.raises(OSError, match="the same command goes on from it"):
        run(resolved, tmp_path)
    assert not (resolved.folder(tmp_path) / RECORD).exists()


def test_a_failure_in_words_that_are_no_text_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("file '\udcff'")

    resolved = toy()
    monkeypatch.setattr(resolved.model_class, "sample", fail)
    assert run(resolved, tmp_path).error == r"RuntimeError: file '\udcff'"
    assert read_record(resolved.folder(tmp_path) / RECORD).status == "failed"
    assert r"\udcff" in (resolved.folder(tmp_path) / ERROR).read_text(encoding="utf-8")
    monkeypatch.undo()
    assert run(resolved, tmp_path).status == "completed"
    assert not (resolved.folder(tmp_path) / ERROR).exists()


def test_a_damaged_record_of_its_pretraining_costs_time_and_no_run(tmp_path: Path) -> None:
    resolved = toy()
    data = resolved.task.load()
    model = built(resolved.model_class, resolved.model_config, data.spec)
    phases = {phase.name: phase.steps for phase in checked_phases(model)}
    before = next(runs_before(resolved, tmp_path, phases))
    before.mkdir(parents=True)
    (before / PHASE_END).write_bytes(b"x")
    (before / RECORD).write_text("{torn")
    assert run(resolved, tmp_path).status == "completed"


def test_a_damaged_start_of_one_run_costs_no_other(tmp_path: Path) -> None:
    runs = [toy(seed=seed) for seed in (0, 1)]
    folder = runs[1].folder(tmp_path)
    folder.mkdir()
    (folder / START).write_text("")
    outcomes = start(runs, LaunchOptions(runs=tmp_path), console=Console(quiet=True))
    assert [outcome.status for outcome in outcomes] == ["completed", "failed"]
    assert read_start(runs[0].folder(tmp_path) / START).seed == 0


def test_a_worker_that_dies_is_told_nothing_of_an_old_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = toy()
    monkeypatch.setattr(resolved.model_class, "sample", lambda *_, **__: 1 / 0)
    assert run(resolved, tmp_path).status == "failed"
    pool = workers._Pool([resolved], LaunchOptions(runs=tmp_path), None, lambda: False)  # type: ignore[arg-type]
    assert pool._outcome_of_dead(resolved, -9).status == "killed"
    monkeypatch.undo()
    assert run(resolved, tmp_path).status == "completed"
    assert pool._outcome_of_dead(resolved, -9).status == "completed"


def test_names_of_files_and_numbers() -> None:
    assert samples_name("end", "end", 0.5) == "samples-t0.5.txt"
    assert samples_name("end", "end", 2.0) == "samples-t2.txt"
    assert samples_name("end", "end", 0.5000001) == "samples-t0.5000001.txt"
    assert folder_name("grammar", r"C:/me/my_gan.py:MyGAN", 0) == "grammar-my_gan-0"
    with pytest.raises(KeyError, match=r"no file .*my_gan.py"):
        find("models", "C:/me/my_gan.py:MyGAN")


@pytest.mark.parametrize("place", ["step", "sample"])
def test_a_model_that_seeds_is_refused_wherever_it_does(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise three seeds are one training, with intervals of width 0."""
    resolved = toy()
    where = "_adversarial" if place == "step" else "sample"
    usual = getattr(resolved.model_class, where)

    def seeding(*arguments: Any, **named: Any) -> Any:
        torch.manual_seed(0)
        return usual(*arguments, **named)

    monkeypatch.setattr(resolved.model_class, where, seeding)
    record = run(resolved, tmp_path)
    assert record.error is not None
    assert "torch's generators were seeded (torch.manual_seed), so that all seeds would be one run" in record.error
