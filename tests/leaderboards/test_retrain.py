"""`leaderboards verify --retrain`: what was altered is found by training again, what is true passes, and is kept."""

from __future__ import annotations

import bz2
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import stored_runs as runs
from helpers.commands import call_leaderboards
from helpers.records import evaluation, only, record

from bench.hand_in.trained_by import trained_by_json
from bench.record import RunRecord, Score, read_record
from bench.run_folder import TRAINED_BY
from leaderboards.agreement import compare
from leaderboards.boards import build
from leaderboards.repository.add import add
from leaderboards.repository.retrain import _differences
from leaderboards.repository.verify import verify
from leaderboards.retrained import RETRAINED, read_retrained


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of MLE, with a look at it along the way."""
    folder = tmp_path_factory.mktemp("trained")
    for seed in range(2):
        runs.train(folder, "mle", seed=seed, metrics=["bleu", "nll_gen"], model_settings={"steps": 30})
    return folder


@pytest.fixture(scope="module")
def again(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both seeds, trained again: a folder to go on in."""
    folder = tmp_path_factory.mktemp("again")
    told = command(stored(trained, folder / "rows"), "--retrain", 2, "--into", folder / "runs", "--json")
    (found,) = json.loads(told[told.index("{") :])["retrained"]
    assert (found["result"], found["method"], found["seeds"]) == ("equal", "bit for bit", [0, 1])
    return folder / "runs"


def stored(trained: Path, results: Path) -> Path:
    """As rows of a repository."""
    for path in sorted(trained.glob("*mle*/record.json")):
        add(path, results)
    return results


def command(*arguments: object, code: int = 0) -> str:
    return call_leaderboards("verify", *arguments, code=code).output


def alter(results: Path, how: Callable[[RunRecord], RunRecord], seed: int = 0) -> None:
    """A record of another content that fits itself: its checksum is right."""
    paths = {read_record(path).seed: path for path in results.rglob("record.json")}
    runs.change(paths[seed].parent, how)


def along_the_way(change: float) -> Callable[[RunRecord], RunRecord]:
    """Another score of an evaluation whose samples nobody keeps."""

    def altered(e: Any) -> Any:
        score = replace(e.scores["bleu_2"], value=e.scores["bleu_2"].value + change)
        return replace(e, scores={**e.scores, "bleu_2": score}) if e.at == "cadence" else e

    return lambda r: replace(r, evaluations=tuple(map(altered, r.evaluations)))


def elsewhere(record: RunRecord) -> RunRecord:
    return replace(record, environment={**record.environment, "processor": "Another (family 1, model 2)"})


def test_a_row_with_one_altered_record_fails_and_untouched_it_passes(
    trained: Path, again: Path, tmp_path: Path
) -> None:
    results = stored(trained, tmp_path / "results")
    told = command(results, "--retrain", 1, "--into", again, "--row", "mle")
    assert re.search(r"^equal +mle .*on grammar, seed 0: bit for bit$", told, re.MULTILINE)
    assert not (results / RETRAINED).exists()
    alter(results, along_the_way(0.01))
    assert {r.state for r in verify([results])} == {"verified"}, "no samples tell of it"
    told = command(results, "--retrain", 1, "--into", again, code=1)
    assert re.search(r"^differs +mle .*on grammar, seed 0: bit for bit$", told, re.MULTILINE)
    assert "on the same kind of machine: seed 0: mle, step 22, temperature 1: bleu_2 is recorded as" in told


@pytest.mark.parametrize(
    ("key", "change", "told"),
    [
        ("nll_gen_temperature", 1e-5, 0),
        ("nll_gen_temperature", 0.1, 1),
        ("nll_gen_calibrated", 1e-5, 0),
        ("nll_gen", 1e-5, 1),
    ],
)
def test_a_fitted_score_has_the_slack_of_its_metric(key: str, change: float, told: int) -> None:
    """The sums under a fit may be taken in another way by newer code, to which its place is sensitive."""
    score = Score(value=1.16, metric="nll_gen", settings={"v": 1}, better="lower")
    old = record("mle", 0, replace(evaluation(), scores={key: score}))
    new = record("mle", 0, replace(evaluation(), scores={key: replace(score, value=score.value + change)}))
    assert len(list(_differences(old, new, 0.0))) == told


def test_equal_samples_convict_a_record_of_any_machine(trained: Path, again: Path, tmp_path: Path) -> None:
    results = stored(trained, tmp_path / "results")
    for seed in range(2):
        alter(results, elsewhere, seed)
    told = command(results, "--retrain", 1, "--into", again)
    assert "though not the same kind of machine and code, as far as it is known (processor Another" in told
    alter(results, along_the_way(0.01))
    told = command(results, "--retrain", 1, "--into", again, code=1)
    assert "of the same arithmetic, as equal samples show: seed 0" in told


def other_samples(factor: float) -> Callable[[RunRecord], RunRecord]:
    """Of another machine, with other samples and scores that lie beside ours: the record alone, as it is compared."""

    def altered(e: Any) -> Any:
        scores = {key: replace(score, value=score.value * factor) for key, score in e.scores.items()}
        return replace(e, scores=scores, samples_sha256="0" * 64 if e.samples_sha256 else None)

    return lambda r: replace(elsewhere(r), evaluations=tuple(map(altered, r.evaluations)))


@pytest.mark.parametrize(
    ("factor", "k", "result", "said"),
    [
        (0.999, 2, "agrees", "Welch's t over 2 and 2 seeds, Holm's correction at 5%: none of"),
        (0.5, 2, "differs", "scores differ: "),
        (0.999, 1, "not decided", "a two-sample test of 2 and 1 seeds: it needs at least 2 on each side"),
    ],
)
def test_on_another_machine_seeds_are_two_samples(
    trained: Path, again: Path, tmp_path: Path, factor: float, k: int, result: str, said: str
) -> None:
    from leaderboards.repository.retrain import retrain, rows_below

    results = stored(trained, tmp_path / "results")
    for seed in range(2):
        alter(results, other_samples(factor), seed)
    rows = rows_below([results], ["mle"])
    states = {str(entry.path): "verified" for entry in rows[0].entries}
    (found,), stopped = retrain(rows, k, again, verified=states)
    assert (found.result, stopped) == (result, False)
    assert said in found.why
    assert "processor Another (family 1, model 2), now" in found.why
    assert found.method == ("bit for bit" if k == 1 and result != "not decided" else "two-sample test")


def test_who_trained_again_is_kept_and_makes_the_tier(trained: Path, again: Path, tmp_path: Path) -> None:
    results = stored(trained, tmp_path / "results")
    assert "say it with --by NAME" in command(results, "--retrain", 1, "--write", code=2)
    assert only(build([results])).rows[0].tier == "reported"
    command(results, "--write")
    assert only(build([results])).rows[0].tier == "verified"
    command(results, "--retrain", 1, "--into", again, "--by", "Ada Lovelace", "--write")
    (entry,) = read_retrained(results / RETRAINED)
    assert (entry.by, entry.seeds, entry.method, entry.result) == ("Ada Lovelace", (0,), "bit for bit", "equal")
    assert {"processor", "torch", "threads", "device"} <= entry.machine.keys()
    row = only(build([results])).rows[0]
    assert (row.tier, [p.by for p in row.second_parties]) == ("retrained", ["Ada Lovelace"])
    assert {r.state for r in verify([results])} == {"verified"}, "the file lies where it may"
    command(results, "--retrain", 1, "--into", again, "--by", "Ada Lovelace", "--write")
    assert len(read_retrained(results / RETRAINED)) == 1
    alter(results, along_the_way(1e-5))
    row = only(build([results])).rows[0]
    assert (row.tier, row.second_parties) == ("reported", []), "it was said of another record"


def test_nobody_is_a_second_party_to_himself_and_no_run_to_itself(trained: Path, again: Path, tmp_path: Path) -> None:
    results = stored(trained, tmp_path / "results")
    place = next(results.rglob("record.json")).parent
    (place / TRAINED_BY).write_bytes(trained_by_json("Ada Lovelace"))
    told = command(results, "--retrain", 1, "--into", again, "--by", "Ada Lovelace", code=3)
    assert "Ada Lovelace trained it, and a second party is somebody else" in told
    told = command(trained, "--retrain", 1, "--into", trained, "--row", "mle", code=3)
    assert "holds the row's own runs" in told
    assert "no row 'mlee' among the trainings; did you mean 'mle'?" in command(
        results, "--retrain", 1, "--row", "mlee", code=2
    )
    assert "--by goes with --retrain K" in command(results, "--by", "Ada", code=2)


def test_two_samples_are_compared_score_by_score_with_holms_correction() -> None:
    ours = [{"a": 1.0 + i / 100, "b": 5.0 + i / 100, "c": 1.0} for i in range(3)]
    near = [{"a": 1.005 + i / 100, "b": 5.0 + i / 100, "c": 1.0} for i in range(3)]
    far = [{"a": 2.0 + i / 100, "b": 5.0 + i / 100, "c": 1.0 + 1e-10} for i in range(3)]
    assert compare(ours, near, ["a", "b", "c"]).result == "agrees"
    found = compare(ours, far, ["a", "b", "c"])
    assert found.result == "differs"
    assert "1 of 3 scores differ: a (p = " in found.why
    assert found.p_values["c"] == 1.0, "rounding, where there is no chance"
    assert compare(ours, far, ["b", "c"]).result == "agrees"
    assert compare(ours, [{"c": 1.1}] * 2, ["c"]).result == "differs", "without chance there is no test to fail"
    assert compare(ours, near[:1], ["a"]).result == "not decided"
    assert compare(ours, [{"d": 1.0}] * 2, ["a", "d"]).result == "not decided"


def row_of_two(folder: Path, shift: float) -> Any:
    """Three seeds of the keeper's and three of Ada's, in one row."""
    for seed in range(6):
        one = record("seqgan", seed, evaluation(bleu_2=0.5 + seed % 3 / 100 + (shift if seed > 2 else 0.0)))
        one.write(folder / f"r{seed}" / "record.json")
        if seed > 2:
            (folder / f"r{seed}" / TRAINED_BY).write_bytes(trained_by_json("Ada Lovelace"))
    return only(build([folder])).rows[0]


def test_other_seeds_of_somebody_else_are_a_second_party(tmp_path: Path) -> None:
    agreeing = row_of_two(tmp_path / "agreeing", 0.001)
    (party,) = agreeing.second_parties
    assert (party.by, party.seeds, party.method, party.result) == (
        "Ada Lovelace",
        [3, 4, 5],
        "two-sample test",
        "agrees",
    )
    assert (agreeing.trained_by, agreeing.n_completed) == (["Ada Lovelace"], 6)
    assert agreeing.tier == "reported", "nobody has recomputed its scores"
    apart = row_of_two(tmp_path / "apart", 0.2)
    assert apart.second_parties[0].result == "differs"
    assert any("a second party that agrees: Ada Lovelace" in lack for lack in apart.lacks)


def test_code_of_a_record_is_run_where_its_reader_names_the_file(toy_run: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    place = Path(add(toy_run / "record.json", results).folder)
    told = command(results, "--retrain", 1, code=3)
    assert "is not run because a record names it" in told
    code = bz2.decompress((place / "model.py.bz2").read_bytes())
    (tmp_path / "altered_toy_gan.py").write_bytes(code + b"\n")
    told = command(results, "--retrain", 1, "--model", f"{tmp_path / 'altered_toy_gan.py'}:ToyGAN", code=3)
    assert "is not the code of this row" in told
    (tmp_path / "unpacked_toy_gan.py").write_bytes(code)
    told = command(results, "--retrain", 1, "--model", f"{tmp_path / 'unpacked_toy_gan.py'}:ToyGAN")
    assert re.search(r"^equal .*seed 0: bit for bit$", told, re.MULTILINE)


def test_a_seed_that_its_keeper_has_is_not_replaced_by_a_newer_one_of_somebody_else(tmp_path: Path) -> None:
    for name, value, day in (("ours", 0.5, "01"), ("theirs", 0.9, "02")):
        made = record("seqgan", 0, evaluation(bleu_2=value), created_at=f"2026-01-{day}T00:00:00+00:00")
        made.write(tmp_path / name / "record.json")
    (tmp_path / "theirs" / TRAINED_BY).write_bytes(trained_by_json("Ada Lovelace"))
    boards = build([tmp_path])
    assert only(boards).rows[0].final["bleu_2"].mean == 0.5
    assert any("Ada Lovelace trained seed 0 again, and a seed counts once" in notice for notice in boards.notices)
