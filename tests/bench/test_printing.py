"""What is printed is whole and steers nothing: tables of any width, names of anybody, documents for programs."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import logging
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import warnings
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import call_bench
from helpers.paths import ROOT
from helpers.records import evaluation, only, record, tables
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

import leaderboards.__main__
from bench.cli import app
from bench.score.report import as_csv
from bench.streams import Head, print_prose, print_table, take_any_text
from bench.text.escapes import csv_cell, csv_text, csv_value, json_text, shown, shown_name
from leaderboards.render.csv import to_csv
from leaderboards.render.terminal import print_boards

STEERING = "\x1b\x07\x9b\u202e\u2066\u200f\x7f\x00\u2028"
ESCAPES = ["a\x1b]0;t\x07b", "c1\x9b31m", "turned\u202eround", "[bold]x[/y]"]
EVIL = [*ESCAPES, "=cmd|' /C calc'!A0", "del\x7f", "two\nlines"]
LINES = ["the dog sleeps", "a cat runs", "the dog sleeps in the house"]


def steers(text: str) -> set[str]:
    return set(STEERING) & set(text)


def plain_terminal(width: int) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, width=width, force_terminal=True, color_system=None), file


def first_column(output: str) -> str:
    """The texts on the left, put together from the lines that they are folded to."""
    return "".join(
        re.split(r" {2,}", line.strip())[0] if line[:1] == " " != line[1:2] else "" for line in output.splitlines()
    )


@pytest.mark.parametrize("width", [1, 20, 40, 80, 200])
def test_a_table_is_cut_at_no_width(width: int) -> None:
    names = [f"a_long_name_that_all_models_share_and_{i}." for i in range(12)]
    heads = [Head("model", left=True), *(Head(f"score\n{i}") for i in range(9)), Head("note", left=True)]
    rows = [[name, *(f"{n}.{i:03d}±.012" for i in range(9)), "some words"] for n, name in enumerate(names)]
    console, file = plain_terminal(width)
    print_table(console, heads, [rows[:5], rows[5:]])
    output = file.getvalue()
    assert "…" not in output
    assert all(cell in output for row in rows for cell in row[1:-1])
    assert max(map(len, output.splitlines())) <= max(width, 16 + 11 + 6)  # the first column, folded, and one more
    column = first_column(output)
    assert [column.count(name) for name in names] == [output.count(" model ")] * 12


def test_names_that_are_folded_stay_different() -> None:
    names = [f"mle_with_a_setting_{'x' * 30}_{i}." for i in range(30)]
    console, file = plain_terminal(30)
    print_table(console, [Head("file", left=True), Head("unique")], [[[name, "1.0000"] for name in names]])
    assert first_column(file.getvalue()).endswith("".join(names))


def test_prose_is_wrapped_between_words_only() -> None:
    path = "runs/" + "a" * 150 + "/record.json"
    console, file = plain_terminal(40)
    print_prose(console, f"  - {path}: a reason that has many words and many more words than one line\nb\u202e")
    lines = file.getvalue().splitlines()
    assert any(path in line for line in lines)
    assert max(len(line) for line in lines if path not in line) <= 40
    assert lines[-1] == "b\\u202e"


@pytest.fixture
def forty(tmp_path: Path) -> list[Path]:
    files = [tmp_path / f"a_long_beginning_that_all_share_mle_0.{i}.txt" for i in range(40)]
    for i, file in enumerate(files):
        file.write_text("".join(f"{line}\n" for line in LINES[: 1 + i % 3] * 3))
    return files


@pytest.mark.parametrize("columns", [None, "0", "1", "40", "80"])
def test_forty_files_in_a_pipe(columns: str | None, forty: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    arguments = ["score", *map(str, forty), "--references", str(forty[2]), "--metric", "unique", "--metric", "distinct"]
    output = call_bench(*arguments).stdout
    names = [file.name for file in forty]
    differences = [f"{name} − {names[0]}" for name in names[3::3]]  # of the files with as many sentences
    (head,) = [line for line in output.splitlines() if line.strip().startswith("score")]
    assert re.split(r"\s{2,}", head.strip()) == ["score", "better", "real text", *names, *differences]
    (line,) = [line for line in output.splitlines() if line.strip().startswith("unique ")]
    assert len(re.findall(r"[01]\.\d{4} ± ", line)) == 41
    assert "mle_.1" not in output


def test_numbers_lose_their_zero_and_names_do_not(forty: list[Path]) -> None:
    output = call_bench("score", *forty[:7:3], "--references", forty[0]).stdout
    assert f"− difference to {forty[0].name}; p by" in output
    assert "* p < .05" in output
    assert "p<.001" in output or "p=." in output or "p=1.000" in output


@pytest.mark.parametrize("width", [40, 80])
def test_forty_files_on_a_terminal(width: int, forty: list[Path]) -> None:
    words = ["score", *map(str, forty), "--references", str(forty[2]), "--metric", "unique"]
    output = on_terminal(width, "bench", *words)
    assert all(file.name in first_column(output) for file in forty)
    assert output.count(" ± ") >= 41
    assert "…" not in output


def on_terminal(width: int, program: str, *words: str) -> str:
    """What a terminal gets, without rich's colours and moves."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", program, *words],
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": str(width)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    parts = []
    while True:
        try:
            parts.append(os.read(ours, 1 << 16))
        except OSError:  # the other end is closed
            break
    process.wait(60)
    os.close(ours)
    text = b"".join(parts).decode(errors="replace").replace("\r\n", "\n")
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)


@pytest.mark.parametrize("name", EVIL)
def test_a_name_steers_nothing_in_any_form(name: str, tmp_path: Path) -> None:
    samples = tmp_path / "samples.txt"
    samples.write_text("".join(f"{line}\n" for line in LINES))
    words = ["score", str(samples), str(samples), "--references", str(samples), "--name", name, "--name", "other"]

    def printed(*more: str) -> str:
        result = call_bench(*words, *more)
        assert not steers(result.output)
        return result.stdout

    assert shown_name(name) in printed("--metric", "unique")
    assert json.loads(printed("--json", "--metric", "unique"))["files"][0]["name"] == name
    rows = list(csv.DictReader(io.StringIO(printed("--csv", "--metric", "unique"))))
    assert [csv_value(row["name"]) for row in rows] == [name, "other"]
    assert all(not cell.startswith(tuple("=+-@\t\r\n")) for row in rows for cell in row.values() if not number(cell))


def number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", ESCAPES)
def test_a_path_steers_nothing_in_a_message(name: str, tmp_path: Path) -> None:
    broken = tmp_path / f"{name.replace('/', '')}.txt"
    broken.write_bytes(b"\xff\xfe\x00bad\n")
    commands: list[tuple[Any, list[str]]] = [
        (app, ["score", str(broken), "--references", str(broken)]),
        (app, ["explain-score", str(broken), "--references", str(broken)]),
        (app, ["score", str(broken), name]),
        (app, ["run", name, "grammar"]),
        (app, ["run", "mle", "grammar", name]),
        (app, [name]),
        (app, ["run", "mle", "grammar", f"--{name}"]),
        (app, ["run", "mle", "grammar", "--set", name]),
        (app, ["sample", str(broken)]),
        (app, ["suite", str(broken)]),
        (app, ["sync", str(broken)]),
        (app, ["show", name]),
        (app, ["reproduce", name]),
        (leaderboards.__main__.app, ["build", str(tmp_path / name / "none")]),
        (leaderboards.__main__.app, ["add", str(broken)]),
        (leaderboards.__main__.app, ["verify", str(broken)]),
        (leaderboards.__main__.app, ["upgrade", str(broken)]),
        (leaderboards.__main__.app, ["published", "--task", name]),
        (leaderboards.__main__.app, [name]),
    ]
    for program, words in commands:
        result = CliRunner().invoke(program, words)
        assert result.exit_code != 0, words
        assert not steers(result.output), words
        assert not result.exception or isinstance(result.exception, SystemExit), words


def test_what_is_added_refused_and_written_steers_nothing(tmp_path: Path) -> None:
    place, kept = tmp_path / "r\x1b[31m\u202e", tmp_path / "\x9bkept"
    record("seqgan", 0, evaluation(bleu_2=0.5)).write(place / "x" / "record.json")
    for words in (["build", place], ["add", place, "--results", kept], ["verify", place]):
        result = CliRunner().invoke(leaderboards.__main__.app, list(map(str, words)))
        assert "\\x1b[31m\\u202e" in result.output, words
        assert not steers(result.output)


def test_a_bar_shows_the_name_as_it_is(tmp_path: Path) -> None:
    samples = tmp_path / "[bold]\x9bx.txt"
    samples.write_text("".join(f"{line}\n" for line in LINES))
    output = on_terminal(100, "bench", "score", str(samples), "--references", str(samples), "--metric", "unique")
    assert "reading [bold]\\x9bx.txt" in output
    assert not steers(output)


@pytest.mark.parametrize("terminal", [True, False])
def test_sentences_are_data_in_a_pipe_and_steer_no_terminal(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = ["a\x1b[31m b", "می‌خواهم", "x\u202ey"]
    model = type("Model", (), {"sample": lambda *_, **__: sentences})()
    monkeypatch.setattr("bench.api.load", lambda *_, **__: model)
    monkeypatch.setattr(Console, "is_terminal", property(lambda _: terminal))
    output = call_bench("sample", "folder").stdout
    expected = ["a\\x1b[31m b", "می‌خواهم", "x\\u202ey"] if terminal else sentences
    assert output == "".join(f"{sentence}\n" for sentence in expected)


def test_what_is_logged_or_warned_of_steers_nothing() -> None:
    code = (
        "import logging, warnings; from bench.streams import take_any_text; take_any_text();"
        "logging.getLogger('bench.x').warning('a server says %s', '\\x1b]0;t\\x07\\u202e');"
        "warnings.warn('a file \\x9b', stacklevel=1)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "a server says \\x1b]0;t\\x07\\u202e" in done.stderr
    assert "a file \\x9b" in done.stderr
    assert not steers(done.stderr)


def test_a_stream_that_cannot_be_set_stops_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.TextIOWrapper):
        def reconfigure(self, **_: Any) -> None:
            raise OSError(29, "Illegal seek")

    monkeypatch.setattr(sys, "stdout", Gone(io.BytesIO()))
    factory, usual = logging.getLogRecordFactory(), warnings.formatwarning
    try:
        take_any_text()
    finally:
        logging.setLogRecordFactory(factory)
        warnings.formatwarning = usual


@given(st.text(), st.text())
def test_cells_come_back(text: str, other: str) -> None:
    cell = csv_cell(text)
    assert csv_value(cell) == text
    assert not cell.startswith(tuple("=+-@\t\r\n"))
    assert not steers(cell)
    document = csv_text(("a", "b", "n"), [{"a": text, "b": other, "n": -0.5}, {"a": other}])
    read = list(csv.reader(io.StringIO(document, newline="")))
    assert read == [["a", "b", "n"], [cell, csv_cell(other), "-0.5"], [csv_cell(other), "", ""]]
    assert len(document.splitlines()) == 3


@given(st.text())
def test_what_is_shown_steers_nothing_and_json_reads_the_same(text: str) -> None:
    assert not steers(shown(text))
    assert "\n" not in shown_name(text)
    document = json_text(json.dumps([text], ensure_ascii=False))
    assert not steers(document)
    assert json.loads(document) == [text]


@pytest.mark.parametrize("model", [*EVIL, "+1", "-1", "@x", "\tx", "a\rb", "'quoted", '"quoted"'])
def test_the_csv_of_boards_holds_no_formula_and_no_torn_line(model: str, tmp_path: Path) -> None:
    boards = tables(tmp_path, record(model, 0, evaluation(bleu_2=0.5), run_id="r0", config_hash="c0"))
    text = to_csv(boards)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert {csv_value(row["model"]) for row in rows} == {model}
    assert len(text.splitlines()) == len(rows) + 1
    assert not steers(text)
    cells = [cell for row in rows for cell in row.values()]
    assert all(not cell.startswith(tuple("=+-@\t\r\n")) for cell in cells if not number(cell))


def test_a_file_that_was_not_given_a_name_is_a_cell_too(tmp_path: Path) -> None:
    assert as_csv([], "=task").count("\n") == 1
    rows = csv.reader(io.StringIO(csv_text(("file",), [{"file": Path("=x.txt")}])))
    assert list(rows) == [["file"], ["'=x.txt"]]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_every_cell_of_a_board_is_on_a_terminal_of_any_width(width: int, tmp_path: Path) -> None:
    from leaderboards.tables.board import text_tables

    models = [f"a_long_beginning_that_is_shared_{i}" for i in range(3)]
    values = {f"{m}_{n}": 0.111 * n for m in ("bleu", "self_bleu") for n in range(2, 6)}
    scored = [evaluation(**{key: value + seed / 100 for key, value in values.items()}) for seed in range(3)]
    boards = tables(tmp_path, *(record(model, seed, e) for model in models for seed, e in enumerate(scored)))
    console, file = plain_terminal(width)
    print_boards(boards, console)
    output = file.getvalue()
    assert "…" not in output
    for table in text_tables(only(boards)):
        for line in table.lines:
            for column, cell in zip(table.columns, line.cells, strict=True):
                if not column.left:
                    assert column.text(cell) in output
    assert all(model in first_column(output) for model in models)
