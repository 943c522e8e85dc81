"""Time and memory of BLEU-2..5 and Self-BLEU-2..5: ours, fast-bleu, NLTK and sacrebleu, up to a million sentences.

Every measurement is a fresh process with one thread. In each round every method has its turn, so that what else the
machine does meets all of them; the table shows medians over the rounds. A library whose full run would take hours
scores the first sentences only, against all references, and its time is multiplied: such numbers are marked "~".
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from speed.corpora import prepare
from speed.measure import goal, spread, table

HERE = Path(__file__).resolve().parent
OURS = ("ours bleu", "ours self_bleu", "ours self_bleu_error")
PEERS = ("fast-bleu", "nltk", "sacrebleu")
COCO_SIZE = 10_000
TOLERANCE = {"fast-bleu": 1e-7}  # it keeps its weights in 32 bits
EXACT = 1e-12


@dataclass(frozen=True)
class Measured:
    """Medians of one method on one corpus."""

    corpus: str
    n: int
    method: str
    scored: int
    """Of n samples; where fewer, `seconds` are multiplied to n."""
    rounds: int
    seconds: float
    """CPU, from words to scores."""
    fastest: float
    slowest: float
    parts: dict[str, float]
    """CPU seconds of each part, multiplied too. "again": with the references indexed already."""
    inputs_mb: float
    """Of the process with the words read, before any scoring."""
    peak_mb: float

    @property
    def microseconds_per_sentence(self) -> float:
        """CPU."""
        return self.seconds / self.n * 1e6


@dataclass(frozen=True)
class Job:
    """What a round measures once."""

    corpus: str
    n: int
    method: str
    scored: int
    python: str


def measure(job: Job, folder: Path) -> dict[str, Any]:
    """Run `score_once.py` once. RuntimeError with the process's last words if it fails."""
    files = [folder / f"{job.corpus}-{job.n}-{side}.txt" for side in ("samples", "references")]
    # Safe path: this file must not stand in front of the package of the same name.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [job.python, str(HERE / "score_once.py"), job.method, *map(str, files), str(job.scored)]
    environment = {**os.environ, **threads, "PYTHONPATH": str(HERE.parent), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"{job.method} on {job.corpus} {job.n}: {(done.stderr.splitlines() or ['no message'])[-1]}")
    return dict(json.loads(done.stdout))


def row(job: Job, results: list[dict[str, Any]]) -> Measured:
    """The medians."""
    times = job.n / job.scored
    parts = {key: times * statistics.median(r["seconds"][key] for r in results) for key in results[0]["seconds"]}
    totals = [times * (r["seconds"].get("encode", 0.0) + r["seconds"]["score"]) for r in results]
    inputs, peak = (statistics.median(r[key] for r in results) for key in ("inputs_mb", "peak_mb"))
    return Measured(job.corpus, job.n, job.method, job.scored, len(results), *spread(totals), parts, inputs, peak)


def check_equal(results: dict[Job, list[dict[str, Any]]]) -> list[str]:
    """What was timed is the same quantity: the greatest difference of each peer's scores from ours."""
    ours = {(job.corpus, job.n, job.method): found[0]["scores"] for job, found in results.items()}
    lines = []
    for job, (theirs, *_) in results.items():
        library, metric = job.method.split()
        mine = ours[job.corpus, job.n, f"ours {metric}"]
        pairs = [pair for k, row in theirs["scores"].items() for pair in zip(row, mine[k][: len(row)], strict=True)]
        gap = max(abs(a - b) for a, b in pairs)
        verdict = "equal" if gap <= TOLERANCE.get(library, EXACT) else "DIFFERENT"
        if library != "ours":
            lines.append(f"{job.method}, {job.corpus} {job.n:,}: {len(pairs):,} scores {verdict}, within {gap:.0e}")
    return lines


def jobs(sizes: list[int], peers: list[str], peers_up_to: int, subset: int, fast_bleu_python: str) -> list[Job]:
    """What a round consists of."""
    corpora = [("coco", COCO_SIZE), *(("synthetic", size) for size in sizes)]
    found = []
    for corpus, n in corpora:
        few = min(n, max(1, subset * COCO_SIZE // n))
        found += [Job(corpus, n, method, n, sys.executable) for method in OURS]
        for peer in peers if n <= peers_up_to else ():
            python, scored = (fast_bleu_python, n) if peer == "fast-bleu" else (sys.executable, few)
            found += [Job(corpus, n, f"{peer} {metric}", scored, python) for metric in ("bleu", "self_bleu")]
    return found


def markdown(rows: list[Measured]) -> str:
    """The table of README.md."""
    lines = []
    ours = {(r.corpus, r.n, r.method.removeprefix("ours ")): r.seconds for r in rows}
    for r in rows:
        about = "~" if r.scored < r.n else ""
        others = [(f", {part}", seconds, "") for part, seconds in r.parts.items() if part not in ("encode", "score")]
        for part, seconds, limits in [("", r.seconds, f" ({_short(r.fastest)}–{_short(r.slowest)})"), *others]:
            cells = [
                r.corpus,
                f"{r.n:,}",
                r.method + part,
                f"{about}{_short(seconds)}{limits}",
                f"{about}{seconds / r.n * 1e6:,.1f}",
                "" if r.method in OURS else f"{about}{seconds / ours[r.corpus, r.n, r.method.split()[1]]:,.0f}",
                f"{r.peak_mb:,.0f} ({r.inputs_mb:,.0f})",
            ]
            lines.append(cells)
    columns = ["corpus", "sentences", "method"]
    columns += ["CPU s, median (range)", "µs a sentence", "÷ ours", "peak MB (inputs)"]
    return table(columns, lines, text={"corpus", "method"})


def _short(seconds: float) -> str:
    return f"{seconds:,.3f}" if seconds < 100 else f"{seconds:,.0f}"


def goals(rows: list[Measured]) -> list[str]:
    """What the engine is held to, and whether it was met here."""
    by = {(r.corpus, r.n, r.method): r for r in rows}
    lines = []

    def say(text: str, value: float | None, limit: float, *, at_least: bool = False) -> None:
        if value is not None:
            met = value >= limit if at_least else value < limit
            sign = "at least" if at_least else "under"
            lines.append(goal(met, f"{text}: {value:,.2f} ({sign} {limit:,.10g})"))

    def ratio(peer: str, metric: str) -> float | None:
        mine, theirs = (by.get(("coco", COCO_SIZE, f"{who} {metric}")) for who in ("ours", peer))
        return theirs.seconds / mine.seconds if mine and theirs else None

    for peer, metric, times in (
        ("fast-bleu", "bleu", 30),
        ("fast-bleu", "self_bleu", 100),
        ("nltk", "bleu", 1e5),
        ("nltk", "self_bleu", 1e5),
    ):
        say(f"COCO {metric}: times faster than {peer}", ratio(peer, metric), times, at_least=True)
    for metric, seconds, gigabytes in (("self_bleu", 20, 2), ("bleu", 40, 4)):
        small, large = (by.get(("synthetic", n, f"ours {metric}")) for n in (10_000, 1_000_000))
        if large:
            say(f"1,000,000 {metric}: CPU s", large.seconds, seconds)
            say(f"1,000,000 {metric}: GB", large.peak_mb / 1000, gigabytes)
        if large and small:
            growth = large.microseconds_per_sentence / small.microseconds_per_sentence
            say(f"{metric}: cost of a sentence, 1,000,000 against 10,000", growth, 2.5)
            growth = large.parts["score"] / small.parts["score"] / 100
            say(f"{metric}: the same without numbering the words", growth, 2.5)
    return lines


def main(
    data: Annotated[Path, typer.Option(envvar="TEXTGAN_BENCH_DATA", help="Folder that holds the two COCO files.")],
    sizes: Annotated[str, typer.Option(help="Numbers of synthetic captions.")] = "10000,100000,1000000",
    peers: Annotated[str, typer.Option(help="Libraries beside ours; empty for none.")] = ",".join(PEERS),
    rounds: Annotated[
        int, typer.Option(min=1, help="Turns of each method; peers above 10,000 sentences have one.")
    ] = 5,
    subset: Annotated[int, typer.Option(min=1, help="Sentences that NLTK and sacrebleu score of 10,000.")] = 5,
    peers_up_to: Annotated[int, typer.Option(help="Larger corpora are for ours alone.")] = COCO_SIZE,
    fast_bleu_python: Annotated[str, typer.Option(help="Python of an environment with fast-bleu.")] = sys.executable,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all rows there.")] = None,
) -> None:
    """Measure, and print a Markdown table and which goals are met."""
    chosen = [peer for peer in peers.split(",") if peer]
    unknown = sorted(set(chosen) - set(PEERS))
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: the peers are {', '.join(PEERS)}")
    numbers = [int(size) for size in sizes.split(",") if size]
    todo = jobs(numbers, chosen, peers_up_to, subset, fast_bleu_python)
    results: dict[Job, list[dict[str, Any]]] = {job: [] for job in todo}
    absent: dict[Job, str] = {}
    often = [job for job in todo if job.n <= COCO_SIZE or job.method in OURS]
    turns = often * rounds + [job for job in todo if job not in often]
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as folder, Progress(console=console) as progress:
        prepare(data, Path(folder), numbers)
        bar = progress.add_task("", total=len(turns))
        for job in turns:
            if job in absent:
                continue
            progress.update(bar, description=f"{job.method}, {job.corpus} {job.n:,}")
            try:
                results[job].append(measure(job, Path(folder)))
            except RuntimeError as error:
                if job.method in OURS:
                    raise
                absent[job] = str(error)
            progress.advance(bar)
    results = {job: found for job, found in results.items() if job not in absent}
    rows = [row(job, found) for job, found in results.items()]
    if json_file:
        json_file.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n", encoding="utf-8")
    typer.echo("\n".join([markdown(rows), "", *goals(rows), "", *check_equal(results), "", *absent.values()]))


if __name__ == "__main__":
    typer.run(main)
