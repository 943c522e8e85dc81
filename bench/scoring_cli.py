"""The commands about samples that anybody hands in. No torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bench.config import build, parse_settings
from bench.registry import find
from bench.terminal import Metrics, Settings, UserErrors, console

__all__ = ["score_command"]


def score_command(
    samples: Annotated[Path, typer.Argument(help="One sentence a line, UTF-8; .gz is read too.")],
    task: Annotated[str, typer.Argument(help="The task that the samples are meant for.")],
    name: Annotated[str | None, typer.Option(help="Name of the row; default: the file's.")] = None,
    settings: Settings = None,
    metric: Metrics = None,
    runs: Annotated[Path | None, typer.Option(help="Write a record here, for the leaderboard.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score anybody's samples; no model and no torch needed."""
    from bench.record import short_hash
    from bench.samples import Board, default_metrics, read_samples, record_samples

    with UserErrors():
        lines = read_samples(samples)
        resolved = build(find("tasks", task), parse_settings(settings or ()), task)
        board = Board(name=task, task=resolved, data=resolved.load(), metrics=default_metrics(resolved, metric or ()))
        sentences = [" ".join(resolved.tokenize(line)) for line in lines]
        row = name or samples.name
        folder = runs / f"{task}-samples-{short_hash([row, board.data.sha256, sentences])}" if runs else None
        record = record_samples(row, board, sentences, folder)
        evaluation = record.evaluations[0]
        if as_json:
            document = json.loads(record.to_json())
            typer.echo(json.dumps(document if folder else document["evaluations"][0], indent=2, sort_keys=True))
            return
        table = Table("score", "value", "better", title=f"{row} on {task} ({len(lines)} sentences)")
        for key, score in evaluation.scores.items():
            table.add_row(key, f"{score.value:.4f}", {"real": "as real text"}.get(score.better, score.better))
        console.print(table)
        if empty := sum(not line.strip() for line in lines):
            console.print(f"{empty} empty lines, scored as empty sentences", highlight=False)
        for signature in dict.fromkeys(score.signature for score in evaluation.scores.values()):
            console.print(signature, highlight=False, markup=False)
        for metric_name, reason in evaluation.skipped.items():
            console.print(f"absent: {metric_name} ({reason})", highlight=False)
        if folder:
            console.print(f"record: {folder}", highlight=False)
