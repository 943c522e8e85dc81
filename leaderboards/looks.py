"""How pictures look: sizes, and a colour, a marker and a line for every row.

Models keep their look in every picture; colour, marker and line differ together, so that no reader needs the colour.
Palette: Okabe and Ito, Color Universal Design, 2008.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from leaderboards.schema import BASELINE, REFERENCES, Board
from leaderboards.text import plain

__all__ = ["ARROWS", "COLUMN", "PAGE", "RC", "Style", "literal", "short", "styles"]

COLUMN, PAGE = 3.4, 7.0
"""Width of a column and of a page of a paper, inches."""
ARROWS = {"higher": "(higher is better)", "lower": "(lower is better)", "real": "(as real text is best)"}
RC: Any = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 6.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.formatter.useoffset": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "textgan-bench",
    "text.usetex": False,
    "text.parse_math": False,
}
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("s", "D", "^", "v", "P", "X", "p", "d")
_DASHES: tuple[Any, ...] = ("-", "--", "-.", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))
_GREYS = ("0.62", "0.42", "0.75", "0.52")
_OF_REFERENCES = dict(zip(REFERENCES, ("*", "x", "+", ">", "<"), strict=True))
_DOTS = dict(zip(REFERENCES, (":", ":", ":", (0, (1, 1)), (0, (4, 1, 1, 1))), strict=True))
_LETTERS = 24
"""Of a name in a legend of two columns."""


@dataclass(frozen=True)
class Style:
    """How a row looks."""

    colour: str
    marker: str
    dashes: Any
    width: float
    """Of the line, points."""
    filled: bool
    """Markers of every second row of a model are open."""


def styles(board: Board) -> dict[str, Style]:
    """Label -> look. A model looks the same on all boards that have the same models."""
    rows = [*board.rows, *board.apart]
    models = sorted({row.model for row in rows if row.model not in (*REFERENCES, BASELINE)})
    place = {model: i for i, model in enumerate(models)}
    seen: dict[str, int] = {}
    found = {}
    for row in rows:
        variant = seen[row.model] = seen.get(row.model, -1) + 1
        filled = variant % 2 == 0
        if row.model in REFERENCES:
            grey = _GREYS[variant % len(_GREYS)]
            found[row.label] = Style(grey, _OF_REFERENCES[row.model], _DOTS[row.model], 0.9, filled)
        elif row.model == BASELINE:
            found[row.label] = Style("black", "o", _DASHES[variant % len(_DASHES)], 1.6, filled)
        else:
            i = place[row.model]
            dashes = _DASHES[(i // len(_COLOURS) + variant) % len(_DASHES)]
            found[row.label] = Style(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)], dashes, 1.1, filled)
    return found


def literal(text: str) -> str:
    """Text that matplotlib prints as it is: no leading `_`, which would hide it from a legend."""
    shown = plain(text)
    return f" {shown}" if shown.startswith("_") else shown


def short(text: str, letters: int = _LETTERS) -> str:
    """A name of a row, shortened in the middle: its beginning and its end tell it from others."""
    if len(text) > letters:
        text = f"{text[: letters - 11]}…{text[-10:]}"
    return literal(text)
