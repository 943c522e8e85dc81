"""What is seen first: boards in words, the short leaderboard, its pages, main tables, every score in one file."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from helpers.commands import call_leaderboards
from helpers.records import evaluation, example, only, record, row, tables
from markdown_it import MarkdownIt
from rich.console import Console

from bench.published import read_published
from bench.record import Alarm
from leaderboards.headline import (
    headline_curve,
    headline_keys,
    leading_board,
    most_telling,
    n_trained,
    unknown_words_decide,
)
from leaderboards.render.front import BEGIN, END, FIGURE, write_overview, write_readme
from leaderboards.render.markdown import LEGEND, LINES, to_overview
from leaderboards.render.plots import shortened
from leaderboards.render.scores import SCORE_COLUMNS, score_lines, write_csv, write_parquet
from leaderboards.render.terminal import print_overview
from leaderboards.schema import Board, Boards, Row
from leaderboards.tables.board import main_table
from leaderboards.tables.reported import with_published
from leaderboards.words import names_of, page_names

_LINK = re.compile(r"\]\(([^)\s]+)\)")


def boards_of(board: Board, *changes: dict[str, object]) -> Boards:
    """The same board again and again, changed."""
    boards = [replace(board, number=i, **change) for i, change in enumerate(changes, 1)]  # type: ignore[arg-type]
    return Boards(boards=boards, reasons=[], notices=[], problems=[])


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return only(tables(tmp_path, *example()))


@pytest.mark.parametrize(
    ("task", "config", "scale", "name"),
    [
        ("image_coco", {"split": "published", "n_valid": 0}, "small", "COCO captions, published split, small scale"),
        ("emnlp_news", {"n_valid": 1000}, "paper", "EMNLP 2017 news, published scale"),
        ("oracle_lstm", {"parameters": "leakgan40", "length": 40}, "samples",
         "LeakGAN's oracle, length 40, files of samples"),
        ("oracle_lstm", {"parameters": "seeded"}, "smoke", "Random oracle, smoke scale"),
        ("text_file", {"path": "/a/b/my.txt", "level": "char"}, "small", "Own text my.txt, by character, small scale"),
        ("my_task\n", {"depth": 3}, "small", "my_task , small scale"),
    ],
)  # fmt: skip
def test_a_board_in_words(board: Board, task: str, config: dict[str, object], scale: str, name: str) -> None:
    boards = boards_of(board, {"task": task, "task_config": config, "scale": scale})
    assert names_of(boards) == {1: name}
    assert re.fullmatch(r"[a-z0-9-]+", page_names(boards)[1])


def test_boards_of_one_name_say_what_they_differ_in(board: Board) -> None:
    config = {"split": "published", "n_valid": 1000}
    boards = boards_of(
        board,
        {"task": "image_coco", "task_config": config},
        {"task": "image_coco", "task_config": config | {"n_valid": 0}},
        {"task": "image_coco", "task_config": config, "data_sha256": "b" * 64},
        {"task": "image_coco", "task_config": config, "data_sha256": "b" * 64, "signatures": {}},
    )
    names = list(names_of(boards).values())
    assert len({*names}) == len({*page_names(boards).values()}) == 4
    assert "no validation part" in names[1]
    assert "1,000 sentences for validation" in names[0]
    assert ["data" in name for name in names] == [True, False, True, True]
    assert ["protocol" in name for name in names] == [False, False, True, True]


def test_names_that_stand_together_are_never_cut_alike() -> None:
    names = [f"constant_reward (g_steps={g}, mle_steps=18720, reward={r})" for g in (90, 200) for r in ("one", "noise")]
    found = shortened([*names, "mle", names[0]])
    assert len({*found}) == 5
    assert found[0] == found[-1] == "constant_reward g_steps=90 reward=one"
    assert shortened(["a_long_name_of_a_model_that_stands_alone"]) == ["a_long_name_o…ands_alone"]


def test_the_short_leaderboard_is_short_whatever_is_in_it(board: Board) -> None:
    for n in (1, 12, 60):
        boards = boards_of(board, *({"task_config": {"number": i}} for i in range(n)))
        text = to_overview(boards, "pages")
        assert text.count("\n") <= LINES
        for name in names_of(boards).values():
            assert name in text.replace("\\", "")
    assert "### " not in to_overview(boards_of(board, *({"task_config": {"n": i}} for i in range(190))), "pages")


def test_boards_that_compare_few_models_lose_their_tables_first(board: Board) -> None:
    few = [row for row in board.rows if row.status == "reference"]
    changes = [{"task_config": {"number": i}, **({"rows": few} if i % 2 else {})} for i in range(24)]
    boards = boards_of(board, *changes)
    names, text = names_of(boards), to_overview(boards, "pages").replace("\\", "")
    told = [number for number, name in names.items() if f"### {name}\n" in text]
    order = sorted(names, key=lambda number: (-n_trained(boards.boards[number - 1]), number))
    assert 12 < len(told) < 24
    assert set(told) == set(order[: len(told)])
    pages = page_names(boards)
    for number, name in names.items():
        assert f"\n{number}. [{name}]({'#' if number in told else f'pages/{pages[number]}.md'}" in text


def test_the_board_that_stands_for_all_has_published_numbers(board: Board) -> None:
    assert headline_curve(board) is not None
    more = [replace(row, model=f"model{i}") for i, row in enumerate(board.rows)]
    boards = boards_of(board, {"published": ()}, {"published": (), "rows": [*board.rows, *more]})
    assert leading_board(boards) is boards.boards[1]
    boards = boards_of(board, {"rows": [*board.rows, *more], "published": ()}, {"published": ("a number",)}, {})
    assert leading_board(boards) is boards.boards[1]


def test_a_board_where_unknown_words_decide_stands_for_none_but_itself(board: Board) -> None:
    def with_share(share: float) -> list[Row]:
        unknown = {"lm_score_unknown": replace(next(iter(board.rows[0].final.values())), mean=share)}
        return [replace(r, final=r.final | unknown) if r.model == "real_text" else r for r in board.rows]

    published = {"published": ("a number",)}
    boards = boards_of(board, {"rows": with_share(0.06), **published}, {"rows": with_share(0.04), "published": ()})
    assert [unknown_words_decide(one) for one in boards.boards] == [True, False]
    assert leading_board(boards) is boards.boards[1]
    alone = boards_of(board, {"rows": with_share(0.06), **published})
    assert leading_board(alone) is alone.boards[0]


def test_its_links_lead_to_headings_and_pages(tmp_path: Path, board: Board) -> None:
    names = ("", "a's (b) [c], d_e", "a*b", "a*b")
    boards = boards_of(board, *({"task": name, "data_sha256": f"{i}" * 64} for i, name in enumerate(names)))
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "mine.md").write_text("# Mine\n")
    (tmp_path / "pages" / "gone.md").write_text("# Gone\n\n[All boards](../TABLE.md) · what was a board\n")
    write_overview(boards, tmp_path / "TABLE.md", tmp_path / "pages")
    kept = {path.name for path in (tmp_path / "pages").iterdir()}
    pages = {f"{name}.md" for name in page_names(boards).values()}
    assert kept == {"mine.md", LEGEND, f"{FIGURE}.svg", f"{FIGURE}-dark.svg", *pages}
    text = (tmp_path / "TABLE.md").read_text()
    headings = MarkdownIt("commonmark").enable("table").parse(text)
    titles = [headings[i + 1].content for i, token in enumerate(headings) if token.type == "heading_open"]
    assert len(titles) == len({*titles})
    links = _LINK.findall(text)
    assert sum(link.startswith("#") for link in links) == 4
    for link in links:
        assert link.startswith("#") or (tmp_path / link).is_file(), link
    for page in pages:
        for link in _LINK.findall((tmp_path / "pages" / page).read_text().split("\n")[2]):
            assert (tmp_path / "pages" / link).is_file()


def test_the_main_table_says_quality_diversity_and_state(tmp_path: Path) -> None:
    ends = [("mle", 0.7, 0.8), ("seqgan", 0.6, 0.9)]
    runs = [
        record(model, seed, evaluation(bleu_2=b + seed / 100, self_bleu_2=s, nll_gen=4.0))
        for model, b, s in ends
        for seed in range(3)
    ]
    runs[-1] = replace(runs[-1], alarms=(Alarm(kind="collapse", phase="adversarial", step=9, message="few"),))
    runs.append(record("relgan", 0, evaluation(bleu_2=0.5, self_bleu_2=0.4)))
    board = only(tables(tmp_path, *runs))
    assert [word for word, _ in headline_keys(board)] == ["both", "quality", "diversity"]
    table, left_out = main_table(board, 10)
    states = {line.row.model: table.columns[1].text(line.cells[1]) for line in table.lines if line.row is not None}
    assert left_out == 0
    assert states == {"mle": "baseline", "seqgan": "ranked, collapsed 1/3", "relgan": "incomplete 1/1"}
    assert [line.row.model for line in main_table(board, 1)[0].lines if line.row is not None] == ["mle"]


def test_a_published_number_stands_beside_the_score_that_it_is_of(tmp_path: Path) -> None:
    scores = {"bleu_2": 0.7, "self_bleu_2": 0.8, "nll_gen": 4.0}
    board = only(tables(tmp_path, *(record("seqgan", seed, evaluation(**scores)) for seed in range(3))))
    quality = dict(headline_keys(board))["quality"]
    printed = replace(read_published()[0], model="SeqGAN", key=quality, value="0.745", source="a paper")
    board = replace(board, published={"a paper": [printed]})
    table, source = with_published(board, main_table(board, 10)[0])
    titles = [column.title for column in table.columns]
    place = titles.index(f"published {quality}")
    assert titles[place - 1].startswith(f"quality {quality}")
    assert titles[place + 1].startswith("diversity")
    (line,) = table.lines
    assert "0.745" in table.columns[place].text(line.cells[place])
    assert source == "a paper"
    selected = replace(board, rows=[replace(row, selected=True) for row in board.rows])
    (line,) = with_published(selected, main_table(selected, 10)[0])[0].lines
    assert "0.745" not in table.columns[place].text(line.cells[place])


def test_every_version_of_a_users_own_model_is_shown_first(board: Board) -> None:
    theirs = [
        replace(board.rows[-1], model="mine.py:Mine", label=f"mine {i}", status="under-trained") for i in range(3)
    ]
    long = replace(board, rows=[*board.rows, *(replace(one, of_user=True) for one in theirs)])
    assert [one.label for one in most_telling(long, 4) if one.of_user] == ["mine 0", "mine 1", "mine 2"]
    others = replace(board, rows=[*board.rows, *theirs])
    assert [one.label for one in most_telling(others, 4) if one.model == "mine.py:Mine"] == []


def test_a_users_own_model_is_called_by_its_file_or_its_class(board: Board) -> None:
    own = replace(board.rows[-1], model="mine.py:Mine", label="mine.py:Mine (lr=1)")
    assert [own.is_called(word) for word in ("mine", "Mine", "mine.py:Mine", "mine.py:Mine (lr=1)")] == [True] * 4
    assert not own.is_called("")
    assert not row(board, "mle").is_called("")


def test_a_long_board_keeps_its_models(board: Board) -> None:
    kept = most_telling(board, len(board.rows) - 1)
    gone = [one for one in board.rows if one not in kept]
    assert len(gone) == 1
    assert gone[0].status == "reference" or not gone[0].baseline
    assert row(board, "mle") in most_telling(board, 1)
    control = replace(board.rows[0], model="constant_reward", label="constant_reward", status="reference")
    many = [replace(row(board, "mle"), model=f"m{i}", label=f"m{i}", baseline=False, status="ranked") for i in range(9)]
    long = most_telling(replace(board, rows=[*board.rows, control, *many]), 9)
    assert control in long  # what a gain is compared with


def test_the_terminal_of_80_columns_holds_the_main_tables(board: Board) -> None:
    file = StringIO()
    boards = Boards(boards=[board], reasons=list("abcdef"), notices=["one was not counted"], problems=["no JSON"])
    print_overview(boards, "All tables: there.", Console(file=file, width=80))
    told = file.getvalue()
    assert max(map(len, told.splitlines())) <= 80
    for words in ("All tables: there.", "one was not counted", "no JSON", "6 reasons", "seqgan", names_of(boards)[1]):
        assert words in told


def test_the_command_is_brief_unless_everything_is_asked_for(tmp_path: Path) -> None:
    tables(tmp_path, *example())
    brief = call_leaderboards("build", tmp_path / "runs")
    full = call_leaderboards("build", tmp_path / "runs", "--full")
    assert len(brief.stdout.splitlines()) < len(full.stdout.splitlines()) / 2
    assert "leaderboard.md, or --full" in brief.stdout.replace("\n", " ")
    assert "How to read this" in full.stdout


def test_every_score_of_every_seed_in_one_file(tmp_path: Path) -> None:
    boards = tables(tmp_path, *example())
    lines = list(score_lines(boards))
    wanted = {
        (run.run_id, temperature, key): value
        for board in boards.boards for one in (*board.rows, *board.apart) for run in one.runs
        for temperature, values in run.values.items() for key, value in values.items()
    }  # fmt: skip
    ends = {(line["run_id"], line["temperature"], line["key"]): line["value"] for line in lines if line["at"] == "end"}
    assert ends == wanted
    assert all(tuple(line) == SCORE_COLUMNS for line in lines)
    written = pd.read_csv(write_csv(boards, tmp_path / "s.csv"))
    stored = pd.read_parquet(write_parquet(boards, tmp_path / "s.parquet"))
    assert list(written.columns) == list(stored.columns) == list(SCORE_COLUMNS)
    assert written["value"].tolist() == stored["value"].tolist() == [line["value"] for line in lines]


def test_the_block_of_a_readme(tmp_path: Path) -> None:
    boards = tables(tmp_path, *example())
    readme, table, pages = tmp_path / "README.md", tmp_path / "T.md", tmp_path / "pages"
    readme.write_text(f"# Mine\n\n{BEGIN}\nold\n{END}\nrest\n")
    write_overview(boards, table, pages)
    write_readme(boards, readme, table, pages)
    first = readme.read_text()
    assert first.startswith(f"# Mine\n\n{BEGIN}\n\n")
    assert first.endswith(f"{END}\nrest\n")
    assert "old" not in first
    assert "| mle" in first
    for link in _LINK.findall(first):
        assert (tmp_path / link).is_file(), link
    write_readme(boards, readme, table, pages)
    assert readme.read_text() == first


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"])
def test_a_readme_without_its_two_marks_is_refused_before_anything_is_written(tmp_path: Path, text: str) -> None:
    tables(tmp_path, *example())
    (tmp_path / "README.md").write_text(text)
    out = ["--markdown", str(tmp_path / "T.md"), "--pages", str(tmp_path / "pages")]
    told = call_leaderboards("build", tmp_path / "runs", *out, "--readme", tmp_path / "README.md", code=2)
    assert BEGIN in told.stderr.replace("\n", " ") or BEGIN in told.stderr
    assert not (tmp_path / "T.md").exists()


@pytest.mark.parametrize(("options", "said"), [(["--pages", "p"], "--markdown"), (["--readme", "r"], "--pages")])
def test_options_that_need_another(tmp_path: Path, options: list[str], said: str) -> None:
    told = call_leaderboards("build", tmp_path, *options, code=2)
    assert said in told.stderr
