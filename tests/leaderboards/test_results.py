"""The rows of the repository: what is stored is what was verified, and one row is computed again.

Of an unchanged row hashes are compared. Every run of the tests computes one of the rows again, another one at each
commit; `TEXTGAN_BENCH_VERIFY=2026-11-28` takes the row of that day, days in a row come to all rows, and
`TEXTGAN_BENCH_VERIFY=all` computes every row, which takes seconds for each.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import call_leaderboards
from helpers.paths import ROOT
from helpers.stored_runs import head

from bench.places import RESULTS
from bench.record import HELD_OUT_TEXT
from bench.registry import find
from bench.score.records import of_itself
from leaderboards.boards import build
from leaderboards.evidence import VERIFIED
from leaderboards.records import read_store
from leaderboards.render.front import write_overview, write_readme
from leaderboards.render.markdown import LINES
from leaderboards.repository.verify import changed, verify
from leaderboards.schema import FULL_SCALE, Boards

pytestmark = pytest.mark.skipif(not RESULTS.is_dir(), reason="no rows are stored")
MOST = 2
"""Rows that are computed at most because they have changed."""
PAGES = Path("leaderboards", "boards")
BUILD = (
    "python -m leaderboards build leaderboards/results --markdown LEADERBOARD.md --pages leaderboards/boards "
    "--readme README.md"
)
MEASURED = re.compile(r"([+-]?\d*\.\d{3}) ± (\d*\.\d{3})")
COMMAND = "python -m leaderboards verify --jobs 2 --write"


def turn() -> int | None:
    """Which of the rows is computed; None: all."""
    asked = os.environ.get("TEXTGAN_BENCH_VERIFY", "")
    if asked == "all":
        return None
    return datetime.date.fromisoformat(asked).toordinal() if asked else int(head()[:12], 16)


def of_turn(files: Sequence[Path], turn: int) -> Path:
    """The row of a turn. So many turns in a row as there are rows come to all of them."""
    return sorted(files, key=lambda file: file.parent.name)[turn % len(files)]  # by the run's id: tasks change


def test_turns_in_a_row_come_to_every_row() -> None:
    files = [Path("task", run, "record.json") for run in ("b", "a", "d", "c")]
    for first in (0, 739_000):
        assert {of_turn(files, turn) for turn in range(first, first + 4)} == set(files)
    assert of_turn(files, 1) == files[0]


def test_every_row_is_as_it_was_verified_and_some_are_computed_again(
    study_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(study_data))
    now = turn()
    why = changed([RESULTS])
    other = [file for file, changes in why.items() if changes]
    here = [file for file in other if all(change.what == "library" for change in why[file])]
    reasons = "; ".join(sorted({str(change) for file in other for change in why[file]}))[:300]
    assert now is None or len(other) - len(here) <= MOST, (
        f"{len(other)} rows rest on what has changed ({reasons}); verify them and keep what is found: {COMMAND}"
    )
    if now is None:
        reports = verify([RESULTS], jobs=2, everything=True)
    elif len(other) <= MOST:
        reports = verify([RESULTS], again=[of_turn([*why], now)])  # other tests have the other core
    else:  # other libraries than the ones of `constraints.txt`: scores must be equal, but not all are computed here
        reports = verify([of_turn(here, now), *(file for file in other if file not in here)], jobs=2)
    assert reports
    wrong = {report.record: report.reasons for report in reports if report.state != "verified"}
    for record, reasons in list(wrong.items()):  # a file of somebody else's, of which the repository has the address
        absent = [reason for reason in reasons if "is not on this machine and could not be downloaded" in reason]
        if absent == reasons and Path(record).with_name("source.json").is_file() and not why[Path(record)]:
            del wrong[record]
    assert wrong == {}


def test_no_row_of_test_text_compares_with_the_test() -> None:
    rows = [entry for entry in read_store([RESULTS]).entries if entry.record.model == HELD_OUT_TEXT]
    assert rows
    for entry in rows:
        scored = {score.metric for e in entry.record.evaluations for score in e.scores.values()}
        assert of_itself(find("metrics", name)() for name in sorted(scored)) == {}, entry.path


def test_what_is_said_to_be_verified_is_what_is_stored() -> None:
    store = read_store([RESULTS])
    assert store.problems == ()
    listed = json.loads((RESULTS / VERIFIED).read_text(encoding="utf-8"))["records"]
    assert {entry["record"] for entry in listed.values()} == {
        entry.path.relative_to(RESULTS).as_posix() for entry in store.entries if entry.verified
    }
    assert all(entry.verified for entry in store.entries)


@pytest.fixture(scope="module")
def boards() -> Boards:
    with contextlib.chdir(RESULTS.parents[1]):
        return build([RESULTS.relative_to(Path.cwd())])


def test_what_is_shown_first_is_made_of_the_stored_rows(tmp_path: Path, boards: Boards) -> None:
    """The short leaderboard, its pages, the figure and the README's block, byte for byte."""
    root = RESULTS.parents[1]
    shutil.copy(root / "README.md", tmp_path / "README.md")
    write_overview(boards, tmp_path / "LEADERBOARD.md", tmp_path / PAGES)
    write_readme(boards, tmp_path / "README.md", tmp_path / "LEADERBOARD.md", tmp_path / PAGES)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    kept = [Path("LEADERBOARD.md"), Path("README.md"), *(p.relative_to(root) for p in (root / PAGES).iterdir())]
    assert sorted(made) == sorted(kept), f"run: {BUILD}"
    assert [str(path) for path in kept if (root / path).read_bytes() != made[path]] == [], f"run: {BUILD}"
    assert len((root / "LEADERBOARD.md").read_text(encoding="utf-8").splitlines()) <= LINES


def test_measured_numbers_of_pages_written_by_hand_are_those_of_stored_rows(boards: Boards) -> None:
    compared = (ROOT / "baselines" / "README.md").read_text(encoding="utf-8")
    section = compared.split("\nAt the published settings")[1].split("\n## ")[0]
    rows = [(board.scale, row) for board in boards.boards for row in board.rows]
    pages = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("labels.md", "transfer.md")]
    for text, scales in ((section, {FULL_SCALE}), *((page, {"small"}) for page in pages)):
        told = {(float(mean), float(half)) for mean, half in MEASURED.findall(" ".join(text.split()))}
        means = [m for scale, row in rows if scale in scales for m in (*row.final.values(), *row.gain.values())]
        stored = {(round(m.mean, 3), round(m.half_width, 3)) for m in means if m.half_width is not None}
        assert len(told) > 5
        assert told - stored == set()


def test_the_number_that_papers_report_falls_while_the_model_moves_away_from_the_truth() -> None:
    """The table of docs/method.md, from the stored rows of MLE on SeqGAN's oracle."""
    keys = ("nll_oracle", "nll_own", "kl_to_oracle", "kl_from_oracle")
    points: dict[int, list[list[float]]] = {}
    for entry in read_store([RESULTS]).entries:
        one = entry.record
        place = (one.model, one.task, one.scale, one.task_config.get("parameters"), one.variant)
        if place == ("mle", "oracle_lstm", "small", "seqgan", {}):
            for e in one.evaluations:
                if e.temperature == 1.0:
                    points.setdefault(e.step, []).append([e.scores[key].value for key in keys])
    means = {step: np.mean(values, axis=0) for step, values in points.items()}
    text = (RESULTS.parents[1] / "docs" / "method.md").read_text(encoding="utf-8")
    for step in (650, 1_300, 3_900):
        assert len(points[step]) == 3
        assert f"| {step:,} | {' | '.join(f'{value:.3f}' for value in means[step])} |" in text
    falls, _, to, from_ = (np.sign(means[3_900] - means[650])).tolist()
    assert (falls, to, from_) == (-1, 1, 1)


def test_one_table_in_a_file_of_its_own(tmp_path: Path) -> None:
    call_leaderboards("build", RESULTS, "--markdown", tmp_path / "TABLE.md")
    assert [path.name for path in tmp_path.iterdir()] == ["TABLE.md"]
    assert not (RESULTS / "leaderboard").exists()
