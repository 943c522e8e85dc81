"""LaTeX tables: what is written, that nothing from a record can be a command, and that LaTeX takes it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers import records
from helpers.commands import call_leaderboards
from hypothesis import given, settings
from hypothesis import strategies as st

from leaderboards.render.latex import escape_latex, to_latex

GOLDEN = r"""
\begin{table}[tb]
  \centering\small
  \caption{Quality. image\_coco (version 1) split=published $\cdot$ scale small $\cdot$ data dddddddddddd.}
  \label{tab:board1-1}
  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%
  \begin{tabular}{lrrr}
    \toprule
    model & status & seeds & bleu\_2 $\uparrow$ \\
    \midrule
    real\_text (train) & reference & file & 0.740 \\
    copy\_train & reference & 1/1 & 0.740 \\
    \midrule
    mle & baseline & 3/3 & 0.510$\pm$.025 \\
    seqgan & ranked & 3/3 & \textbf{0.710}$\pm$.025 \\
    \midrule
    leakgan & incomplete & 1/2 & 0.760 \\
    \bottomrule
  \end{tabular}}
\end{table}
"""
EVIL = r"\input{/etc/passwd} $x$ & % # _ ^ ~ {é} \\ 中 --- ``x'' <b>"


def test_golden(tmp_path: Path) -> None:
    text = to_latex(records.tables(tmp_path, *records.example()))
    assert GOLDEN in text
    assert r"\textbf{+0.070}$\pm$.025" in text


@given(st.text())
@settings(max_examples=50)
def test_escaped_text_has_no_command_of_its_own(text: str) -> None:
    ours = (
        r"\\text(backslash|ascii(tilde|circum)|less|greater|bar)\{\}|\\[&%$#_{}]|\$(\\(pm|(up|down)arrow|surd|cdot|times)"
        r"|\^\{\\(d?dagger|circ)\})\$|\\ldots\{\}|\{\}"
    )
    rest = re.sub(ours, "", escape_latex(text))
    assert not set(rest) & set("\\&%$#_{}^~<>|\n\r")
    assert all(c.isascii() or "À" <= c <= "ÿ" for c in rest)


def test_every_row_of_a_table_has_its_columns_and_every_group_ends(tmp_path: Path) -> None:
    runs = records.example()
    runs += [records.record(EVIL, i, records.evaluation(bleu_2=0.1), run_id=f"e{i}", config_hash="e") for i in range(3)]
    text = to_latex(records.tables(tmp_path, *runs))
    assert "passwd" in text
    found = re.findall(r"\\begin\{tabular\}\{([lr]+)\}\n(.*?)\\end\{tabular\}\}", text, re.DOTALL)
    assert len(found) == text.count(r"\begin{table") > 8
    for columns, body in found:
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert rows
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in rows} == {len(columns)}
    code = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    bare = re.sub(r"\\[{}]", "", code)
    assert bare.count("{") == bare.count("}")
    assert len(re.findall(r"(?<!\\)\$", code)) % 2 == 0


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX on this machine")
def test_latex_takes_it(tmp_path: Path) -> None:
    letters = "".join(chr(i) for i in range(32, 0x180)) + EVIL
    runs = [*records.example(), records.record(letters, 0, records.evaluation(bleu_2=0.1), run_id="e", config_hash="e")]
    boards = records.tables(tmp_path, *runs)
    assert not boards.problems
    text = to_latex(boards)
    document = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}" + text + r"\end{document}"
    (tmp_path / "main.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "main.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_command_writes_what_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records.tables(tmp_path, *records.example())
    monkeypatch.setattr("leaderboards.render.plots.write", lambda _, folder: folder.mkdir())
    call_leaderboards("build", tmp_path / "runs", "--out", tmp_path / "a")
    assert {p.name for p in (tmp_path / "a").iterdir()} == {"leaderboard.md", "leaderboard.csv"}
    done = call_leaderboards("build", tmp_path / "runs", "--out", tmp_path / "b", "--latex", "--plots")
    assert {p.name for p in (tmp_path / "b").iterdir()} == {
        "leaderboard.md",
        "leaderboard.csv",
        "leaderboard.tex",
        "plots",
    }
    assert "leaderboard.tex" in done.stderr
