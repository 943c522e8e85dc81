"""Scores again, from sentences: the one module of the leaderboard that reads more of the harness than `bench.record`.

It looks tasks and metrics up, loads data and scores, all inside functions: `import leaderboards` stays light, and no
model is ever loaded. A record may be anybody's, so it names tasks and metrics that are installed, never files.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.record import HELD_OUT_TEXT, REAL_TEXT, Evaluation, RunRecord, Score, canonical_json
from bench.registry import meaning_of

if TYPE_CHECKING:
    from bench.task import Task, TextData

__all__ = [
    "Loaded",
    "NotCheckable",
    "Recomputed",
    "fetch",
    "load",
    "package_version",
    "read_sentences",
    "real_text",
    "recompute",
]

_LARGEST_SETTING = 1_000_000
"""Of a task, so that a record cannot ask for more data than a machine holds."""
_EXACT, _FLOAT32 = 1e-9, 1e-7
"""Allowed differences, of max(1, |value|). The oracle computes in float32: on 10,000 sentences its mean is apart from
float64 by 4e-9 (length 20) and 1.2e-8 (length 40), and between the kernels of two processors by 5e-10. What is computed
in float64 is equal to rounding."""


class NotCheckable(Exception):  # noqa: N818 - a state of a row, not a fault of it
    """Why a record cannot be checked on this machine."""


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A task and its data, as a record asks for them."""

    task: Task
    data: TextData


@dataclasses.dataclass
class Recomputed:
    """What came out of one evaluation."""

    equal: list[str] = dataclasses.field(default_factory=list)
    """Keys whose score was computed again and is equal."""
    differences: list[str] = dataclasses.field(default_factory=list)
    needs_model: list[str] = dataclasses.field(default_factory=list)
    """Keys that only the model's weights could give."""
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


def recompute(loaded: Loaded, evaluation: Evaluation, sentences: Sequence[str]) -> Recomputed:
    """Every score of an evaluation, computed from its sentences and compared: value, standard error, signature.

    Words stand between single blanks, as `write_samples` leaves them; no tokenizer is asked again.
    """
    from bench.score.scoring import metric_inputs, score
    from bench.task import Vocabulary
    from metrics.common.tokens import Tokens

    known = loaded.data.vocabulary
    numbering = dict(known.numbering)
    tokens = Tokens.from_words((s.split(" ") if s else [] for s in sentences), numbering)
    named = Vocabulary(known.words, tuple(numbering)[len(known.words) :])
    inputs = metric_inputs(loaded.data, tokens, vocabulary=named)
    result = Recomputed()
    recorded: dict[str, dict[str, Score]] = {}
    for key, old in evaluation.scores.items():
        recorded.setdefault(old.signature, {})[key] = old
    for keys in recorded.values():
        metric = _metric(next(iter(keys.values())), inputs)
        if "model_log_prob" in metric.needs:
            result.needs_model += keys
            continue
        scores, skipped = score([metric], inputs)
        _compare(keys, scores, skipped, _FLOAT32 if "oracle_log_prob" in metric.needs else _EXACT, result)
    return result


def _compare(
    recorded: Mapping[str, Score],
    computed: Mapping[str, Score],
    skipped: Mapping[str, str],
    tolerance: float,
    result: Recomputed,
) -> None:
    for key, old in recorded.items():
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
            result.equal += [key] * all(d <= tolerance for d, *_ in apart)
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


def read_sentences(loaded: Loaded, path: Path) -> list[str]:
    """A file of samples as a record keeps it, tokenised as the task tokenises. Raises ValueError."""
    from bench.text.sample_files import read_samples

    data = loaded.data
    return read_samples(path, loaded.task, data.vocabulary, eos_id=data.spec.eos_id).sentences


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
