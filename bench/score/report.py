"""Scores of samples files for people (a table in the terminal) and for programs (JSON, CSV)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any

from bench.record import Score
from bench.run_folder import RECORD
from bench.score.compare import SIGNIFICANT, ScoredFile
from bench.score.explain import ORDERS, Protocol
from bench.streams import Head, SafeConsole, fits
from bench.streams import print_table as draw_table
from bench.text.escapes import csv_text, shown_name
from metrics.common.uncertainty import Difference

__all__ = [
    "as_csv",
    "as_json",
    "print_protocols",
    "print_table",
    "protocols_as_json",
    "protocols_as_markdown",
    "with_error",
]

_COLUMNS = (
    "file", "name", "task", "sentences", "score", "value", "standard_error", "better", "difference",
    "difference_standard_error", "p_value", "signature", "absent", "real_text", "real_text_absent",
)  # fmt: skip


def with_error(value: float, standard_error: float | None) -> str:
    """`0.7457 ± 0.0015`; the standard error is left out where it is not known, and 0 only where it is 0."""
    if standard_error is None:
        return f"{value:.4f}"
    return f"{value:.4f} ± " + ("<0.0001" if 0 < standard_error < 0.00005 else f"{standard_error:.4f}")


def print_table(console: SafeConsole, files: Sequence[ScoredFile], task: str) -> None:
    """Scores, differences to the first file, and below what a reader must know.

    A line for each score where all files stand side by side, otherwise a line for each file.
    """
    console.print(_title(files, task))
    heads, lines = _by_score(files)
    if not fits(console, heads, [lines]):
        heads, lines = _by_file(files)
    draw_table(console, heads, [lines])
    for line in _notes(files):
        console.print(line)


def _title(files: Sequence[ScoredFile], task: str) -> str:
    counts = {file.n_sentences for file in files}
    if len(files) > 2 and len(counts) == 1:
        return f"{len(files)} files of {counts.pop():,} sentences each on {task}"
    return ", ".join(f"{shown_name(file.name)} ({file.n_sentences:,} sentences)" for file in files) + f" on {task}"


_Lines = list[list[str]]


def _by_score(files: Sequence[ScoredFile]) -> tuple[list[Head], _Lines]:
    """A column for each file, and one for each difference."""
    first, compared = shown_name(files[0].name), _compared(files)
    real = files[0].real.scores
    heads = [Head("score", left=True), Head("better", left=True), *([Head("real text", left=True)] if real else [])]
    heads += [Head(shown_name(file.name), left=True) for file in files]
    heads += [Head(f"{shown_name(file.name)} − {first}", left=True) for file in compared]
    lines = []
    for key, score in _all_scores(files).items():
        cells = [_cell(file.evaluation.scores.get(key)) for file in files]
        beside = [_cell(real.get(key))] if real else []
        apart = [_difference(file.differences.get(key)) for file in compared]
        lines.append([key, _better(score), *beside, *cells, *apart])
    return heads, lines


def _by_file(files: Sequence[ScoredFile]) -> tuple[list[Head], _Lines]:
    """A column for each score, and behind it one for its differences."""
    heads, compared = [Head("file", left=True)], _compared(files)
    real = files[0].real.scores
    lines = [[shown_name(file.name)] for file in files]
    real_line = ["real text"]
    for key, score in _all_scores(files).items():
        heads.append(Head(f"{key}\n{_better(score)}"))
        apart = compared and any(key in file.differences for file in compared)
        heads += [Head(f"{key}\n− the first")] if apart else []
        real_line += [_cell(real.get(key)), *([""] if apart else [])]
        for line, file in zip(lines, files, strict=True):
            line.append(_cell(file.evaluation.scores.get(key)))
            line += [_difference(file.differences.get(key))] if apart else []
    return heads, [real_line, *lines] if real else lines


def _compared(files: Sequence[ScoredFile]) -> list[ScoredFile]:
    return [file for file in files[1:] if file.differences]


def _better(score: Score) -> str:
    return {"real": "as real"}.get(score.better, score.better)


def _all_scores(files: Sequence[ScoredFile]) -> dict[str, Score]:
    """One score of each key that some file has, in the order of the metrics."""
    found: dict[str, Score] = {}
    for file in files:
        for key, score in file.evaluation.scores.items():
            found.setdefault(key, score)
    return found


def _cell(score: Score | None) -> str:
    return "" if score is None else with_error(score.value, score.standard_error)


def _difference(apart: Difference | None) -> str:
    if apart is None:
        return ""
    if apart.p_value is None:
        return f"{apart.value:+.4f}"
    p_value = "p<.001" if apart.p_value < 0.001 else f"p={_share(apart.p_value, 3)}"
    return f"{apart.value:+.4f} {p_value}{' *' * (apart.p_value < SIGNIFICANT)}"


def _share(value: float, digits: int) -> str:
    """`.05`: a number from 0 to 1 without its 0."""
    return f"{value:.{digits}f}".removeprefix("0")


def _notes(files: Sequence[ScoredFile]) -> Iterator[str]:
    names = {file.name: shown_name(file.name) for file in files}
    first = names[files[0].name]
    yield from _about_real(files)
    yield "± standard error over the samples of one file; it says nothing of other seeds"
    if any(file.differences for file in files):
        yield (
            f"− difference to {first}; p by a normal test of two independent sets of samples, not corrected for the "
            f"number of scores; * p < {_share(SIGNIFICANT, 2)}"
        )
    for file in files:
        for warning in file.warnings:
            yield f"warning: {names[file.name]}: {warning}"
        if file.not_compared and file.n_sentences == files[0].n_sentences:
            reasons = "; ".join(f"{key} ({why})" for key, why in file.not_compared.items())
            yield f"not compared: {names[file.name]}: {reasons}"
    yield from dict.fromkeys(score.signature for file in files for score in file.evaluation.scores.values())
    absent: dict[str, list[str]] = {}
    for file in files:
        for what, reason in file.evaluation.absent().items():
            absent.setdefault(f"absent: {what} ({reason})", []).append(names[file.name])
    for line, those in absent.items():
        yield line if len(those) == len(files) else f"{line}: {', '.join(those)}"
    yield from (f"record: {file.folder}" for file in files if file.folder)


def _about_real(files: Sequence[ScoredFile]) -> Iterator[str]:
    """What the column of real text holds."""
    if any(score.better == "real" for score in _all_scores(files).values()):
        yield "as real: neither end is good, the value of real text is"
    real = files[0].real
    of_training = [key for key in real.scores if key not in real.from_test]
    parts = ["training sentences"] * bool(of_training)
    if real.from_test:
        parts.append("reference sentences" + (f" for {', '.join(real.from_test)}" if of_training else ""))
    if parts:
        yield f"real text: {real.n:,} {' and '.join(parts)}, scored the same way"
    reasons: dict[str, list[str]] = {}
    for key, reason in real.absent.items():
        reasons.setdefault(reason, []).append(key)
    for reason, keys in reasons.items():
        yield f"no value of real text: {', '.join(keys)} ({reason})"


def as_json(files: Sequence[ScoredFile], task: str, warning: str | None) -> str:
    """One document, the same for one file and for many."""
    return json.dumps(
        {"task": task, "warning": warning, "files": [_document(file) for file in files]},
        indent=2, ensure_ascii=False, allow_nan=False,
    )  # fmt: skip


def _document(file: ScoredFile) -> dict[str, Any]:
    return {
        "file": str(file.path),
        "name": file.name,
        "read_as": file.read_as,
        "sentences": file.n_sentences,
        "empty_sentences": file.n_empty,
        "unknown_word_share": file.unknown_share,
        "scores": {k: {**dataclasses.asdict(s), "signature": s.signature} for k, s in file.evaluation.scores.items()},
        "absent": dict(file.evaluation.skipped),
        "real_text": {k: {"value": s.value, "standard_error": s.standard_error} for k, s in file.real.scores.items()},
        "real_text_absent": dict(file.real.absent),
        "difference_to_first": {key: apart._asdict() for key, apart in file.differences.items()},
        "not_compared": dict(file.not_compared),
        "warnings": [*([file.note] if file.note else []), *file.warnings],
        "record": None if file.folder is None else str(file.folder / RECORD),
    }


def as_csv(files: Sequence[ScoredFile], task: str) -> str:
    """A row for each file and score; a metric that is absent has a row with the reason."""
    return csv_text(_COLUMNS, _csv_rows(files, task))


def _csv_rows(files: Sequence[ScoredFile], task: str) -> Iterator[dict[str, object]]:
    for file in files:
        about = {"file": file.path, "name": file.name, "task": task, "sentences": file.n_sentences}
        for key, score in file.evaluation.scores.items():
            row: dict[str, object] = {"score": key, "value": score.value, "standard_error": score.standard_error}
            row |= {"better": score.better, "signature": score.signature}
            if real := file.real.scores.get(key):
                row |= {"real_text": real.value}
            row |= {"real_text_absent": file.real.absent.get(key)}
            if apart := file.differences.get(key):
                row |= {"difference": apart.value, "difference_standard_error": apart.standard_error}
                row |= {"p_value": apart.p_value}
            yield {**about, **row}
        for key, reason in file.evaluation.skipped.items():
            yield {**about, "score": key, "absent": reason}


def print_protocols(console: SafeConsole, protocols: Sequence[Protocol], title: str) -> None:
    """A row for each way of scoring, and below who uses it and its signature."""
    kinds: list[list[list[str]]] = [[]]
    for protocol in protocols:
        if protocol.name == "self_bleu":
            kinds.append([])
        kinds[-1].append([protocol.name, *_protocol_cells(protocol)])
    console.print(title)
    draw_table(console, [Head("protocol", left=True), *(Head(str(order)) for order in ORDERS)], kinds)
    console.print(
        "± standard error over the samples; of each kind the first row is ours, the others are no scores here"
    )
    for protocol in protocols:
        why = f" ABSENT: {protocol.absent}." if protocol.absent else ""
        line = f"{protocol.name}:{why} {protocol.used_by} [{protocol.source}]\n    {protocol.signature}"
        console.print(line)


def _protocol_cells(protocol: Protocol) -> list[str]:
    cells = [with_error(score.value, score.standard_error) for score in protocol.scores]
    return cells or ["absent"] * len(ORDERS)


def protocols_as_json(protocols: Sequence[Protocol]) -> str:
    """Protocol -> scores by order, signature, who uses it."""
    document = {
        protocol.name: {
            "scores": {str(n): score._asdict() for n, score in zip(ORDERS, protocol.scores, strict=False)},
            "signature": protocol.signature,
            "used_by": protocol.used_by,
            "source": protocol.source,
            "absent": protocol.absent,
        }
        for protocol in protocols
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


def protocols_as_markdown(protocols: Sequence[Protocol]) -> str:
    """The table of `print_protocols` for a page."""
    lines = ["| protocol | 2 | 3 | 4 | 5 |", "|---|---|---|---|---|"]
    lines += [f"| `{protocol.name}` | {' | '.join(_protocol_cells(protocol))} |" for protocol in protocols]
    return "\n".join(lines) + "\n"
