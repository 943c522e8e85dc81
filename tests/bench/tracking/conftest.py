"""A database of MLflow that several files of tests begin with."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import tracking_runs as cases

from bench.data import cache_folder
from bench.tracking import mlflow_store
from bench.tracking.mlflow_store import default_uri


@pytest.fixture(scope="session")
def migrated() -> Path:
    """A migrated database without experiments, one for all processes: a migration takes seconds, a copy nothing."""
    folder = cache_folder() / "migrated"
    mlflow_store.load()
    with mlflow_store.lock(default_uri(folder)):
        mlflow_store.connect(default_uri(folder))
    return folder / "mlflow.db"


@pytest.fixture
def store(tmp_path: Path, migrated: Path) -> cases.Store:
    """A folder of runs with it."""
    return cases.new_store(tmp_path / "runs", migrated)
