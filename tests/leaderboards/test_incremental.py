"""`leaderboards verify` computes what has changed: nothing of an unchanged row, one metric of a row whose code has."""

from __future__ import annotations

import bz2
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import stored_runs as runs
from helpers.commands import call_leaderboards

from bench.record import read_record
from leaderboards.evidence import VERIFIED, outcomes, read_verified
from leaderboards.records import read_store
from leaderboards.repository import rescore
from leaderboards.repository.add import add
from leaderboards.repository.verify import Verification, summary, verify, write_verified

LINES = ["the dog sleeps", "a cat sees the dog", "the zorp sleeps", "", "the dogs see a cat"] * 3


@pytest.fixture(scope="module")
def whole_results(toy_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    add(toy_run / "record.json", folder / "results")
    (folder / "published.txt").write_text("".join(f"{line}\n" for line in LINES))
    add(runs.hand_in(folder / "published.txt", folder / "handed-in") / "record.json", folder / "results")
    write_verified([folder / "results"], verify([folder / "results"]))
    return folder / "results"


@pytest.fixture
def results(whole_results: Path, tmp_path: Path) -> Path:
    """Two rows, verified, and that is written; each test has a copy."""
    return runs.copy(whole_results, tmp_path / "results")


def row(results: Path, name: str) -> Path:
    (found,) = results.glob(f"*/{name}*/*")
    return found


def toy(reports: list[Verification]) -> Verification:
    return next(report for report in reports if "toy_gan" in report.record)


def edit(results: Path, how: Callable[[dict[str, Any]], object]) -> None:
    """Change what is said of the toy's row."""
    document = json.loads((results / VERIFIED).read_text())
    how(next(e for e in document["records"].values() if "toy_gan" in e["record"]))
    (results / VERIFIED).write_text(json.dumps(document))


def test_nothing_is_computed_of_what_has_not_changed(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, said = (results / VERIFIED).read_bytes(), verify([results], everything=True)
    monkeypatch.setattr(rescore, "load", lambda _: pytest.fail("data were loaded"))
    reports = verify([results])
    assert [(r.state, r.computed, r.scores, r.why_computed) for r in reports] == [("verified", "nothing", 0, [])] * 2
    assert [(r.checks, r.basis) for r in reports] == [(r.checks, r.basis) for r in said]
    assert (
        summary(reports) == "2 unchanged since verified.json was written, taken over from it (--all computes them too)"
    )
    write_verified([results], reports)
    assert (results / VERIFIED).read_bytes() == before


def test_all_computes_everything_and_again_what_is_named(results: Path) -> None:
    whole = verify([results], everything=True)
    assert [r.computed for r in whole] == ["whole", "whole"]
    assert all(r.scores for r in whole)
    assert summary(whole) == "2 computed (asked for: 2)"
    some = verify([results], again=[row(results, "toy_gan") / "record.json"])
    assert {r.model.split(".")[0]: r.computed for r in some} == {"toy_gan": "whole", "Somebody's samples": "nothing"}


def test_the_code_of_a_metric_concerns_its_scores_alone(results: Path) -> None:
    edit(results, lambda entry: entry["basis"]["code"].update(self_bleu="0" * 16))
    report = toy(verify([results]))
    assert (report.state, report.computed, report.why_computed) == (
        "verified",
        "part",
        ["the code of self_bleu has changed"],
    )
    assert (report.files, report.scores) == (2, 8), "self_bleu_2 to 5 of two sets of samples"
    assert report.checks == toy(verify([results], everything=True)).checks
    write_verified([results], [report])
    assert toy(verify([results])).computed == "nothing"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda b: b["code"].update(task="0" * 16), "the code of task has changed"),
        (lambda b: b["code"].update(scoring="0" * 16), "the code of scoring has changed"),
        (lambda b: b["libraries"].update(numpy="1.0.0"), "numpy 1.0.0 is now "),
        (lambda b: b["libraries"].update(gone="1.0.0"), "gone 1.0.0 is now (absent)"),
        (lambda b: b["libraries"].pop("python"), "python (absent) is now "),
        (lambda b: b["files"].pop("samples.txt.bz2"), "samples.txt.bz2 is new"),
        (lambda b: b["files"].update({"x.bz2": "0"}), "x.bz2 is gone"),
    ],
)
def test_all_else_that_a_score_rests_on_concerns_every_score(
    results: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    edit(results, lambda entry: change(entry["basis"]))
    report = toy(verify([results]))
    assert (report.state, report.computed) == ("verified", "whole")
    assert report.why_computed[0].startswith(said)


def test_a_lie_in_a_metric_whose_code_has_changed_is_found_and_the_row_is_taken_out(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(results, lambda entry: entry["basis"]["code"].update(unique="0" * 16))
    monkeypatch.setattr("metrics.unique.metric.Unique.estimates", lambda *_: {"unique": (0.123, None)})
    reports = verify([results])
    assert toy(reports).state == "different"
    assert any("unique is recorded as" in reason for reason in toy(reports).reasons)
    assert not any("bleu" in reason for reason in toy(reports).reasons)
    write_verified([results], reports)
    assert {e.record.model.split(".")[0]: e.verified for e in read_store([results]).entries} == {
        "toy_gan": False,
        "Somebody's samples": True,
    }


@pytest.mark.parametrize("name", ["record.json", "samples.txt.bz2", "model.py.bz2", "log-probs-samples.npz"])
def test_a_flipped_bit_is_noticed_in_a_row_that_was_verified(results: Path, name: str) -> None:
    path = row(results, "toy_gan") / name
    content = path.read_bytes()
    at = content.rfind(b'"better": "higher"') + 12 if name == "record.json" else len(content) // 2
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    report = toy(verify([results]))
    assert (report.state, report.computed) == ("different", "whole")


@pytest.mark.parametrize("name", ["samples.txt", "samples-after-mle.txt", "model.py", "log-probs-samples.npz"])
def test_so_it_is_in_the_folder_that_a_run_left(toy_run: Path, tmp_path: Path, name: str) -> None:
    """Nothing is compressed there, and other files lie beside it, which say nothing about a score."""
    folder = runs.copy(toy_run, tmp_path / "run")
    write_verified([folder], verify([folder]))
    (folder / "notes.txt").write_text("x")
    (folder / "weights.safetensors").write_bytes(b"of a model in a file: never looked at")
    (report,) = verify([folder])
    assert (report.state, report.computed) == ("verified", "nothing")
    content = (folder / name).read_bytes()
    at = len(content) // 2
    (folder / name).write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    (report,) = verify([folder])
    assert (report.state, report.computed) == ("different", "whole")


def test_other_samples_are_noticed_though_the_record_has_their_hash(results: Path) -> None:
    folder = row(results, "toy_gan")
    lines = bz2.decompress((folder / "samples.txt.bz2").read_bytes()).decode().splitlines(keepends=True)
    better = "".join([*lines[1:], "the dog sleeps\n"]).encode()
    (folder / "samples.txt.bz2").write_bytes(bz2.compress(better))
    runs.change_json(
        folder, lambda d: [e.update(samples_sha256=runs.sha256(better)) for e in d["evaluations"] if e["at"] == "end"]
    )
    assert toy(verify([results])).why_computed == ["not verified before"]


def test_a_file_of_before_says_what_it_said_and_is_computed_again(results: Path) -> None:
    record = read_record(row(results, "toy_gan") / "record.json")
    entries = {}
    for sha256, entry in json.loads((results / VERIFIED).read_text())["records"].items():
        mine = "toy_gan" in entry["record"]
        places = {f"{e.phase}, step {e.step}, temperature {e.temperature:g}": e for e in record.evaluations}
        recorded = (
            {place: "these samples are not kept" for place, e in places.items() if e.at == "cadence"} if mine else {}
        )
        recorded |= dict.fromkeys(("nll_gen", "nll_gen_padded"), "needs the model's weights") if mine else {}
        old = {"record": entry["record"], "date": "2026-01-01", "version": "0.1.0", "files": 2, "scores": 50}
        entries[sha256] = {**old, "recorded_only": recorded}
    (results / VERIFIED).write_text(json.dumps({"schema_version": 1, "records": entries}))
    said = read_verified(results / VERIFIED).of(*_known(row(results, "toy_gan") / "record.json"))
    assert said is not None
    assert said.basis is None
    found = outcomes(said.checks)
    assert len(found) == sum(len(e.scores) for e in record.evaluations)
    for (place, key), (how, why) in found.items():
        kept = record.evaluations[place].at != "cadence"
        expected = ("samples", "") if kept and key not in ("nll_gen", "nll_gen_padded") else None
        assert (how, why) == expected or (how == "recorded" and expected is None), (place, key)
    reports = verify([results])
    assert {(r.computed, *r.why_computed) for r in reports} == {("whole", "not known what it rested on")}
    write_verified([results], [toy(reports)])
    assert all(entry.verified for entry in read_store([results]).entries), "what is said of the other row stays"
    assert json.loads((results / VERIFIED).read_text())["schema_version"] == 2


def _known(path: Path) -> tuple[str, Any]:
    return runs.sha256(path.read_bytes()), read_record(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(schema_version=3),
        lambda d: d.update(more=1),
        lambda d: next(iter(d["records"].values())).pop("checks"),
        lambda d: next(iter(d["records"].values())).update(record=3),
        lambda d: next(iter(d["records"].values()))["checks"][0].update(how="believed"),
        lambda d: next(iter(d["records"].values()))["checks"].pop(),
        lambda d: next(iter(d["records"].values()))["checks"][0]["evaluations"].append(99),
    ],
)
def test_a_file_that_verify_did_not_write_says_nothing(
    results: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    document = json.loads((results / VERIFIED).read_text())
    change(document)
    (results / VERIFIED).write_text(json.dumps(document))
    assert any(VERIFIED in problem for problem in read_store([results]).problems)
    reports = verify([results])
    assert {r.state for r in reports} == {"verified"}
    assert "whole" in {r.computed for r in reports}
    write_verified([results], reports)
    assert all(entry.verified for entry in read_store([results]).entries)


def test_the_command_says_how_many_were_computed_and_why(results: Path) -> None:
    edit(results, lambda entry: entry["basis"]["code"].update(self_bleu="0" * 16))
    told = call_leaderboards("verify", results)
    assert "1 computed in part (the code of self_bleu has changed: 1); 1 unchanged" in told.output
    assert "2 computed (asked for: 2)" in call_leaderboards("verify", results, "--all").output


def test_another_record_in_the_place_of_a_verified_one_is_different(results: Path) -> None:
    """Whatever was changed in it, a score without samples too, and however often it is asked."""
    file = row(results, "toy_gan") / "record.json"
    document = json.loads(file.read_text())
    document.pop("checksum", None)  # as records of older versions are
    document["phases"][0]["seconds"] += 1e-9
    before = file.read_bytes()
    file.write_text(json.dumps(document))
    for _ in range(2):
        report = toy(reports := verify([results]))
        assert report.state == "different"
        assert "it is not the record that was verified here on 2" in report.reasons[0]
        write_verified([results], reports)
    write_verified([results], verify([row(results, "Somebody")]))
    assert toy(verify([results])).state == "different"
    file.write_bytes(before)
    report = toy(verify([results]))
    assert (report.state, report.computed) == ("verified", "nothing")
    file.write_text(json.dumps(document))
    write_verified([results], verify([results], everything=True))
    assert toy(verify([results])).state == "verified"


def test_libraries_of_an_extra_that_is_not_here_change_nothing(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(results, lambda entry: entry["basis"]["libraries"].update({"sentence-transformers": "6.2.0"}))
    report = toy(verify([results]))
    assert (report.computed, report.why_computed) == ("whole", ["sentence-transformers 6.2.0 is now (absent)"])
    monkeypatch.setattr(rescore, "not_installed", lambda metrics: {"mauve": "it needs the extra"})
    assert toy(verify([results])).computed == "nothing"
    edit(results, lambda entry: entry["basis"]["libraries"].update({"numpy": "1.0"}))
    assert toy(verify([results])).computed == "whole"
