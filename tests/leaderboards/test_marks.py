"""What ✓ and ✓✓ say in tables and pages, and what ° says they do not: scores that stand as recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.commands import call_leaderboards
from helpers.records import evaluation, only, record
from helpers.stored_runs import sha256

from bench.record import RunRecord
from leaderboards.boards import build
from leaderboards.evidence import NO_SAMPLES, NO_WEIGHTS, VERIFIED, Document, Outcome, Verified, gathered
from leaderboards.frames import table_frame
from leaderboards.render.latex import to_latex
from leaderboards.render.markdown import to_markdown
from leaderboards.render.page.site import write_page
from leaderboards.render.scores import score_lines
from leaderboards.retrained import Retraining, keep
from leaderboards.schema import Board, Boards
from leaderboards.tables.board import main_table, page_tables, text_tables
from leaderboards.tables.cells import Table
from leaderboards.tables.legend import legend, short_legend

RECORDED: Outcome = ("recorded", NO_WEIGHTS)


def run(model: str, seed: int) -> RunRecord:
    """After pre-training, at two temperatures, and once along the way."""
    before = replace(evaluation("phase_end", phase="mle", bleu_2=0.5, self_bleu_2=0.7, nll_gen=3.0), step=3)
    along = replace(evaluation("cadence", bleu_2=0.6, nll_gen=2.5), step=5)
    end = evaluation(bleu_2=0.6 + seed / 100, self_bleu_2=0.8, nll_gen=2.0)
    cold = evaluation(temperature=0.5, bleu_2=0.9, self_bleu_2=0.9)
    return record(model, seed, before, along, end, cold)


def boards(folder: Path, models: dict[str, Outcome | None]) -> Boards:
    """Three seeds of each model; how its likelihoods were checked, or None: it is not verified."""
    said = {}
    for model, outcome in models.items():
        for seed in range(3):
            one = run(model, seed)
            path = folder / "runs" / f"{model}-{seed}" / "record.json"
            one.write(path)
            if outcome is None:
                continue
            checks = {}
            for place, e in enumerate(one.evaluations):
                for key in e.scores:
                    kept = e.at != "cadence" and e.temperature == 1.0
                    by_model: Outcome = outcome if e.at == "end" else RECORDED
                    found: Outcome = by_model if key == "nll_gen" else ("samples", "")
                    checks[place, key] = found if kept else ("recorded", NO_SAMPLES)
            name = path.relative_to(folder / "runs").as_posix()
            entry = Verified(record=name, date="2026-01-01", version="1", checks=gathered(checks))
            said[sha256(path.read_bytes())] = entry
    (folder / "runs" / VERIFIED).write_text(Document(records=said).to_json())
    return build([folder / "runs"])


def titles(tables: list[Table], start: str) -> set[str]:
    return {c.title for table in tables if table.title.startswith(start) for c in table.columns}


def marks(board: Board, key: str) -> dict[str, str]:
    """Label -> the mark of its cell at the end."""
    found = {}
    for table in text_tables(board):
        at = [i for i, c in enumerate(table.columns) if c.title.startswith(f"{key} ")]
        if at and any(c.title == "status" for c in table.columns):
            found |= {line.row.label: line.cells[at[0]].mark for line in table.lines if line.row}
    return found


def test_what_needs_the_weights_is_marked_and_what_samples_give_is_not(tmp_path: Path) -> None:
    made = boards(tmp_path, {"seqgan": RECORDED, "mle": RECORDED})
    board = only(made)
    for tables, final in ((text_tables(board), ""), (page_tables(board), "Scores at the end")):
        assert {"nll_gen ↓°", "bleu_2 ↑"} <= titles(tables, final)
        assert {"nll_gen ↓°", "bleu_2 ↑"} <= titles(tables, "Gain over pre-training")
        (temperatures,) = (table for table in tables if table.title == "Temperatures")
        assert any("not kept" in note for note in temperatures.notes)
    assert "bleu_2 ↑°" in titles(text_tables(board), "Quality at matched diversity"), "read off temperatures"
    assert not any("°" in mark for mark in marks(board, "nll_gen").values()), "the heading says it of all"
    told = "\n".join(legend(made))
    assert "✓: verified, the scores at the end of training were recomputed from the stored samples" in told
    assert "°: not recomputed" in told
    assert "(nll_gen: needs the model's weights)" in told
    assert "Never recomputed: scores at other temperatures and along training" in told
    assert "all scores were recomputed" not in told


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("weights", "nll_gen of 3 runs were computed again from their stored weights"),
        ("log_probabilities", "nll_gen of 3 runs were averaged again from stored log-probabilities, which shows the"),
    ],
)
def test_a_likelihood_that_was_computed_again_is_told_from_one_that_was_not(
    tmp_path: Path, how: str, said: str
) -> None:
    made = boards(tmp_path, {"seqgan": RECORDED, "mle": (how, "")})  # type: ignore[arg-type]
    board = only(made)
    assert "nll_gen ↓°" in titles(text_tables(board), "")
    cells = marks(board, "nll_gen")
    assert "°" in cells["seqgan"]
    assert "°" not in cells["mle"]
    assert said in "\n".join(legend(made))
    alone = boards(tmp_path / "alone", {"mle": (how, "")})  # type: ignore[arg-type]
    assert "nll_gen ↓" in titles(text_tables(only(alone)), "")
    assert "nll_gen ↓°" in titles(text_tables(only(alone)), "Gain"), "the end of pre-training has no weights"


def test_an_unverified_board_has_neither_mark(tmp_path: Path) -> None:
    made = boards(tmp_path, {"seqgan": None, "mle": None})
    assert not {"✓", "°"} & set(to_markdown(made))


def test_programs_and_printers_have_it_too(tmp_path: Path) -> None:
    made = boards(tmp_path, {"seqgan": RECORDED, "mle": None})
    frame = table_frame(tmp_path / "runs").set_index(["label", "table", "temperature", "key"])["as_recorded"]
    assert frame["seqgan", "final", 1.0, "nll_gen"] == 1
    assert frame["seqgan", "final", 1.0, "bleu_2"] == 0
    assert frame["seqgan", "temperature", 0.5, "bleu_2"] == 1
    assert frame["mle"].isna().all()
    assert "nll\\_gen $\\downarrow$$^{\\circ}$" in to_latex(made)
    assert "| nll_gen ↓°" in to_markdown(made).replace("   ", " ").replace("  ", " ")
    page = write_page(made, tmp_path / "page")
    assert "°: not recomputed" in page.read_text()
    (of_board,) = page.parent.glob("board-*.html")
    assert "nll_gen ↓°" in of_board.read_text()
    texts = {path.name: path.read_text() for path in (page.parent / "runs").glob("*.html")}
    assert sum("As recorded, needs the model" in text for text in texts.values()) == 3
    assert sum("Recomputed from the stored samples" in text for text in texts.values()) == 3


def test_each_tier_is_told_from_the_others_everywhere(tmp_path: Path) -> None:
    boards(tmp_path, {"seqgan": RECORDED, "mle": RECORDED, "maligan": None})
    folder = tmp_path / "runs"
    files = [folder / f"mle-{seed}" / "record.json" for seed in range(2)]
    entry = Retraining(
        by="Ada Lovelace",
        date="2026-01-01",
        version="1",
        machine={"processor": "Some processor", "torch": "2.11.0", "threads": 1},
        seeds=(0, 1),
        records={path.relative_to(folder).as_posix(): sha256(path.read_bytes()) for path in files},
        method="two-sample test",
        result="agrees",
        why="none of 3 scores differs",
    )
    keep(folder, [entry, replace(entry, by="Bob", records={"gone/record.json": "0" * 64})])
    made = build([folder])
    board = only(made)
    tiers = {"seqgan": "verified", "mle": "retrained", "maligan": "reported"}
    assert {row.label: row.tier for row in board.rows} == tiers
    main, _ = main_table(board, 10)
    ticks = {line.row.label: line.cells[1].mark for line in main.lines if line.row}
    assert ticks == {"seqgan": " ✓", "mle": " ✓✓", "maligan": ""}
    assert "baseline ✓✓" in to_markdown(made)
    told = " ".join(short_legend(made.boards))
    assert "2 of 3 rows are verified (✓): " in told
    assert "1 is retrained (✓✓): a second party's seeds agree." in told
    assert "✓✓: retrained, that is verified, and a second party's seeds agree" in "\n".join(legend(made))
    frame = table_frame(folder)
    assert dict(zip(frame["label"], frame["tier"], strict=True)) == tiers
    assert {str(line["label"]): line["tier"] for line in score_lines(made)} == tiers
    page = write_page(made, tmp_path / "page")
    for tier in tiers.values():
        assert f"<li>Tier {tier}: " in page.read_text()
    text = next(page.parent.glob("board-*.html")).read_text()
    assert '<span class="tag good">retrained</span>' in text
    assert "Ada Lovelace trained seeds 0, 1 on 2026-01-01 (Some processor, torch 2.11.0, 1 thread): agrees" in text
    assert "Bob" not in text
    shown = " ".join(call_leaderboards("show", "mle", folder).output.split())
    assert "retrained: verified, and a second party's seeds agree" in shown
    assert "trained by whoever keeps these records" in shown
    assert "Ada Lovelace trained seeds 0, 1 on 2026-01-01" in shown
    assert "did you mean 'mle'?" in call_leaderboards("show", "mel", folder, code=2).output
    files[0].write_text(files[0].read_text().replace("0.6", "0.61", 1))
    assert only(build([folder])).rows[0].tier != "retrained"


def test_where_a_second_party_differs_the_row_is_verified_and_says_so(tmp_path: Path) -> None:
    boards(tmp_path, {"mle": RECORDED})
    folder = tmp_path / "runs"
    file = folder / "mle-0" / "record.json"
    entry = Retraining(
        by="Ada Lovelace",
        date="2026-01-01",
        version="1",
        machine={},
        seeds=(0,),
        records={"mle-0/record.json": sha256(file.read_bytes())},
        method="bit for bit",
        result="differs",
        why="seed 0: samples differ",
    )
    keep(folder, [entry, replace(entry, by="Bob", result="equal")])
    board = only(build([folder]))
    assert board.rows[0].tier == "verified"
    assert any("Ada Lovelace trained it too, bit for bit: seed 0: samples differ" in note for note in board.notes)
