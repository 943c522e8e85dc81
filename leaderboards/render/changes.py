"""The findings as a picture: what each adversarial phase changes, loss by loss, and the control's beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from leaderboards.figures import MARKERS, Look, looks_of
from leaderboards.findings import LOSSES, MATCHED, Change, finding
from leaderboards.render.plots import LIGHT, Ground, colour_of, on_both_grounds, short
from leaderboards.schema import Boards
from leaderboards.words import names_of

__all__ = ["draw_changes", "write_changes"]

_WIDTH, _LINE, _REST = 7.0, 0.135, 0.75
"""Of the picture, of a row, and of what is above and below all rows, inches."""
_LINEAR = 0.01
"""Nats a token from 0 up to which the axis is linear; it is logarithmic beyond."""
_TICKS = {-0.1: "-.1", -0.01: "-.01", 0.0: "0", 0.01: ".01", 0.1: ".1", 1.0: "1"}
_BELOW = (
    "← nearer to its text · change over the adversarial phase, nats a token, 95% interval over seeds · away from it →\n"
    "the axis is linear up to .01 and logarithmic beyond · filled: counted as a change; grey: the control"
)

_Row = tuple[str, str]
"""Name of a board and label of a row; of a heading, no label."""


def write_changes(boards: Boards, stem: Path) -> tuple[Path, Path] | None:
    """Write the picture (`on_both_grounds`); None where the boards answer nothing. Equal records give equal bytes."""
    found = finding(boards.boards)
    if found is None:
        return None
    names, looks = names_of(boards), looks_of(boards)
    return on_both_grounds(stem, lambda ground: draw_changes(found.changes, names, looks, ground))


def draw_changes(
    changes: Sequence[Change], names: Mapping[int, str], looks: Mapping[int, Mapping[str, Look]], ground: Ground = LIGHT
) -> Picture:
    """A panel for each loss, a line for each row, below the name of its board: the mean change and its interval.

    Left of 0 is nearer to the text. Filled: a discovery. The control is grey.
    """
    rows: dict[_Row, None] = {}
    for change in changes:
        board = names[change.board.number]
        rows |= {(board, ""): None, (board, change.row.label): None}
    places = {row: -place for place, row in enumerate(rows)}
    keys = [key for key in LOSSES if any(change.key == key for change in changes)]
    picture = Picture(figsize=(_WIDTH, _REST + _LINE * len(rows)), layout="constrained")
    grid = picture.subplots(1, len(keys), sharex=True, sharey=True, squeeze=False)
    for axes, key in zip(grid.flat, keys, strict=True):
        axes.patch.set_visible(False)  # the name of a board reaches across panels
        axes.axvline(0, color="0.6", linewidth=0.6, zorder=0)
        axes.set_title(f"{key}, matched" if key == MATCHED else key, loc="left", fontsize=7)
        axes.tick_params(axis="y", length=0)
        for change in (change for change in changes if change.key == key):
            place = places[names[change.board.number], change.row.label]
            _draw(axes, change, place, looks[change.board.number][change.row.label], ground)
    _label(grid.flat[0], places, ground)
    picture.supxlabel(_BELOW, fontsize=7)
    return picture


def _draw(axes: Axes, change: Change, place: int, look: Look, ground: Ground) -> None:
    colour, mean = colour_of(look, ground), change.change
    axes.errorbar(
        mean.mean, place, xerr=mean.half_width, color=colour, marker=MARKERS[look.marker][0], markersize=3.5,
        markerfacecolor=colour if change.told else ground.paper, markeredgewidth=0.8, elinewidth=0.8, zorder=2,
    )  # fmt: skip


def _label(axes: Axes, places: Mapping[_Row, int], ground: Ground) -> None:
    """Of the first panel, which shares its axes with the others: names of rows at its side, of boards across all."""
    axes.set_xscale("symlog", linthresh=_LINEAR, linscale=0.5)
    axes.set_xticks(list(_TICKS), list(_TICKS.values()))
    axes.set_xticks([], minor=True)
    axes.set_ylim(min(places.values()) - 0.7, 0.7)
    told = {place: label for (_, label), place in places.items() if label}
    axes.set_yticks(list(told), [short(label) for label in told.values()])
    for (board, label), place in places.items():
        if not label:
            axes.annotate(board, (0, place), xycoords=axes.get_yaxis_transform(), xytext=(2, 0), fontsize=6.5,
                          textcoords="offset points", va="center", fontweight="bold", color=ground.ink,
                          bbox={"boxstyle": "square,pad=0.1", "fc": ground.paper, "ec": "none"},
                          annotation_clip=False, zorder=5).set_in_layout(False)  # fmt: skip
