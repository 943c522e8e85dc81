"""What all tests share: one thread, no network for model hubs, this checkout's packages, the folder of real data."""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from helpers.paths import ROOT, STUDY
from hypothesis import settings

PACKAGES = ("baselines", "bench", "leaderboards", "metrics")
DEAREST = ("baselines/test_contract.py", "leaderboards/test_results.py", "project/", "bench/launch/")
DEAREST += ("bench/test_cli.py", "bench/check/", "bench/executors/", "bench/tracking/", "bench/test_commands.py")
DEAREST += ("leaderboards/test_verify", "speed/")
"""How the names below `tests/` of files that take long begin. A process does a file whole, and all others wait for what
ends last: these files are begun before all others, in this order."""

# The same examples at every run and no time limit per example: a test fails because of the code, not of the day.
settings.register_profile("fixed", deadline=None, derandomize=True, print_blob=True)


def pytest_configure(config: pytest.Config) -> None:
    """Settings that must stand before torch is loaded; subprocesses of tests inherit them.

    What is computed from data is kept in one folder for all processes of a session, which begins empty: a text is
    tokenised once, and nothing is read that other code has left. A test of what is computed names a folder of its own.
    """
    if not hasattr(config, "workerinput"):
        if "TMPDIR" not in os.environ and (memory := _memory()):
            os.environ["TMPDIR"], tempfile.tempdir = memory, None
        folder = tempfile.mkdtemp(prefix="textgan-bench-tests-")
        os.environ["TEXTGAN_BENCH_CACHE"] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    settings.load_profile("fixed")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["HF_HUB_OFFLINE"] = "1"
    for package in PACKAGES:
        specification = importlib.util.find_spec(package)
        found = specification and specification.origin and Path(specification.origin).resolve().parent
        if found != ROOT / package:
            raise pytest.UsageError(
                f"`import {package}` finds {found or 'nothing'}, not {ROOT / package}: run pytest from {ROOT}, in an "
                f"environment without another distribution's {package!r}"
            )


def _memory() -> str | None:
    """A large file system in memory, where there is one: on a disk, tests of databases wait half of their time."""
    folder = "/dev/shm"
    try:
        found = os.statvfs(folder)
    except (AttributeError, OSError):  # Windows has no such question, macOS no such folder
        return None
    runs = not found.f_flag & os.ST_NOEXEC  # what tests write there they start as programs too
    return folder if runs and os.access(folder, os.W_OK) and found.f_bavail * found.f_frsize > 4 << 30 else None


def pytest_collection() -> None:
    """What is collected and imported stays to the end: nobody need look for garbage in it, again and again."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The dearest files first."""

    def place(item: pytest.Item) -> int:
        name = item.nodeid.removeprefix("tests/")
        return next((i for i, begin in enumerate(DEAREST) if name.startswith(begin)), len(DEAREST))

    items.sort(key=place)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """From here on garbage is looked for in what tests leave behind alone."""
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Of a test that needs a CUDA device: whether there is one."""
    if item.get_closest_marker("cuda"):
        import torch  # which such a test has loaded

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device here")


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    """A test that changed the number of threads does not hand it on; torch is not loaded for this."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is computed from data, or downloaded, is kept in a folder of the test's own."""
    monkeypatch.setenv("TEXTGAN_BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every download fails at once."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("requests.get", refuse)


@pytest.fixture(scope="session")
def study_data() -> Path:
    """The folder with the published data files, named by TEXTGAN_BENCH_DATA; without it the test is skipped."""
    if not STUDY.is_dir():
        pytest.skip(f"no published data: {STUDY} is not a folder; set TEXTGAN_BENCH_DATA")
    return STUDY
