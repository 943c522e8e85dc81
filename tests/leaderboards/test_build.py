"""What the leaderboard computes: intervals, counting, ranks, and what may stand in one table."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.records import evaluation, example, only, record, row, tables
from scipy import stats

from bench.record import RunRecord
from bench.run_settings import RunSettings
from leaderboards.render.csv import lines as csv_lines
from leaderboards.render.markdown import to_markdown
from leaderboards.schema import Boards


def test_interval_is_student_t_over_seeds(tmp_path: Path) -> None:
    values = [0.70, 0.72, 0.75, 0.71]
    board = only(tables(tmp_path, *(record("seqgan", i, evaluation(bleu_2=v)) for i, v in enumerate(values))))
    cell = row(board, "seqgan").final["bleu_2"]
    low, high = stats.t.interval(0.95, len(values) - 1, loc=sum(values) / 4, scale=stats.sem(values))
    assert cell.mean == pytest.approx(sum(values) / 4, abs=1e-15)
    assert cell.half_width == pytest.approx((high - low) / 2, rel=1e-12)


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    board = only(tables(tmp_path, record("seqgan", 0, evaluation(bleu_2=0.7))))
    assert row(board, "seqgan").final["bleu_2"].half_width is None
    assert "±" not in to_markdown(Boards(boards=[board], reasons=[], notices=[], problems=[])).split("## 1.")[1]


def test_copies_among_mlflows_artifacts_are_passed_over(tmp_path: Path) -> None:
    done = record("seqgan", 0, evaluation(bleu_2=0.5))
    done.write(tmp_path / "runs" / "mlartifacts" / "1" / "artifacts" / "record.json")
    boards = tables(tmp_path, done)
    assert boards.boards[0].rows[0].n_started == 1
    assert boards.notices == []


def test_a_run_that_was_begun_and_has_no_record_counts_as_started(tmp_path: Path) -> None:
    done = record("seqgan", 0, evaluation(bleu_2=0.5))
    for name, run_id in (
        ("killed", "seqgan-1"),
        ("copy-of-killed", "seqgan-1"),
        ("done-again", done.run_id),
        ("torn", None),
    ):
        (tmp_path / "runs" / name).mkdir(parents=True)
        text = json.dumps({"config_hash": done.config_hash, "run_id": run_id, "seed": 1}) if run_id else "{"
        (tmp_path / "runs" / name / "run.json").write_text(text)
    row = tables(tmp_path, done).boards[0].rows[0]
    assert (row.n_completed, row.n_started) == (1, 2)


def test_failed_and_unfinished_seeds_count_as_started(tmp_path: Path) -> None:
    board = only(tables(tmp_path, *example()))
    leakgan, seqgan = row(board, "leakgan"), row(board, "seqgan")
    assert (leakgan.n_completed, leakgan.n_started, leakgan.status) == (1, 2, "incomplete")
    assert (seqgan.n_completed, seqgan.n_started, seqgan.status) == (3, 3, "ranked")
    assert any("seed 1: failed: the loss is nan at step 7" in note for note in board.notes)
    assert any("alarm (non_finite) in phase adversarial, step 7" in note for note in board.notes)


def test_samples_that_were_scored_twice_stand_once_with_most_scores(tmp_path: Path) -> None:
    def scored(run_id: str, sha256: str, **values: float) -> object:
        final = replace(evaluation("samples", **values), samples_file="samples.txt", samples_sha256=sha256)
        return record("real_text", None, final, run_id=run_id)

    more = scored("more-scores", "a" * 64, bleu_2=0.7, unique=1.0)
    same = scored("same", "a" * 64, bleu_2=0.7)
    equal = scored("equal", "a" * 64, bleu_2=0.7, unique=1.0)
    other = scored("other-samples", "b" * 64, bleu_2=0.7)
    moved = scored("moved", "a" * 64, bleu_2=0.71)
    board = only(tables(tmp_path, more, same, equal, other, moved))
    assert {r.label for r in board.rows} == {f"real_text (train) #{run}" for run in ("more-s", "other-", "moved")}
    assert any("#same: left out" in note for note in board.notes)
    assert any("#equal: left out, #more-s has all its scores, of" in note for note in board.notes)


def test_scores_of_a_failed_run_are_not_used(tmp_path: Path) -> None:
    bad = record("seqgan", 1, evaluation(bleu_2=0.1), status="failed", error="diverged")
    cell = row(only(tables(tmp_path, record("seqgan", 0, evaluation(bleu_2=0.7)), bad)), "seqgan").final["bleu_2"]
    assert (cell.mean, cell.n) == (0.7, 1)


def test_few_seeds_and_references_are_not_ranked(tmp_path: Path) -> None:
    board = only(tables(tmp_path, *example()))
    ranks = {r.label: r.final["bleu_2"].rank for r in board.rows}
    assert ranks == {"real_text (train)": None, "copy_train": None, "seqgan": 1, "mle": 2, "leakgan": None}
    assert [r.label for r in board.rows] == ["real_text (train)", "copy_train", "mle", "seqgan", "leakgan"]


def test_rows_that_cannot_be_told_apart_share_a_rank(tmp_path: Path) -> None:
    a = [record("a", i, evaluation(bleu_2=v)) for i, v in enumerate((0.70, 0.74, 0.72))]
    b = [record("b", i, evaluation(bleu_2=v)) for i, v in enumerate((0.71, 0.75, 0.73))]
    board = only(tables(tmp_path, *a, *b))
    assert stats.ttest_ind([0.70, 0.74, 0.72], [0.71, 0.75, 0.73], equal_var=False).pvalue > 0.05
    assert [r.final["bleu_2"].rank for r in board.rows] == [1, 1]


def test_real_direction_is_ranked_by_distance_to_real_text(tmp_path: Path) -> None:
    real = record("real_text", None, evaluation("samples", unique=0.90))
    near = [record("near", i, evaluation(unique=0.89 + i / 1000)) for i in range(3)]
    over = [record("over", i, evaluation(unique=0.99 + i / 1000)) for i in range(3)]
    board = only(tables(tmp_path, real, *near, *over))
    assert row(board, "near").final["unique"].rank == 1
    assert row(board, "over").final["unique"].rank == 2
    without = only(tables(tmp_path / "without", *near, *over))
    assert all(r.final["unique"].rank is None for r in without.rows)


def test_beyond_real(tmp_path: Path) -> None:
    board = only(tables(tmp_path, *example()))
    assert not row(board, "seqgan").final["bleu_2"].beyond_real
    assert row(board, "seqgan").sweep[0.5]["bleu_2"].beyond_real
    assert not row(board, "leakgan").final["bleu_2"].beyond_real  # one seed has no interval, so nothing is said
    assert board.apart[0].final["bleu_2"].beyond_real


def test_gain_is_paired_by_seed_and_absent_for_pretraining_alone(tmp_path: Path) -> None:
    board = only(tables(tmp_path, *example()))
    gain = row(board, "seqgan").gain["bleu_2"]
    assert gain.mean == pytest.approx(0.01)
    assert gain.half_width == pytest.approx(0, abs=1e-12)
    assert row(board, "mle").gain == {}


def test_gain_is_counted_from_leakgans_pretraining_too(tmp_path: Path) -> None:
    before = evaluation("phase_end", phase="pretraining", bleu_2=0.5)
    board = only(tables(tmp_path, record("leakgan", 0, before, evaluation(bleu_2=0.6))))
    assert row(board, "leakgan").gain["bleu_2"].mean == pytest.approx(0.1)


def test_temperatures_stay_out_of_the_main_table(tmp_path: Path) -> None:
    seqgan = row(only(tables(tmp_path, *example())), "seqgan")
    assert seqgan.final["bleu_2"].mean == pytest.approx(0.71)
    assert {t: cells["bleu_2"].mean for t, cells in seqgan.sweep.items()} == pytest.approx(
        {0.5: 0.9, 1.0: 0.71, 1.5: 0.52}
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data_sha256": "e" * 64}, "data eeeeeeeeeeee, not dddddddddddd"),
        ({"task_version": 2}, "task version 2, not 1"),
        ({"task_config": {"split": "resplit"}}, "split=resplit, not published"),
        ({"scale": "smoke"}, "scale"),
        ({"evaluations": (evaluation(n=999, bleu_2=0.8),)}, "samples:999"),
    ],
)
def test_never_in_one_board(tmp_path: Path, change: dict[str, object], said: str) -> None:
    first = [record("seqgan", i, evaluation(bleu_2=0.7)) for i in range(2)]
    boards = tables(tmp_path, *first, replace(record("other", 0, evaluation(bleu_2=0.8)), **change))
    assert sorted(len(board.rows) for board in boards.boards) == [1, 1]
    assert {r.label for board in boards.boards for r in board.rows} == {"seqgan", "other"}
    (reason,) = boards.reasons
    assert said in reason
    assert "record.json" in reason


def test_seeds_with_other_counts_are_not_averaged(tmp_path: Path) -> None:
    boards = tables(
        tmp_path,
        *(
            record("seqgan", i, evaluation(n=n, bleu_2=v))
            for i, (n, v) in enumerate([(1000, 0.7), (1000, 0.7), (500, 0.1)])
        ),
    )
    assert [b.rows[0].final["bleu_2"].mean for b in boards.boards] == pytest.approx([0.7, 0.1])
    assert [b.rows[0].n_started for b in boards.boards] == [2, 1]


def test_handed_in_samples_stand_on_every_board_with_their_signatures_only(tmp_path: Path) -> None:
    runs = [record("seqgan", 0, evaluation(bleu_2=0.7)), record("seqgan", 1, evaluation(bleu_2=0.7), scale="paper")]
    fits = record("fits", None, evaluation("samples", bleu_2=0.8))
    other = record("other", None, evaluation("samples", n=9984, bleu_2=0.8))
    boards = tables(tmp_path, *runs, fits, other)
    assert {b.scale: sorted(r.label for r in b.rows) for b in boards.boards} == {
        "paper": ["fits", "seqgan"],
        "small": ["fits", "seqgan"],
        "samples": ["other"],
    }
    assert any("samples:9984" in reason for reason in boards.reasons)


def test_score_of_another_signature_at_another_temperature_is_left_out_and_named(tmp_path: Path) -> None:
    board = only(tables(tmp_path, record("seqgan", 0, evaluation(bleu_2=0.7), evaluation("end", 0.5, n=10, bleu_2=1))))
    assert list(row(board, "seqgan").sweep) == [1.0]
    assert any("bleu_2 at temperature 0.5 left out" in note for note in board.notes)


def test_a_run_counts_once(tmp_path: Path) -> None:
    one = record("seqgan", 0, evaluation(bleu_2=0.7))
    again = replace(one, run_id="x", created_at="2026-02-01T00:00:00Z", evaluations=(evaluation(bleu_2=0.6),))
    boards = tables(tmp_path, one, one, again)
    cell = row(only(boards), "seqgan").final["bleu_2"]
    assert (cell.n, cell.mean) == (1, 0.6)
    assert len(boards.notices) == 2
    assert any("same content" in n for n in boards.notices)
    assert any("newer record of seqgan seed 0" in n for n in boards.notices)


def test_settings_that_differ_are_in_the_label(tmp_path: Path) -> None:
    board = only(
        tables(
            tmp_path,
            *(
                record(
                    "seqgan",
                    0,
                    evaluation(bleu_2=0.7),
                    config_hash=f"c{n}",
                    run_id=f"r{n}",
                    model_config={"rollouts": n, "lr": 0.01},
                )
                for n in (4, 16)
            ),
        )
    )
    assert [r.label for r in board.rows] == ["seqgan (rollouts=16)", "seqgan (rollouts=4)"]


def test_another_precision_is_in_label_and_command(tmp_path: Path) -> None:
    usual, none, bf16 = (
        record("mle", 0, evaluation(bleu_2=0.7), config_hash=name, run_id=name, run=run)
        for name, run in (
            ("a", RunSettings()),
            ("b", None),
            ("c", RunSettings(fp32_precision="bf16")),
        )
    )
    rows = only(tables(tmp_path, usual, none, bf16)).rows
    assert [r.label for r in rows] == ["mle #a", "mle #b", "mle (fp32_precision=bf16)"]
    assert ["fp32_precision=bf16" in r.command for r in rows] == [False, False, True]


def test_malformed_record_is_named_and_the_rest_is_printed(tmp_path: Path) -> None:
    bad = tmp_path / "runs" / "bad" / "record.json"
    bad.parent.mkdir(parents=True)
    bad.write_text('{"schema_version": 1}')
    boards = tables(tmp_path, record("seqgan", 0, evaluation(bleu_2=0.7)))
    assert [r.label for r in only(boards).rows] == ["seqgan"]
    (problem,) = boards.problems
    assert str(bad) in problem


def test_a_run_of_other_settings_than_its_scales_never_stands_as_the_scales(tmp_path: Path) -> None:
    def runs(model: str, name: str, **changes: object) -> list[RunRecord]:
        made = [record(model, s, evaluation(bleu_2=0.5 + s / 100, self_bleu_2=0.5), scale="paper") for s in range(3)]
        return [replace(r, config_hash=name, run_id=f"{name}-{s}", **changes) for s, r in enumerate(made)]

    full, quick = {"mle_steps": 18720, "lr": 0.01}, {"mle_steps": 5, "lr": 0.01}
    alone = only(tables(tmp_path / "alone", *runs("seqgan", "q", model_config=quick, changed={"mle_steps": 5})))
    assert [r.label for r in alone.rows] == ["seqgan (mle_steps=5) · custom"]
    boards = tables(
        tmp_path,
        *runs("seqgan", "q", model_config=quick, changed={"mle_steps": 5}),
        *runs("seqgan", "f", model_config=full, changed={}),
        *runs("mle", "a", model_config=quick, changed={"mle_steps": 5}),
        *runs("mle", "m", model_config=full),  # of before records said it
    )
    board = only(boards)
    assert {r.label for r in board.rows} == {
        "seqgan",
        "seqgan (mle_steps=5) · custom",
        "mle",
        "mle (mle_steps=5) · custom",
    }
    assert next(r for r in board.rows if r.baseline).label == "mle"
    assert "seqgan (mle_steps=5) · custom" in to_markdown(boards)
    scales = {line["label"]: line["scale"] for line in csv_lines(boards)}
    assert scales["seqgan"] == scales["mle"] == "paper"
    assert scales["seqgan (mle_steps=5) · custom"] == "custom"


def test_a_row_of_old_and_new_records_knows_what_was_changed(tmp_path: Path) -> None:
    runs = [record("mle", s, evaluation(bleu_2=0.5), model_config={"steps": 5}) for s in range(2)]
    board = only(tables(tmp_path, runs[0], replace(runs[1], changed={"steps": 5})))
    assert [r.label for r in board.rows] == ["mle (steps=5) · custom"]


def test_changed_code_of_a_file_is_another_row_and_one_file_is_one_row(tmp_path: Path) -> None:
    def run_of(seed: int, code: str, name: str = "m.py:M") -> RunRecord:
        ids = {"config_hash": f"c{code[:4]}", "run_id": f"{code[:4]}{name[:1]}{seed}"}
        sources = {"model": code, "task": "t", "model.py": code}
        return record(name, seed, evaluation(bleu_2=0.5 + seed / 9), sources=sources, **ids)

    old, new = "1a2b3c" + "0" * 58, "4d5e6f" + "0" * 58
    board = only(tables(tmp_path, *(run_of(s, old) for s in range(3)), run_of(0, new), run_of(1, old, "n.py:M")))
    assert [(r.label, r.n_completed) for r in board.rows] == [
        ("m.py:M (source=1a2b3c)", 3),
        ("m.py:M (source=4d5e6f)", 1),
    ]
    assert [r.label for r in only(tables(tmp_path / "one", run_of(0, old))).rows] == ["m.py:M"]


def test_one_text_by_two_paths_is_one_board(tmp_path: Path) -> None:
    same = {"task": "text_file", "config_hash": "c", "sources": {"model": "m", "task": "t", "file of path": "0" * 64}}
    runs = [
        record("mle", s, evaluation(bleu_2=0.5), task_config={"path": path, "by": "word"}, **same)
        for s, path in enumerate(("x.txt", "./x.txt", "/there/x.txt"))
    ]
    assert [(r.label, r.n_completed) for r in only(tables(tmp_path, *runs)).rows] == [("mle", 3)]
    other = replace(runs[0], task_config={"path": "x.txt", "by": "character"})
    assert len(tables(tmp_path / "other", *runs, other).boards) == 2
    no_file = [replace(run, sources={"model": "m", "task": "t"}) for run in runs]
    assert len(tables(tmp_path / "no file", *no_file).boards) == 3


def test_runs_of_two_states_of_the_projects_own_model_are_not_pooled_silently(tmp_path: Path) -> None:
    board = only(
        tables(tmp_path, *(record("mle", s, evaluation(bleu_2=0.5), sources={"model": 8 * f"{s}a"}) for s in (0, 1)))
    )
    assert any(
        "one state of the model's code: its runs are of sources 0a0a0a, 1a1a1a" in lack for lack in board.rows[0].lacks
    )


def test_real_text_of_fewer_sentences_stands_on_the_board_with_its_count(tmp_path: Path) -> None:
    def real(n: int, **scores: float) -> RunRecord:
        return record(
            "real_text",
            None,
            evaluation("samples", n=n, **scores),
            config_hash=f"r{n}",
            run_id=f"r{n}",
            scale="samples",
        )

    models = [record("mle", s, evaluation(bleu_2=0.5, self_bleu_2=0.4)) for s in range(3)]
    board = only(tables(tmp_path / "few", *models, real(600, bleu_2=0.9, self_bleu_2=0.8, nll_oracle=2.0)))
    assert board.rows[0].label == "real_text (train, samples=600)"
    assert board.rows[0].status == "reference"
    assert {key: mean.mean for key, mean in board.rows[0].final.items()} == {
        "bleu_2": 0.9,
        "self_bleu_2": 0.8,
        "nll_oracle": 2.0,
    }
    assert not any("left out" in note for note in board.notes)
    assert "real_text (train, samples=600)" in to_markdown(tables(tmp_path / "few"))
    both = tables(tmp_path / "both", *models, real(600, bleu_2=0.9), real(1000, bleu_2=0.8))
    assert [[r.label for r in board.rows] for board in both.boards] == [
        ["real_text (train)", "mle"],
        ["real_text (train)"],
    ]
    other = replace(real(600, bleu_2=0.9), model="theirs")  # only real text may have its own number
    assert len(tables(tmp_path / "other", *models, other).boards) == 2
