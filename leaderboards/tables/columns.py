"""The columns of tables, each made in one place with what it holds of a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from leaderboards.formats import ARROWS, Kind, of_change, phases, plain
from leaderboards.schema import RANKED_SEEDS, Board, Curve, RankedMean, Row
from leaderboards.tables.cells import TICKS, Cell, Column

__all__ = [
    "Field",
    "Pick",
    "collapsed",
    "cost_fields",
    "curve_fields",
    "device",
    "final",
    "gain",
    "is_best",
    "matched",
    "model",
    "n_ranked",
    "over_baseline",
    "parameters",
    "places",
    "real_sentences",
    "score",
    "score_title",
    "seeds",
    "state",
    "status",
    "sweep",
    "temperature",
    "tier",
    "training",
]

Field = tuple[Column, Callable[[Row, float], Cell]]
"""A column and what it holds of a row at a temperature."""
Pick = Callable[[Row, float], RankedMean | None]


def model() -> Field:
    """The row's label, with its place on the front."""
    return Column(title="model", kind="words"), lambda row, _: Cell(row.label, mark=" ‡" if row.front else "")


def status() -> Field:
    """How a row counts; a tick where its scores were recomputed from its samples, two where a second party agrees."""

    def cell(row: Row, _: float) -> Cell:
        word = "baseline" if row.baseline and row.status == "ranked" else row.status
        return Cell(word, mark=f" {TICKS[row.tier]}".rstrip())

    return Column(title="status", kind="printed"), cell


def state(board: Board) -> Field:
    """How a row counts; its seeds where some are missing or failed; how many collapsed; its tier where rows differ."""
    mixed = len({row.tier for row in (*board.rows, *board.apart)}) > 1

    def cell(row: Row, _: float) -> Cell:
        words: list[str] = ["baseline" if row.baseline and row.status == "ranked" else row.status]
        whole = row.n_completed == row.n_started and row.n_completed >= RANKED_SEEDS
        words += [f"{row.n_completed}/{row.n_started}"] if row.origin == "run" and not whole else []
        collapsed = f", collapsed {row.collapsed}/{row.n_completed}" if row.collapsed else ""
        return Cell(" ".join(words) + collapsed, mark=f" {TICKS[row.tier]}".rstrip() if mixed else "")

    return Column(title="state", kind="words"), cell


def seeds() -> Field:
    """Completed of started, or that the row is a file."""

    def cell(row: Row, _: float) -> Cell:
        seeds = "file" if row.origin == "samples" else f"{row.n_completed}/{row.n_started}"
        return Cell(seeds, order=row.n_completed)

    return Column(title="seeds", kind="printed", better="higher"), cell


def collapsed(board: Board) -> list[Field]:
    """How many of a mean's seeds collapsed: it is then a mean of two kinds of result. Nothing where none did."""
    if not any(row.collapsed for row in (*board.rows, *board.apart)):
        return []

    def cell(row: Row, _: float) -> Cell:
        return Cell(f"{row.collapsed} of {row.n_completed}" if row.collapsed else None, order=row.collapsed)

    return [(Column(title="collapsed", kind="printed"), cell)]


def tier() -> Field:
    """How far the row is verified."""
    return Column(title="tier", kind="tag"), lambda row, _: Cell(row.tier)


def temperature() -> Field:
    """At which the line's sentences were drawn."""
    return Column(title="T", kind="temperature"), lambda _, temperature: Cell(temperature)


def score(board: Board, key: str, pick: Pick, choices: tuple[str, ...] = (), kind: Kind = "score") -> Field:
    """A score; bold where it is the best at the end, or a difference that is clearly better.

    ° in the heading says that it was not computed again, on cells where only some are so.
    """
    said = [m.as_recorded for row in (*board.rows, *board.apart) if row.verified and (m := pick(row, 1.0)) is not None]
    recorded, mixed = any(said), any(said) and not all(said)

    def cell(row: Row, temperature: float) -> Cell:
        mean = pick(row, temperature)
        if mean is None:
            return Cell()
        strong = mean.clearly_better or (mean is row.final.get(key) and is_best(row, key))
        mark = ("†" if mean.beyond_real else "") + ("°" if mixed and mean.as_recorded else "")
        return Cell(mean.mean, mean.half_width, mark, strong)

    meaning, metric = board.meanings[key], board.metrics.get(key, "")
    column = Column(
        title=score_title(board, key) + ("°" if recorded else ""),
        kind=kind,
        metric=metric,
        better=meaning.better,
        choices=choices,
        bounds=of_change(meaning.bounds) if kind == "change" else meaning.bounds,
    )
    return column, cell


def score_title(board: Board, key: str) -> str:
    """The key with the arrow of its direction."""
    return f"{plain(key)} {ARROWS[board.better[key]]}"


def final(key: str) -> Pick:
    """Of a key: at the end of training."""
    return lambda row, _: row.final.get(key)


def gain(key: str) -> Pick:
    """Of a key: end of training minus end of pre-training."""
    return lambda row, _: row.gain.get(key)


def sweep(key: str) -> Pick:
    """Of a key: at the line's temperature."""
    return lambda row, temperature: row.sweep.get(temperature, {}).get(key)


def matched(curve: Curve) -> Pick:
    """Of a curve: where what is matched is the baseline's."""
    found = {trace.label: trace.matched for trace in curve.traces}
    return lambda row, _: found.get(row.label)


def over_baseline(curve: Curve) -> Pick:
    """Of a curve: that, minus the baseline's."""
    found = {trace.label: trace.over_baseline for trace in curve.traces}
    return lambda row, _: found.get(row.label)


def is_best(row: Row, key: str) -> bool:
    """Whether to print it bold: it leads (`RankedMean.leads`) and is not beyond real text."""
    mean = row.final.get(key)
    return mean is not None and mean.leads and not mean.beyond_real


def n_ranked(board: Board, key: str) -> int:
    """How many rows are ranked by a key."""
    return sum(key in row.final and row.final[key].rank is not None for row in board.rows)


def places(board: Board, key: str, title: str) -> Field:
    """The places that a row may have, `1–3`; bold where the score is."""

    def cell(row: Row, _: float) -> Cell:
        mean = row.final.get(key)
        if mean is None or mean.rank is None or mean.rank_high is None:
            return Cell()
        last = mean.rank_high if mean.rank_high != mean.rank else None
        return Cell(mean.rank, last, strong=is_best(row, key), order=mean.rank + mean.rank_high / 10_000)

    return Column(title=title, kind="places", metric=board.metrics.get(key, ""), choices=("Ranks",)), cell


def curve_fields(board: Board) -> Iterator[Field]:
    """What each row's curve has where what is matched is MLE's at temperature 1, and what it is over MLE's."""
    for curve in board.curves:
        fields = [
            (" matched", score(board, curve.y, matched(curve), ("Curves",))),
            (" matched − MLE", score(board, curve.y, over_baseline(curve), ("Curves",), "change")),
        ]
        for what, (column, cell) in fields:
            if any(cell(row, 1.0).value is not None for row in (*board.rows, *board.apart)):
                yield dataclasses.replace(column, title=f"{plain(curve.y)}{what}"), cell


def cost_fields(board: Board) -> Iterator[Field]:
    """What a row cost, as far as any row knows it."""
    if any(row.n_parameters is not None for row in board.rows):
        yield parameters()
    if any(row.real_sentences is not None for row in board.rows):
        yield real_sentences()
    if any(row.seconds for row in board.rows):
        yield training("training time, median over seeds", by_phase=True)
    if any(row.devices for row in board.rows):
        yield device()


def parameters() -> Field:
    """Of all of a model's networks."""
    return Column(title="parameters", kind="count", choices=("Cost",)), lambda row, _: Cell(row.n_parameters)


def real_sentences() -> Field:
    """As training reads them, mean over seeds."""
    column = Column(title="real sentences read", kind="count", choices=("Cost",))
    return column, lambda row, _: Cell(None if row.real_sentences is None else round(row.real_sentences))


def training(title: str, *, by_phase: bool = False) -> Field:
    """Time of training, by phase in brackets if asked for."""

    def cell(row: Row, _: float) -> Cell:
        told = f" ({phases(row.seconds)})" if by_phase and len(row.seconds) > 1 else ""
        return Cell(sum(row.seconds.values()), mark=told) if row.seconds else Cell()

    return Column(title=title, kind="duration", choices=("Cost",)), cell


def device() -> Field:
    """What it was trained on."""
    return Column(title="device", kind="words", choices=("Cost",)), lambda row, _: Cell(", ".join(row.devices))
