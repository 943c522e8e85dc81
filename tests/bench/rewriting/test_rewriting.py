"""Models that rewrite, from a run to its record and back; published outputs; what is refused, in words."""

from __future__ import annotations

import bz2
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import stored_runs
from helpers.commands import call_bench, call_leaderboards

from baselines.copy_input import CopyInput
from bench.config import RunConfig
from bench.launch import findings
from bench.record import RunRecord, read_record
from bench.rewriting.cli import _asked
from bench.rewriting.data import RewritingText, input_rows
from bench.rewriting.drawing import rewrite
from bench.rewriting.files import read_rewritten
from bench.run.contract import ContractError
from bench.run.runner import run
from bench.tasks.grammar_labels import GrammarLabels
from bench.tasks.grammar_transfer import GrammarTransfer
from bench.tracking import pictures
from leaderboards.render.page import site
from leaderboards.repository.add import add
from leaderboards.repository.rescore import load, read_sentences, recompute
from leaderboards.repository.verify import verify
from metrics.common.tokens import Tokens

SMALL = {"n_train": 320, "n_valid": 40, "n_test": 60}


def config(model: str, task: str = "grammar_transfer", **changes: object) -> RunConfig:
    given = {"scale": "smoke", "device": "cpu", "task_settings": SMALL, "temperatures": (1.0, 0.8)}
    return RunConfig(model=model, task=task, **given | changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, RunRecord]]:
    folder = tmp_path_factory.mktemp("runs")
    found = {}
    for model in ("cycle_gan", "copy_input", "nearest_other", "ngram"):
        resolved = config(model).resolve()
        found[model] = (resolved.folder(folder), run(resolved, folder))
    return found


def test_every_kind_of_model_ends_in_a_record_that_is_computed_again(
    runs: dict[str, tuple[Path, RunRecord]],
) -> None:
    for model, (folder, record) in runs.items():
        assert record.error is None, model
        (end,) = (e for e in record.evaluations if e.at == "end" and e.temperature == 1.0)
        assert {"exact_match", "transfer_accuracy", "transfer_content", "transfer_joint"} <= end.scores.keys()
        loaded = load(record)
        assert isinstance(loaded.data, RewritingText)
        assert end.samples_file is not None
        sentences = read_sentences(loaded, folder / end.samples_file)
        assert len(sentences) == len(loaded.data.references.inputs)
        assert not any(sentence.startswith("<") for sentence in sentences)
        again = recompute(loaded, end, sentences)
        assert again.differences == []
        assert again.outcomes.keys() == end.scores.keys()


def test_what_has_no_temperature_is_absent_with_the_reason(runs: dict[str, tuple[Path, RunRecord]]) -> None:
    def cooled(model: str) -> dict[str, str]:
        (found,) = (e for e in runs[model][1].evaluations if e.at == "end" and e.temperature == 0.8)
        return dict(found.skipped)

    assert cooled("copy_input")["transfer"] == "CopyInput rewrites without a temperature, got 0.8"
    assert "transfer" not in cooled("ngram")  # told the class, it writes a sentence of it


def test_a_copy_and_the_nearest_sentence(runs: dict[str, tuple[Path, RunRecord]]) -> None:
    data = GrammarTransfer(**SMALL).load()
    assert isinstance(data, RewritingText)
    inputs = data.vocabulary.sentences(data.references.inputs)
    assert (runs["copy_input"][0] / "samples.txt").read_text().splitlines() == inputs
    near = (runs["nearest_other"][0] / "samples.txt").read_text().splitlines()
    assert set(near) <= set(data.vocabulary.sentences(data.training))


def test_a_model_and_a_task_must_go_together() -> None:
    with pytest.raises(ContractError, match="CopyInput rewrites sentences, and grammar asks for none: give it c"):
        config("copy_input", "grammar", task_settings={}).resolve()
    with pytest.raises(ContractError, match="WGANGP rewrites no sentences, and grammar_transfer asks for nothing else"):
        config("wgan_gp").resolve()


def test_what_a_model_gives_is_looked_at() -> None:
    data = GrammarTransfer(**SMALL).load()
    assert isinstance(data, RewritingText)

    class Unheeding(CopyInput):
        def transfer(self, tokens: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return tokens

    class Short(CopyInput):
        def transfer(self, tokens: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return tokens[:, :-1]

    ids, wanted = data.input_ids, data.references.wanted
    with pytest.raises(ValueError, match=r"Unheeding.transfer: each sentence must begin with its label"):
        rewrite(Unheeding(CopyInput.Config(), data.spec), ids, wanted, seed=0)
    with pytest.raises(ValueError, match=r"Short.transfer must return int64"):
        rewrite(Short(CopyInput.Config(), data.spec), ids, wanted, seed=0)
    with pytest.raises(ValueError, match="rewrites sentences and draws none"):
        CopyInput(CopyInput.Config(), data.spec).sample(3)


def test_rows_of_inputs_are_cut_and_unknown_words_are_written_or_refused() -> None:
    data = GrammarTransfer(**SMALL).load()
    assert isinstance(data, RewritingText)
    size, length = data.spec.vocab_size, data.spec.max_len
    strange = Tokens(np.array([5, size + 3, *[7] * 40]), np.array([0, 2, 42]))
    rows = input_rows(strange, np.array([0, 1]), data.spec, unknown=1)
    assert rows[0].tolist()[:4] == [data.spec.class_ids[0], 5, 1, 0]
    assert rows[1].tolist() == [data.spec.class_ids[1], *[7] * (length - 1)]
    with pytest.raises(ValueError, match="1 words of the inputs are not in the vocabulary"):
        input_rows(strange, np.array([0, 1]), data.spec, unknown=None)


def test_published_outputs_are_read_beside_their_inputs(tmp_path: Path) -> None:
    task = GrammarTransfer(**SMALL)
    data = task.load()
    assert isinstance(data, RewritingText)
    inputs = data.vocabulary.sentences(data.references.inputs)
    path = tmp_path / "out.tsf"
    path.write_text("".join(f"{line}\tthe strange soup\n" for line in inputs))
    samples = read_rewritten([path], task, data)
    assert samples.sentences == ["the strange soup"] * len(inputs)
    path.write_text("".join(f"{line}\n" for line in inputs))
    assert read_rewritten([path], task, data).sentences == inputs
    path.write_text("the strange soup\n" * len(inputs))
    assert read_rewritten([path], task, data).sentences == ["the strange soup"] * len(inputs)
    path.write_text("a\tb\n")
    with pytest.raises(ValueError, match=f"out.tsf have 1 lines, and there are {len(inputs)} inputs"):
        read_rewritten([path], task, data)
    path.write_text("".join(f"other\t{line}\n" for line in inputs))
    with pytest.raises(ValueError, match="answer other inputs than the task's: the first is line 1, 'other' in the"):
        read_rewritten([path], task, data)


def test_two_files_of_a_system_are_a_row_that_is_computed_again(tmp_path: Path) -> None:
    data = GrammarTransfer(**SMALL).load()
    assert isinstance(data, RewritingText)
    inputs, right = (data.vocabulary.sentences(text) for text in (data.references.inputs, data.references.sets[0]))
    lines = [f"{given}\t{answer}\n" for given, answer in zip(inputs, right, strict=True)]
    half = len(lines) // 2
    (tmp_path / "a.tsf").write_text("".join(lines[:half]))
    (tmp_path / "b.tsf").write_text("".join([*lines[half:-1], f"{inputs[-1]}\tthe zebra\n"]))
    given = ["score", str(tmp_path / "a.tsf"), str(tmp_path / "b.tsf"), "grammar_transfer", "--name", "mine"]
    given += [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    given += ["--runs", str(tmp_path / "runs")]
    call_bench(*given)
    (file,) = (tmp_path / "runs").glob("grammar_transfer-samples-*/record.json")
    record = read_record(file)
    assert record.model == "mine"
    assert record.evaluations[0].scores["exact_match"].value == 1 - 1 / len(lines)
    assert (file.parent / "inputs.txt").read_text().splitlines() == inputs
    stored_runs.change(file.parent, stored_runs.as_from_a_clean_checkout)
    added = add(file, tmp_path / "results")
    (report,) = verify([tmp_path / "results"])
    assert (report.state, report.reasons) == ("verified", []), added
    kept = Path(added.folder) / "inputs.txt.bz2"
    ((_, shown),) = site._samples(record, kept.parent, 2, [])
    assert shown == [f"{given}  →  {answer}" for given, answer in zip(inputs[:2], right, strict=False)]
    kept.write_bytes(bz2.compress(b"another sentence\n"))
    (report,) = verify([tmp_path / "results"])
    assert report.state == "different"
    assert "does not hold the sentences that the samples answer" in report.reasons[0]
    alone = call_bench(*given[:2], *given[3:], code=2)
    assert f"have {half} lines, and there are {len(lines)} inputs" in " ".join(alone.output.split())


def test_of_several_published_files_addresses_and_hashes_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = GrammarTransfer(**SMALL).load()
    assert isinstance(data, RewritingText)
    right = data.vocabulary.sentences(data.references.sets[0])
    half = len(right) // 2
    files = [tmp_path / "files" / name for name in ("a.tsf", "b.tsf")]
    files[0].parent.mkdir()
    for file, lines in zip(files, (right[:half], right[half:]), strict=True):
        file.write_text("".join(f"{line}\n" for line in lines))
    given = ["score", *map(str, files), "grammar_transfer", "--name", "mine", "--runs", str(tmp_path / "runs")]
    given += [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    call_bench(*given)
    (record,) = (tmp_path / "runs").glob("grammar_transfer-samples-*/record.json")
    stored_runs.change(record.parent, stored_runs.as_from_a_clean_checkout)
    results = tmp_path / "results"
    asked = ["add", str(record), "--results", str(results)]
    asked += [part for file in files for part in ("--source-file", str(file))]
    asked += ["--source-url", "https://example.org/a.tsf"]
    told = call_leaderboards(*asked, code=2)
    assert "got 2 and 1" in told.output
    call_leaderboards(*asked, "--source-url", "https://example.org/b.tsf")
    (source,) = results.glob("*/*/*/source.json")
    assert [entry["name"] for entry in json.loads(source.read_text())] == ["a.tsf", "b.tsf"]
    assert {path.name for path in source.parent.iterdir()} == {"record.json", "source.json"}
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(files[0].parent))
    (report,) = verify([results])
    assert (report.state, report.reasons) == ("verified", [])
    source.write_text(json.dumps(json.loads(source.read_text())[::-1]))
    assert "these are not the samples of the record" in verify([results])[0].reasons[0]


def test_samples_are_shown_with_their_inputs(runs: dict[str, tuple[Path, RunRecord]]) -> None:
    folder, record = runs["copy_input"]
    first = (folder / "samples.txt").read_text().splitlines()[0]
    assert (folder / "inputs.txt").read_text().splitlines()[0] == first
    shown = list(findings._samples(config("copy_input").resolve(), record, folder))
    text = GrammarTransfer().detokenize(first)
    assert shown[1:3] == [f"  {text}", f"    -> {text}"]
    assert len(shown) == 7
    ((name, lines), *_) = site._samples(record, folder, 4, [])
    assert (name, lines[0]) == ("end of training, T = 1", f"{first}  →  {first}")
    table = json.loads(pictures.samples_table(["b c"], 0, ["a"]))
    assert table == {"columns": ["seed", "input", *table["columns"][2:]], "data": [[0, "a", "b c", 2, 1]]}


def test_two_files_of_a_user_and_a_sentence_rewritten(tmp_path: Path) -> None:
    (tmp_path / "neg.txt").write_text("the soup is bad .\nwe hate the bad fish .\na bad place .\n" * 20)
    (tmp_path / "pos.txt").write_text("the soup is good .\nwe love the good fish .\na good place .\n" * 20)
    texts = f"texts=negative={tmp_path}/neg.txt positive={tmp_path}/pos.txt"
    given = ["run", "cycle_gan", "rewriting_file", "--set", texts, "--scale", "smoke"]
    given += ["--tracker", "none", "--runs", str(tmp_path / "runs")]
    call_bench(*given)
    (folder,) = (p.parent for p in (tmp_path / "runs").glob("*cycle_gan*/record.json"))
    scores = json.loads((folder / "record.json").read_text())["evaluations"][-1]
    assert {"transfer_accuracy", "transfer_content", "transfer_joint", "input_bleu"} <= set(scores["scores"])
    assert read_record(folder / "record.json").status == "completed"
    (tmp_path / "mine.txt").write_text("the fish is bad .\n\nwe hate the soup .\n")
    told = call_bench("rewrite", folder, tmp_path / "mine.txt", "--label", "positive")
    assert [line.split("\t")[0] for line in told.output.splitlines()] == ["the fish is bad .", "we hate the soup ."]
    assert all(len(line.split("\t")) == 2 for line in told.output.splitlines())
    wrong = call_bench("rewrite", folder, tmp_path / "mine.txt", "--label", "positve", code=2)
    assert "did you mean 'positive'?" in wrong.output
    (tmp_path / "mine.txt").write_text("the zebra is bad .\n")
    strange = call_bench("rewrite", folder, tmp_path / "mine.txt", "--label", "positive", code=2)
    assert "the word 'zebra' is not in the training text of this run" in " ".join(strange.output.split())
    (tmp_path / "mine.txt").write_text("\n\n")
    nothing = call_bench("rewrite", folder, tmp_path / "mine.txt", "--label", "positive", code=2)
    assert "there is no sentence to rewrite: the file is empty" in " ".join(nothing.output.split())


def test_text_without_inputs_and_a_class_that_is_not_there_are_told_apart() -> None:
    """The labelled text has classes, and nothing to be rewritten."""
    labelled, transfer = (kind(n_train=40, n_valid=8, n_test=40) for kind in (GrammarLabels, GrammarTransfer))
    with pytest.raises(ValueError, match="grammar_labels has no sentences to be rewritten: name a file of them"):
        _asked(labelled.load(), labelled, "positive", 1)
    with pytest.raises(ValueError, match="no class 'positiv'; did you mean 'positive'"):
        _asked(transfer.load(), transfer, "positiv", 1)
    assert len(_asked(transfer.load(), transfer, "positive", 2)) == 2
