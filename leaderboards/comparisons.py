"""Tables beside the scores: quality at matched diversity, cost, and what papers report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bench.published import Published
from leaderboards.schema import Board, Curve
from leaderboards.text import Part, Table, as_part, breaks, column, duration, head, number, plain

__all__ = ["cost", "listed", "quality_diversity", "reported"]


def quality_diversity(board: Board) -> list[Table]:
    """Quality at the baseline's diversity, and how far it is from the baseline's; nothing where no row has it."""
    curves = [c for c in board.curves if any(trace.over_baseline is not None for trace in c.traces)]
    if not curves:
        return []
    traces = [{trace.label: trace for trace in curve.traces} for curve in curves]
    rows = [r for r in [*board.rows, *board.apart] if any(r.label in t and t[r.label].matched for t in traces)]
    header = ("model", "seeds", *(column(board, curve.y) for curve in curves))
    values, differences = [], []
    for row in rows:
        found = [of.get(row.label) for of in traces]
        first = head(row)[0], head(row)[2]
        values.append((*first, *(as_part(trace.matched if trace else None) for trace in found)))
        if not row.baseline:
            differences.append(
                (*first, *(as_part(trace.over_baseline if trace else None, signed=True) for trace in found))
            )
    base = plain(str(curves[0].baseline))
    at = ", ".join(f"{c.y} at {c.x} {number(c.diversity)}" for c in curves if c.diversity is not None)
    under = f"The diversity of {base} at temperature 1: {at}. Read off each seed's curve over temperature."
    welch = "± is Welch's 95% interval of the difference over seeds."
    others = breaks([row for row in rows if not row.baseline])
    title = "Quality at matched diversity"
    return [
        Table(title, header, tuple(values), breaks(rows), (under, *_absent(curves))),
        Table(f"{title}, minus {base}", header, tuple(differences), others, (welch,)),
    ]


def _absent(curves: Sequence[Curve]) -> list[str]:
    """Why a row has no quality at matched diversity, rows with the same reason together."""
    reasons: dict[str, dict[str, None]] = {}
    for trace in (trace for curve in curves for trace in curve.traces if trace.reason):
        reasons.setdefault(plain(trace.label), {})[plain(trace.reason)] = None
    labels: dict[str, list[str]] = {}
    for label, told in reasons.items():
        labels.setdefault("; ".join(told), []).append(label)
    return [f"{', '.join(who)}: {told}." for told, who in labels.items()]


def cost(board: Board) -> list[Table]:
    """Parameters, time of training by phase, device; nothing where nothing was trained."""
    rows = [row for row in [*board.rows, *board.apart] if row.seconds]
    if not rows:
        return []
    table = []
    for row in rows:
        phases = ", ".join(f"{plain(name)} {duration(seconds)}" for name, seconds in row.seconds.items())
        parameters = "" if row.n_parameters is None else f"{row.n_parameters:,}"
        total = Part(duration(sum(row.seconds.values())))
        device = Part(plain(", ".join(row.devices)))
        table.append((*head(row)[::2], Part(parameters), total, Part(phases), device))
    under = ["Training alone, mean over completed seeds; drawing and scoring samples is not in it."]
    if len({device for row in rows for device in row.devices}) > 1:
        under.append("Times on different devices do not compare.")
    header = ("model", "seeds", "parameters", "training", "by phase", "device")
    return [Table("Cost", header, tuple(table), breaks(rows), tuple(under), frozenset({0, 4, 5}))]


def reported(source: str, rows: Sequence[Published], order: Sequence[str]) -> Table:
    """The numbers of one source, the keys in the order of our columns; in brackets what does not compare with ours."""
    keys = sorted({row.key for row in rows}, key=lambda key: order.index(key) if key in order else len(order))
    lines: dict[tuple[str, str], dict[str, Published]] = {}
    for row in rows:
        lines.setdefault((row.model, row.variant), {})[row.key] = row
    table = [
        (
            Part(plain(f"{model} ({variant})" if variant else model)),
            *(_reported(cells.get(key)) for key in keys),
        )
        for (model, variant), cells in lines.items()
    ]
    return Table(f"reported · {plain(source)}", ("model", *keys), tuple(table), under=_protocols(rows))


def _reported(row: Published | None) -> Part:
    if row is None:
        return Part("")
    value = f"{row.value} (sd {row.std})" if row.std else row.value
    return Part(value if row.comparable else f"[{value}]")


def _protocols(rows: Sequence[Published]) -> tuple[str, ...]:
    """Who reports; why a number does not compare, and each protocol, with the models and keys it holds for."""
    lines = [f"Reported by {', '.join(dict.fromkeys(row.reported_by for row in rows))}; not measured here, not ranked."]
    lines += [
        f"[ ] not comparable: {models} ({keys}): {why}"
        for why, models, keys in _holding((row.reason, row) for row in rows)
    ]
    lines += [f"{models} ({keys}): {told}" for told, models, keys in _holding((row.protocol, row) for row in rows)]
    return tuple(plain(line) for line in lines)


def _holding(pairs: Iterable[tuple[str, Published]]) -> Iterator[tuple[str, str, str]]:
    """Each text that is not empty with the models and the keys of the numbers that it is said of."""
    holds: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for text, row in pairs:
        models, keys = holds.setdefault(text, ({}, {}))
        models[row.model] = None
        keys[row.key] = None
    return ((text, ", ".join(models), ", ".join(keys)) for text, (models, keys) in holds.items() if text)


def listed(rows: Sequence[Published]) -> list[Table]:
    """Every number of each source with its protocol, a table for each data set of a source."""
    blocks: dict[str, list[tuple[Part, ...]]] = {}
    for row in rows:
        settings = ", ".join(f"{key}={value}" for key, value in row.task_config.items())
        data = f"{row.task} {settings}".strip() or f"{row.published_task}, which no task here has"
        equal = "equal" + (f" where {row.needs}" if row.needs else "") if row.comparable else f"apart: {row.reason}"
        cells = (
            f"{row.model} ({row.variant})" if row.variant else row.model,
            row.key,
            f"{row.value} (sd {row.std})" if row.std else row.value,
            str(row.n_seeds or ""),
            equal,
            row.protocol,
        )
        title = f"reported · {row.source} · by {row.reported_by} · {data}"
        blocks.setdefault(plain(title), []).append(tuple(Part(plain(cell)) for cell in cells))
    header = ("model", "score", "value", "seeds", "compares with ours", "protocol")
    return [Table(title, header, tuple(lines), words=frozenset({0, 1, 4, 5})) for title, lines in blocks.items()]
