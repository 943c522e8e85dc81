"""What came out of the runs of a command: a table for each task, beside real text and MLE where these are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from bench.config import Resolved
from bench.launch.workers import Outcome
from bench.record import RunRecord, Score, read_record
from bench.run_folder import INPUTS, RECORD, SAMPLES, folder_name
from bench.seeds import mean_over_seeds, newest_of_each
from bench.streams import shown

__all__ = ["came_out"]

_MOST_SCORES = 8
_FEW_ROWS = 4
"""As many rows have their samples shown."""
_SAMPLES = 3
_WIDTH = 110
"""Characters of a sample."""


@dataclass(frozen=True)
class _Row:
    """Runs that differ in the seed."""

    name: str
    runs: Sequence[tuple[RunRecord, Path]]
    real: bool = False
    """Real text alone."""

    def scores(self, key: str) -> list[Score]:
        """At the end, at temperature 1, of every seed that has it."""
        finals = [_final_scores(record) for record, _ in self.runs]
        return [scores[key] for scores in finals if key in scores]


def came_out(resolved: Sequence[Resolved], outcomes: Sequence[Outcome], runs: Path) -> Iterator[str]:
    """Lines for the terminal; none where nothing is completed."""
    tasks: dict[tuple[str, str], dict[str, list[tuple[Resolved, RunRecord, Path]]]] = {}
    for each, outcome in zip(resolved, outcomes, strict=True):
        if outcome.status == "completed":
            record = read_record(outcome.folder / RECORD)
            rows = tasks.setdefault((record.task, record.data_sha256), {})
            rows.setdefault(record.config_hash, []).append((each, record, outcome.folder))
    few = sum(map(len, tasks.values())) <= _FEW_ROWS
    for (task, _), rows in tasks.items():
        yield ""
        yield from _of_task(task, rows, runs, with_folders=not few)
        if few:
            for members in rows.values():
                yield ""
                yield from _samples(*members[0])


def _of_task(
    task: str, rows: Mapping[str, Sequence[tuple[Resolved, RunRecord, Path]]], runs: Path, *, with_folders: bool
) -> Iterator[str]:
    first, record, _ = next(iter(rows.values()))[0]
    known = [
        _Row(_name(members[0][1]), [(record, folder) for _, record, folder in members]) for members in rows.values()
    ]
    keys = _main_keys(first, record)
    beside = [*_beside(record, "real_text", runs), *_beside(record, "mle", runs, but=set(rows))]
    better = {key: score.better for row in known for key in keys for score in row.scores(key)}
    head = ["", *keys]
    lines = [["better", *({"real": "as real"}.get(better.get(key, ""), better.get(key, "")) for key in keys)]]
    reference = {key: known[0].scores(key) for key in keys}
    lines += [[row.name, *(_cell(row, key, reference[key]) for key in keys)] for row in [*beside, *known]]
    if with_folders:
        head.append("folder of the first")
        lines = [[*line, str(_folder_of(line[0], known))] for line in lines]
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    yield f"{task}: scores at the end" + (", mean ± 95% over seeds" if any(len(r.runs) > 1 for r in known) else "")
    for line in (head, *lines):
        yield shown("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    yield from _absent(first, record)


def _absent(resolved: Resolved, record: RunRecord) -> Iterator[str]:
    """Metrics that gave nothing at the end, and why."""
    final = record.final()
    if final is not None:
        scored = {score.metric for score in final.scores.values()}
        asked = [metric.name for metric in resolved.metrics if metric.name not in scored]
        yield from (shown(f"  absent: {name}: {final.skipped[name]}") for name in asked if name in final.skipped)


def _folder_of(name: str, rows: Sequence[_Row]) -> Path | str:
    return next((row.runs[0][1] for row in rows if row.name == name), "")


def _name(record: RunRecord) -> str:
    """`mle · small`, and what was changed."""
    return record.shown_model if record.scale == "paper" else f"{record.shown_model} · {record.shown_scale}"


def _main_keys(resolved: Resolved, record: RunRecord) -> list[str]:
    """A score of each metric of the run: that of its name, else the last, which of n-grams is of the highest order.

    All of a metric whose scores say something only beside one another.
    """
    chosen: dict[str, list[str]] = {}
    together = {metric.name for metric in resolved.metrics if getattr(metric, "together", False)}
    for key, score in _final_scores(record).items():
        if score.metric in together:
            chosen.setdefault(score.metric, []).append(key)
        elif chosen.get(score.metric) != [score.metric]:
            chosen[score.metric] = [key]
    return [key for metric in resolved.metrics for key in chosen.get(metric.name, ())][:_MOST_SCORES]


def _cell(row: _Row, key: str, reference: Sequence[Score]) -> str:
    """A mean over seeds; a dash where there is no score of this kind."""
    kind = partial(_kind, real=row.real)
    same = [score for score in row.scores(key) if not reference or kind(score) == kind(reference[0])]
    found = mean_over_seeds([score.value for score in same])
    if found is None:
        return "–"
    return f"{found.mean:.4g}" + ("" if found.half_width is None else f" ± {found.half_width:.2g}")


def _kind(score: Score, *, real: bool) -> dict[str, object]:
    """What makes scores comparable; with real text, of which there may be fewer sentences than a model draws."""
    return {name: value for name, value in score.settings.items() if not real or name not in ("samples", "real")}


def _beside(record: RunRecord, model: str, runs: Path, but: set[str] | None = None) -> Iterator[_Row]:
    """A row of the same text below `runs`, with the settings of its scale, which is none of the command's own."""
    found: dict[tuple[object, ...], list[tuple[RunRecord, Path]]] = {}
    for path in sorted(runs.glob(f"{folder_name(record.task, model)}-*/{RECORD}")):
        try:
            other = read_record(path)
        except (ValueError, OSError):  # the table says which cannot be read
            continue
        same = (other.model, other.task, other.data_sha256) == (model, record.task, record.data_sha256)
        of_scale = other.origin == "samples" or (other.scale == record.scale and not other.changed)
        if same and of_scale and other.status == "completed" and other.config_hash not in (but or ()):
            # Real text has one hash, however many of its sentences were scored by whatever metrics.
            key = (other.config_hash, _sentences(other), *sorted(_final_scores(other)))
            found.setdefault(key, []).append((other, path.parent))
    real = model == "real_text"
    best = max(found.values(), key=lambda row: (*_likeness(row[0][0], record), len(row)), default=None)
    if best is None or not (real or _likeness(best[0][0], record)[0]):
        return
    counted, _ = newest_of_each(best, key=lambda one: one[0].seed, record=lambda one: one[0])
    n, asked = _sentences(best[0][0]), _sentences(record)
    fewer = f" ({n:,} sentences)" if n and n != asked else ""
    yield _Row(f"real text{fewer}" if real else f"{_name(best[0][0])}, trained before", counted, real=real)


def _likeness(other: RunRecord, record: RunRecord) -> tuple[int, int, int]:
    """How many scores of a record another one has, of as many sentences and of any number; and its sentences."""
    theirs, ours = _final_scores(other), _final_scores(record)
    alike = [key for key in ours if key in theirs and _kind(theirs[key], real=True) == _kind(ours[key], real=True)]
    equal = [key for key in alike if theirs[key].settings.get("samples") == ours[key].settings.get("samples")]
    return len(equal), len(alike), _sentences(other)


def _sentences(record: RunRecord) -> int:
    """How many were scored; 0 where no score says so."""
    counts = [score.settings.get("samples") for score in _final_scores(record).values()]
    return max((n for n in counts if isinstance(n, int)), default=0)


def _final_scores(record: RunRecord) -> Mapping[str, Score]:
    final = record.final()
    return final.scores if final else {}


def _samples(resolved: Resolved, record: RunRecord, folder: Path) -> Iterator[str]:
    """The folder of a run, and the first sentences that it wrote, each below its input where there is one."""
    yield f"{resolved.title()}: {folder}"
    given = _first(folder / INPUTS, resolved)
    written = _first(folder / SAMPLES, resolved)
    pairs = zip(given, written, strict=False)
    for lines in [(f"  {a}", f"    -> {b}") for a, b in pairs] if given else [(f"  {text}",) for text in written]:
        for line in lines:
            yield shown(line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…")


def _first(path: Path, resolved: Resolved) -> list[str]:
    """The first sentences of a file, as the task writes them; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as lines:
        first = [line.rstrip("\n") for line in islice(lines, _SAMPLES)]
    with suppress(ModuleNotFoundError):  # words with blanks between are read as well
        first = [resolved.task.detokenize(text) for text in first]
    return [text or "(an empty sentence)" for text in first]
