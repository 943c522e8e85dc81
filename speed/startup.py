"""What a command costs before and beside its work: CPU seconds of whole commands on little data, in new processes.

CPU time of user and system, children included, on one thread. Cold has an empty cache of derived data and an empty
folder of runs, as on a new machine; warm has the cache, and again a new folder of runs.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from bench.places import ROOT
from speed.measure import goal, spread, table

__all__ = ["COMMANDS", "Cost", "markdown", "measure"]

_TRAIN = ("run", "mle", "grammar", "--scale", "smoke", "--runs", "{runs}")


@dataclass(frozen=True)
class Command:
    """A command that is measured, and what it may cost."""

    words: tuple[str, ...]
    cold: float
    warm: float
    """CPU seconds on an idle machine."""


COMMANDS = {
    "help": Command(("--help",), 0.5, 0.5),
    "help of a command": Command(("run", "--help"), 0.5, 0.5),
    "list": Command(("list",), 0.5, 0.5),
    "list of verdicts": Command(("reproduce", "--list", "--runs", "{runs}"), 2.0, 2.0),
    "score 10,000 captions": Command(("score", "{captions}", "image_coco"), 2.5, 1.5),
    "run, without MLflow": Command((*_TRAIN, "--tracker", "none"), 4.0, 4.0),
    "run, with MLflow": Command((*_TRAIN, "--tracking-uri", "sqlite:///{runs}/mlflow.db"), 6.0, 6.0),
}
"""`{runs}` is a new folder, `{captions}` a file of samples."""


@dataclass(frozen=True)
class Cost:
    """What a command took, in every round."""

    name: str
    cold: list[float]
    warm: list[float]


def measure(words: Sequence[str], cache: Path, captions: Path | None) -> float:
    """CPU seconds of one command. Raises RuntimeError with what it printed where it failed."""
    with tempfile.TemporaryDirectory() as runs:
        named = [word.replace("{runs}", runs).replace("{captions}", str(captions)) for word in words]
        one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        environment = os.environ | one | {"TEXTGAN_BENCH_CACHE": str(cache)}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "bench", *named]
        done = subprocess.run(  # noqa: S603 - our own words
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def markdown(costs: Sequence[Cost]) -> str:
    """The table, and below it each goal."""

    def told(values: Sequence[float]) -> str:
        middle, least, most = spread(values)
        return f"{middle:.2f} ({least:.2f}–{most:.2f})"

    rows = [(cost.name, told(cost.cold), told(cost.warm)) for cost in costs]
    goals = [
        goal(spread(values)[0] <= most, f"{cost.name}, {when}: at most {most:g} CPU s")
        for cost in costs
        for when, values, most in (
            ("cold", cost.cold, COMMANDS[cost.name].cold),
            ("warm", cost.warm, COMMANDS[cost.name].warm),
        )
    ]
    return "\n".join([table(("command", "cold", "warm"), rows, text=("command",)), "", *goals])


def main(
    captions: Annotated[
        Path | None, typer.Option(help="A file of 10,000 captions; without it, none is scored.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each command.")] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all times there.")] = None,
) -> None:
    """Measure, and print a Markdown table and which goals are met."""
    costs = []
    for name, command in COMMANDS.items():
        if captions is None and "{captions}" in command.words:
            continue
        cost = Cost(name, [], [])
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as cache:
                for values in (cost.cold, cost.warm):
                    values.append(measure(command.words, Path(cache), captions))
        costs.append(cost)
    if json_file:
        json_file.write_text(json.dumps([asdict(cost) for cost in costs], indent=1) + "\n", encoding="utf-8")
    typer.echo(markdown(costs))


if __name__ == "__main__":
    typer.run(main)
