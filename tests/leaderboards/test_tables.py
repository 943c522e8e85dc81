"""Tables as data: every output prints the same cells, and numbers stay whole until they are written."""

import html
import io
import re
from pathlib import Path

import pytest
from helpers.records import evaluation, example, only, record, tables
from helpers.site_of_tests import board_page
from rich.console import Console

from leaderboards.render.latex import escape_latex, to_latex
from leaderboards.render.markdown import to_markdown
from leaderboards.render.page.site import write_page
from leaderboards.render.terminal import print_boards
from leaderboards.schema import Board, Boards
from leaderboards.tables.board import main_table, page_tables, text_tables
from leaderboards.tables.cells import Cell, Column, Table


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Boards:
    return tables(tmp_path_factory.mktemp("tables"), *example())


def texts(found: list[Table]) -> set[str]:
    return {
        column.text(cell)
        for table in found
        for line in table.lines
        for column, cell in zip(table.columns, line.cells, strict=True)
    }


def test_terminal_markdown_and_latex_print_every_cell(boards: Boards) -> None:
    file = io.StringIO()
    print_boards(boards, Console(file=file, width=400))
    wanted = texts(text_tables(only(boards)))
    assert {"0.510±.025", "0.750±0†", "+0.070±.025", "7,334,990", "2.0 s"} <= wanted
    latex, markdown = to_latex(boards), to_markdown(boards)
    for text in wanted:
        assert text in file.getvalue()
        assert (
            re.sub(r"([|_\[\]])", r"\\\1", text).replace(r"\_", "_") in markdown or text.replace("_", r"\_") in markdown
        )
    numbers = [text for text in wanted if re.fullmatch(r"[\d.]+(±[\d.]+)?", text)]
    assert len(numbers) > 20
    for text in numbers:
        assert escape_latex(text) in re.sub(r"\\textbf\{(.*?)\}", r"\1", latex)


def test_the_page_prints_every_cell_of_its_tables(boards: Boards, tmp_path: Path) -> None:
    write_page(boards, tmp_path)
    page = html.unescape(re.sub(r"</?(small|b)>", "", board_page(tmp_path).read_text()))
    for table in page_tables(only(boards)):
        for line in table.lines:
            for column, cell in zip(table.columns[1:], line.cells[1:], strict=True):
                assert f">{column.text(cell)}<" in page, (table.title, column.title)


def test_a_number_is_the_same_in_every_table_that_has_it(boards: Boards) -> None:
    def scores(found: list[Table]) -> dict[tuple[str, str, str], Cell]:
        return {
            (line.row.label, column.title, column.kind): cell
            for table in found
            if table.title != "Temperatures" and "matched" not in table.title
            for line in table.lines
            if line.row is not None
            for column, cell in zip(table.columns, line.cells, strict=True)
            if column.metric and cell.value is not None and column.kind != "places" and "matched" not in column.title
        }

    board = only(boards)
    in_text, on_page = scores(text_tables(board)), scores(page_tables(board))
    assert len(in_text) == len(on_page) > 15
    assert in_text == on_page
    seqgan = next(row for row in board.rows if row.model == "seqgan")
    assert in_text["seqgan", "bleu_2 ↑", "score"].value == seqgan.final["bleu_2"].mean


def test_sorting_takes_the_number_and_not_its_text(boards: Boards) -> None:
    (scores, *_) = page_tables(only(boards))
    line = next(line for line in scores.lines if line.row is not None and line.row.model == "seqgan")
    cells = {column.title: (column, cell) for column, cell in zip(scores.columns, line.cells, strict=True)}
    orders = {title: column.order(cell) for title, (column, cell) in cells.items()}
    assert orders["bleu_2 ↑"] == "0.71"
    assert orders["parameters"] == "7334990"
    assert orders["seeds"] == "3"
    assert orders["rank in bleu_2"] == "1.0001"
    assert orders["model"] == orders["tier"] == ""


@pytest.mark.parametrize(
    ("kind", "cell", "text"),
    [
        ("score", Cell(0.71249, 0.0123, "†"), "0.712±.012†"),
        ("score", Cell(0.5, 0.0), "0.500±0"),
        ("score", Cell(-0.5, 0.0001), "-0.500±<.001"),
        ("score", Cell(123456.78), "123457"),
        ("change", Cell(0.01, 1.5), "+0.010±1.500"),
        ("places", Cell(1, 3), "1–3"),
        ("places", Cell(2), "2"),
        ("temperature", Cell(1.0), "1"),
        ("count", Cell(7334990), "7,334,990"),
        ("duration", Cell(750.0, mark=" (mle 12.5 min)"), "12.5 min (mle 12.5 min)"),
        ("words", Cell("a\nb\u202e", mark=" ‡"), "a b\ufffd ‡"),
        ("score", Cell(), ""),
    ],
)
def test_how_a_value_is_written(kind, cell: Cell, text: str) -> None:
    assert Column(title="x", kind=kind).text(cell) == text


def test_rows_of_one_status_stand_together(boards: Boards) -> None:
    board: Board = only(boards)
    (scores, *_) = page_tables(board)
    assert [(name, len(lines)) for name, lines in scores.groups] == [("reference", 2), ("ranked", 2), ("incomplete", 1)]
    assert scores.choices[0] == "Main"
    assert scores.choices[-1] == "All"
    sweep = next(table for table in text_tables(board) if table.title == "Temperatures")
    assert [name for name, _ in sweep.groups] == ["mle", "seqgan"]


def test_the_first_look_of_a_page_has_what_the_main_table_has(tmp_path: Path) -> None:
    quality = {"validity": 0.9, "lm_score": 4.6, "reverse_lm_score": 4.4, "ms_jaccard_2": 0.4, "unique": 0.9}
    runs = [record(m, i, evaluation(**quality, prdc_recall=0.5)) for m in ("mle", "seqgan") for i in range(3)]
    board = only(tables(tmp_path, *runs))
    (scores, *_) = page_tables(board)
    first_look = {column.title for column in scores.columns if "Main" in column.choices}
    headline = {column.title.split(maxsplit=1)[1] for column in main_table(board, 9)[0].columns if column.metric}
    assert len(headline) > 2
    assert headline <= first_look


def test_the_best_is_bold_only_among_several(tmp_path: Path) -> None:
    alone = only(tables(tmp_path, *(record("seqgan", i, evaluation(bleu_2=0.7 + i / 100)) for i in range(3))))
    assert not any(cell.strong for table in text_tables(alone) for line in table.lines for cell in line.cells)


def test_the_share_of_unknown_words_stands_beside_the_score_without_them(tmp_path: Path) -> None:
    """Scores of one kind share a table, and each table holds scores of one aspect."""
    quality = {"lm_score": 4.6, "lm_score_known": 4.2, "lm_score_unknown": 0.05, "validity": 0.9, "bleu_2": 0.7}
    others = {"prdc_precision": 0.8, "prdc_density": 0.7, "prdc_recall": 0.6, "prdc_coverage": 0.5}
    runs = [record("mle", i, evaluation(**quality, **others, unique=0.9, self_repetition=2.5)) for i in range(3)]
    board = only(tables(tmp_path, *runs))
    of_scores = {
        table.title: [key for column in table.columns if (key := column.title.split()[0]) in board.meanings]
        for table in text_tables(board)
    }
    assert of_scores["Quality: language model of known words"] == ["lm_score_known", "lm_score_unknown"]
    assert of_scores["Quality: sentence vectors"] == ["prdc_precision", "prdc_density"]
    assert of_scores["Diversity"] == ["unique", "self_repetition", "prdc_recall"]
    aspects = {title: {board.meanings[key].aspect for key in keys} for title, keys in of_scores.items()}
    assert all(
        len(found) == 1 for title, found in aspects.items() if title.startswith(("Quality", "Diversity", "Both"))
    )
