"""What several files of tests look at: a run, trained once and copied by whoever changes it, and a page."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import stored_runs as runs
from helpers.records import example
from helpers.site_of_tests import write_runs

from leaderboards.boards import build
from leaderboards.render.page.site import write_page
from leaderboards.schema import Boards


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the toy GAN that may become a row."""
    return runs.train(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Boards:
    """Of the records that are the example, with samples and diaries."""
    records = tmp_path_factory.mktemp("records")
    write_runs(records, example())
    return build([records])


@pytest.fixture(scope="module")
def site(boards: Boards, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of their page."""
    return write_page(boards, tmp_path_factory.mktemp("page")).parent
