"""What all tests share: one thread, no network for model hubs, this checkout's packages, the folder of real data."""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
from pathlib import Path

import pytest
from helpers.paths import ROOT, STUDY
from hypothesis import settings

PACKAGES = ("baselines", "bench", "leaderboards", "metrics")

# The same examples at every run and no time limit per example: a test fails because of the code, not of the day.
settings.register_profile("fixed", deadline=None, derandomize=True, print_blob=True)


def pytest_configure() -> None:
    """Settings that must stand before torch is loaded; subprocesses of tests inherit them."""
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


def pytest_collection() -> None:
    """What is collected and imported stays to the end: nobody need look for garbage in it, again and again."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The project's own first: few tests, each of them long, after which another process would wait at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/project/"))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """From here on garbage is looked for in what tests leave behind alone."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    """A test that changed the number of threads does not hand it on; torch is not loaded for this."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


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
