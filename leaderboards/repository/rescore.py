"""Scores again, from sentences: the one module of the leaderboard that reads more of the harness than `bench.record`.

It looks tasks and metrics up, loads data and scores, all inside functions: `import leaderboards` stays light. A record
may be anybody's, so it names tasks, metrics and models that are installed, never files: no code of a record is run.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.record import HELD_OUT_TEXT, REAL_TEXT, Evaluation, RunRecord, Score, canonical_json
from bench.registry import meaning_of
from bench.run_folder import WEIGHTS, is_regular, log_probs_name
from leaderboards.evidence import NO_WEIGHTS, Basis, How, Outcome
from leaderboards.repository.code import code_of, library_versions
from leaderboards.schema import END

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.task import Task, TextData
    from metrics.common.base import SentenceLogProb

    Ids = NDArray[np.int64]
    Scored = tuple[dict[str, Score], dict[str, str]]

__all__ = [
    "Likelihood",
    "Loaded",
    "NotCheckable",
    "Recomputed",
    "basis",
    "commit",
    "fetch",
    "further",
    "has_likelihood",
    "inputs",
    "likelihood",
    "load",
    "metrics_named",
    "not_installed",
    "package_version",
    "read_sentences",
    "real_text",
    "recompute",
    "weights_of",
]

_LARGEST_SETTING = 1_000_000
"""Of a task, so that a record cannot ask for more data than a machine holds."""
_EXACT, _FLOAT32 = 1e-9, 1e-7
"""Allowed differences, of max(1, |value|). The oracle computes in float32: on 10,000 sentences its mean is apart from
float64 by 4e-9 (length 20) and 1.2e-8 (length 40), and between the kernels of two processors by 5e-10. What is computed
in float64 is equal to rounding."""
_MODEL = 1e-6
"""The same of a model's own likelihood from its weights: float32 moves its mean by 1e-8, and it may have been measured
on a GPU, whose sums are not those of a CPU."""
_MOST_WEIGHTS = 64 << 20
"""Bytes of a file of weights that are read."""


class NotCheckable(Exception):  # noqa: N818 - a state of a row, not a fault of it
    """Why a record cannot be checked on this machine."""


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A task and its data, as a record asks for them."""

    task: Task
    data: TextData


@dataclasses.dataclass(frozen=True)
class Likelihood:
    """What a model's log-probabilities are taken from."""

    how: How
    log_prob: SentenceLogProb


@dataclasses.dataclass
class Recomputed:
    """What came out of one evaluation."""

    outcomes: dict[str, Outcome] = dataclasses.field(default_factory=dict)
    """Keys whose score was computed again and is equal, and those that only the model's weights could give."""
    differences: list[str] = dataclasses.field(default_factory=list)
    largest: float = 0.0
    """Largest relative difference of the equal ones."""


def load(record: RunRecord) -> Loaded:
    """The task of a record with the very data that it names; loaded once for all records of a board.

    Raises NotCheckable if the data cannot be had here, ValueError if task, version, settings or data are not the ones
    of this installation.
    """
    loaded = _load(record.task, record.task_version, canonical_json(record.task_config))
    if isinstance(loaded, NotCheckable):
        raise loaded
    if loaded.data.sha256 != record.data_sha256:
        raise ValueError(f"the data are {record.data_sha256[:12]}, {record.task} gives {loaded.data.sha256[:12]} here")
    return loaded


@functools.lru_cache(maxsize=8)
def _load(name: str, version: int, settings: str) -> Loaded | NotCheckable:
    """Returns what it cannot load, so that a download is not tried again for each record."""
    from bench.config import build, plain
    from bench.registry import find, names, suggest

    values = json.loads(settings)
    if ":" in name or name.endswith(".py") or "path" in values:
        return NotCheckable(f"the text of {name} is a file of its author's, which nobody else has")
    if name not in names("tasks"):
        raise ValueError(f"no task {name!r}; {suggest(name, names('tasks'))}")
    task_class = find("tasks", name)
    if task_class.version != version:
        raise ValueError(f"{name} has version {task_class.version} here, the record is of version {version}")
    large = [k for k, v in values.items() if isinstance(v, int | float) and v > _LARGEST_SETTING]
    if large:
        raise ValueError(f"{name}: {large[0]}={values[large[0]]} is over {_LARGEST_SETTING}")
    try:
        task = build(task_class, values, name)
    except KeyError as error:
        raise ValueError(error.args[0]) from error
    if plain(task) != values:
        raise ValueError(f"{name} does not have exactly the settings that the record names: {', '.join(plain(task))}")
    try:
        return Loaded(task, task.load())
    except FileNotFoundError as error:
        return NotCheckable(str(error).splitlines()[0])


def basis(record: RunRecord, files: Mapping[str, str]) -> Basis:
    """What a verification of a record rests on here, beside it; `files` are those that lie with it, and their hashes.

    Weights are among them where they count (`weights_of`). Raises KeyError for a task or metric that is not installed.
    """
    from bench.registry import is_file, source_file

    metrics = {score.metric for e in record.evaluations for score in e.scores.values()}
    code = {name: code_of(source_file("metrics", name)) for name in sorted(metrics)}
    if not is_file(record.task):
        code["task"] = code_of(source_file("tasks", record.task))
    if WEIGHTS in files:
        code["model"] = code_of(source_file("models", record.model))
    code["scoring"] = code_of(Path(__file__), recompute.__name__)
    libraries = {name for part in code.values() for name in part.libraries}
    return Basis(
        files=files, code={name: part.hash for name, part in code.items()}, libraries=library_versions(libraries)
    )


def not_installed(metrics: Iterable[str]) -> dict[str, str]:
    """Which metrics cannot be computed on this machine, because an extra is not there, and why."""
    from bench.registry import find, names

    found = {}
    for name in sorted(set(metrics) & set(names("metrics"))):
        asked = getattr(find("metrics", name)(), "not_installed", None)
        if asked is not None and (why := asked()):
            found[name] = why
    return found


def has_likelihood(record: RunRecord) -> bool:
    """Whether a model gave scores at the end that its weights would give again."""
    from bench.registry import find

    given = {(score.metric, key) for e in record.evaluations if e.at in END for key, score in e.scores.items()}
    asked = any(find("metrics", name)().needs_model(key) for name, key in given)
    return asked and _has_log_prob(record.model)


def _has_log_prob(model: str) -> bool:
    """Whether an installed model has a likelihood; of a bound nothing is computed again."""
    from bench.registry import find

    return hasattr(find("models", model), "log_prob")


def likelihood(record: RunRecord, evaluation: Evaluation, folder: Path, loaded: Loaded) -> Likelihood | None:
    """What a model's log-probabilities at an evaluation are computed from; None if nothing of the kind is kept.

    At the end of training from the weights, where they are kept and the model is an installed one with a likelihood;
    otherwise from the log-probabilities that it gave. Raises ValueError if what is kept is not the model's.
    """
    from bench.score.log_probs import read_log_probs

    if not evaluation.samples_file:
        return None
    if evaluation.at in END and (weights := weights_of(record, folder)) is not None:
        if not _has_log_prob(record.model):
            return None
        return Likelihood("weights", _from_weights(record, weights, loaded))
    if evaluation.temperature != 1.0:
        return None
    path = folder / log_probs_name(evaluation.samples_file)
    if not is_regular(path):
        return None
    return Likelihood("log_probabilities", _Kept(path, read_log_probs(path), loaded.data))


@dataclasses.dataclass(frozen=True, eq=False)
class _Kept:
    """Log-probabilities that a model gave, in the place of the model."""

    path: Path
    arrays: Mapping[str, NDArray[np.float64]]
    data: TextData

    def __call__(self, ids: Ids) -> NDArray[np.float64]:
        """Of the test sentences as a whole, or of the samples, which are all other rows that a metric asks for.

        Not a number for the training sentences, whose log-probabilities are not kept: only weights tell them.
        """
        import numpy as np

        from bench.score.log_probs import OWN, TEST

        if ids is self.data.train:
            return np.full(len(ids), np.nan)
        return self._of(ids, TEST if ids is self.data.test else OWN)

    @property
    def label_log_prob(self) -> SentenceLogProb | None:
        """The label's part, of a model that was told a class."""
        from bench.score.log_probs import LABEL, OWN, TEST

        if LABEL + TEST not in self.arrays:
            return None
        return lambda ids: self._of(ids, LABEL + (TEST if ids is self.data.test else OWN))

    def _of(self, ids: Ids, name: str) -> NDArray[np.float64]:
        if name not in self.arrays or len(self.arrays[name]) != len(ids):
            raise ValueError(f"{self.path} does not hold the log-probabilities of {len(ids)} sentences under {name!r}")
        return self.arrays[name]


def weights_of(record: RunRecord, folder: Path) -> Path | None:
    """The weights beside a record, if they are of an installed model and not too large to be looked at."""
    from bench.registry import is_file, names

    path = folder / WEIGHTS
    installed = not is_file(record.model) and record.model in names("models")
    return path if installed and is_regular(path) and path.stat().st_size <= _MOST_WEIGHTS else None


def _from_weights(record: RunRecord, weights: Path, loaded: Loaded) -> SentenceLogProb:
    import torch

    from bench.config import build
    from bench.registry import find
    from bench.run.hardware import use_precision
    from bench.run.runner import trained_model
    from bench.score.drawing import likelihood_of

    size = weights.stat().st_size
    model_class = find("models", record.model)
    with torch.device("meta"):  # takes no memory, whatever sizes a record asks for
        skeleton = model_class(build(model_class.Config, record.model_config, record.model), loaded.data.spec)
    needed = sum(t.nbytes for t in skeleton.state_dict().values() if isinstance(t, torch.Tensor))
    if needed > size:
        raise ValueError(f"{weights} has {size:,} bytes, a model of these settings {needed:,}")
    use_precision("ieee")
    given = likelihood_of(trained_model(record, weights.parent, loaded.data, model_class), torch.device("cpu"))
    if given is None:
        raise ValueError(f"{record.model} has no likelihood")
    return given


def recompute(
    loaded: Loaded,
    evaluation: Evaluation,
    sentences: Sequence[str],
    model: Likelihood | None = None,
    only: Collection[str] | None = None,
) -> Recomputed:
    """Every score of an evaluation, computed from its sentences and compared: value, standard error, signature.

    Words stand between single blanks, as `write_samples` leaves them; no tokenizer is asked again. `only`: scores of
    these metrics.
    """
    from bench.score.scoring import score

    inputs = _of_sentences(loaded, sentences, evaluation.temperature, model.log_prob if model else None)
    result = Recomputed()
    recorded: dict[str, dict[str, Score]] = {}
    for key, old in evaluation.scores.items():
        if only is None or old.metric in only:
            recorded.setdefault(old.signature, {})[key] = old
    for keys in recorded.values():
        metric = _metric(next(iter(keys.values())), inputs)
        exact = _FLOAT32 if "oracle_log_prob" in metric.needs else _EXACT
        checks: dict[str, tuple[How, float]] = dict.fromkeys(keys, ("samples", exact))
        of_model = [key for key in keys if metric.needs_model(key)]
        if model is not None:
            near = max(exact, _MODEL) if model.how == "weights" else exact
            checks |= {key: (model.how, max(near, metric.slack.get(key, 0.0))) for key in of_model}
        asked = [] if model is None and len(of_model) == len(keys) else [metric]
        scores, skipped = score(asked, inputs)
        if model is None or model.how != "weights":  # a temperature cannot be fitted to kept log-probabilities
            unknown = [key for key in of_model if key not in scores]
            result.outcomes |= dict.fromkeys(unknown, ("recorded", NO_WEIGHTS))
            keys = {key: old for key, old in keys.items() if key not in unknown}
        # What only the model gives came later than the rest: a record of before lacks it.
        scores = {key: found for key, found in scores.items() if key in keys or not metric.needs_model(key)}
        _compare(keys, scores, skipped, checks, result)
    return result


def further(model: str, loaded: Loaded, sentences: Sequence[str], temperature: float, metrics: Sequence[Any]) -> Scored:
    """Scores by further metrics, and why some are absent; sentences as in `recompute`, no likelihood of a model.

    Test sentences have no score that compares with the test.
    """
    from bench.score.records import of_itself
    from bench.score.scoring import score

    absent = of_itself(metrics) if model == HELD_OUT_TEXT else {}
    others = [metric for metric in metrics if metric.name not in absent]
    scores, skipped = score(others, _of_sentences(loaded, sentences, temperature))
    return scores, skipped | absent


def _of_sentences(
    loaded: Loaded, sentences: Sequence[str], temperature: float, log_prob: SentenceLogProb | None = None
) -> Any:
    """What metrics compute from; words that the task does not know get numbers of their own."""
    from bench.labels.inputs import inputs_of
    from bench.task import Vocabulary
    from metrics.common.tokens import Tokens

    known = loaded.data.vocabulary
    numbering = dict(known.numbering)
    tokens = Tokens.from_words((s.split(" ") if s else [] for s in sentences), numbering)
    named = Vocabulary(known.words, tuple(numbering)[len(known.words) :])
    return inputs_of(loaded.data, tokens, log_prob, temperature, named)


def metrics_named(chosen: Sequence[str], settings: Sequence[str]) -> tuple[Any, ...]:
    """Metrics by name, `METRIC.KEY=VALUE` set. Raises KeyError or ValueError."""
    from bench.config import build_metrics, parse_settings, split_metrics

    others, of_metrics = split_metrics(parse_settings(settings))
    if others:
        raise ValueError(f"--set takes settings of metrics, METRIC.KEY=VALUE, got {min(others)}")
    return build_metrics(tuple(chosen), of_metrics)


def commit() -> str:
    """Of this checkout."""
    from bench.environment import describe_environment

    return describe_environment().get("git.sha", "unknown")


def _compare(
    recorded: Mapping[str, Score],
    computed: Mapping[str, Score],
    skipped: Mapping[str, str],
    checks: Mapping[str, tuple[How, float]],
    result: Recomputed,
) -> None:
    for key, old in recorded.items():
        how, tolerance = checks[key]
        if (new := computed.get(key)) is None:
            why = "; ".join(skipped.values()) or f"{old.metric} gives {', '.join(computed)}"
            result.differences.append(f"{key} is recorded and cannot be computed: {why}")
            continue
        if new.signature != old.signature:
            result.differences.append(f"{key} is recorded as {old.signature}, computed as {new.signature}")
        elif old.better not in (
            new.better,
            meaning_of(new.metric, key, new.better).side,
        ):  # tables ask the metric itself
            result.differences.append(f"{key}: better is recorded as {old.better}, {new.better} is right")
        else:
            pairs = [(key, old.value, new.value)]
            if old.standard_error is not None and new.standard_error is not None:
                pairs.append((f"{key}'s standard error", old.standard_error, new.standard_error))
            elif old.standard_error is not new.standard_error:
                result.differences.append(f"{key}'s standard error: {old.standard_error}, now {new.standard_error}")
            apart = [(abs(a - b) / max(1.0, abs(b)), what, a, b) for what, a, b in pairs]
            result.differences += [
                f"{what} is recorded as {a}, computed as {b}" for d, what, a, b in apart if d > tolerance
            ]
            result.largest = max(result.largest, *(d for d, *_ in apart if d <= tolerance), 0.0)
            if all(d <= tolerance for d, *_ in apart):
                result.outcomes[key] = (how, "")
    for key in computed.keys() - recorded.keys():
        result.differences.append(f"{key} is not recorded, {next(iter(recorded.values())).metric} gives it")


def _metric(score: Score, inputs: Any) -> Any:
    """The metric with the settings of a score. Raises ValueError where there is none, or none with these settings."""
    from bench.config import build
    from bench.registry import find, names, suggest

    if score.metric not in names("metrics"):
        raise ValueError(f"no metric {score.metric!r}; {suggest(score.metric, names('metrics'))}")
    metric_class = find("metrics", score.metric)
    usual = metric_class()
    if not usual.missing(inputs) and usual.signature(inputs) == score.signature:
        return usual  # some settings do not stand in it as they were set: an encoder has its weights' hash
    fields = [f.name for f in dataclasses.fields(usual) if f.name in score.settings]
    return build(metric_class, {name: score.settings[name] for name in fields}, score.metric)


def read_sentences(loaded: Loaded, *paths: Path) -> list[str]:
    """Samples as a record keeps them, tokenised as the task tokenises. Raises ValueError.

    Of rewritten sentences one file after another, as `score` takes them; of any other samples there is one file.
    """
    from bench.rewriting.data import RewritingTask, RewritingText
    from bench.rewriting.files import read_rewritten
    from bench.text.sample_files import read_samples

    data = loaded.data
    if isinstance(loaded.task, RewritingTask) and isinstance(data, RewritingText):
        return read_rewritten(paths, loaded.task, data).sentences
    if len(paths) != 1:
        raise ValueError(f"samples are one file, got {len(paths)}: only rewritten sentences may lie in several")
    return read_samples(paths[0], loaded.task, data.vocabulary, eos_id=data.spec.eos_id).sentences


def inputs(model: str, loaded: Loaded) -> list[str] | None:
    """The sentences that the samples of a row answer, in their order; None for a task, or a row, that answers none."""
    from bench.rewriting.data import RewritingText

    data = loaded.data
    if not isinstance(data, RewritingText) or (model == REAL_TEXT and not data.references.sets):
        return None
    return data.vocabulary.sentences(data.references.inputs)


def fetch(name: str, url: str, sha256: str) -> Path:
    """A published file, found by its hash or downloaded. Raises NotCheckable if it is neither here nor to be had."""
    from bench.data import RemoteFile, fetch

    try:
        return fetch(RemoteFile(name=name, url=url, checksum=f"sha256:{sha256}"))
    except FileNotFoundError as error:
        raise NotCheckable(str(error).splitlines()[0]) from error


def real_text(model: str, loaded: Loaded, n: int) -> list[str] | None:
    """What a row of real text must hold, or any samples would do for it; None for any other model."""
    from bench.score.scoring import held_out_text, real_text

    text = {REAL_TEXT: real_text, HELD_OUT_TEXT: held_out_text}.get(model)
    return None if text is None else loaded.data.vocabulary.sentences(text(loaded.data, n))


def package_version() -> str:
    """Of this installation."""
    from bench.environment import package_version

    return package_version("textgan-bench") or "unknown"
