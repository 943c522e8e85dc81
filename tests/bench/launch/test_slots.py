"""Runs side by side: which GPU each goes to, that a GPU does not make another run, and what is refused.

No test needs a GPU but those marked so: their number is pretended, and workers are threads that train nothing.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import threading
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from filelock import FileLock
from helpers.commands import call_bench
from helpers.paths import TOY
from rich.console import Console

from bench.config import RunConfig
from bench.launch.options import LaunchOptions, slots
from bench.launch.workers import Outcome, launch
from bench.randomness import isolated, random_state, restore_random_state
from bench.record import read_record
from bench.run.hardware import is_lost
from bench.run.runner import run
from bench.run_folder import LOCK, RECORD


def toy(seed: int = 0, device: str = "auto", **more: object) -> RunConfig:
    settings = {"model": TOY, "task": "oracle_lstm", "scale": "smoke", "n_samples": 50, "seed": seed, "device": device}
    return RunConfig.model_validate(settings | more)


def pretend(monkeypatch: pytest.MonkeyPatch, gpus: int) -> None:
    """As many GPUs, on which nothing can be computed."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)


def test_gpus_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 2)
    assert slots([toy(0), toy(1)], None, 3) == ("cuda:0", "cuda:1") * 3
    assert slots([toy(0, "cuda")], None, 1) == ("cuda:0", "cuda:1")
    assert slots([toy(0, "cuda:1")], None, 2) == ("cuda:1", "cuda:1")
    assert slots([], None, 1) == ("cuda:0", "cuda:1")


def test_without_gpus_settings_say_the_device() -> None:
    assert slots([toy()], None, None) == ("",)
    assert slots([toy(0, "cuda:1")], 3, None) == ("", "", "")


@pytest.mark.parametrize(
    ("devices", "gpus", "jobs", "expected"),
    [
        (["auto"], 2, 1, "--jobs and --jobs-per-gpu both say how many"),
        (["cpu"], 2, None, "device is cpu: use --jobs"),
        (["auto"], 0, None, "there is none here: use --jobs"),
        (["cuda:1", "cuda:0"], 2, None, "got cuda:0 and cuda:1"),
    ],
)
def test_what_cannot_be_is_refused(
    devices: list[str], gpus: int, jobs: int | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, gpus)
    with pytest.raises(ValueError, match=expected):
        slots([toy(0, device) for device in devices], jobs, 2)


@pytest.mark.parametrize(
    "command",
    [
        ["run", "mle", "grammar", "--set", "device=cpu"],
        ["suite", "demo", "--set", "device=cpu"],
        ["reproduce", "seqgan-oracle20", "--device", "cpu"],
    ],
)
@pytest.mark.parametrize("more", [[], ["--jobs", "1"]])
def test_every_command_refuses_before_it_writes(command: list[str], more: list[str], tmp_path: Path) -> None:
    call_bench(*command, "--jobs-per-gpu", "2", *more, "--runs", tmp_path, code=2)
    assert list(tmp_path.iterdir()) == []


def test_which_gpu_it_is_makes_no_other_run(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = {device: toy(0, device).resolve() for device in ("cpu", "auto", "cuda", "cuda:0", "cuda:1")}
    pretend(monkeypatch, 2)
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)  # there is such a device
    ids = {device: each.run_id for device, each in resolved.items()}
    assert len({ids[device] for device in ("auto", "cuda", "cuda:0", "cuda:1")}) == 1
    assert ids["cpu"] != ids["cuda"]
    assert resolved["cuda:1"].device == "cuda:1"  # where it goes on
    assert {resolved[device].run_settings.device for device in ("auto", "cuda:0", "cuda:1")} == {"cuda"}


class Workers:
    """In place of processes: threads that say at once that a run is completed, and one that dies of its first."""

    def __init__(self, dies: str = "", loses: str = "") -> None:
        self.dies = dies
        """GPU of the first run that kills its worker."""
        self.loses = loses
        """GPU of the first run after which its worker can do nothing more there."""
        self.taken: list[tuple[int, RunConfig]] = []
        """Number of the worker and the run that it was sent."""
        self.started = 0

    def context(self, _method: str) -> Any:
        return SimpleNamespace(Pipe=multiprocessing.Pipe, Process=self.process)

    def process(self, *, target: Any, args: tuple[LaunchOptions, Connection]) -> Any:
        pipe = Connection(os.dup(args[1].fileno()))  # the launcher closes its copy, as it does for a real process
        thread = threading.Thread(target=self.work, args=(self.started, pipe))
        self.started += 1
        return SimpleNamespace(start=thread.start, join=thread.join, exitcode=-9, terminate=lambda: None)

    def work(self, number: int, pipe: Connection) -> None:
        with pipe:
            while True:
                try:
                    run = pipe.recv()
                except EOFError:
                    return
                self.taken.append((number, run))
                if run.device == self.dies:
                    self.dies = ""
                    return
                if run.device == self.loses:
                    self.loses = ""
                    pipe.send(Outcome(run.resolve().title(), Path(), "failed", device_lost=True))
                    time.sleep(0.5)  # a process takes a moment to end
                    return
                pipe.send(Outcome(run.resolve().title(), Path(), "completed"))


@pytest.mark.parametrize("dies", ["", "cuda:1"])
def test_each_run_is_sent_to_the_gpu_of_its_worker(dies: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = [toy(seed).resolve() for seed in range(9)]
    assert len({each.run_id for each in runs}) == 9  # looked up where there is no GPU
    workers = Workers(dies)
    monkeypatch.setattr(multiprocessing, "get_context", workers.context)
    at_once = ("cuda:0", "cuda:1", "cuda:0", "cuda:1")
    options = LaunchOptions(runs=tmp_path, slots=at_once)
    outcomes = launch(runs, options, console=Console(file=io.StringIO()))
    assert [outcome.title for outcome in outcomes] == [each.title() for each in runs]
    assert Counter(outcome.status for outcome in outcomes) == {
        "completed": 9 - bool(dies),
        **({"killed": 1} if dies else {}),
    }
    assert sorted(run.seed for _, run in workers.taken) == list(range(9))
    gpus = {number: run.device for number, run in workers.taken}
    assert all(run.device == gpus[number] for number, run in workers.taken)  # a worker stays on its GPU
    assert {number: gpus[number] for number in range(4)} == dict(enumerate(at_once))
    assert [gpus[number] for number in range(4, workers.started)] in ([], [dies])  # the place of a dead one is taken


def test_a_worker_that_lost_its_gpu_is_sent_nothing_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = [toy(seed).resolve() for seed in range(6)]
    workers = Workers(loses="cuda:0")
    monkeypatch.setattr(multiprocessing, "get_context", workers.context)
    options = LaunchOptions(runs=tmp_path, slots=("cuda:0", "cuda:0"))
    outcomes = launch(runs, options, console=Console(file=io.StringIO()))
    assert Counter(outcome.status for outcome in outcomes) == {"failed": 1, "completed": 5}


def test_alone_in_its_process_what_is_left_waits_for_another_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("bench.launch.workers.is_lost", lambda device: device == "cpu")
    runs = [toy(0).resolve(), toy(1, model_settings={"raise_at": 2}).resolve(), toy(2).resolve()]
    outcomes = launch(runs, LaunchOptions(runs=tmp_path), console=Console(file=io.StringIO()))
    assert [outcome.status for outcome in outcomes] == ["completed", "failed", "stopped"]
    assert outcomes[2].detail == "not started: cpu is lost to this process; give the same command again"
    assert not (runs[2].folder(tmp_path) / RECORD).exists()


def test_a_gpu_is_lost_when_it_answers_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", asked.append)
    assert not is_lost("cuda:1")
    assert asked == ["cuda:1"]

    def fails(_: str) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(torch.cuda, "synchronize", fails)
    assert is_lost("cuda:1")
    assert not is_lost("cpu")


def test_what_another_process_trains_is_sent_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = [toy(seed).resolve() for seed in range(5)]
    workers = Workers("")
    monkeypatch.setattr(multiprocessing, "get_context", workers.context)
    for seed in (0, 2):
        runs[seed].folder(tmp_path).mkdir()
    with FileLock(runs[0].folder(tmp_path) / LOCK), FileLock(runs[2].folder(tmp_path) / LOCK):
        options = LaunchOptions(runs=tmp_path, slots=("cuda:0", "cuda:1"))
        outcomes = launch(runs, options, console=Console(file=io.StringIO()))
    assert [outcome.title for outcome in outcomes] == [each.title() for each in runs]
    seeds = [run.seed for _, run in workers.taken]
    assert (set(seeds[:3]), set(seeds[3:])) == ({1, 3, 4}, {0, 2})


def test_one_run_goes_to_the_first_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In this process; that the device is not there is said as it is."""
    asked: list[str] = []
    resolve = RunConfig.resolve
    monkeypatch.setattr(RunConfig, "resolve", lambda self: asked.append(self.device) or resolve(self))
    options = LaunchOptions(runs=tmp_path, slots=("cuda:3", "cuda:4"))
    with pytest.raises(ValueError, match="no device 'cuda:3' here"):
        launch([toy().resolve()], options, console=Console(file=io.StringIO()))
    assert asked == ["auto", "cuda:3"]


def test_random_state_of_the_gpu_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was saved on one GPU is put back on whichever is in use, and a run on the CPU wakes no GPU."""
    states = {"now": torch.arange(4, dtype=torch.uint8)}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: states["now"])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state: states.update(now=state))
    assert set(random_state()) == {"cpu"}
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    before = random_state()
    assert torch.equal(before["cuda"], torch.arange(4, dtype=torch.uint8))
    states["now"] = torch.zeros(4, dtype=torch.uint8)
    restore_random_state(before)
    assert torch.equal(states["now"], before["cuda"])


@pytest.mark.cuda
def test_random_numbers_of_a_gpu_go_on_after_a_look_aside() -> None:
    torch.manual_seed(5)
    torch.rand(3, device="cuda")
    before = random_state()
    with isolated(1):
        torch.rand(7, device="cuda")
    second = torch.rand(3, device="cuda")
    restore_random_state(before)
    assert torch.equal(torch.rand(3, device="cuda"), second)


@pytest.mark.cuda
def test_seeds_that_share_a_gpu_have_the_records_of_single_runs(tmp_path: Path) -> None:
    runs = [toy(seed, "cuda").resolve() for seed in (0, 1)]
    alone = [run(each, tmp_path / "alone").content() for each in runs]
    options = LaunchOptions(runs=tmp_path / "shared", slots=("cuda:0", "cuda:0"))
    outcomes = launch(runs, options, console=Console(file=io.StringIO()))
    assert [outcome.status for outcome in outcomes] == ["completed", "completed"]
    assert [read_record(each.folder(tmp_path / "shared") / "record.json").content() for each in runs] == alone
