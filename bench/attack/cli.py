"""The command `attack`: which metrics take cheap tricks for real text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.places import check_target
from bench.run.scales import Scale
from bench.run_settings import MOST_SENTENCES
from bench.score.cli import progress
from bench.terminal import Metrics, Settings, UserErrors, console, errors

if TYPE_CHECKING:
    from bench.task import Task

__all__ = ["attack_command"]


Tasks = Annotated[
    list[str],
    typer.Argument(
        help="One or more tasks: names from `list tasks`, or my_task.py:MyTask.", metavar="TASK", show_default=False
    ),
]
Count = Annotated[
    int | None,
    typer.Option(
        min=2,
        max=MOST_SENTENCES,
        show_default=False,
        help="Sentences of each attack, and of real text set aside. Default: 2,000, or half of a shorter text.",
    ),
]


def attack_command(
    tasks: Tasks,
    metric: Metrics = None,
    n_samples: Count = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what the attacks draw.")] = 0,
    scale: Annotated[Scale, typer.Option(help="paper is the whole text; smoke, where a task has it, less.")] = "paper",
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: values and verdicts.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: a row for each attack and score.")] = False,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables to this file, as Markdown.")] = None,
    write: Annotated[
        bool,
        typer.Option("--write", help="For this repository: score by all metrics, keep the tables, renew the cards."),
    ] = False,
) -> None:
    """Cheap tricks in place of a model, scored beside real text: which metrics are fooled by which."""
    from bench.attack import report
    from bench.attack.cards import keep
    from bench.attack.scoring import attack
    from bench.record import write_atomic
    from bench.registry import names
    from bench.score.records import LoadedTask

    with UserErrors():
        if as_json and as_csv:
            raise ValueError("--json and --csv exclude each other")
        if write and (metric or scale != "paper"):
            raise ValueError("--write keeps tables of whole tasks by all metrics: no --metric or --scale with it")
        if doubles := sorted({name for name in tasks if tasks.count(name) > 1}):
            raise ValueError(f"{doubles[0]!r} is given twice")
        if markdown is not None:
            check_target(markdown, "--markdown")
        chosen = names("metrics") if write else metric
        asked = [_asked(name, scale, settings or (), chosen, usual=write) for name in tasks]
        tables = []
        with progress() as (share_of, track):
            for name, task, metrics in asked:
                board = LoadedTask(name=name, task=task, data=task.load(), metrics=metrics)
                tables.append(attack(board, n_samples, seed, told=share_of(f"attacks on {name}"), track=track))
        if as_json:
            console.print_json_text(report.as_json(tables))
        elif as_csv:
            console.print_document(report.as_csv(tables))
        else:
            for i, table in enumerate(tables):
                console.print("\n" * bool(i), end="")
                report.print_table(console, table)
        written = keep(tables) if write else []
        if markdown is not None:
            write_atomic(markdown, report.as_markdown(tables).encode())
            written.append(markdown)
        for path in written:
            errors.print(f"written: {path}")


def _asked(
    name: str, scale: Scale, settings: Sequence[str], chosen: Sequence[str] | None, *, usual: bool = False
) -> tuple[str, Task, tuple[object, ...]]:
    """A task and its metrics, looked up and checked before anything is loaded. `usual`: no metric is changed."""
    from bench.config import build, build_metrics, parse_settings, split_metrics
    from bench.registry import find

    values, of_metrics = split_metrics(parse_settings(settings))
    if usual and of_metrics:
        raise ValueError(f"--write keeps tables by the usual metrics: {min(of_metrics)} is changed by --set")
    task_class = find("tasks", name)
    task = build(task_class, task_class.scales.get(scale, {}) | values, name)
    return name, task, build_metrics(tuple(chosen or task.metrics), of_metrics)
