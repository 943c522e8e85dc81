"""Synthetic records for the tests of the leaderboard."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.record import Alarm, Evaluation, PhaseCost, RunRecord, Score
from leaderboards.boards import build
from leaderboards.schema import Board, Boards, Row

METRICS = {
    "bleu": "higher",
    "self_bleu": "lower",
    "nll_oracle": "lower",
    "nll_oracle_valid": "lower",
    "nll_gen": "lower",
    "unique": "real",
    "novelty": "real",
    "validity": "higher",
    "lm_score": "real",
    "lm_score_known": "real",
    "reverse_lm_score": "lower",
    "prdc": "higher",
    "self_repetition": "real",
    "ms_jaccard": "higher",
}

UNKNOWN = {"lm_score_known": "lm_score_unknown"}
"""Metric -> a key that does not begin with its name."""


def scores(n: int = 1000, **values: float) -> dict[str, Score]:
    found = {}
    for key, value in values.items():
        metric = next(m for m in sorted(METRICS, key=len, reverse=True) if key.startswith(m) or key == UNKNOWN.get(m))
        found[key] = Score(
            value=value, metric=metric, settings={"refs": 1000, "samples": n, "v": 1}, better=METRICS[metric]
        )
    return found


def evaluation(at: str = "end", temperature: float = 1.0, phase: str = "adversarial", n: int = 1000, **values: float):
    return Evaluation(phase=phase, step=9, at=at, temperature=temperature, scores=scores(n, **values))


def record(model: str = "seqgan", seed: int | None = 0, *evaluations: Evaluation, **changes) -> RunRecord:
    samples = seed is None
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", model)[:80]
    base = RunRecord(
        run_id=f"{safe}-{seed}",
        config_hash=f"c-{safe}",
        created_at="2026-01-01T00:00:00Z",
        status="completed",
        origin="samples" if samples else "run",
        model=model,
        scale="samples" if samples else "small",
        task="image_coco",
        task_version=1,
        task_config={"split": "published"},
        data_sha256="d" * 64,
        data_facts={"train_sentences": 10000, "overlap": 0.00123456},
        seed=seed,
        evaluations=evaluations,
        phases=()
        if samples
        else tuple(PhaseCost(name=p, steps=3, seconds=1.0, real_sentences=9) for p in ("mle", "adversarial")),
    )
    return replace(base, **changes)


def tables(folder: Path, *records: RunRecord) -> Boards:
    for i, one in enumerate(records):
        one.write(folder / "runs" / f"r{i:02d}" / "record.json")
    return build([folder / "runs"])


def row(board: Board, label: str) -> Row:
    return next(r for r in board.rows if r.label == label)


def only(boards: Boards) -> Board:
    assert len(boards.boards) == 1
    return boards.boards[0]


def example() -> list[RunRecord]:
    records = []
    for seed, bleu in enumerate((0.70, 0.72, 0.71)):
        before = replace(evaluation("phase_end", phase="mle", bleu_2=bleu - 0.01, self_bleu_2=0.80), step=3)
        cool = evaluation(temperature=0.5, bleu_2=0.9, self_bleu_2=0.99)
        hot = evaluation(temperature=1.5, bleu_2=0.5 + seed / 50, self_bleu_2=0.70)
        end = evaluation(bleu_2=bleu, self_bleu_2=0.85 + seed / 100, unique=0.9)
        records.append(record("seqgan", seed, before, cool, end, hot, n_parameters=7_334_990))
        records.append(
            record(
                "mle",
                seed,
                evaluation(bleu_2=bleu - 0.2, self_bleu_2=0.75),
                evaluation(temperature=0.5, bleu_2=0.8, self_bleu_2=0.95),
                environment={"device": "cpu", "git.sha": "a" * 40, "git.dirty": seed == 1},
                n_parameters=311_348,
                phases=(PhaseCost(name="mle", steps=3, seconds=1.0, real_sentences=9),),
            )
        )
        sharp = record("leakgan", seed, evaluation(bleu_2=0.8, self_bleu_2=0.97), run_id=f"sharp-{seed}")
        records.append(replace(sharp, model_config={"evaluation_temperature": 1.5}, config_hash="c-sharp"))
    records.append(record("leakgan", 0, evaluation(bleu_2=0.76, self_bleu_2=0.9)))
    records.append(
        record(
            "leakgan",
            1,
            status="failed",
            error="the loss is nan at step 7",
            alarms=(Alarm(kind="non_finite", phase="adversarial", step=7, message="loss is nan"),),
        )
    )
    records.append(record("copy_train", 0, evaluation(bleu_2=0.74, self_bleu_2=0.89)))
    records.append(
        record("real_text", None, evaluation("samples", phase="samples", bleu_2=0.74, self_bleu_2=0.88, unique=0.99))
    )
    return records


def as_schema_1(one: RunRecord) -> dict[str, Any]:
    """The document that a version with records of schema 1 wrote: signatures, and no settings of the run."""
    document = json.loads(one.to_json())
    for evaluation, scored in zip(document["evaluations"], one.evaluations, strict=True):
        for key, score in evaluation["scores"].items():
            score["signature"] = scored.scores[key].signature
            del score["settings"]
    del document["run"], document["upgraded_from"]
    return {**document, "schema_version": 1, "selection": "last"}
