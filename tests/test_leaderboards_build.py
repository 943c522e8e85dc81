"""The leaderboard from synthetic records: intervals, counting, and what may stand in one table."""

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from rich.console import Console
from scipy import stats

from bench.record import Alarm, Evaluation, PhaseCost, RunRecord, Score
from leaderboards.aggregate import Board, Boards, Row, build
from leaderboards.markdown import to_csv, to_markdown
from leaderboards.published import published_for, read_published
from leaderboards.tables import plain
from leaderboards.terminal import print_boards

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = Path(__file__).parent / "test_leaderboards_golden.md"
METRICS = {
    "bleu": "higher",
    "self_bleu": "lower",
    "nll_oracle": "lower",
    "nll_gen": "lower",
    "unique": "real",
}


def scores(n: int = 1000, **values: float) -> dict[str, Score]:
    found = {}
    for key, value in values.items():
        metric = next(m for m in sorted(METRICS, key=len, reverse=True) if key.startswith(m))
        found[key] = Score(
            value=value, metric=metric, signature=f"{metric}|refs:1000|samples:{n}|v:1", better=METRICS[metric]
        )
    return found


def evaluation(at: str = "end", temperature: float = 1.0, phase: str = "adversarial", n: int = 1000, **values: float):
    return Evaluation(phase=phase, step=9, at=at, temperature=temperature, scores=scores(n, **values))


def record(model: str = "seqgan", seed: int | None = 0, *evaluations: Evaluation, **changes) -> RunRecord:
    samples = seed is None
    base = RunRecord(
        run_id=f"{model}-{seed}",
        config_hash=f"c-{model}",
        created_at="2026-01-01T00:00:00Z",
        status="completed",
        origin="samples" if samples else "run",
        model=model,
        scale="samples" if samples else "small",
        task="image_coco",
        task_version=1,
        task_config={"split": "published"},
        data_sha256="d" * 64,
        seed=seed,
        evaluations=evaluations,
        phases=()
        if samples
        else tuple(PhaseCost(name=p, steps=3, seconds=1.0, real_sentences=9) for p in ("mle", "adversarial")),
    )
    return replace(base, **changes)


def tables(folder: Path, *records: RunRecord) -> Boards:
    for i, one in enumerate(records):
        one.write(folder / "runs" / f"r{i:02d}" / "record.json")
    return build([folder / "runs"])


def row(board: Board, label: str) -> Row:
    return next(r for r in board.rows if r.label == label)


def only(boards: Boards) -> Board:
    assert len(boards.boards) == 1
    return boards.boards[0]


def example() -> list[RunRecord]:
    records = []
    for seed, bleu in enumerate((0.70, 0.72, 0.71)):
        before = evaluation("phase_end", phase="mle", bleu_2=bleu - 0.01, self_bleu_2=0.80)
        cool = evaluation(temperature=0.5, bleu_2=0.9, self_bleu_2=0.99)
        end = evaluation(bleu_2=bleu, self_bleu_2=0.85 + seed / 100, unique=0.9)
        records.append(record("seqgan", seed, before, cool, end))
        records.append(
            record(
                "mle",
                seed,
                evaluation(bleu_2=bleu - 0.2, self_bleu_2=0.75),
                phases=(PhaseCost(name="mle", steps=3, seconds=1.0, real_sentences=9),),
            )
        )
    records.append(record("leakgan", 0, evaluation(bleu_2=0.76, self_bleu_2=0.9)))
    records.append(
        record(
            "leakgan",
            1,
            status="failed",
            error="the loss is nan at step 7",
            alarms=(Alarm(kind="non_finite", phase="adversarial", step=7, message="loss is nan"),),
        )
    )
    records.append(record("copy_train", 0, evaluation(bleu_2=0.74, self_bleu_2=0.89)))
    records.append(
        record("real_text", None, evaluation("samples", phase="samples", bleu_2=0.74, self_bleu_2=0.88, unique=0.99))
    )
    return records


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


def test_failed_and_unfinished_seeds_count_as_started(tmp_path: Path) -> None:
    board = only(tables(tmp_path, *example()))
    leakgan, seqgan = row(board, "leakgan"), row(board, "seqgan")
    assert (leakgan.n_completed, leakgan.n_started, leakgan.status) == (1, 2, "incomplete")
    assert (seqgan.n_completed, seqgan.n_started, seqgan.status) == (3, 3, "ranked")
    assert any("seed 1: failed: the loss is nan at step 7" in note for note in board.notes)
    assert any("alarm (non_finite) in phase adversarial, step 7" in note for note in board.notes)


def test_scores_of_a_failed_run_are_not_used(tmp_path: Path) -> None:
    bad = record("seqgan", 1, evaluation(bleu_2=0.1), status="failed", error="diverged")
    cell = row(only(tables(tmp_path, record("seqgan", 0, evaluation(bleu_2=0.7)), bad)), "seqgan").final["bleu_2"]
    assert (cell.mean, cell.n) == (0.7, 1)


def test_few_seeds_and_references_are_not_ranked(tmp_path: Path) -> None:
    board = only(tables(tmp_path, *example()))
    ranks = {r.label: r.final["bleu_2"].rank for r in board.rows}
    assert ranks == {"real_text": None, "copy_train": None, "seqgan": 1, "mle": 2, "leakgan": None}
    assert [r.label for r in board.rows] == ["real_text", "copy_train", "mle", "seqgan", "leakgan"]


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


def test_front_and_beyond_real(tmp_path: Path) -> None:
    board = only(tables(tmp_path, *example()))
    assert row(board, "seqgan").front
    assert row(board, "mle").front
    assert not row(board, "leakgan").front
    assert row(board, "leakgan").final["bleu_2"].beyond_real
    assert not row(board, "seqgan").final["bleu_2"].beyond_real


def test_gain_is_paired_by_seed_and_absent_for_pretraining_alone(tmp_path: Path) -> None:
    board = only(tables(tmp_path, *example()))
    gain = row(board, "seqgan").gain["bleu_2"]
    assert gain.mean == pytest.approx(0.01)
    assert gain.half_width == pytest.approx(0, abs=1e-12)
    assert row(board, "mle").gain == {}


def test_temperatures_stay_out_of_the_main_table(tmp_path: Path) -> None:
    seqgan = row(only(tables(tmp_path, *example())), "seqgan")
    assert seqgan.final["bleu_2"].mean == pytest.approx(0.71)
    assert {t: cells["bleu_2"].mean for t, cells in seqgan.sweep.items()} == pytest.approx({0.5: 0.9, 1.0: 0.71})


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
    assert any("temperature 0.5 is left out" in note for note in board.notes)


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


def test_golden_markdown(tmp_path: Path) -> None:
    text = to_markdown(tables(tmp_path, *example())).split("### reported")[0]
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


def test_malformed_record_is_named_and_the_rest_is_printed(tmp_path: Path) -> None:
    bad = tmp_path / "runs" / "bad" / "record.json"
    bad.parent.mkdir(parents=True)
    bad.write_text('{"schema_version": 1}')
    boards = tables(tmp_path, record("seqgan", 0, evaluation(bleu_2=0.7)))
    assert [r.label for r in only(boards).rows] == ["seqgan"]
    (problem,) = boards.problems
    assert str(bad) in problem


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
    coco = published_for("image_coco", {"split": "published"}, ["bleu_2", "self_bleu_2"])
    seqgan = {r.key: r.value for r in coco["Texygen README / docs/evaluation.md"] if r.model == "SeqGAN"}
    assert seqgan == {"bleu_2": "0.745", "self_bleu_2": "0.950"}
    assert published_for("image_coco", {"split": "resplit"}, ["bleu_2"]) == {}
    oracle = published_for("oracle_lstm", {"parameters": "seqgan", "length": 20}, ["nll_oracle"])
    (paper,) = [r for r in oracle["SeqGAN paper Table 1"] if r.model == "SeqGAN"]
    assert paper.value == "8.736"
    assert not any("experiment-log" in source for source in oracle)
    assert published_for("oracle_lstm", {"parameters": "seeded", "length": 20}, ["nll_oracle"]) == {}


def test_one_source_has_one_number_per_row_and_key() -> None:
    """A board's reported table would otherwise drop one of two numbers."""
    finals = [
        (r.source, r.task, tuple(sorted(r.task_config.items())), r.model, r.variant, r.key)
        for r in read_published()
        if r.kind == "final" and r.task
    ]
    assert len(finals) == len(set(finals))


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "leaderboards", *map(str, arguments)],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )


def test_command(tmp_path: Path) -> None:
    tables(tmp_path, *example())
    done = command("build", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 120
    assert "seqgan" in done.stdout
    assert {p.name for p in (tmp_path / "runs" / "leaderboard").iterdir()} == {"leaderboard.md", "leaderboard.csv"}
    document = json.loads(command("build", tmp_path / "runs", "--json", "--out", tmp_path / "o").stdout)
    assert document["boards"][0]["rows"][0]["final"]["bleu_2"]["mean"] == 0.74
    (tmp_path / "runs" / "r00" / "record.json").write_text("not json")
    broken = command("build", tmp_path / "runs")
    assert broken.returncode == 1
    assert "r00/record.json" in broken.stdout.replace("\n", "")
    assert "seqgan" in broken.stdout


def test_command_without_records(tmp_path: Path) -> None:
    assert command("build", tmp_path).returncode == 1
    missing = command("build", tmp_path / "nowhere")
    assert missing.returncode == 2
    assert "nowhere does not exist" in missing.stderr
    blocked = tmp_path / "file"
    blocked.write_text("")
    tables(tmp_path, record("seqgan", 0, evaluation(bleu_2=0.7)))
    unwritable = command("build", tmp_path / "runs", "--out", blocked)
    assert unwritable.returncode == 1
    assert "--out" in unwritable.stderr


def test_no_torch_no_mlflow_and_help_without_pandas() -> None:
    code = (
        "import sys; import leaderboards.__main__; assert 'pandas' not in sys.modules;"
        "from leaderboards.aggregate import build; from leaderboards.terminal import print_boards;"
        "from leaderboards.markdown import write;"
        "bad = {'torch', 'mlflow', 'transformers'} & set(sys.modules); assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
