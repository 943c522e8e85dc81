"""MLflow as a mirror of run folders: it follows their diaries, live, and afterwards by `python -m bench sync`.

One experiment per text, one parent run per configuration, one child per seed. The files of the run folder are the
truth. So a run under way, a resumed run, a run whose server was away, and a finished folder are one case: tell what
MLflow does not have. A failure of MLflow, whatever it is, is a warning of one line and never costs a run; the parts
(values, files, state, parent, views, pictures) fail alone, and `sync` repairs them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import math
import statistics
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.places import command
from bench.record import Alarm, Evaluation, RunRecord, read_start
from bench.run_folder import DIARY, INPUTS, LOG, RECORD, SAMPLES, START, WEIGHTS, is_regular, read_regular
from bench.tracking import labels, mlflow_store, pictures, views
from bench.tracking.diary import DiaryReader, TrainingValues

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
    from numpy.typing import NDArray

__all__ = ["TOLD", "MlflowRun", "MlflowTracker", "digest", "one_line", "prepare"]

_BATCH = 1000  # what `log_batch` takes, metrics, parameters and tags together
_STATES = {"completed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_TABLE = "samples.json"
_FILES = (START, DIARY, RECORD, WEIGHTS, LOG, INPUTS)
_MOST_DIGESTED = 1 << 30
_PATIENCE = 10.0
"""Seconds: when a failure took longer, the server is away, and the other parts are not tried."""
_DRAWN = 20
"""Seeds in the picture over temperatures, at most."""
TOLD = "told"
"""Tag of a run of which MLflow has everything: the digest of its folder."""
_TELLING = b"2\n"
"""Part of that digest: another one where more is told of a folder than before, so that `sync` adds it."""
_logger = logging.getLogger(__name__)


class MlflowRun:
    """A run folder as a run in MLflow, which is found by the run id or made. Raises what MLflow raises.

    What MLflow has is never told twice, so after a failure a new object goes on from what arrived.
    """

    run_id: str
    """MLflow's own id of the child."""
    parent_id: str
    """Of the run that stands for the configuration."""
    seed: int | None

    def __init__(self, folder: Path, uri: str, experiment: str | None = None) -> None:
        """`experiment`: its name; None: that of the run's text."""
        self._folder = folder
        self._uri = uri
        self._diary = DiaryReader(folder)
        self._start = read_start(folder / START)
        self.seed = self._start.seed
        self._start_ms = self._last_ms = _ms(datetime.fromisoformat(self._start.created_at).timestamp())
        self._metrics: list[Metric] = []
        self._tags: dict[str, str] = {}
        self._alarms: list[str] = []
        self._phase = ""
        self._final: Evaluation | None = None
        self._monitor: SystemMetricsMonitor | None = None
        self._errors: list[Exception] = []
        self._completed: list[Run] = []
        mlflow_store.load()
        with mlflow_store.lock(uri):
            self._client = mlflow_store.connect(uri)
            self._experiment_id = self._home(experiment)
            parent = mlflow_store.ensure_parent(self._client, self._experiment_id, self._start, self._start_ms)
            self.parent_id = str(parent.info.run_id)
            run = self._find() or self._create()
            self.run_id = str(run.info.run_id)
            if run.data.tags.get(labels.PARENT) != self.parent_id:  # the one that it had was deleted
                self._client.set_tag(self.run_id, labels.PARENT, self.parent_id)
            self._part(lambda: mlflow_store.log_params(self._client, parent, labels.shared_params(self._start)))
            self._part(self._log_data)  # two processes that write one data set at once would collide
            self._part(self._show)
        self._known = self._history(run)
        self._client.update_run(
            self.run_id, status="RUNNING"
        )  # first, so that what is killed here is not taken for told
        self._client.update_run(self.parent_id, status="RUNNING")
        self._part(lambda: self._describe(run))

    def follow(self) -> None:
        """Tell what the diary has more than at the last time."""
        for when, event in self._diary.more():
            self._last_ms = max(self._last_ms, _ms(when))
            match event:
                case TrainingValues():
                    self._add_values(event, when)
                case Evaluation():
                    self._add_evaluation(event, when)
                case Alarm():
                    self._add_alarm(event)
            if len(self._metrics) >= _BATCH:
                self._send()
        self._send()

    def finish(self, record: RunRecord | None) -> None:
        """Tell the rest, the files and the state; bring the parent up to date. None: interrupted.

        Raises the first failure of a part, after the other parts.
        """
        self.finish_run(record)
        self.finish_parent()

    def finish_run(self, record: RunRecord | None) -> None:
        """The part of the run alone, for one of many runs. Raises nothing."""
        status = record.status if record is not None else "interrupted"
        self._part(self.stop_watching)
        self._part(self.follow)
        self._part(lambda: self._tell_end(record, status))
        self._part(lambda: self._client.set_terminated(self.run_id, _STATES[status], self._last_ms))
        self._part(self._send_files)

    def finish_parent(self) -> None:
        """The part of the parent, which looks at all of its runs. Raises the first failure of a part of either."""
        self._part(self._summarise)
        self._part(self._show_scores)
        self._part(self._picture_samples)
        self._part(self._picture_trade)
        self.confirm()

    def confirm(self) -> None:
        """Note that MLflow has everything. Raises the first failure of a part, if one failed."""
        if self._errors:
            raise self._errors[0]
        self._client.set_tag(self.run_id, TOLD, digest(self._folder))

    def _part(self, call: Callable[[], object]) -> None:
        """Do what may fail alone; `finish` says what did."""
        started = time.monotonic()
        try:
            call()
        except Exception as error:
            self._errors.append(error)
            if time.monotonic() - started > _PATIENCE:
                raise

    def _tell_end(self, record: RunRecord | None, status: str) -> None:
        """What is known only now."""
        final = self._final
        if record is not None:
            self._add_usage(record)
            final = record.final() or final
        self._tags["status"] = status
        self._tags["mlflow.note.content"] = labels.child_note(self._start, record, final, tuple(self._alarms[:5]))
        self._send()

    def _send_files(self) -> None:
        for path in _files(self._folder):
            self._client.log_artifact(self.run_id, str(path))

    def watch_system(self) -> None:
        """Have a thread tell MLflow how busy the machine is, until `stop_watching`."""
        if importlib.util.find_spec("psutil") is None:
            return
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self._monitor = SystemMetricsMonitor(self.run_id, resume_logging=True, tracking_uri=self._uri)
        self._monitor.start()

    def stop_watching(self) -> None:
        """End that thread, if there is one."""
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None

    def _home(self, experiment: str | None) -> str:
        """The id of the experiment: of the name; else of the run's text, unless the run is in what was once for all."""
        if experiment is None and (old := mlflow_store.alive(self._client, labels.EXPERIMENT)):
            self._experiment_id = old
            if self._find() is not None:
                return old
        return mlflow_store.ensure_experiment(
            self._client, self._uri, experiment or labels.experiment_name(self._start)
        )

    def _show(self, scores: Iterable[str] = ()) -> None:
        """The experiment's views; hold the lock."""
        views.seed(self._client, self._experiment_id, labels.EXPERIMENT_NOTE, scores)

    def _show_scores(self) -> None:
        """The views again, if a completed seed has scores that they do not show."""
        names = {key for run in self._completed for key in run.data.metrics if key.startswith("score/")}
        if names:
            with mlflow_store.lock(self._uri):
                self._show(name.removeprefix("score/") for name in names)

    def _find(self) -> Run | None:
        wanted = f"tags.level = 'run' and tags.run_id = '{self._start.run_id}'"
        found = self._client.search_runs(
            [self._experiment_id], wanted, max_results=1, order_by=["attributes.start_time ASC"]
        )
        return found[0] if found else None

    def _create(self) -> Run:
        tags = labels.child_tags(self._start, self.parent_id)
        return self._client.create_run(self._experiment_id, self._start_ms, tags, labels.child_name(self._start))

    def _log_data(self) -> None:
        """The data's name, hash and facts; never the data."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=labels.protocol(self._start),
            digest=self._start.data_sha256[:12],  # MLflow takes 36 characters; the tag `data_sha256` has all
            source_type="code",
            source=json.dumps({"tags": {"task": labels.protocol(self._start), "sha256": self._start.data_sha256}}),
            profile=json.dumps(dict(self._start.data_facts), sort_keys=True),
        )
        context = [InputTag("mlflow.data.context", "training and test")]
        self._client.log_inputs(self.run_id, [DatasetInput(dataset, context)])

    def _history(self, run: Run) -> set[tuple[str, int]]:
        """Which (metric, step) the child has. Times differ when steps after a checkpoint are done again."""
        keys = [key for key in run.data.metrics if not key.startswith("system/")]
        return {(key, metric.step) for key in keys for metric in self._client.get_metric_history(self.run_id, key)}

    def _describe(self, run: Run) -> None:
        """Tags and parameters; of a parameter that MLflow has and that is another one now, a tag says so."""
        self._tags |= {**labels.child_tags(self._start, self.parent_id), "status": "running", TOLD: ""}
        params, cut = labels.params(self._start)
        if cut:
            self._tags["params_truncated"] = ", ".join(cut)[:1000]
        if older := [key for key, value in params.items() if run.data.params.get(key, value) != value]:
            self._tags["params_of_an_earlier_start"] = ", ".join(older)[:1000]
        mlflow_store.log_params(self._client, run, params)

    def _add_values(self, event: TrainingValues, when: float) -> None:
        """As `train/<phase>/<key>`: a loss means another thing in another phase."""
        if event.phase != self._phase:
            self._phase = self._tags["phase"] = event.phase
        for key, value in event.values.items():
            self._add_metric(f"train/{event.phase}/{key}", value, event.step, when)

    def _add_evaluation(self, evaluation: Evaluation, when: float) -> None:
        """Scores at temperature 1 over the steps; those at the end of training over the temperatures too."""
        places = []
        if evaluation.temperature == 1.0:
            places.append(("score", evaluation.step))
            if evaluation.at == "end":
                self._final = evaluation
        if evaluation.at == "end":
            places.append(("temperature", round(100 * evaluation.temperature)))
        for group, step in places:
            for name, score in evaluation.scores.items():
                self._add_metric(f"{group}/{name}", score.value, step, when)

    def _add_alarm(self, alarm: Alarm) -> None:
        """A tag per kind with the first alarm, the number of all, and a line in the description."""
        text = f"{alarm.message} ({alarm.phase}, step {alarm.step})"
        if not any(known.startswith(f"{alarm.kind}:") for known in self._alarms):
            self._tags[f"alarm.{alarm.kind}"] = text[:1000]
        self._alarms.append(f"{alarm.kind}: {text}")
        self._tags["alarms"] = str(len(self._alarms))

    def _add_usage(self, record: RunRecord) -> None:
        """What the run took, so that quality can be plotted against cost."""
        when = self._last_ms / 1000
        self._add_metric("alarms", float(len(self._alarms)), 0, when)
        for phase in record.phases:
            self._add_metric(f"usage/{phase.name}_seconds", phase.seconds, 0, when)
            self._add_metric(f"usage/{phase.name}_real_sentences", phase.real_sentences, 0, when)
        if record.phases:
            self._add_metric("usage/seconds", math.fsum(phase.seconds for phase in record.phases), 0, when)
        if record.n_parameters is not None:
            self._tags["n_parameters"] = str(record.n_parameters)

    def _add_metric(self, name: str, value: float, step: int, when: float) -> None:
        """One that is not finite becomes NaN, as in the diary: MLflow would show inf as 1.8e308."""
        from mlflow.entities import Metric

        key = labels.key(name)
        if (key, step) not in self._known:
            self._metrics.append(Metric(key, value if math.isfinite(value) else math.nan, _ms(when), step))

    def _send(self) -> None:
        """Metrics and tags that were added, in batches of what MLflow takes."""
        from mlflow.entities import RunTag

        while self._metrics or self._tags:
            tags = [RunTag(key, value) for key, value in self._tags.items()]
            metrics = self._metrics[: _BATCH - len(tags)]
            self._client.log_batch(self.run_id, metrics=metrics, tags=tags)
            del self._metrics[: len(metrics)]
            self._tags.clear()

    def _summarise(self) -> None:
        """The parent's state, and mean and standard deviation of the last scores over its completed seeds.

        Of several runs of one seed, as before and after a change of its code, the newest counts (`bench.seeds`).
        At step 0, whatever the number of seeds: MLflow then draws bars that compare the configurations.
        """
        from mlflow.entities import Metric

        wanted = f"tags.{labels.PARENT} = '{self.parent_id}' and tags.level = 'run'"
        oldest_first = self._client.search_runs(
            [self._experiment_id], wanted, max_results=1000, order_by=["attributes.start_time ASC"]
        )
        seeds = list({run.data.tags.get("seed", run.info.run_id): run for run in oldest_first}.values())
        done = self._completed = [run for run in seeds if run.info.status == "FINISHED"]
        self._client.set_tag(self.parent_id, "seeds", f"{len(done)} of {len(seeds)} completed")
        if all(run.info.status != "RUNNING" for run in seeds):
            state = next((s for s in ("KILLED", "FAILED") if any(run.info.status == s for run in seeds)), "FINISHED")
            end = max((run.info.end_time or 0 for run in seeds), default=self._last_ms)
            self._client.set_terminated(self.parent_id, state, end)
        shown = self._client.get_run(self.parent_id).data.metrics
        if not done:
            return
        end = max(run.info.end_time or 0 for run in done)
        names = [name for name in done[0].data.metrics if name.startswith("score/")]
        told = {"seeds": float(len(done))}
        for name in names:
            values = [run.data.metrics[name] for run in done if name in run.data.metrics]
            if len(values) == len(done):
                told[f"mean/{name.removeprefix('score/')}"] = math.fsum(values) / len(values)
                if len(values) > 1:
                    told[f"sd/{name.removeprefix('score/')}"] = statistics.stdev(values)
        told |= {key: math.nan for key in shown if key.startswith(("mean/", "sd/")) and key not in told}
        told = {key: value for key, value in told.items() if str(shown.get(key)) != str(value)}
        if told.keys() & shown.keys():  # of two values of one step MLflow shows the later one
            end = max(end, _ms(time.time()))
        self._client.log_batch(self.parent_id, metrics=[Metric(key, value, end, 0) for key, value in told.items()])

    def _picture_samples(self) -> None:
        """On the parent, a picture and a table of the sentences of its first completed seed, which has to be this run.

        Of that seed alone the folder is at hand.
        """
        path = self._folder / SAMPLES
        first = min(self._completed, key=lambda run: _number(run.data.tags.get("seed", "")), default=None)
        if first is None or first.info.run_id != self.run_id or not is_regular(path):
            return
        sentences, inputs = _lines(path), _lines(self._folder / INPUTS)
        title = f"{labels.row(self._start)}, seed {self._start.seed}"
        table = pictures.samples_table(sentences, self._start.seed, inputs)
        if self._is_new(views.SAMPLES_IMAGE, [title, table]):
            self._client.log_text(self.parent_id, table, _TABLE)
            listed = json.dumps([{"path": _TABLE, "type": "table"}])
            self._client.set_tag(self.parent_id, "mlflow.loggedArtifacts", listed)
            self._send_picture(views.SAMPLES_IMAGE, pictures.samples_picture(sentences, title, inputs), [title, table])

    def _picture_trade(self) -> None:
        """On the parent, quality against diversity over the temperatures of its completed seeds, 20 of them at most.

        Every seed that ends draws it, so that of all of them would cost the square of their number.
        """
        keys = [key for run in self._completed for key in run.data.metrics if key.startswith("temperature/")]
        pair = views.trade(key.removeprefix("temperature/") for key in keys)
        if pair is None:
            return
        traces: dict[str, pictures.Trace] = {}
        for run in sorted(self._completed, key=lambda run: _number(run.data.tags.get("seed", "")))[:_DRAWN]:
            x, y = (self._steps(run, f"temperature/{name}") for name in pair)
            if trace := {step: (x[step], y[step]) for step in sorted(x.keys() & y.keys())}:
                traces[f"seed {run.data.tags.get('seed')}"] = trace
        more = f", {len(traces)} of {len(self._completed)} seeds" if len(traces) < len(self._completed) else ""
        title = f"{labels.row(self._start)}{more}"
        content = [title, *pair, traces]
        if traces and self._is_new(views.TRADE_IMAGE, content):
            picture = pictures.trade_picture(traces, *pair, title=title)
            self._send_picture(views.TRADE_IMAGE, picture, content)

    def _steps(self, run: Run, key: str) -> dict[int, float]:
        """Step -> value of a metric of a seed."""
        known = self._client.get_metric_history(run.info.run_id, key) if key in run.data.metrics else []
        return {metric.step: metric.value for metric in known}

    def _is_new(self, image: str, content: object) -> bool:
        """Whether the parent lacks this picture: MLflow keeps all that it is ever told."""
        return self._client.get_run(self.parent_id).data.tags.get(f"picture.{image}") != _short(content)

    def _send_picture(self, image: str, pixels: NDArray[Any], content: object) -> None:
        self._client.log_image(self.parent_id, pixels, key=image, step=0, timestamp=self._last_ms)
        self._client.set_tag(self.parent_id, f"picture.{image}", _short(content))


class MlflowTracker:
    """A `Tracker`: an `MlflowRun` whose failures are warnings. After one, nothing is tried until the run ends.

    A server that is away would stop the training each time.
    """

    def __init__(
        self, uri: str, experiment: str | None = None, *, every: float = 5.0, system_metrics: bool = True
    ) -> None:
        """`every`: seconds between two looks at the diary. Raises ValueError as `mlflow_store.check` does."""
        mlflow_store.check(uri)
        self._uri = uri
        self._experiment = experiment
        self._every = every
        self._system_metrics = system_metrics
        self._run: MlflowRun | None = None
        self._looked_at = 0.0

    def start(self, folder: Path) -> None:
        """Find or make the run, and tell what the folder has."""
        self._folder = folder
        self._guard(self._start, "it is tried again when the run ends")

    def follow(self) -> None:
        """Every few seconds, tell what is new."""
        if self._run is not None and time.monotonic() - self._looked_at > self._every:
            self._guard(self._run.follow, "it is tried again when the run ends")
            self._looked_at = time.monotonic()

    def finish(self, record: RunRecord | None) -> None:
        """Tell the rest; all that is missing, if MLflow failed on the way."""
        self._guard(lambda: self._open().finish(record), f"later: {_again(self._folder, self._uri, self._experiment)}")

    def _start(self) -> None:
        self._run = self._open()
        self._run.follow()
        self._looked_at = time.monotonic()
        if self._system_metrics:
            self._run.watch_system()

    def _open(self) -> MlflowRun:
        return self._run or MlflowRun(self._folder, self._uri, self._experiment)

    def _guard(self, call: Callable[[], None], then: str) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - a server, a driver or a damaged file may raise anything
            if self._run is not None:
                self._run.stop_watching()
                self._run = None
            _logger.warning("MLflow failed at %s: %s; the run goes on, %s", self._uri, one_line(error), then)


def _again(runs: Path, uri: str, experiment: str | None) -> str:
    """The command that makes the mirror of run folders later."""
    named = [] if experiment is None else ["--experiment", experiment]
    return command("bench", "sync", runs, "--tracking-uri", uri, *named)


def prepare(uri: str, experiment: str | None = None, runs: Path = Path("runs")) -> bool:
    """Make the database, and the experiment if it has a name, before workers start.

    False, with a warning: MLflow failed.

    Raises ValueError as `mlflow_store.check` does.
    """
    mlflow_store.check(uri)
    try:
        mlflow_store.load()
        with mlflow_store.lock(uri):
            client = mlflow_store.connect(uri)
            if experiment is not None:
                mlflow_store.ensure_experiment(client, uri, experiment)
            else:
                client.get_experiment_by_name(labels.EXPERIMENT)  # is the server there?
    except Exception as error:  # noqa: BLE001 - as above
        _logger.warning(
            "MLflow cannot be used at %s: %s; the runs go on, later: %s",
            uri,
            one_line(error),
            _again(runs, uri, experiment),
        )
        return False
    return True


def digest(folder: Path) -> str:
    """Of what MLflow is told of a folder: contents; of weights and samples names and sizes; nothing of the log.

    Raises ValueError for a file that is too large to be read.
    """
    total = hashlib.sha256(_TELLING)
    for path in (path for path in _files(folder) if path.name != LOG):
        total.update(f"{path.name} {path.stat().st_size}\n".encode())
        if path.name in (START, DIARY, RECORD):
            total.update(read_regular(path, _MOST_DIGESTED))
    return total.hexdigest()


def _files(folder: Path) -> list[Path]:
    """What MLflow gets of a folder. In a folder of somebody else a link may lead anywhere, so files alone."""
    samples = sorted(path.name for path in folder.glob("samples*"))
    return [path for path in (folder / name for name in (*_FILES, *samples)) if is_regular(path)]


def _lines(path: Path) -> list[str]:
    """Of a file of sentences; none where there is no file."""
    return read_regular(path).decode("utf-8", "replace").removesuffix("\n").split("\n") if is_regular(path) else []


def _number(seed: str) -> tuple[int, str]:
    """Orders seeds as numbers."""
    return len(seed), seed


def _short(content: object) -> str:
    """A digest of what a picture shows."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def one_line(error: BaseException) -> str:
    """The kind of an error and the first line of its text."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
