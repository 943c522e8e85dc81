"""Ctrl-C, once and twice, to the whole group of processes as a terminal sends it: no traceback, nothing lost.

And a terminal that is closed while it is written to.
"""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import programs
from helpers.paths import ROOT, TOY
from helpers.programs import Program

from bench.launch.workers import stop_on_signals
from bench.record import read_record

Process = Program | subprocess.Popen[str]
PATIENCE = 300
"""Seconds: a loaded machine is slow, and slowness is not what is tested."""
NOISE = ("Traceback", "KeyboardInterrupt", "Exception ignored", "Error in")
TOY_RUN = ("bench", "run", TOY, "oracle_lstm", "--scale", "smoke", "--tracker", "none", "--save-every", "0")
TOY_RUN += ("--set", "mle_steps=400", "n_samples=50", "log_every=1")


def start(*words: object) -> Program:
    """Sent to the group, the interrupt comes to what was forked as to what was not."""
    return programs.start(*map(str, words), session=True)


def start_cold(*words: object) -> subprocess.Popen[str]:
    """With all imports before it."""
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def ctrl_c(process: Process, times: int, gap: float = 0.0) -> str:
    for _ in range(times):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(gap)
    output = "".join(said or "" for said in process.communicate(timeout=PATIENCE))
    assert not [line for line in output.splitlines() if any(word in line for word in NOISE)], output
    return output


def wait_until(process: Process, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.004)


def maps(process: Process, library: str) -> bool:
    return library in Path(f"/proc/{process.pid}/maps").read_text()


def has(runs: Path, text: str) -> bool:
    return any(text in path.read_text(errors="replace") for path in runs.glob("*toy_gan*/train.jsonl"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("whole")
    process = start(*TOY_RUN, "--runs", runs)
    output = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    return next(runs.glob("*toy_gan*"))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks into /proc")
@pytest.mark.parametrize(
    ("moment", "jobs"), [("imports", 1), ("torch", 1), ("training", 1), ("training", 2), ("the end", 1)]
)
def test_twice_at_every_moment_then_the_same_record(moment: str, jobs: int, tmp_path: Path, whole: Path) -> None:
    begin = start_cold if moment in ("imports", "torch") else start
    process = begin(*TOY_RUN, "--runs", tmp_path, "--seed", 0, *([1] if jobs == 2 else []), "--jobs", jobs)
    happened: dict[str, Callable[[], bool]] = {
        "imports": lambda: maps(process, "_pydantic_core"),
        "torch": lambda: maps(process, "libtorch_cpu"),
        "training": lambda: has(tmp_path, '"phase":"mle"'),
        "the end": lambda: bool(list(tmp_path.glob("*toy_gan*/weights.safetensors"))),
    }
    wait_until(process, happened[moment])
    ctrl_c(process, 2, gap=0.05 * (jobs == 2))
    assert process.returncode in (0, 130, -signal.SIGINT)
    if moment == "training" and jobs == 1:
        again = start(*TOY_RUN, "--runs", tmp_path)
        output = again.communicate(timeout=PATIENCE)
        assert again.returncode == 0, output
        folder = next(tmp_path.glob("*toy_gan-0*"))
        assert read_record(folder / "record.json").content() == read_record(whole / "record.json").content()
        assert (folder / "samples.txt").read_bytes() == (whole / "samples.txt").read_bytes()
        assert not list(folder.glob(".*.tmp"))


def test_workers_that_are_still_importing_stop_in_order(tmp_path: Path) -> None:
    """SIGINT once, when there are processes that know of no run yet."""
    process = start_cold(*TOY_RUN, "--runs", tmp_path, "--seed", 0, 1, "--jobs", 2)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(process, lambda: len(children.read_text().split()) >= 3)  # one of them keeps the semaphores
    output = ctrl_c(process, 1)
    assert process.returncode == 130
    assert "its process died" not in output
    assert "The same command goes on where it stopped" in output


def test_a_closed_terminal_stops_a_run_which_saves(tmp_path: Path) -> None:
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(ROOT)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup
        os.execv(sys.executable, [sys.executable, "-m", *TOY_RUN, "--set", "mle_steps=40000", "--runs", str(tmp_path)])
    deadline = time.monotonic() + PATIENCE
    while not has(tmp_path, '"phase":"mle"'):
        os.read(terminal, 1 << 16)
        assert time.monotonic() < deadline
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    assert "state saved" in next(tmp_path.glob("*toy_gan*/run.log")).read_text()


def test_a_run_under_nohup_does_not_notice() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as stopped:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stopped()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_tables_and_verification(tmp_path: Path, whole: Path) -> None:
    for words in (["build", whole, "--out", tmp_path], ["verify", whole.parent, "--jobs", "2"]):
        process = start("leaderboards", *words)
        time.sleep(0.5)
        if process.poll() is None:
            ctrl_c(process, 2)
