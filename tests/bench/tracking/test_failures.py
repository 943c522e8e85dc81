"""MLflow never costs a run: out of reach, refused, not installed, or met by eight processes at once."""

from __future__ import annotations

import http.server
import logging
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from helpers import programs
from helpers import tracking_runs as cases
from helpers.commands import call_bench
from helpers.paths import ROOT

from bench.places import command
from bench.tracking import labels, mlflow_store
from bench.tracking.mlflow import MlflowTracker, prepare
from bench.tracking.mlflow_store import default_uri
from bench.tracking.options import TrackerName, TrackingOptions
from bench.tracking.sync import sync

pytest.importorskip("mlflow")


@pytest.mark.parametrize("place", ["below a file", "not a database", "no server"])
def test_an_mlflow_that_cannot_be_reached_is_a_warning_and_the_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "file").write_text("no database, no folder, but long enough")
    uri = {
        "below a file": default_uri(tmp_path / "file"),
        "not a database": f"sqlite:///{tmp_path / 'file'}",
        "no server": "http://127.0.0.1:9",
    }[place]
    assert not prepare(uri)
    runs = tmp_path / "runs"
    runs.mkdir()
    folder = cases.live(cases.Store(runs, uri), cases.info())
    assert (folder / "record.json").exists()
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 3
    assert warnings[0].endswith(f"the runs go on, later: {command('bench', 'sync', 'runs', '--tracking-uri', uri)}")
    assert "it is tried again when the run ends" in warnings[1]
    assert warnings[2].endswith(f"later: {command('bench', 'sync', folder, '--tracking-uri', uri)}")
    assert all("\n" not in warning and "Traceback" not in warning for warning in warnings)


@pytest.mark.parametrize("uri", ["./mlruns", "mlruns", "file:///tmp/mlruns", "/tmp/mlruns"])
def test_a_folder_as_address_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"MLflow 3 refuses folders .* sqlite:///"):
        MlflowTracker(uri)


def test_without_mlflow_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_store.importlib.util, "find_spec", lambda name: None)
    for start in (MlflowTracker, prepare, lambda uri: sync([], uri)):
        with pytest.raises(ValueError, match=r"`pip install mlflow`.*`--tracker none`"):
            start("sqlite:///x.db")


class _Answers(http.server.BaseHTTPRequestHandler):
    """A server that answers every question with one JSON document."""

    document = "{}"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = self.document.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_PUT = _answer  # noqa: N815 - names of the library

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.mark.parametrize(
    "document",
    [
        '{"experiment": 3}',
        '{"experiment": {"experiment_id": [1], "tags": 4}}',
        '{"experiment": {"experiment_id": "1", "name": "x"}, "runs": 7, "run": {"info": [], "data": "x"}}',
        '{"experiment": {"experiment_id": "1", "name": "x"}, "run": {}}',
        "[]",
        "null",
        "[" * 10_000,
    ],
)
def test_a_server_that_answers_nonsense_costs_no_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, document: str
) -> None:
    monkeypatch.setattr(_Answers, "document", document)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}"
        prepare(uri)
        (tmp_path / "runs").mkdir()
        folder = cases.live(cases.Store(tmp_path / "runs", uri), cases.info())
        (error,) = sync([folder], uri).errors
        server.shutdown()
    assert (folder / "record.json").exists()
    assert error[0] == folder
    assert f"later: {command('bench', 'sync', folder, '--tracking-uri', uri)}" in caplog.text


def test_import_loads_no_mlflow_and_writes_no_environment() -> None:
    code = (
        "import os, sys; before = dict(os.environ)\n"
        "from bench.tracking import diary, mlflow, options\n"
        "print('mlflow' in sys.modules, dict(os.environ) == before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_odd_folder_names(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20c?ü"
    assert mlflow_store._sqlite_path(default_uri(folder)) == folder / "mlflow.db"
    assert labels.key("a:b/../c//d") == "a_b/c/d"


def test_a_user_without_a_name_has_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container: getpass finds no entry for the uid."""
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    assert mlflow_store.lock("http://127.0.0.1:9").lock_file.endswith(".lock")


WORKER = """
import sys
from pathlib import Path
from bench.record import RunStart
from bench.tracking.diary import Diary, TrainingValues
from bench.tracking.mlflow import MlflowTracker
from bench.tracking.mlflow_store import default_uri
runs, seed = Path(sys.argv[1]), int(sys.argv[2])
start = RunStart(run_id=f"run{seed}", config_hash="same", created_at="2027-01-15T08:00:00+00:00", origin="run",
                 model="mle", model_config={"lr": 1}, task="t", task_version=1, scale="smoke", seed=seed,
                 data_sha256="d" * 64, data_facts={"n": 1}, environment={"device": "cpu"})
folder = runs / str(seed)
folder.mkdir()
diary, tracker = Diary(folder, start), MlflowTracker(default_uri(runs), system_metrics=False)
tracker.start(folder)
for step in range(50):
    diary.write(TrainingValues(phase="mle", step=step, values={"loss": 1.0}))
    tracker.follow()
diary.close()
tracker.finish(None)
"""


def test_eight_processes_at_once_on_an_empty_database(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    (tmp_path / "worker.py").write_text(WORKER)
    started = [programs.start(str(tmp_path / "worker.py"), runs, seed) for seed in range(8)]
    ended = [(process.communicate(timeout=600), process.returncode) for process in started]
    assert ended == [(("", ""), 0)] * 8  # nothing printed: no warning, no noise
    store = cases.Store(runs, default_uri(runs))
    assert len(store.level("configuration")) == 1
    assert sorted(run.data.tags["seed"] for run in store.level("run")) == [str(seed) for seed in range(8)]
    assert all(len(store.points(run)["train/mle/loss"]) == 50 for run in store.level("run"))


def test_the_line_at_the_end_says_where_runs_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    local = TrackingOptions(TrackerName.mlflow, default_uri(tmp_path / "a b"), "mine")
    assert shlex.split(local.hint())[-2:] == ["--backend-store-uri", local.uri]
    assert "experiment mine" in local.hint()
    server = TrackingOptions(TrackerName.mlflow, "http://127.0.0.1:9", "mine")
    assert server.hint() == "MLflow: experiment mine at http://127.0.0.1:9"
    assert server.prepared().hint() == ""  # nothing is there: its address is no advice


def test_the_environment_says_where_unless_an_option_does(
    tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    shutil.copy(migrated, tmp_path / "mlflow.db")
    cases.live(cases.Store(folder, default_uri(tmp_path)), cases.info())
    for name in ("named", "option"):
        (tmp_path / name).mkdir()
        shutil.copy(migrated, tmp_path / name / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", default_uri(tmp_path / "named"))
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "theirs")
    said = call_bench("sync", folder).stdout
    assert said.startswith(f"1 run in {default_uri(tmp_path / 'named')}\nMLflow: experiment theirs: ")
    options = ["--tracking-uri", default_uri(tmp_path / "option"), "--experiment", "mine"]
    said = call_bench("sync", folder, *options).stdout
    assert said.startswith(f"1 run in {default_uri(tmp_path / 'option')}\nMLflow: experiment mine: ")
    assert not (folder / "mlflow.db").exists()


def test_a_changed_setting_is_in_every_name() -> None:
    start = cases.info(scale="paper", changed={"mle_steps": 5})
    digits = start.config_hash[:4]
    assert labels.row(start) == f"seqgan {digits} (mle_steps=5) · custom"
    assert labels.parent_name(start) == f"seqgan {digits} (mle_steps=5) · custom · oracle_lstm"
    assert labels.child_name(start).startswith(f"seed 0 · seqgan {digits} (mle_steps=5) · custom")
    assert labels.parent_tags(start)["scale"] == labels.params(start)[0]["scale"] == "custom"
    assert "scale custom" in labels.child_note(start, None, None, ())
    assert labels.parent_tags(cases.info(scale="paper", changed={}))["scale"] == "paper"
