"""Boards -> tables of text, for the terminal and for Markdown. The only place that rounds."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leaderboards.published import Published
from leaderboards.ranking import front_keys
from leaderboards.schema import Board, Boards, Cell, Row

__all__ = [
    "MAIN",
    "Part",
    "Table",
    "as_part",
    "columns",
    "facts",
    "heading",
    "is_best",
    "legend",
    "parts",
    "plain",
    "signatures",
]

_FAMILIES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Quality", "likelihood and validity", ("nll_oracle", "nll_oracle_valid", "nll_gen", "validity")),
    ("Quality", "BLEU", ("bleu_2", "bleu_3", "bleu_4", "bleu_5")),
    ("Both", "language models, n-gram overlap", ("lm_score", "reverse_lm_score", "ms_jaccard_2", "ms_jaccard_5")),
    ("Diversity", "Self-BLEU", ("self_bleu_2", "self_bleu_3", "self_bleu_4", "self_bleu_5")),
    ("Diversity", "repetition and copies", ("distinct_2", "unique", "novelty")),
)
MAIN = ("nll_oracle", "nll_gen", "validity", "bleu_2", "bleu_5", "self_bleu_2", "self_bleu_5", "unique")
"""Columns of the tables of gains and temperatures, as far as `_WIDE` of them are there."""
_FITS, _WIDE = 5, 7
"""Scores that 120 characters hold beside model, status and seeds; beside model and one short column."""
_HIDDEN = (
    *("nll_gen_padded", "distinct_1", "distinct_3", "distinct_4", "ms_jaccard_1", "ms_jaccard_3", "ms_jaccard_4"),
    *("novelty_ngram_2", "novelty_ngram_3", "novelty_ngram_4"),
)
"""In the CSV only: variants of a column that is shown."""
_ARROWS = {"higher": "↑", "lower": "↓", "real": "="}


@dataclass(frozen=True)
class Part:
    """The text of a cell."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table of text."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Part, ...], ...]
    breaks: frozenset[int] = frozenset()
    """Rows after which a line is drawn."""
    under: tuple[str, ...] = ()
    """What a reader must know, below the table."""


def plain(text: str) -> str:
    """One line without control, format or bidirectional characters: names come from other people's files."""
    return "".join(" " if c.isspace() else "\ufffd" if unicodedata.category(c)[0] == "C" else c for c in text)


def heading(board: Board) -> str:
    """What makes the board."""
    settings = ", ".join(f"{k}={v}" for k, v in sorted(board.task_config.items()))
    return plain(f"{board.number}. {board.task} (version {board.task_version}) {settings}".rstrip()) + (
        f" · scale {plain(board.scale)} · data {plain(board.data_sha256[:12])}"
    )


def facts(board: Board) -> str:
    """What the task says about its data, on one line; empty if it says nothing."""
    told = (f"{k} {f'{v:.4g}' if isinstance(v, float) else v}" for k, v in board.data_facts.items())
    return plain(", ".join(told))


def signatures(board: Board) -> list[str]:
    """Each signature with its keys: settings, counts and version behind the columns."""
    keys: dict[str, list[str]] = {}
    for key, signature in board.signatures.items():
        keys.setdefault(signature, []).append(key)
    return [f"{', '.join(names)}: {signature}" for signature, names in keys.items()]


def parts(board: Board) -> list[Table]:
    """Every table of a board, those that would be empty left out."""
    tables = [t for name, keys in columns(board) for t in _final(board, name, keys)]
    tables += _gain(board) + _sweep(board)
    tables += [_published(source, rows, board) for source, rows in board.published.items()]
    return tables


def legend(boards: Boards) -> list[str]:
    """The marks that these boards use."""
    rows = [(board, row) for board in boards.boards for row in board.rows]
    lines = [
        "Mean ± half width of the 95% t-interval over seeds, at the end of training, temperature 1; one seed has no "
        "interval; blank: not available. Seeds: completed/started. All digits and all keys are in the CSV.",
        "Better: ↑ higher, ↓ lower, = nearer to real text. There is no overall rank: quality and diversity are traded "
        "against each other.",
    ]
    if any(row.status == "incomplete" for _, row in rows):
        lines.append("incomplete: fewer than 3 completed seeds, not ranked.")
    if any(is_best(board, row, key) for board, row in rows for key in row.final):
        lines.append(
            "Bold: no ranked row is better at the 5% level (Welch's t-test over seeds, not corrected for the number "
            "of comparisons)."
        )
    if any(cell.beyond_real for _, row in rows for cell in row.final.values()):
        lines.append(
            "†: beyond real text by more than the interval: too sharp, collapsed or too random, not a better model."
        )
    if any(row.front for _, row in rows):
        names = sorted({" and ".join(k) for b in boards.boards if (k := front_keys(b.rows))})
        lines.append(f"‡: on the front of {', '.join(names)}: no ranked row is as good in both and better in one.")
    return lines


def columns(board: Board) -> list[tuple[str, tuple[str, ...]]]:
    """Table name -> its keys: two families in one table where it fits, then what plug-ins bring."""
    tables = []
    for whole in dict.fromkeys(name for name, _, _ in _FAMILIES):
        family = [(part, keys) for name, part, keys in _FAMILIES if name == whole]
        present = [key for _, keys in family for key in keys if key in board.signatures]
        if len(present) <= _FITS:
            tables.append((whole, tuple(present)))
        else:
            tables += [(f"{whole}: {part}", keys) for part, keys in family]
    known = {key for _, _, keys in _FAMILIES for key in keys} | set(_HIDDEN)
    others = [key for key in board.signatures if key not in known]
    return [*tables, *(("Further scores", tuple(others[i : i + _FITS])) for i in range(0, len(others), _FITS))]


def _column(board: Board, key: str) -> str:
    return f"{plain(key)} {_ARROWS[board.better[key]]}"


def _final(board: Board, name: str, keys: Iterable[str]) -> list[Table]:
    present = [key for key in keys if any(key in row.final for row in board.rows)]
    if not present and (board.signatures or name != "Quality"):  # a board of failures shows its rows once
        return []
    rows = [
        (*_head(row), *(as_part(row.final.get(key), strong=is_best(board, row, key)) for key in present))
        for row in board.rows
    ]
    header = ("model", "status", "seeds", *(_column(board, key) for key in present))
    return [Table(name, header, tuple(rows), _breaks(board.rows))]


def _gain(board: Board) -> list[Table]:
    rows = [row for row in board.rows if row.gain]
    present = [key for key in MAIN if any(key in row.gain for row in rows)][:_WIDE]
    if not present:
        return []
    table = [
        (_head(row)[0], _head(row)[2], *(as_part(row.gain.get(key), signed=True) for key in present)) for row in rows
    ]
    header = ("model", "seeds", *(_column(board, key) for key in present))
    under = ("End of training minus end of pre-training of the same run: what the adversarial training added.",)
    return [Table("Gain over pre-training", header, tuple(table), _breaks(rows), under)]


def _sweep(board: Board) -> list[Table]:
    rows = [row for row in board.rows if len(row.sweep) > 1]
    present = [key for key in MAIN if any(key in cells for row in rows for cells in row.sweep.values())][:_WIDE]
    if not present:
        return []
    table, breaks = [], set()
    for row in rows:
        for temperature, cells in sorted(row.sweep.items()):
            table.append((_head(row)[0], Part(f"{temperature:g}"), *(as_part(cells.get(key)) for key in present)))
        breaks.add(len(table) - 1)
    header = ("model", "T", *(_column(board, key) for key in present))
    return [Table("Temperatures", header, tuple(table), frozenset(breaks))]


def _published(source: str, rows: Sequence[Published], board: Board) -> Table:
    order = [key for _, keys in columns(board) for key in keys]
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
    return Part(f"{row.value} (sd {row.std})" if row.std else row.value)


def _protocols(rows: Sequence[Published]) -> tuple[str, ...]:
    """Each protocol with the models and keys it holds for."""
    holds: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for row in rows:
        models, keys = holds.setdefault(row.protocol, ({}, {}))
        models[row.model] = None
        keys[row.key] = None
    lines = [f"Reported by {', '.join(dict.fromkeys(row.reported_by for row in rows))}; not measured here, not ranked."]
    for protocol, (models, keys) in holds.items():
        if protocol:
            lines.append(f"{', '.join(models)} ({', '.join(keys)}): {protocol}")
    return tuple(plain(line) for line in lines)


def _head(row: Row) -> tuple[Part, Part, Part]:
    seeds = "file" if row.origin == "samples" else f"{row.n_completed}/{row.n_started}"
    return Part(plain(row.label) + (" ‡" if row.front else "")), Part(row.status), Part(seeds)


def _breaks(rows: Sequence[Row]) -> frozenset[int]:
    return frozenset(i for i in range(len(rows) - 1) if rows[i].status != rows[i + 1].status)


def is_best(board: Board, row: Row, key: str) -> bool:
    """Whether to print it bold: first, and not alone."""
    if key not in row.final or row.final[key].rank != 1:
        return False
    return sum(key in r.final and r.final[key].rank is not None for r in board.rows) > 1


def as_part(cell: Cell | None, *, strong: bool = False, signed: bool = False) -> Part:
    """A mean as it is printed: `0.712±.012`, `†` where it is beyond real text."""
    if cell is None:
        return Part("")
    mean = f"{cell.mean:+.3f}" if signed else _number(cell.mean)
    return Part(mean + _half(cell.half_width) + ("†" if cell.beyond_real else ""), strong)


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10_000 else f"{value:.6g}"


def _half(value: float | None) -> str:
    """An interval that is not zero is never printed as zero."""
    if value is None:
        return ""
    if value == 0:
        return "±0"
    return "±<.001" if value < 0.0005 else "±" + (_number(value).removeprefix("0"))
