"""What people see of a run in MLflow: names, tags, parameters, descriptions. Does not import MLflow."""

from __future__ import annotations

import colorsys
import dataclasses
import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.record import Evaluation, RunRecord, RunStart
from bench.registry import find, is_file, names
from metrics.common.signature import setting_text

__all__ = [
    "EXPERIMENT",
    "EXPERIMENT_NOTE",
    "PARAM_LIMIT",
    "PARENT",
    "child_name",
    "child_note",
    "child_tags",
    "experiment_name",
    "key",
    "params",
    "parent_name",
    "parent_note",
    "parent_tags",
    "protocol",
    "row",
]

PARENT = "mlflow.parentRunId"
"""MLflow's own tag of a run: the id of the one that it belongs to."""
EXPERIMENT = "textgan-bench"
"""What the names of experiments begin with. Once the only one: runs that are in it stay there."""

PARAM_LIMIT = 500
"""Characters of a parameter that every MLflow 2 and 3 server takes."""
_TAG_LIMIT = 5000
_MOST_SETTINGS = 100
"""Characters of a task's settings in the name of an experiment."""

EXPERIMENT_NOTE = (
    "Runs of textgan-bench. A row without a seed is one configuration of a model on a task; below it are its seeds. "
    "`score/…`: samples at temperature 1, over training steps. `temperature/…`: samples at the end of training, step = "
    "100 × temperature. `train/…`: what the model reports. `usage/…`: what the run took. `mean/…`, `sd/…`: mean and "
    "standard deviation of the last scores over the completed seeds, `seeds` of them. This is a mirror of the run "
    "folders; `sync` makes it again from them."
)


def protocol(start: RunStart) -> str:
    """The task with its version: scores of different protocols are not comparable."""
    return f"{start.task}@{start.task_version}"


def experiment_name(start: RunStart) -> str:
    """`textgan-bench/oracle_lstm@2 (length=40)`: one for each text, as scores of different texts are not comparable.

    Said are a reduced scale that has a text of its own, the settings that are not the scale's, the file that the task
    reads, and, where all that does not tell the text, the first digits of the data's hash.
    """
    files = [name for name in start.task_config if name not in start.settings_of_text]
    reduced, defaults = (False, None) if is_file(start.task) else _defaults(start.task, start.scale)
    shown = [start.scale] * reduced + [Path(str(start.task_config[name])).name for name in files]
    for name, value in start.settings_of_text.items():
        if defaults is not None and (name not in defaults or _text(defaults[name]) != _text(value)):
            shown.append(f"{name}={setting_text(value) if isinstance(value, str | int | float) else _text(value)}")
    text = ", ".join(shown)
    cut = len(text) > _MOST_SETTINGS
    if files or defaults is None or cut:
        text = ", ".join(filter(None, [text[:_MOST_SETTINGS] + "…" * cut, start.data_sha256[:8]]))
    name = f"{EXPERIMENT}/{Path(start.task).name}@{start.task_version}"
    return f"{name} ({text})" if text else name


@functools.cache
def _defaults(task: str, scale: str) -> tuple[bool, dict[str, Any] | None]:
    """Whether a scale has settings of its own, and setting -> value of a registered task at that scale.

    None where there is no such task here. No file of a user is run.
    """
    if task not in names("tasks"):
        return False, None
    found = find("tasks", task)
    of_scale = found.scales.get(scale, {})
    fields = [field for field in dataclasses.fields(found) if field.default is not dataclasses.MISSING]
    return bool(of_scale), {field.name: field.default for field in fields} | dict(of_scale)


def row(start: RunStart) -> str:
    """`seqgan 1f4c (last_phase=mle) · small`: all seeds of a configuration have it. The digits, which tell
    configurations of a model apart, come before what may be cut: MLflow shows about 20 characters."""
    model = Path(start.model).name
    changed = start.shown_model.removeprefix(start.model)
    return f"{model} {start.config_hash[:4]}{changed} · {start.shown_scale}"


def parent_name(start: RunStart) -> str:
    """`seqgan 1f4c · small · oracle_lstm`."""
    return f"{row(start)} · {Path(start.task).name}"


def child_name(start: RunStart) -> str:
    """`seed 0 · seqgan 1f4c · small · oracle_lstm`: it stands below its parent, from which it differs in the seed."""
    return f"seed {start.seed} · {parent_name(start)}"


def parent_tags(start: RunStart) -> dict[str, str]:
    """What all seeds of a configuration have in common."""
    return {
        "level": "configuration",
        "model": start.model,
        "row": row(start),
        "task": start.task,
        "protocol": protocol(start),
        "scale": start.shown_scale,
        "config_hash": start.config_hash,
        "mlflow.runColor": _colour(start.config_hash),
        "mlflow.note.content": parent_note(start),
        **_SOURCE,
    }


def child_tags(start: RunStart, parent_run_id: str) -> dict[str, str]:
    """Every key that people filter by, on every child: MLflow filters parents and children apart."""
    environment = {name: _text(value)[:_TAG_LIMIT] for name, value in start.environment.items() if value is not None}
    commit = {"mlflow.source.git.commit": environment["git.sha"]} if "git.sha" in environment else {}
    return {
        **parent_tags(start),
        **{key(name): value for name, value in environment.items()},
        **commit,
        "level": "run",
        "seed": str(start.seed),
        "run_id": start.run_id,
        "data_sha256": start.data_sha256,
        PARENT: parent_run_id,
        "mlflow.note.content": child_note(start, None, None, ()),
    }


def params(start: RunStart) -> tuple[dict[str, str], list[str]]:
    """Parameters as MLflow takes them, and the names of those that had to be cut; `run.json` has them whole."""
    values: dict[str, Any] = {"seed": start.seed, "scale": start.shown_scale, "model": start.model, "task": start.task}
    if start.run is not None:
        values |= start.run.model_dump(mode="json", exclude={"metrics"})
        values["metrics"] = list(start.run.metrics) or "the task's own"
    for owner, settings in (("model", start.model_config), ("task", start.task_config)):
        values |= {f"{owner}.{name}": value for name, value in settings.items()}
    whole = {key(name): _text(value) for name, value in values.items()}
    return {name: text[:PARAM_LIMIT] for name, text in whole.items()}, sorted(
        name for name, text in whole.items() if len(text) > PARAM_LIMIT
    )


def shared_params(start: RunStart) -> dict[str, str]:
    """Those of `params` that all seeds of a configuration have."""
    own = {"scale", "model", "task", "n_samples", "metrics", "metric_settings", "fp32_precision", "last_phase"}
    own |= {"selection", *(("select_every",) if start.run and start.run.selection != "last" else ())}
    return {k: text for k, text in params(start)[0].items() if k in own or k.startswith(("model.", "task."))}


def parent_note(start: RunStart) -> str:
    """Description of a configuration."""
    return (
        f"**{start.shown_model}** on **{protocol(start)}**, scale {start.shown_scale}, "
        f"configuration `{start.config_hash}`. One run below it per seed; `mean/…` and `sd/…` are over those completed."
    )


def child_note(start: RunStart, record: RunRecord | None, final: Evaluation | None, alarms: tuple[str, ...]) -> str:
    """Description of a run: what it is, how it ended, its last scores, what a reader must know."""
    lines = [
        f"**{start.shown_model}** on **{protocol(start)}**, scale {start.shown_scale}, seed {start.seed}",
        "",
        f"Run `{start.run_id}`, configuration `{start.config_hash}`, data `{start.data_sha256[:12]}`",
    ]
    if record is not None and record.error:
        lines += ["", f"**Failed:** {record.error}"]
    lines += [line for alarm in alarms for line in ("", f"**Alarm:** {alarm}")]
    if final is not None:
        lines += ["", "| score at the end, temperature 1 | value | better | signature |", "|---|--:|---|---|"]
        for name, score in sorted(final.scores.items()):
            signature = " · ".join([score.metric, *(f"{k}:{setting_text(v)}" for k, v in score.settings.items())])
            lines.append(f"| {name} | {score.value:.4g} | {score.better} | {signature} |")
        for names, why in sorted(final.absent().items()):
            lines += ["", f"Not computed: {names}: {why}"]
    return "\n".join(lines)[:_TAG_LIMIT]


def key(name: str) -> str:
    """A name as MLflow takes it on every system: letters, digits, `_ - . /` and blanks."""
    return "/".join(part for part in re.sub(r"[^/\w.\- ]", "_", name).split("/") if part.strip("."))[:250] or "_"


_SOURCE: Mapping[str, str] = {"mlflow.source.name": "textgan-bench", "mlflow.source.type": "LOCAL"}


def _colour(config_hash: str) -> str:
    """Of a configuration, `#rrggbb`: MLflow has few colours and gives one to several runs."""
    hue, light = (int.from_bytes(config_hash.encode()[part]) % 97 / 97 for part in (slice(0, 4), slice(4, 8)))
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, 0.3 + 0.3 * light, 0.7))


def _text(value: Any) -> str:
    """One text for a value, whether it comes from the program (a tuple) or from `run.json` (a list)."""
    return value if isinstance(value, str) and value else json.dumps(value, sort_keys=True, ensure_ascii=False)
