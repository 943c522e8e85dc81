"""Runs -> documents of Every Eval Ever, the schema in which evaluations of many programs are exchanged: one for each.

https://github.com/evaleval/every_eval_ever, `every_eval_ever/schemas/eval.schema.json`, version 0.3.0. What has no
counterpart there is left out: scores while training, tables, sentences, and scores that have no better end, as the
schema wants to know which it is; those are named. The same record gives the same document.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.record import Evaluation, RunRecord, Score, canonical_json, read_record, write_atomic
from bench.registry import meaning_of, names
from leaderboards.schema import END, Board, Boards, Row, RunView
from leaderboards.words import names_of, slug

__all__ = ["SCHEMA_VERSION", "documents", "write_documents"]

SCHEMA_VERSION = "0.3.0"
_NAME = "textgan-bench"


def write_documents(boards: Boards, folder: Path) -> Path:
    """Write a file for each run, where that project wants it: `textgan-bench/<developer>/<model>/<uuid>.json`.

    Files of an earlier call are written over, and nothing is deleted. Returns the folder.
    """
    for path, document in documents(boards):
        write_atomic(folder / path, (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())
    return folder


def documents(boards: Boards) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Where each document lies, and the document; a run that stands on several boards has one."""
    titles = names_of(boards)
    seen: set[str] = set()
    for board in boards.boards:
        for row in (*board.rows, *board.apart):
            for run in (run for run in row.runs if run.path not in seen):
                seen.add(run.path)
                document = _document(board, titles[board.number], row, run, read_record(Path(run.path)))
                yield _place(document["model_info"]["id"], run), document


def _place(model_id: str, run: RunView) -> Path:
    """The name has the form of a random UUID and is made of the run's."""
    made = hashlib.sha256(f"{run.run_id} {run.created_at}".encode()).digest()
    return Path(_NAME, model_id, f"{uuid.UUID(bytes=made[:16], version=4)}.json")


def _document(board: Board, title: str, row: Row, run: RunView, record: RunRecord) -> dict[str, Any]:
    made_at = datetime.fromisoformat(record.created_at)
    made_at = made_at if made_at.tzinfo else made_at.replace(tzinfo=UTC)
    model = _model(row, run, record)
    results, undirected = _results(board, row, record)
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"{_NAME}.{record.task}/{model['id']}/{run.run_id}/{made_at.timestamp():.3f}",
        "evaluation_timestamp": made_at.isoformat(),
        "retrieved_timestamp": f"{made_at.timestamp():.3f}",
        "source_metadata": {
            "source_name": _NAME,
            "source_type": "evaluation_run",
            "source_organization_name": f"{_NAME} contributors",
            "evaluator_relationship": _relationship(record),
            "additional_details": _texts(
                board=title, verified=run.verified, tier=row.tier, trained_by=run.trained_by, status=row.status
            ),
        },
        "eval_library": {
            "name": _NAME,
            "version": str(record.environment.get("textgan_bench", "unknown")),
            "additional_details": _texts(
                **record.environment,
                scores_without_a_better_end=", ".join(undirected),
                absent_at_the_end=run.skipped,
            ),
        },
        "model_info": model,
        "evaluation_results": results,
    }


def _relationship(record: RunRecord) -> str:
    """Our own implementations are evaluated by ourselves; of anybody's model or file it is not known by whom."""
    return "first_party" if record.origin == "run" and record.model in names("models") else "other"


def _model(row: Row, run: RunView, record: RunRecord) -> dict[str, Any]:
    ours = record.model in names("models")
    engine = record.environment.get("torch")
    return {
        "name": row.label,
        "id": f"{_NAME if ours else 'unknown'}/{slug(record.model)}",
        **({"developer": f"{_NAME} contributors"} if ours else {}),
        **({"inference_engine": {"name": "torch", "version": str(engine)}} if engine and row.origin == "run" else {}),
        "additional_details": {
            "deployment_type": "self_deployed" if row.origin == "run" else "unknown",
            "model_availability": "unknown",
            **_texts(
                registered_as=record.model,
                scale=record.scale,
                seed=record.seed,
                run_id=record.run_id,
                config_hash=record.config_hash,
                settings=record.model_config,
                n_parameters=record.n_parameters,
                run_status=run.status,
                error=run.error,
                alarms=", ".join(sorted({alarm.kind for alarm in run.alarms})),
            ),
        },
    }


def _results(board: Board, row: Row, record: RunRecord) -> tuple[list[dict[str, Any]], list[str]]:
    """The scores at the ends of phases and of the training, and the keys of those that have no better end."""
    source = {
        "dataset_name": record.task,
        "source_type": "other",
        "additional_details": _texts(
            version=record.task_version, settings=record.task_config, data_sha256=record.data_sha256
        ),
    }
    results, undirected = [], set()
    for evaluation in (one for one in record.evaluations if one.at in END or one.at == "phase_end"):
        for key, score in sorted(evaluation.scores.items()):
            if meaning_of(score.metric, key, score.better).better == "real":
                undirected.add(key)
            else:
                results.append(_result(source, row, record, evaluation, key, score))
    return results, sorted(undirected)


def _result(
    source: Mapping[str, Any], row: Row, record: RunRecord, evaluation: Evaluation, key: str, score: Score
) -> dict[str, Any]:
    meaning = meaning_of(score.metric, key, score.better)
    least, most = meaning.bounds
    place = [evaluation.at, evaluation.phase, str(evaluation.step), f"{evaluation.temperature:g}"]
    error = score.standard_error
    return {
        "evaluation_result_id": "/".join([record.run_id, *place, key]),
        "evaluation_name": record.task,
        "source_data": source,
        "metric_config": {
            "metric_id": f"{_NAME}.{key}",
            "metric_name": key,
            "metric_kind": score.metric,
            "metric_parameters": {
                name: canonical_json(value) if isinstance(value, tuple) else value
                for name, value in score.settings.items()
            },
            "lower_is_better": meaning.better == "lower",
            "score_type": "continuous",
            "min_score": "-Infinity" if least is None else least,
            "max_score": "Infinity" if most is None else most,
            "additional_details": _texts(signature=score.signature, aspect=meaning.aspect),
        },
        "score_details": {
            "score": score.value,
            "details": _texts(at=evaluation.at, phase=evaluation.phase, step=evaluation.step),
            **({"uncertainty": {"standard_error": {"value": error}}} if error is not None else {}),
        },
        "generation_config": {
            "generation_args": {
                "temperature": evaluation.temperature,
                **({"execution_command": row.command} if row.command else {}),
            }
        },
    }


def _texts(**values: Any) -> dict[str, str]:
    """Details, of which the schema takes only texts; what is not there has none."""
    return {
        name: value if isinstance(value, str) else canonical_json(value)
        for name, value in values.items()
        if value is not None and value not in ("", {}, ())
    }
