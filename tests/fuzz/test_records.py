"""Whatever stands in the files of a run: the right value, or an error in words that names the file."""

from __future__ import annotations

import hashlib
import io
import json
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.fuzz import JSON, cases, damaged_bytes, damaged_values, only_clear_errors
from helpers.paths import TOY
from helpers.records import as_schema_1, example
from hypothesis import given
from hypothesis import strategies as st

from bench.config import RunConfig
from bench.data import RemoteFile
from bench.record import Alarm, Evaluation, PhaseCost, RunStart, is_altered, read_record, read_start
from bench.run import checkpoint
from bench.run.batches import BatchStream
from bench.run.checkpoint import TrainingState, load_latest, load_weights, read_state, save_checkpoint, save_weights
from bench.run.runner import load_run
from bench.run_folder import find_begun
from bench.score.log_probs import OWN, TEST, pack_log_probs, read_log_probs
from bench.tracking import labels
from bench.tracking.diary import Diary, DiaryReader, TrainingValues
from leaderboards.evidence import VERIFIED, Basis, Document, Outcome, Verified, gathered
from leaderboards.records import read_store
from leaderboards.render.page.files import read_diary
from leaderboards.repository import rescore, verify
from leaderboards.repository.results import check_record, kept_evaluations, place

WHOLE = [json.loads(one.to_json()) for one in example()] + [as_schema_1(example()[0])]
for _document in WHOLE:
    _document.pop("checksum", None)


@cases(120)
@given(document=st.sampled_from(WHOLE).flatmap(damaged_values))
def test_structure_of_a_record(document: Any, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(document))
    with only_clear_errors(str(path)):
        found = read_record(path)
        assert read_store([path]).entries or read_store([path]).problems
        place(found)
        found.to_json()
        try:
            check_record(found)
            kept_evaluations(found)
        except ValueError:  # says what no run writes; the command names the file
            return


@cases(120)
@given(content=damaged_bytes(example()[0].to_json().encode()))
def test_bytes_of_a_record(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with only_clear_errors(str(path)):
        altered = is_altered(path)
        assert altered or read_record(path) == read_record(path)


START = {key: value for key, value in WHOLE[0].items() if key in {field.name for field in fields(RunStart)}}


@cases(100)
@given(document=damaged_values(START), content=st.none() | damaged_bytes(json.dumps(START).encode()))
def test_run_json(document: Any, content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(json.dumps(document).encode() if content is None else content)
    list(find_begun(tmp_path))  # claims nothing where it is no run
    with only_clear_errors(str(path)):
        start = read_start(path)
        labels.params(start)
        labels.child_tags(start, str(path))
        labels.parent_tags(start)
        assert labels.parent_name(start)
        assert labels.child_name(start)
        assert labels.parent_note(start)


EVENTS: list[TrainingValues | Evaluation | Alarm] = [
    TrainingValues(phase="mle", step=3, values={"loss": 1.5, "accuracy": float("nan")}),
    example()[0].evaluations[0],
    Alarm(kind="collapse", phase="mle", step=3, message="few"),
]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """A diary as JSON values."""
    folder = tmp_path_factory.mktemp("diary")
    (folder / "run.json").write_text(json.dumps(START))
    book = Diary(folder, read_start(folder / "run.json"))
    for event in EVENTS:
        book.write(event, at=1.7e9)
    book.close()
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


@cases(100)
@given(data=st.data())
def test_diary(data: st.DataObject, lines: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    if data.draw(st.booleans()):
        number = data.draw(st.integers(0, len(lines) - 1))
        changed = [*lines[:number], data.draw(damaged_values(lines[number])), *lines[number + 1 :]]
        path.write_text("".join(f"{json.dumps(line)}\n" for line in changed))
    else:
        path.write_bytes(data.draw(damaged_bytes("".join(f"{json.dumps(line)}\n" for line in lines).encode())))
    read_diary(tmp_path, 100)  # what the page shows: passes over what is no value
    with only_clear_errors(str(path), "line"):
        list(DiaryReader(tmp_path).more())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, BatchStream]:
    """A checkpoint and weights beside it, the model and its stream."""
    folder = tmp_path_factory.mktemp("trained")
    resolved = RunConfig(model=TOY, task="oracle_lstm", scale="smoke").resolve()
    data = resolved.task.load()
    model = resolved.model_class(resolved.model_config, data.spec)
    stream = BatchStream(data.train, 16, shuffle=True, seed=0, device=torch.device("cpu"))
    costs = [PhaseCost(name=phase.name, steps=0, seconds=0.0, real_sentences=0) for phase in model.phases()]
    save_checkpoint(folder / "checkpoint.pt", model, stream, TrainingState(phases=costs))
    save_weights(folder / "weights.safetensors", model)
    return folder, model, stream


def _with_checksum(content: bytes) -> bytes:
    return checkpoint._header(memoryview(content)) + content


@cases(60)
@given(data=st.data())
def test_bytes_of_a_checkpoint(data: st.DataObject, trained: tuple[Path, Any, BatchStream], tmp_path: Path) -> None:
    folder, model, stream = trained
    whole = (folder / "checkpoint.pt").read_bytes()
    path = tmp_path / "checkpoint.pt"
    content = data.draw(damaged_bytes(whole))
    if data.draw(st.booleans()):  # by somebody who writes the checksum anew
        content = (
            checkpoint._header(memoryview(content[checkpoint._HEADER_BYTES :])) + content[checkpoint._HEADER_BYTES :]
        )
    path.write_bytes(content)
    with only_clear_errors(str(path)):
        read_state(path)
    with only_clear_errors(str(path)):
        load_latest(path, model, stream, stream.device)


@cases(60)
@given(data=st.data())
def test_content_of_a_checkpoint(data: st.DataObject, trained: tuple[Path, Any, BatchStream], tmp_path: Path) -> None:
    folder, model, stream = trained
    whole = (folder / "checkpoint.pt").read_bytes()[checkpoint._HEADER_BYTES :]
    content = torch.load(io.BytesIO(whole), weights_only=True)
    if data.draw(st.booleans()):
        content["progress"] = json.dumps(data.draw(damaged_values(json.loads(content["progress"]))))
    else:
        key = data.draw(st.sampled_from(sorted(content)))
        content[key] = data.draw(st.one_of(JSON, damaged_values(dict.fromkeys(("a", "b"), 1)), st.just(torch.zeros(3))))
        if data.draw(st.integers(0, 4)) == 0:
            del content[key]
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(_with_checksum(buffer.getvalue()))
    with only_clear_errors(str(path), "delete it"):
        load_latest(path, model, stream, stream.device)


@cases(60)
@given(data=st.data())
def test_weights(data: st.DataObject, trained: tuple[Path, Any, BatchStream], tmp_path: Path) -> None:
    folder, model, _ = trained
    path = tmp_path / "weights.safetensors"
    whole = (folder / "weights.safetensors").read_bytes()
    length = int.from_bytes(whole[:8], "little")
    if data.draw(st.booleans()):
        path.write_bytes(data.draw(damaged_bytes(whole)))
    else:
        header = json.dumps(data.draw(damaged_values(json.loads(whole[8 : 8 + length])))).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + whole[8 + length :])
    with only_clear_errors(str(path)):
        load_weights(path, model, torch.device("cpu"))


VERIFIED_JSON = {
    "schema_version": 1,
    "records": {
        "a" * 64: {"record": "r/record.json", "files": 1, "scores": 2, "recorded_only": {}, "version": "1", "date": "x"}
    },
}


@cases(100)
@given(document=damaged_values(VERIFIED_JSON), content=st.none() | damaged_bytes(json.dumps(VERIFIED_JSON).encode()))
def test_verified_json(document: Any, content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "r" / "record.json"
    example()[0].write(file)
    path = tmp_path / VERIFIED
    path.write_bytes(json.dumps(document).encode() if content is None else content)
    store = read_store([file])  # a problem with it is reported, and nothing else is lost
    assert all(VERIFIED in problem for problem in store.problems)
    report = verify.Verification(record=str(file), sha256="b" * 64, state="verified", scores=1)
    assert verify.write_verified([tmp_path], [report]) == [path]
    assert "b" * 64 in json.loads(path.read_text())["records"]


def _verified_now() -> dict[str, Any]:
    """What is said of the first example, as `verify --write` says it."""
    one = example()[0]
    found: dict[tuple[int, str], Outcome] = {
        (i, key): ("samples", "") for i, e in enumerate(one.evaluations) for key in e.scores
    }
    basis = Basis(files={"samples.txt.bz2": "0"}, code={"task": "0", "bleu": "1"}, libraries={"numpy": "2"})
    entry = Verified(record="r/record.json", date="x", version="1", checks=gathered(found), basis=basis)
    sha256 = hashlib.sha256(one.to_json().encode()).hexdigest()
    return json.loads(Document(records={sha256: entry}).to_json())


@cases(100)
@given(document=damaged_values(_verified_now()))
def test_verified_json_of_today(document: Any, tmp_path: Path) -> None:
    file = tmp_path / "r" / "record.json"
    example()[0].write(file)
    (tmp_path / VERIFIED).write_text(json.dumps(document))
    store = read_store([file])
    assert all(VERIFIED in problem for problem in store.problems)
    assert verify.changed([file])[file] != (), "it is computed again"
    assert verify.write_verified([tmp_path], [verify.Verification(record=str(file), sha256="b" * 64, state="verified")])


@cases(100)
@given(content=damaged_bytes(pack_log_probs({TEST: -np.arange(1.0, 40.0), OWN: -np.ones(7)})))
def test_log_probs(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log-probs-samples.npz"
    path.write_bytes(content)
    with only_clear_errors(str(path)):
        found = read_log_probs(path)
        assert all(values.ndim == 1 and (values <= 1e-4).all() for values in found.values())


SOURCE = {"name": "a.txt", "url": "https://example.org/a.txt", "sha256": "a" * 64}


@cases(100)
@given(document=damaged_values(SOURCE), content=st.none() | damaged_bytes(json.dumps(SOURCE).encode()))
def test_source_json(document: Any, content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "source.json"
    path.write_bytes(json.dumps(document).encode() if content is None else content)

    def fetch(file: RemoteFile) -> Path:
        assert Path(file.name).name == file.name
        assert file.url.startswith("https://")
        raise FileNotFoundError(f"{file.name} is not on this machine")

    with pytest.MonkeyPatch.context() as patch, only_clear_errors():
        patch.setattr("bench.data.fetch", fetch)
        with suppress(rescore.NotCheckable):  # whatever was asked for is not here
            verify._from_source(path, example()[0].evaluations[0], None)  # type: ignore[arg-type]


TRAINED = {
    **WHOLE[0],
    "task": "grammar",
    "task_version": 1,
    "task_config": {"n_train": 50, "n_valid": 10, "n_test": 50},
    "model": "mle",
    "model_config": {"hidden_dim": 8, "embedding_dim": 8, "batch_size": 4},
}


@cases(30)
@given(document=damaged_values(TRAINED))
def test_a_record_that_is_resumed_or_sampled_from(document: Any, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text(json.dumps(document))
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    with only_clear_errors():
        load_run(tmp_path)
