"""How cost grows: samples that are scored, by metric, and records that are put into tables and pages.

CPU time of user and system and the most memory of whole commands, each in a new process, on one thread. What grows
faster than what it is given is named: its seconds rise by more than the tenfold from one size to the next.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, count, islice, pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bench.places import ROOT
from bench.record import RunRecord, Score, read_record, short_hash
from bench.registry import find
from speed.corpora import prepare
from speed.measure import table

__all__ = ["Cost", "grown", "main", "many_records", "markdown", "measure"]

_RESULTS = ROOT / "leaderboards" / "results"
_ALL = "all default metrics"
_WITH_PEAK = """
import atexit, pathlib, runpy, sys
from speed.score_once import peak_mb
peak = pathlib.Path(sys.argv[1])
atexit.register(lambda: peak.write_text(str(peak_mb())))
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
"""A module as a program, which leaves its peak of memory in a file: the operating system's would be ours where ours is
higher."""


@dataclass(frozen=True)
class Cost:
    """What one command took."""

    what: str
    size: int
    """Samples or records."""
    seconds: float
    memory_mb: float
    written_mb: float = 0.0
    largest_page_mb: float = 0.0


def measure(words: Sequence[str], folder: Path, data: Path | None = None) -> tuple[float, float]:
    """CPU seconds and the most MB of a command, in `folder`. Raises RuntimeError with what it printed if it failed."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    found = {"TEXTGAN_BENCH_DATA": str(data.resolve())} if data else {}
    peak = folder / "peak"
    command = [sys.executable, "-c", _WITH_PEAK, str(peak), *words]
    environment = os.environ | one | found | {"PYTHONPATH": str(ROOT)}
    with (folder / "printed").open("w+b") as printed:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=printed, stderr=printed)  # noqa: S603 - our own words
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            printed.seek(0)
            raise RuntimeError(printed.read().decode())
    return used.ru_utime + used.ru_stime, float(peak.read_text())


def many_records(n: int) -> Iterator[RunRecord]:
    """Stored runs of boards of the small scale under other settings, and with scores a little apart: n records."""
    random = np.random.RandomState(0)
    stored = [read_record(path) for path in sorted(_RESULTS.glob("*/*/*/record.json"))]
    usual = [r for r in stored if r.scale == "small" and r.status == "completed" and "lr" in r.model_config]
    rows = [[r for r in usual if r.config_hash == row] for row in dict.fromkeys(r.config_hash for r in usual)]
    runs = ((number, run) for number in count() for row in rows for run in row)
    for number, run in islice(runs, n):
        lr = 0.001 + 1e-7 * number
        yield replace(
            run,
            run_id=short_hash([run.run_id, number]),
            config_hash=short_hash([run.config_hash, number]),
            model_config={**run.model_config, "lr": lr},
            changed={**(run.changed or {}), "lr": lr},
            evaluations=tuple(
                replace(e, scores={key: _moved(score, random) for key, score in e.scores.items()})
                for e in run.evaluations
            ),
        )


def _moved(score: Score, random: np.random.RandomState) -> Score:
    """By about a hundredth towards 0, so that it stays within its range."""
    return replace(score, value=score.value * (1 - abs(float(random.normal(0, 0.01)))))


def of_samples(sizes: Sequence[int], data: Path) -> Iterator[Cost]:
    """Scoring of captions like COCO's, every metric by itself and all together."""
    metrics = find("tasks", "image_coco").metrics
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(data, folder, list(sizes))
        for size in sizes:
            file = folder / f"synthetic-{size}-samples.txt"
            words = ["bench", "score", str(file), "image_coco", "--format", "tokens"]
            for metric in [*metrics, _ALL]:
                chosen = [] if metric == _ALL else ["--metric", metric]
                yield Cost(metric, size, *measure([*words, *chosen], folder, data))


def of_records(sizes: Sequence[int]) -> Iterator[Cost]:
    """Tables, CSV and pages of many records."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for record in many_records(size):
                record.write(folder / "runs" / f"{record.task}-{record.run_id}" / "record.json")
            seconds, memory = measure(["leaderboards", "build", "runs", "--html", "page"], folder)
            pages = [path.stat().st_size / 1e6 for path in (folder / "page").rglob("*") if path.is_file()]
            yield Cost("leaderboards build --html", size, seconds, memory, sum(pages), max(pages))


def grown(costs: Sequence[Cost]) -> list[str]:
    """What took more seconds for each sample or record than at the size before, by a tenth, start-up left out."""
    found = []
    for what in dict.fromkeys(cost.what for cost in costs):
        own = sorted((cost for cost in costs if cost.what == what), key=lambda cost: cost.size)
        rates = [((b.seconds - a.seconds) / (b.size - a.size), b.size) for a, b in pairwise(own)]
        found += [
            f"{what}: faster than linearly up to {size:,}" for (a, _), (b, size) in pairwise(rates) if b > 1.1 * a
        ]
    return found


def markdown(costs: Sequence[Cost]) -> str:
    """The table, and below it what grows faster than linearly."""
    rows = [
        (c.what, f"{c.size:,}", f"{c.seconds:.1f}", f"{c.memory_mb:,.0f}", *(
            f"{mb:,.1f}" if mb else "" for mb in (c.written_mb, c.largest_page_mb)
        ))
        for c in costs
    ]  # fmt: skip
    head = ("what", "size", "CPU s", "memory, MB", "pages, MB", "largest file, MB")
    return "\n".join(
        [table(head, rows, text=("what",)), "", *(grown(costs) or ["Nothing grows faster than linearly."])]
    )


def main(
    samples: Annotated[str, typer.Option(help="Numbers of captions to score.")] = "10000,100000,1000000",
    records: Annotated[str, typer.Option(help="Numbers of records to put into tables and pages.")] = "1000,3000,10000",
    data: Annotated[
        Path | None, typer.Option(help="Folder with the published captions; without it none is scored.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all numbers there.")] = None,
) -> None:
    """Measure, and print a Markdown table and what grows faster than linearly."""
    costs = []
    for cost in chain(of_samples(_sizes(samples), data) if data else (), of_records(_sizes(records))):
        typer.echo(f"{cost.what}, {cost.size:,}: {cost.seconds:.1f} CPU s, {cost.memory_mb:,.0f} MB", err=True)
        costs.append(cost)
    if json_file:
        json_file.write_text(json.dumps([asdict(cost) for cost in costs], indent=1) + "\n", encoding="utf-8")
    typer.echo(markdown(costs))


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",") if size]


if __name__ == "__main__":
    typer.run(main)
