"""What a first look shows: which board stands for all, which curve and which scores for a board, which of its rows."""

from __future__ import annotations

from bench.record import REAL_TEXT
from leaderboards.schema import CONTROL, Board, Boards, Curve, Row

__all__ = [
    "FRONTIER",
    "HEADLINES",
    "REWRITING",
    "headline_curve",
    "headline_keys",
    "leading_board",
    "most_telling",
    "n_trained",
    "unknown_words_decide",
]

FRONTIER = ("nll_own", "nll_oracle")
"""The model's own entropy and its true NLL, whose difference is `kl_to_oracle`."""
HEADLINES = (("kl_from_oracle", "kl_to_oracle"), FRONTIER, ("lm_score", "reverse_lm_score"))
"""(what is matched, what is read off there), of the curve that stands for a board which has it."""
_HEADLINE = {
    "both": (
        *("nll_class", "reverse_lm_score_known", "reverse_lm_score"),
        *("ms_jaccard_5", "nll_gen_calibrated", "nll_gen"),
    ),
    "quality": ("class_accuracy", "bleu_5", "validity", "nll_oracle"),
    "diversity": ("self_bleu_5", "self_bleu_2", "unique"),
}
"""What a main table shows of each aspect where no curve says it: the first key that the rows have."""
_UNKNOWN, _MOST_UNKNOWN = "lm_score_unknown", 0.05
REWRITING = "transfer_joint"
"""The score that every row of a task of rewriting has."""
_REWRITING = {
    "class": ("transfer_accuracy",),
    "content": ("transfer_content",),
    "both": (REWRITING,),
    "answers": ("exact_match", "reference_bleu_others"),
}
"""The same where sentences are rewritten: class and content always stand together."""


def leading_board(boards: Boards) -> Board | None:
    """Of the boards that have a curve, one with published numbers before the others, then that of most models.

    First of all none where unknown words decide.
    """

    def order(board: Board) -> tuple[bool, bool, int, int]:
        return not unknown_words_decide(board), bool(board.published), n_trained(board), -board.number

    return max((board for board in boards.boards if headline_curve(board) is not None), key=order, default=None)


def unknown_words_decide(board: Board) -> bool:
    """Whether so many words of real text are unknown to the test's language model that its scores tell of them."""
    real = next((row for row in board.rows if row.model == REAL_TEXT), None)
    return real is not None and _UNKNOWN in real.final and real.final[_UNKNOWN].mean > _MOST_UNKNOWN


def n_trained(board: Board) -> int:
    """How many models were trained for the board, controls left out."""
    return len({row.model for row in board.rows if row.origin == "run" and row.status != "reference"})


def most_telling(board: Board, most: int) -> list[Row]:
    """At most so many rows, in the board's order: MLE and real text, models ranked or not, a control of each kind.

    Of a user's own model every version is shown before a second row of another model is.
    """
    first = {row.model: row.label for row in reversed(board.first_rows)}

    def further(row: Row) -> tuple[bool, ...]:
        control = row.status == "reference" and row.model not in (REAL_TEXT, CONTROL, "ngram")
        repeated = row.status != "ranked" and row.label != first[row.model] and not row.of_user
        unranked = not (row.front or row.status == "ranked" or row.of_user or row.model in (REAL_TEXT, CONTROL))
        return not row.baseline, repeated, control, row.early, unranked, not row.of_user

    kept = {row.label for row in sorted(board.first_rows, key=further)[:most]}
    return [row for row in board.first_rows if row.label in kept]


def headline_curve(board: Board) -> Curve | None:
    """The one curve over temperature that stands for the board; None where it has none.

    The divergences, where the truth is known; else what samples teach at matched plausibility; else the pair that the
    literature prints.
    """
    first = next(iter(board.curves), None)
    return first if first is not None and (first.x, first.y) in HEADLINES else _printed_curve(board)


def _printed_curve(board: Board) -> Curve | None:
    """Quality against diversity."""
    aspect = {key: meaning.aspect for key, meaning in board.meanings.items()}
    return next((c for c in reversed(board.curves) if (aspect[c.y], aspect[c.x]) == ("quality", "diversity")), None)


def headline_keys(board: Board) -> list[tuple[str, str]]:
    """(what it says, score key): exact divergences where the truth is known, then one of both, quality, diversity.

    Where sentences are rewritten: class, content, both at once, and how near people's answers.
    """
    curve = _printed_curve(board)
    ours = [row for row in board.first_rows if row.status != "reference"] or board.first_rows
    present = {key for row in ours for key in row.final}
    if REWRITING in present:
        asked = ((word, next((key for key in keys if key in present), "")) for word, keys in _REWRITING.items())
        return [(word, key) for word, key in asked if key]
    exact = [("exact", key) for key in ("kl_to_oracle", "kl_from_oracle") if key in present]
    first = {"quality": curve.y, "diversity": curve.x} if curve is not None else {}
    found: list[tuple[str, str]] = []
    for aspect in _HEADLINE:
        order = [first[aspect]] if aspect in first else []
        order += [*_HEADLINE[aspect], *(k for k, m in board.meanings.items() if m.aspect == aspect and m.ranked)]
        found += [(aspect, key) for key in order if key in present][:1]
    return exact + found or [("", key) for key in sorted(present)[:3]]
