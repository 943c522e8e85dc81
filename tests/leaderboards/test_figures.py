"""Figures as data: a row looks the same in every picture of a build, and rows can be told apart without colour."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.records import evaluation, record, row, tables
from plotly import graph_objects

from leaderboards.figures import DASHES, MARKERS, PALETTE, curve_figures, learning_figures, looks_of
from leaderboards.render.plots import draw_curve, draw_learning
from leaderboards.schema import Boards
from leaderboards.words import names_of

MODELS = [f"model_{letter}" for letter in "abcdefghij"]


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Boards:
    """Ten models, with references and MLE, on one board; every second of them on a second board too."""
    runs = []
    for i, model in enumerate([*MODELS, "mle", "real_text", "copy_train"]):
        ends = [evaluation(temperature=t, bleu_2=(i + t) / 20, self_bleu_2=(i + 2 * t) / 20) for t in (0.5, 1.0)]
        before = evaluation("phase_end", phase="mle", bleu_2=i / 20, self_bleu_2=i / 30)
        for scale in ("small", "full")[: 1 + i % 2]:
            name = f"{model}-{scale}"
            runs.append(record(model, 0, before, *ends, scale=scale, run_id=name, config_hash=name, n_parameters=7))
    return tables(tmp_path_factory.mktemp("looks"), *runs)


def test_a_model_looks_the_same_in_print_and_on_every_page(boards: Boards, site: Path) -> None:
    light = dict(re.findall(r"--(\w+): light-dark\((#\w+),", (site / "page.css").read_text()))
    on_page: dict[str, set[tuple[str, str, str]]] = {}
    for path in [*site.glob("data/*-curves.js"), *site.glob("data/*-learning.js")]:
        text = path.read_text()
        for one in json.loads(text[text.index("{") : text.rindex("}") + 1])["rows"]:
            look = light[one["colour"]], MARKERS[one["symbol"]][0], str(DASHES[one["dash"]])
            on_page.setdefault(one["name"], set()).add(look)
    in_print: dict[str, set[tuple[str, str, str]]] = {}
    for board in boards.boards:
        looks = looks_of(boards)[board.number]
        for figure in curve_figures(board, looks):
            lines = draw_curve(figure).legends[0].legend_handles
            for series, line in zip(figure.series, lines, strict=False):
                look = line.get_color(), line.get_marker(), str(DASHES[series.look.dash])
                in_print.setdefault(series.label, set()).add(look)
        for figure in learning_figures(board, looks):
            for series, axes in zip(figure.series, draw_learning(figure).axes, strict=False):
                (line,) = [line for line in axes.lines if line.get_linewidth() == 1.4]
                look = line.get_color(), line.get_marker(), str(DASHES[series.look.dash])
                in_print.setdefault(series.label, set()).add(look)
    assert len(boards.boards) == 2
    assert in_print == on_page
    assert in_print.keys() >= {*MODELS, "mle", "real_text (train)", "copy_train"}
    assert {len(looks) for looks in in_print.values()} == {1}
    assert len({look[:2] for looks in in_print.values() for look in looks}) == len(in_print)


def test_learning_curves_open_on_what_the_main_table_shows_and_moves_most(tmp_path: Path) -> None:
    runs = []
    for seed in range(3):
        early = replace(evaluation("phase_end", phase="mle", bleu_2=0.99, self_bleu_2=0.4, bleu_3=0.1), step=3)
        late = evaluation(bleu_2=0.98, self_bleu_2=0.8, bleu_3=0.9)
        runs.append(record("seqgan", seed, early, late, n_parameters=9))
    boards = tables(tmp_path, *runs)
    figures = learning_figures(boards.boards[0], looks_of(boards)[1])
    assert [figure.title for figure in figures] == ["self_bleu_2", "bleu_2", "bleu_3"]


def test_the_letters_of_the_tables_are_the_markers_of_the_figures(boards: Boards, site: Path) -> None:
    for board in boards.boards:
        looks = looks_of(boards)[board.number]
        (page,) = [
            p.read_text()
            for p in site.glob("board-*.html")
            if f"<h1>{names_of(boards)[board.number]}<" in p.read_text()
        ]
        for name, look in looks.items():
            assert (
                f'<span class="g {look.colour}" aria-hidden="true">{look.glyph}</span> <a class="model" href="#' in page
            )
            assert name in page
        assert len({(look.colour, look.glyph) for look in looks.values()}) == len(looks)


def test_the_models_of_most_boards_have_colours_of_their_own(boards: Boards) -> None:
    looks = min(looks_of(boards).values(), key=len).values()
    common = [look.colour for look in looks if look.colour not in ("mle", "ref")]
    assert len(set(common)) == len(common) > 4


def test_the_control_is_shown_at_first_on_a_long_board(tmp_path: Path) -> None:
    def of(model: str, i: int) -> list:
        ends = [evaluation(temperature=t, bleu_2=(i + t) / 40, self_bleu_2=(i + 2 * t) / 40) for t in (0.5, 1.0)]
        return [record(model, seed, *ends) for seed in range(3)]

    models = [*(f"gan{i}" for i in range(14)), "copy_train", "mle", "constant_reward"]
    controls = [
        replace(r, run_id=f"{k}{r.run_id}", config_hash=f"{k}", model_config={"g_steps": k})
        for k in range(13)
        for r in of("constant_reward", 3)
    ]
    boards = tables(tmp_path, *(r for i, model in enumerate(models[:-1]) for r in of(model, i)), *controls)
    (figure,) = curve_figures(boards.boards[0], looks_of(boards)[1])
    waits = {series.label: series.waits for series in figure.series}
    assert (waits["mle"], waits["copy_train"]) == (False, True)
    assert sum(not waits[label] for label in waits if label.startswith("constant_reward")) == 1


def test_rows_differ_without_colour(tmp_path: Path) -> None:
    runs = [
        record(
            model, 0, evaluation(bleu_2=i / 9), run_id=f"{model}{i}", config_hash=f"{model}{i}", model_config={"lr": i}
        )
        for model in [*MODELS, "mle", "copy_train"]
        for i in range(2)
    ]
    (looks,) = looks_of(tables(tmp_path, *runs)).values()
    assert len(looks) == 24
    assert len({(look.marker, look.filled, look.dash) for look in looks.values()}) == 24
    assert {looks[f"mle (lr={i})"].colour for i in range(2)} == {"mle"}


def test_learning_curves_are_of_completed_runs_and_show_failed_ones(tmp_path: Path) -> None:
    points = [evaluation("cadence", bleu_2=0.1), evaluation(bleu_2=0.3)]
    runs = [
        record("seqgan", 0, *at(points, 10, 20)),
        record("seqgan", 1, *at([*points, evaluation(bleu_2=0.5)], 10, 20, 20)),
        record("seqgan", 2, *at(points, 5, 10), status="failed", error="no"),
    ]
    boards = tables(tmp_path, *runs)
    (figure,) = learning_figures(boards.boards[0], looks_of(boards)[1])
    (series,) = figure.series
    assert series.label == row(boards.boards[0], "seqgan").label
    assert [(p.x, p.y, p.n) for p in series.points] == [(10, pytest.approx(0.1), 2), (20, pytest.approx(0.4), 2)]
    assert [(p.seed, p.x, p.y) for p in series.seeds] == [
        *[(0, 10, 0.1), (0, 20, 0.3), (1, 10, 0.1), (1, 20, 0.5), (2, 5, 0.1), (2, 10, 0.3)]
    ]


def at(points: list, *steps: int) -> list:
    """The evaluations at these steps."""
    return [replace(point, step=step) for point, step in zip(points, steps, strict=True)]


def test_the_palette_has_a_colour_for_each_ground() -> None:
    assert len({colour for pair in PALETTE.values() for colour in pair}) == 2 * len(PALETTE)


def test_plotly_knows_every_marker_and_line() -> None:
    """Where no browser is there to try it."""
    for marker in MARKERS:
        graph_objects.Scatter(marker={"symbol": [marker, f"{marker}-open"]})
    for dash in DASHES:
        graph_objects.Scatter(line={"dash": dash})
    with pytest.raises(ValueError, match="symbol"):
        graph_objects.Scatter(marker={"symbol": "o"})
