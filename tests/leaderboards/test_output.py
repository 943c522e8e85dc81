"""What the leaderboard shows and writes: Markdown, CSV, terminal, published numbers, exit codes."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path

import pytest
from helpers.commands import call_leaderboards
from helpers.paths import ROOT
from helpers.records import evaluation, example, only, record, row, tables
from markdown_it import MarkdownIt
from rich.console import Console

from bench.published import read_published
from leaderboards.formats import plain
from leaderboards.published import published_for
from leaderboards.render.csv import to_csv
from leaderboards.render.markdown import to_markdown
from leaderboards.render.terminal import print_boards
from leaderboards.schema import Boards

GOLDEN = Path(__file__).parent / "golden.md"


def test_golden_markdown(tmp_path: Path) -> None:
    text = to_markdown(tables(tmp_path, *example()))
    assert text.count("### reported") > 1
    text = re.sub("### reported.*?(?=### Signatures)", "", text, flags=re.DOTALL)
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_absent_is_blank(tmp_path: Path) -> None:
    text = to_markdown(tables(tmp_path, *example()))
    line = next(x for x in text.splitlines() if x.startswith("| copy_train") and "0.890" in x)
    assert [part.strip() for part in line.strip("|").split("|")][-1] == ""
    rows = list(csv.DictReader(io.StringIO(to_csv(tables(tmp_path, *example())))))
    assert not [r for r in rows if r["model"] == "copy_train" and r["key"] == "unique"]
    assert next(r for r in rows if r["model"] == "copy_train")["half_width"] == ""


def test_csv_keeps_every_digit(tmp_path: Path) -> None:
    value = 0.1234567890123456
    (line,) = [
        r
        for r in csv.DictReader(io.StringIO(to_csv(tables(tmp_path, record("a", 0, evaluation(bleu_2=value))))))
        if r["table"] == "final"
    ]
    assert float(line["mean"]) == value
    assert line["signature"] == "bleu|refs:1000|samples:1000|v:1"


def test_names_cannot_break_the_table(tmp_path: Path) -> None:
    evil = "a|b\n| c <script>alert(1)</script> **x** [y](http://z) \x1b[31m\u202e_i_"
    boards = tables(
        tmp_path, record(evil, 0, evaluation(bleu_2=0.7), run_id="x"), record("seqgan", 0, evaluation(bleu_2=0.7))
    )
    html = MarkdownIt("commonmark").enable("table").render(to_markdown(boards))
    assert not [tag for tag in ("<script", "<strong", "<em", "<a ") if tag in html]
    shown = '<td style="text-align:left">' + escape(plain(evil)) + "</td>"
    assert shown in html
    assert html.count("<tr>") == sum(
        line.startswith("|") and ":---" not in line for line in to_markdown(boards).splitlines()
    )


def test_terminal_shows_every_digit_in_120_columns(tmp_path: Path) -> None:
    values = {f"{m}_{n}": 0.111 * n for m in ("bleu", "self_bleu") for n in range(2, 6)}
    values |= {"nll_oracle": 9.1, "nll_gen": 8.2, "unique": 0.9}
    boards = tables(
        tmp_path,
        *(
            record(
                "a_model_with_a_very_long_name_indeed.py:Model",
                i,
                evaluation("phase_end", phase="mle", **values),
                evaluation(temperature=0.5, **values),
                evaluation(**{k: v + i / 100 for k, v in values.items()}),
            )
            for i in range(3)
        ),
    )
    file = io.StringIO()
    print_boards(boards, Console(file=file, width=120))
    text = file.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 120
    assert text.count("9.110±.025") == 2  # the main table and the temperatures
    assert text.count("+0.010±.025") == 7
    for key in values:
        assert key in text


def test_a_board_of_failures_only_has_blanks(tmp_path: Path) -> None:
    board = only(tables(tmp_path, record("seqgan", 0, status="failed", error="out of memory")))
    assert row(board, "seqgan").final == {}
    text = to_markdown(Boards(boards=[board], reasons=[], notices=[], problems=[]))
    assert "0/1" in text
    assert "out of memory" in text


def test_published_rows_are_sourced_numbers() -> None:
    rows = read_published()
    assert {r.published_task for r in rows} >= {"synthetic_L20", "synthetic_L40", "image_coco", "emnlp2017_news"}
    for row_ in rows:
        float(row_.value)
        assert row_.source.strip(" ,")
        assert row_.reported_by
    text = "".join(p.read_text() for p in (ROOT / "leaderboards" / "published").glob("*.csv")).lower()
    assert "unverified" not in text
    assert "from memory" not in text
    assert "recomputed for" not in text


def test_published_rows_belong_to_their_board_only() -> None:
    coco = published_for("image_coco", {"split": "published"}, {"bleu_2": {}, "self_bleu_2": {}})
    seqgan = {r.key: r.value for r in coco["Texygen README / docs/evaluation.md"] if r.model == "SeqGAN"}
    assert seqgan == {"bleu_2": "0.745", "self_bleu_2": "0.950"}
    assert published_for("image_coco", {"split": "resplit"}, {"bleu_2": {}}) == {}
    oracle = published_for("oracle_lstm", {"parameters": "seqgan", "length": 20}, {"nll_oracle": {}})
    (paper,) = [r for r in oracle["SeqGAN paper Table 1"] if r.model == "SeqGAN"]
    assert paper.value == "8.736"
    assert not any("experiment-log" in source for source in oracle)
    assert published_for("oracle_lstm", {"parameters": "seeded", "length": 20}, {"nll_oracle": {}}) == {}


def test_one_source_has_one_number_per_row_and_key() -> None:
    """A board's reported table would otherwise drop one of two numbers."""
    finals = [
        (r.source, r.task, tuple(sorted(r.task_config.items())), r.model, r.variant, r.key)
        for r in read_published()
        if r.kind == "final" and r.task
    ]
    assert len(finals) == len(set(finals))


def test_command(tmp_path: Path) -> None:
    tables(tmp_path, *example())
    runs = tmp_path / "runs"
    arguments = [sys.executable, "-m", "leaderboards", "build", str(runs)]
    done = subprocess.run(
        arguments,
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 120
    assert "seqgan" in done.stdout
    assert {p.name for p in (runs / "leaderboard").iterdir()} == {"leaderboard.md", "leaderboard.csv"}
    document = json.loads(call_leaderboards("build", runs, "--json", "--out", tmp_path / "o").stdout)
    assert document["boards"][0]["rows"][0]["final"]["bleu_2"]["mean"] == 0.74
    (runs / "r00" / "record.json").write_text("not json")
    broken = call_leaderboards("build", runs, code=1)
    assert "r00/record.json" in broken.stdout.replace("\n", "")
    assert "seqgan" in broken.stdout


def test_nothing_is_written_among_kept_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There it would be a stray file, which `verify` refuses."""
    model = tmp_path / "results" / "image_coco@1" / "seqgan"
    run = model / "c0ffeec0ffee"
    record("seqgan", 0, evaluation(bleu_2=0.5)).write(run / "record.json")
    monkeypatch.chdir(tmp_path)
    for place in (tmp_path / "results", model.parent, model, run, run / "record.json"):
        call_leaderboards("build", place)
        written = {path.name for path in (tmp_path / "leaderboard").iterdir()}
        assert written == {"leaderboard.md", "leaderboard.csv"}
        shutil.rmtree(tmp_path / "leaderboard")
    assert [path.name for path in (tmp_path / "results").rglob("*") if path.is_file()] == ["record.json"]


def test_command_without_records(tmp_path: Path) -> None:
    call_leaderboards("build", tmp_path, code=1)
    missing = call_leaderboards("build", tmp_path / "nowhere", code=2)
    assert "nowhere does not exist" in missing.stderr
    blocked = tmp_path / "file"
    blocked.write_text("")
    tables(tmp_path, record("seqgan", 0, evaluation(bleu_2=0.7)))
    unwritable = call_leaderboards("build", tmp_path / "runs", "--out", blocked, code=2)
    assert "--out" in unwritable.stderr


def test_no_torch_no_mlflow_and_help_without_pandas() -> None:
    code = (
        "import sys; import leaderboards.__main__; assert 'pandas' not in sys.modules;"
        "from leaderboards.boards import build; from leaderboards.render.terminal import print_boards;"
        "from leaderboards.render.markdown import write;"
        "bad = {'torch', 'mlflow', 'transformers'} & set(sys.modules); assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
