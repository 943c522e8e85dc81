"""What people see of a run in MLflow: names, tags, parameters, descriptions. Does not import MLflow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from bench.record import Evaluation, RunRecord, RunStart
from metrics.common.signature import setting_text

__all__ = [
    "EXPERIMENT_NOTE",
    "PARAM_LIMIT",
    "child_name",
    "child_note",
    "child_tags",
    "key",
    "params",
    "parent_name",
    "parent_note",
    "parent_tags",
    "protocol",
]

PARAM_LIMIT = 500
"""Characters of a parameter that every MLflow 2 and 3 server takes."""
_TAG_LIMIT = 5000

EXPERIMENT_NOTE = (
    "Runs of textgan-bench. A row without a seed is one configuration of a model on a task; below it are its seeds. "
    "`score/…`: samples at temperature 1, over training steps. `temperature/…`: samples at the end of training, step = "
    "100 × temperature. `train/…`: what the model reports. `usage/…`: what the run took. `mean/…`: mean of the last "
    "scores over the completed seeds. This is a mirror of the run folders; `sync` makes it again from them."
)


def protocol(start: RunStart) -> str:
    """The task with its version: scores of different protocols are not comparable."""
    return f"{start.task}@{start.task_version}"


def parent_name(start: RunStart) -> str:
    """`seqgan on oracle_lstm · small · 1f4c`; the digits tell configurations apart."""
    return f"{start.shown_model} on {start.task} · {start.shown_scale} · {start.config_hash[:4]}"


def child_name(start: RunStart) -> str:
    """`seqgan · seed 0 · oracle_lstm`: MLflow's column shows about 20 characters, so what differs comes first."""
    return f"{start.shown_model} · seed {start.seed} · {start.task}"


def parent_tags(start: RunStart) -> dict[str, str]:
    """What all seeds of a configuration have in common."""
    return {
        "level": "configuration",
        "model": start.model,
        "task": start.task,
        "protocol": protocol(start),
        "scale": start.shown_scale,
        "config_hash": start.config_hash,
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
        "mlflow.parentRunId": parent_run_id,
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


def parent_note(start: RunStart) -> str:
    """Description of a configuration."""
    return (
        f"**{start.shown_model}** on **{protocol(start)}**, scale {start.shown_scale}, "
        f"configuration `{start.config_hash}`. One run below it per seed; `mean/…` is over the completed seeds."
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


def _text(value: Any) -> str:
    """One text for a value, whether it comes from the program (a tuple) or from `run.json` (a list)."""
    return value if isinstance(value, str) and value else json.dumps(value, sort_keys=True, ensure_ascii=False)
