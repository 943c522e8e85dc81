"""Boards -> tables of text, for the terminal, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from leaderboards.comparisons import cost, quality_diversity, reported
from leaderboards.schema import RANKED_SEEDS, TEMPERATURE_SETTING, Board, Boards, Row
from leaderboards.statistics import front_keys
from leaderboards.text import Part, Table, as_part, breaks, column, head, places, plain

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
"""Columns of the tables of ranks, gains and temperatures, as far as `_WIDE` of them are there."""
_FITS, _WIDE = 5, 7
"""Scores that 120 characters hold beside model, status and seeds; beside model and one short column."""
_HIDDEN = (
    *("nll_gen_padded", "distinct_1", "distinct_3", "distinct_4", "ms_jaccard_1", "ms_jaccard_3", "ms_jaccard_4"),
    *("novelty_ngram_2", "novelty_ngram_3", "novelty_ngram_4"),
)
"""In the CSV only: variants of a column that is shown."""


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
    shown = columns(board)
    tables = [t for name, keys in shown for t in _final(board, name, keys, board.rows)]
    tables += _ranks(board) + _gain(board) + quality_diversity(board) + _sweep(board) + cost(board)
    tables += [t for name, keys in shown for t in _final(board, f"At another temperature: {name}", keys, board.apart)]
    order = [key for _, keys in shown for key in keys]
    return tables + [reported(source, rows, order) for source, rows in board.published.items()]


def legend(boards: Boards) -> list[str]:
    """The marks that these boards use."""
    rows = [(board, row) for board in boards.boards for row in board.rows]
    lines = [
        "Mean ± half width of the 95% t-interval over seeds, at the end of training, temperature 1; one seed has no "
        "interval; blank: not available. Seeds: completed/started. All digits and all keys are in the CSV.",
        "Better: ↑ higher, ↓ lower, = nearer to real text. There is no overall rank: quality and diversity are traded "
        "against each other.",
    ]
    if any(row.baseline and row.status == "ranked" for _, row in rows):
        lines.append("baseline: maximum likelihood at temperature 1, the row to beat; ranked like the others.")
    if any(row.status == "incomplete" for _, row in rows):
        lines.append(f"incomplete: fewer than {RANKED_SEEDS} completed seeds, not ranked.")
    if any(board.apart for board in boards.boards):
        lines.append(
            f"apart: drawn at another temperature ({TEMPERATURE_SETTING} is not 1), in tables of its own, not ranked."
        )
    if any(row.verified for _, row in rows):
        lines.append("✓: verified, all scores were recomputed from the stored samples.")
    if any(is_best(board, row, key) for board, row in rows for key in row.final):
        lines.append(
            "Bold: no ranked row is clearly better (bootstrap over seeds, 5% level, not corrected for the number of "
            "comparisons)."
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


def is_best(board: Board, row: Row, key: str) -> bool:
    """Whether to print it bold: first, and not alone."""
    if key not in row.final or row.final[key].rank != 1:
        return False
    return sum(key in r.final and r.final[key].rank is not None for r in board.rows) > 1


def _final(board: Board, name: str, keys: Iterable[str], rows: Sequence[Row]) -> list[Table]:
    present = [key for key in keys if any(key in row.final for row in rows)]
    if not present and (board.signatures or name != "Quality"):  # a board of failures shows its rows once
        return []
    table = [
        (*head(row), *(as_part(row.final.get(key), strong=is_best(board, row, key)) for key in present)) for row in rows
    ]
    header = ("model", "status", "seeds", *(column(board, key) for key in present))
    return [Table(name, header, tuple(table), breaks(rows))]


def _ranks(board: Board) -> list[Table]:
    rows = [row for row in board.rows if row.status == "ranked"]
    entrants = {key: sum(key in row.final and row.final[key].rank is not None for row in rows) for key in MAIN}
    present = [key for key in MAIN if entrants[key] > 1][:_WIDE]
    if not present:
        return []
    table = [(head(row)[0], head(row)[2], *(places(row.final.get(key)) for key in present)) for row in rows]
    header = ("model", "seeds", *(column(board, key) for key in present))
    under = (
        "The places that a row may have, by bootstrap over seeds (95% each): from 1 + the clearly better rows to all "
        "but the clearly worse. 1–3: a tie of three.",
    )
    return [Table("Ranks", header, tuple(table), under=under)]


def _gain(board: Board) -> list[Table]:
    rows = [row for row in board.rows if row.gain]
    present = [key for key in MAIN if any(key in row.gain for row in rows)][:_WIDE]
    if not present:
        return []
    table = [
        (head(row)[0], head(row)[2], *(as_part(row.gain.get(key), signed=True) for key in present)) for row in rows
    ]
    header = ("model", "seeds", *(column(board, key) for key in present))
    under = (
        "End of training minus end of pre-training of the same run: what the adversarial training added. The interval "
        "is of the differences.",
    )
    return [Table("Gain over pre-training", header, tuple(table), breaks(rows), under)]


def _sweep(board: Board) -> list[Table]:
    rows = [row for row in board.rows if len(row.sweep) > 1]
    present = [key for key in MAIN if any(key in cells for row in rows for cells in row.sweep.values())][:_WIDE]
    if not present:
        return []
    table, lines = [], set()
    for row in rows:
        for temperature, cells in sorted(row.sweep.items()):
            table.append((head(row)[0], Part(f"{temperature:g}"), *(as_part(cells.get(key)) for key in present)))
        lines.add(len(table) - 1)
    header = ("model", "T", *(column(board, key) for key in present))
    return [Table("Temperatures", header, tuple(table), frozenset(lines))]
