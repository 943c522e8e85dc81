"""What a model's likelihood is computed again from: small weights of an installed model, else what it gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import stored_runs as runs
from helpers.commands import call_leaderboards
from safetensors.torch import load_file, save_file

from bench.record import read_record
from bench.score.log_probs import OWN, TEST, pack_log_probs, read_log_probs
from leaderboards.evidence import outcomes
from leaderboards.repository import rescore
from leaderboards.repository.add import add
from leaderboards.repository.verify import Verification, verify, write_verified

LIKELIHOODS = {"nll_gen", "nll_gen_padded"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a model of this package."""
    return runs.train(tmp_path_factory.mktemp("mle"), "mle")


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return runs.copy(trained, tmp_path / "run")


def added(run: Path, results: Path, **options: Any) -> Path:
    return Path(add(run / "record.json", results, **options).folder)


def only(reports: list[Verification]) -> Verification:
    assert len(reports) == 1
    return reports[0]


def likelihoods(report: Verification) -> dict[str, str]:
    """Evaluation in words -> how its likelihoods were checked."""
    found = {}
    for (place, key), (how, why) in outcomes(report.checks).items():
        if key in LIKELIHOODS and why != "these samples are not kept":
            found[report.evaluations[place]] = how
    return found


def test_small_weights_are_kept_and_give_the_likelihood_again(run: Path, tmp_path: Path) -> None:
    folder = added(run, tmp_path / "results")
    assert {p.name for p in folder.iterdir()} == {"record.json", "samples.txt.bz2", "weights.safetensors"}
    report = only(verify([tmp_path / "results"]))
    assert (report.state, report.reasons) == ("verified", [])
    assert set(likelihoods(report).values()) == {"weights"}
    assert report.basis is not None
    assert "torch" in report.basis.libraries
    told = call_leaderboards("verify", folder).output
    given = "kl_from_oracle; nll_gen; nll_gen_calibrated; nll_gen_padded; nll_gen_temperature; nll_own"
    assert f"recomputed from weights: {given}" in told


def test_weights_that_are_too_large_stay_and_log_probabilities_come(run: Path, tmp_path: Path) -> None:
    folder = added(run, tmp_path / "results", most_weights=1000)
    assert {p.name for p in folder.iterdir()} == {"record.json", "samples.txt.bz2", "log-probs-samples.npz"}
    report = only(verify([tmp_path / "results"]))
    assert (report.state, set(likelihoods(report).values())) == ("verified", {"log_probabilities"})
    (folder / "log-probs-samples.npz").unlink()
    report = only(verify([tmp_path / "results"]))
    assert (report.state, set(likelihoods(report).values())) == ("verified", {"recorded"})
    call_leaderboards("add", run, "--results", tmp_path / "again", "--most-weights", "0")
    assert not list((tmp_path / "again").rglob("weights*"))


def test_a_run_keeps_what_its_model_gave(run: Path) -> None:
    kept = read_log_probs(run / "log-probs-samples.npz")
    (end,) = [e for e in read_record(run / "record.json").evaluations if e.at == "end" and e.temperature == 1.0]
    assert kept.keys() == {TEST, OWN}
    assert len(kept[OWN]) == 60
    assert (kept[OWN] < 0).all()
    padded = end.scores["nll_gen_padded"].value
    width = rescore.load(read_record(run / "record.json")).data.spec.max_len
    assert -kept[TEST].mean() / width == pytest.approx(padded, rel=1e-12)


def test_the_training_texts_likelihood_is_told_by_weights_alone(tmp_path: Path) -> None:
    """It needs no sample, and log-probabilities of training sentences are not kept."""
    run = runs.train(tmp_path / "runs", "mle", metrics=["nll_gen", "nll_train_padded"], temperatures=[])
    found = {}
    for most in (1_000_000, 0):
        report = only(verify([added(run, tmp_path / str(most), most_weights=most)]))
        assert (report.state, report.reasons) == ("verified", [])
        found[most] = {key: how for (_, key), (how, why) in outcomes(report.checks).items() if "not kept" not in why}
    assert found[1_000_000]["nll_train_padded"] == found[1_000_000]["nll_gen"] == "weights"
    assert (found[0]["nll_gen"], found[0]["nll_train_padded"]) == ("log_probabilities", "recorded")


def test_a_lie_about_the_likelihood_is_found(run: Path, tmp_path: Path) -> None:
    def lie(document: dict[str, Any]) -> None:
        for e in document["evaluations"]:
            if e["at"] == "end" and e["temperature"] == 1.0:
                e["scores"]["nll_gen"]["value"] *= 0.999

    runs.change_json(run, lie)
    for most in (1_000_000, 0):
        folder = added(run, tmp_path / str(most), most_weights=most)
        reasons = only(verify([folder])).reasons
        assert any("nll_gen is recorded as" in reason for reason in reasons), reasons


def test_a_record_from_before_the_divergences_is_verified_all_the_same(run: Path, tmp_path: Path) -> None:
    def older(document: dict[str, Any]) -> None:
        for e in document["evaluations"]:
            for key in ("nll_own", "kl_to_oracle", "kl_from_oracle", "nll_gen_calibrated", "nll_gen_temperature"):
                e["scores"].pop(key, None)

    runs.change_json(run, older)
    report = only(verify([added(run, tmp_path / "results")]))
    assert report.state == "verified", report.reasons
    assert likelihoods(report)


def test_other_weights_and_other_log_probabilities_are_found(run: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    folder = added(run, results)
    write_verified([results], verify([results]))
    tensors = load_file(folder / "weights.safetensors")
    name = next(name for name, t in tensors.items() if t.dtype.is_floating_point)
    save_file({**tensors, name: tensors[name] + 0.01}, folder / "weights.safetensors")
    report = only(verify([results]))
    assert report.why_computed == ["weights.safetensors is another file"]
    assert any("nll_gen is recorded as" in reason for reason in report.reasons)
    (folder / "weights.safetensors").write_bytes(b"junk" * 100_000)
    assert any("damaged" in reason for reason in only(verify([results])).reasons)
    (folder / "weights.safetensors").unlink()
    for content, said in (
        (pack_log_probs({TEST: np.full(3, -1.0)}), "does not hold the log-probabilities of"),
        (b"junk", "does not hold log-probabilities of sentences"),
    ):
        (folder / "log-probs-samples.npz").write_bytes(content)
        assert any(said in reason for reason in only(verify([results])).reasons)


def test_a_record_cannot_ask_for_a_model_that_its_weights_do_not_fill(run: Path, tmp_path: Path) -> None:
    folder = added(run, tmp_path / "results")
    runs.change_json(folder, lambda d: d["model_config"].update(hidden_dim=200_000))
    assert any("a model of these settings" in reason for reason in only(verify([folder])).reasons)


def test_weights_of_a_model_that_is_not_installed_or_too_large_to_read_are_left_alone(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rescore, "_MOST_WEIGHTS", 1000)
        assert set(likelihoods(only(verify([run]))).values()) == {"log_probabilities"}
    runs.change_json(run, lambda d: d.update(model="somebody_elses"))
    report = only(verify([run]))
    assert (report.state, set(likelihoods(report).values())) == ("verified", {"log_probabilities"})


def test_weights_beside_a_record_that_names_a_file_run_no_code(toy_run: Path, tmp_path: Path) -> None:
    folder = added(toy_run, tmp_path / "results")
    assert not (folder / "weights.safetensors").exists()
    (folder / "weights.safetensors").write_bytes((toy_run / "weights.safetensors").read_bytes())
    marker = tmp_path / "code was run"
    evil = tmp_path / "evil.py"
    evil.write_text(f"open({str(marker)!r}, 'w').close()\n")
    report = only(verify([tmp_path / "results"]))
    assert set(likelihoods(report).values()) == {"log_probabilities"}
    runs.change_json(folder, lambda d: d.update(model=f"{evil}:Evil"))
    verify([folder])
    assert not marker.exists()


def test_the_code_of_the_model_concerns_its_likelihood_alone(run: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    added(run, results)
    write_verified([results], verify([results]))
    document = json.loads((results / "verified.json").read_text())
    (entry,) = document["records"].values()
    entry["basis"]["code"]["model"] = "0" * 16
    (results / "verified.json").write_text(json.dumps(document))
    report = only(verify([results]))
    assert (report.state, report.computed, report.scores) == ("verified", "part", 6)  # five of nll_gen and nll_own
    assert report.why_computed == ["the code of model has changed"]


def test_a_bound_is_taken_as_recorded_and_weights_do_not_come_for_it(tmp_path: Path) -> None:
    """All else of the row is computed again; weights that lie there all the same are no fault."""
    run = runs.train(tmp_path, "masked_diffusion")
    folder = added(run, tmp_path / "results")
    assert {p.name for p in folder.iterdir()} == {"record.json", "samples.txt.bz2"}
    (folder / "weights.safetensors").write_bytes((run / "weights.safetensors").read_bytes())
    for there in (True, False):
        report = only(verify([tmp_path / "results"]))
        assert (report.state, report.reasons) == ("verified", []), there
        how = {key: (how, why) for (_, key), (how, why) in outcomes(report.checks).items()}
        assert how["nll_bound"] == ("recorded", "needs the model's weights")
        assert {found for key, (found, _) in how.items() if key != "nll_bound"} == {"samples"}
        (folder / "weights.safetensors").unlink(missing_ok=True)
