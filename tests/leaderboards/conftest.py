"""Runs that several files of tests look at: trained once in a process, and copied by whoever changes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import stored_runs as runs


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the toy GAN that may become a row."""
    return runs.train(tmp_path_factory.mktemp("toy"))
