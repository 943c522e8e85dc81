"""What the benchmarks of metrics and of training share: medians over turns, tables, goals."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Sequence

__all__ = ["goal", "spread", "table", "times_faster"]


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, least and greatest."""
    return statistics.median(values), min(values), max(values)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, text: Collection[str]) -> str:
    """In Markdown; columns whose names are not in `text` hold numbers, which stand flush right."""
    head, *body = (f"| {' | '.join(cells)} |" for cells in [columns, *rows])
    rule = "".join("---|" if name in text else "--:|" for name in columns)
    return "\n".join([head, f"|{rule}", *body])


def goal(met: bool, text: str) -> str:
    """One line: whether what the text says was met here."""
    return f"{'met   ' if met else 'MISSED'} {text}"


def times_faster(what: str, ratio: float, peer: str, least: float) -> str:
    """One line: whether a ratio of times to ours is what it is meant to be."""
    return goal(ratio >= least, f"{what}: {ratio:.2f} times faster than {peer} (at least {least:g})")
