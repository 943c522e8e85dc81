"""What comes from anybody's record is shown by every renderer as text alone, and a row's command makes it again."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import subprocess
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.fuzz import JSON, NAMES, cases
from helpers.records import evaluation, record
from hypothesis import assume, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from bench.cli import spread
from bench.config import parse_settings
from bench.record import RunRecord, read_record
from bench.run_settings import RunSettings
from bench.terminal import SafeConsole
from leaderboards.boards import build
from leaderboards.command import reproduce
from leaderboards.render.csv import write as write_csv
from leaderboards.render.latex import write as write_latex
from leaderboards.render.markdown import write as write_markdown
from leaderboards.render.page.site import write_page
from leaderboards.render.terminal import print_boards
from leaderboards.schema import Boards

PLAIN = st.recursive(
    st.one_of(
        st.booleans(), st.integers(-(10**9), 10**9), st.floats(-1e30, 1e30), NAMES.filter(lambda t: "\0" not in t)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=5,
)
"""Settings as a record can have them."""
WORDS = st.sampled_from(["lr", "steps", "path", "sizes"])


@cases(100)
@given(
    model=st.dictionaries(WORDS, PLAIN, max_size=3),
    task=st.dictionaries(WORDS, PLAIN, max_size=3),
    seed=st.integers(0, 9),
)
def test_the_command_of_a_row_has_the_settings_of_its_record(model: Any, task: Any, seed: int) -> None:
    one = replace(record("mle", seed, evaluation(bleu_2=0.5)), model_config=model, task_config=task, run=RunSettings())
    words = spread(in_a_shell(reproduce([one], Path("runs/record.json"))))
    assignments = [value for option, value in itertools.pairwise(words) if option == "--set"]
    found = parse_settings(assignments)
    expected = {f"model.{key}": value for key, value in model.items()}
    expected |= {f"task.{key}": value for key, value in task.items()}
    assert found == {**expected, "n_samples": 10_000}


def in_a_shell(command: str) -> list[str]:
    """The words of a command as bash takes them, when it is copied there."""
    script = f"printf '%s\\0' {command}"
    found = subprocess.run(["bash", "-c", script], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    return found.stdout.decode().split("\0")[:-1]


def hostile(draw: Any) -> RunRecord:
    one = record(draw(NAMES), 0, evaluation(bleu_2=0.5, self_bleu_2=0.8), run_id="r", config_hash="c")
    return replace(
        one,
        task=draw(NAMES),
        scale=draw(NAMES),
        model_config={draw(NAMES): draw(NAMES)},
        changed={draw(NAMES): draw(NAMES)},
        task_config={draw(NAMES): draw(NAMES)},
        data_facts={draw(NAMES): draw(NAMES)},
        environment={"device": draw(NAMES), draw(NAMES): draw(NAMES)},
    )


@st.composite
def hostile_records(draw: st.DrawFn) -> RunRecord:
    """Names, settings and facts with markup, control characters and what a spreadsheet or LaTeX would run."""
    return hostile(draw)


def boards_of(one: RunRecord, folder: Path) -> Boards:
    one.write(folder / "runs" / "record.json")
    assert read_record(folder / "runs" / "record.json") == one
    boards = build([folder / "runs"])
    assume(boards.boards)
    return boards


def steers(text: str) -> list[str]:
    """Characters that would move a cursor or turn a line around."""
    return [c for c in text if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@cases(25)
@given(one=hostile_records())
def test_names_in_a_terminal_in_markdown_in_latex_and_in_csv(one: RunRecord, tmp_path: Path) -> None:
    boards = boards_of(one, tmp_path)
    out = io.StringIO()
    print_boards(boards, Console(file=out, width=200, color_system=None))
    assert not steers(out.getvalue())
    text = write_markdown(boards, tmp_path / "leaderboard.md").read_text()
    assert not steers(text)
    html = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert not re.search(r"<(script|img|a href=.javascript)", html)
    latex = (write_latex(boards, tmp_path)).read_text()
    assert not steers(latex)
    said = "\n".join(line for line in latex.split("\n") if not line.startswith("%"))
    assert not re.search(r"(?<!\\)\\input\{|(?<!\\)%s", said)
    rows = list(
        csv.reader(io.StringIO(write_csv(boards, tmp_path / "leaderboard.csv").read_bytes().decode(), newline=""))
    )
    assert len({len(row) for row in rows}) == 1


@cases(6)
@given(one=hostile_records())
def test_names_in_pages(one: RunRecord, tmp_path: Path) -> None:
    boards = boards_of(one, tmp_path)
    write_page(boards, tmp_path / "page")
    for page in (tmp_path / "page").rglob("*.html"):
        text = page.read_text()
        assert "<script>alert" not in text
        assert not re.search(r"<img src=x|javascript:|<b>x", text)
        assert not steers(text)


@cases(60)
@given(text=st.one_of(NAMES, st.text(max_size=30), JSON.map(json.dumps)))
def test_text_of_anybody_on_a_console(text: str) -> None:
    console = SafeConsole()
    console._file = out = io.StringIO()
    console.print(text)
    assert not steers(out.getvalue().replace("\r\n", "\n"))
    if not steers(text) and "\t" not in text and "\n" not in text:
        assert out.getvalue() == f"{text}\n"


@pytest.mark.parametrize("text", ["[bold]x", "[/b]", "x\x1b[2J", "\u202egnp.exe"])
def test_markup_stays_text(text: str) -> None:
    console = SafeConsole()
    console._file = out = io.StringIO()
    console.print(text)
    assert not steers(out.getvalue())
