"""The first contact with an MLflow store: which addresses are taken, one process at a time, quietly.

MLflow migrates an empty database on first contact, and processes that do so at once destroy each other's work; so the
first contact is made under a file lock. Only functions import mlflow: with `--tracker none` it need not be installed.
"""

from __future__ import annotations

import getpass
import hashlib
import importlib.util
import logging
import os
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from filelock import BaseFileLock
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from bench.record import RunStart

__all__ = [
    "alive",
    "all_runs",
    "check",
    "connect",
    "default_uri",
    "ensure_experiment",
    "ensure_parent",
    "load",
    "lock",
    "log_params",
]

_PARAMS = 100
"""What MLflow takes in one batch."""
_LOCK_SECONDS = 300.0  # a migration takes 3 s; eight processes that wait for each other on a slow disk take more
_logger = logging.getLogger(__name__)


def default_uri(runs: Path) -> str:
    """`sqlite:///<runs>/mlflow.db`; what would be read as an escape or a query is escaped."""
    path = (runs.resolve() / "mlflow.db").as_posix()
    return f"sqlite:///{path.replace('%', '%25').replace('?', '%3F')}"


def check(uri: str) -> None:
    """Raise ValueError, before anything slow, if MLflow is not installed or refuses this kind of address."""
    if importlib.util.find_spec("mlflow") is None:
        raise ValueError("MLflow is not installed: `pip install mlflow`, or go on without it by `--tracker none`")
    if uri.startswith("file:") or ("://" not in uri and not uri.startswith("databricks")):
        raise ValueError(
            f"{uri!r} is a folder, and MLflow 3 refuses folders (./mlruns) as a tracking address; "
            f"{default_uri(Path('runs'))} or http://server:5000 would be right"
        )


def has_pages(uri: str) -> bool:
    """Whether `mlflow ui --backend-store-uri` can open the address: a database can be; a server has its own pages."""
    kind = uri.partition(":")[0].partition("+")[0]
    return kind in ("sqlite", "postgresql", "mysql", "mssql") and ":memory:" not in uri


def lock(uri: str) -> BaseFileLock:
    """One process at a time: beside an sqlite file, else in the temporary folder of this machine."""
    from filelock import FileLock

    path = _sqlite_path(uri)
    if path is None:
        user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()  # in a container a uid may have no name
        name = hashlib.sha256(f"{user} {uri}".encode()).hexdigest()[:16]
        return FileLock(Path(tempfile.gettempdir()) / f"textgan-bench-{name}.lock", timeout=_LOCK_SECONDS)
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{path}.lock", timeout=_LOCK_SECONDS)


def load() -> None:
    """Import MLflow, which takes seconds: do it before the lock. What the user has set in the environment wins.

    A benchmark does not report on its users, so MLflow's telemetry is off. A server that is gone is given up after
    two retries, not after MLflow's minutes. MLflow's own log is off: it prints a traceback of each failure, of which
    we tell in one line.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    import mlflow  # noqa: F401 - it sets up its loggers

    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        for name in ("mlflow", "alembic", "urllib3.connectionpool"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def connect(uri: str) -> MlflowClient:
    """A client, which migrates an empty database: hold the lock.

    What comes out for an empty sqlite file is kept in the cache, and copied into the next one: the migrations take
    longer than a small run.
    """
    from mlflow import MlflowClient

    path = _sqlite_path(uri)
    if path is None:
        return MlflowClient(uri)
    _open(path)
    if path.stat().st_size or not uri.startswith("sqlite:"):  # sqlite+…: a driver that may write files of its own kind
        return MlflowClient(uri)
    ready = _ready_tables()
    if _copy_tables(ready, path):
        return MlflowClient(uri)
    client = MlflowClient(uri)
    _keep_tables(path, ready)
    return client


def _ready_tables() -> Path:
    """Where the tables of this version of MLflow are kept, without a row but those that its migrations write."""
    from bench.data import cache_folder
    from bench.environment import package_version

    return cache_folder() / "derived" / f"mlflow-{package_version('mlflow')}.db"


def _copy_tables(ready: Path, into: Path) -> bool:
    """Fill an empty file. False, and it is empty still, where nothing is kept or that is damaged."""
    if not ready.is_file():
        return False
    try:
        with closing(sqlite3.connect(ready)) as kept, closing(sqlite3.connect(into)) as new:
            whole = kept.execute("PRAGMA quick_check").fetchone() == ("ok",)
            if not whole or kept.execute("SELECT version_num FROM alembic_version").fetchone() is None:
                return False
            kept.backup(new)
    except sqlite3.Error:
        into.write_bytes(b"")
        return False
    return True


def _keep_tables(path: Path, ready: Path) -> None:
    """Keep those of a database that was empty, all or nothing; a cache that cannot be written costs only time."""
    try:
        ready.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=ready.parent) as folder:
            part = Path(folder) / ready.name
            with closing(sqlite3.connect(path)) as made, closing(sqlite3.connect(part)) as kept:
                made.backup(kept)
                kept.execute("DELETE FROM experiments")  # MLflow makes `Default` where there is none
                kept.commit()
            part.replace(ready)
    except (OSError, sqlite3.Error) as error:
        _logger.debug("MLflow's tables are not kept: %s", error)


def ensure_experiment(client: MlflowClient, uri: str, name: str) -> str:
    """The id of the experiment, which is made if there is none, and restored if it was deleted; hold the lock.

    Where there is no server that says where files go, they go beside the database, or to `mlartifacts` here.
    """
    from mlflow.exceptions import MlflowException

    from bench.tracking import labels

    if found := client.get_experiment_by_name(name):
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
            _logger.warning("MLflow's experiment %r was deleted; it is restored", name)
        return str(found.experiment_id)
    artifacts = None
    if not uri.startswith(("http:", "https:", "databricks")):
        artifacts = ((_sqlite_path(uri) or Path.cwd() / "database").parent / "mlartifacts").as_uri()
    tags = {"mlflow.note.content": labels.EXPERIMENT_NOTE, "mlflow.experimentKind": "custom_model_development"}
    try:
        return str(client.create_experiment(name, artifacts, tags))
    except MlflowException:
        if found := client.get_experiment_by_name(name):  # another machine was faster
            return str(found.experiment_id)
        raise


def ensure_parent(client: MlflowClient, experiment_id: str, start: RunStart, start_ms: int) -> Run:
    """The run that stands for a configuration, which is made if there is none; hold the lock."""
    from bench.tracking import labels

    wanted = f"tags.level = 'configuration' and tags.config_hash = '{start.config_hash}'"
    found = client.search_runs([experiment_id], wanted, max_results=1, order_by=["attributes.start_time ASC"])
    if found:
        return found[0]
    return client.create_run(experiment_id, start_ms, labels.parent_tags(start), labels.parent_name(start))


def log_params(client: MlflowClient, run: Run, params: Mapping[str, str]) -> None:
    """MLflow takes a parameter once: one that the run has stays."""
    from mlflow.entities import Param

    entities = [Param(key, value) for key, value in params.items() if key not in run.data.params]
    for first in range(0, len(entities), _PARAMS):
        client.log_batch(run.info.run_id, params=entities[first : first + _PARAMS])


def alive(client: MlflowClient, experiment: str) -> str | None:
    """The id of an experiment that is there and not deleted."""
    found = client.get_experiment_by_name(experiment)
    return None if found is None or found.lifecycle_stage == "deleted" else str(found.experiment_id)


def all_runs(client: MlflowClient, experiments: Sequence[str]) -> list[Run]:
    """Of experiments by their ids, page by page."""
    runs: list[Run] = []
    token: str | None = "" if experiments else None
    while token is not None:
        page = client.search_runs(list(experiments), max_results=1000, page_token=token or None)
        runs += page
        token = page.token or None
    return runs


def _sqlite_path(uri: str) -> Path | None:
    """The file of an sqlite address; None for other addresses and for a database in memory."""
    kind, _, rest = uri.partition(":///")
    name = rest.partition("?")[0]
    return Path(unquote(name)).resolve() if kind.startswith("sqlite") and name not in ("", ":memory:") else None


def _open(path: Path) -> None:
    """Raise OSError at once where MLflow would try for minutes. An empty file is an empty database."""
    with path.open("a+b") as file:
        file.seek(0)
        if file.read(16) not in (b"", b"SQLite format 3\x00"):
            raise OSError(f"{path} is not an sqlite database")
