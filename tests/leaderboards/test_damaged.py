"""A record of each kind of damage and of malice: refused with a reason by the reader, by `add` and by `verify`."""

from __future__ import annotations

import bz2
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import stored_runs as runs

from bench.record import read_record
from bench.run_folder import is_regular, read_regular
from leaderboards.records import read_store
from leaderboards.render.page.files import read_diary
from leaderboards.repository.add import add
from leaderboards.repository.verify import verify

Document = dict[str, Any]
Damage = Callable[[Document], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "published.txt").write_text("the dog sleeps\na cat sees the dog\n" * 4)
    return runs.hand_in(folder / "published.txt", folder / "row")


@pytest.fixture
def row(whole: Path, tmp_path: Path) -> Path:
    return runs.copy(whole, tmp_path / "row")


def last(document: Document) -> Document:
    return document["evaluations"][-1]


def bleu(**changes: object) -> Damage:
    return lambda d: last(d)["scores"]["bleu_2"].update(changes)


def text(old: str, new: str) -> Callable[[str], str]:
    """A change of the JSON's text: what `json.dumps` would not write."""

    def change(document: str) -> str:
        assert old in document
        return document.replace(old, new, 1)

    return change


FIELDS: list[tuple[Damage, str]] = [
    (lambda d: d.pop("data_sha256"), "lacks 'data_sha256'"),
    (lambda d: last(d).pop("phase"), "evaluations[0] lacks 'phase'"),
    (lambda d: d.update(evil=1), "unknown field 'evil'"),
    (bleu(evil=1), "unknown field 'evil'"),
    (lambda d: d.update(schema_version=3), "schema_version 3"),
    (lambda d: d.update(schema_version="1"), "schema_version '1'"),
    (lambda d: d.update(schema_version=True), "schema_version True"),
    (lambda d: d.update(schema_version=None), "schema_version None"),
    (lambda d: d.pop("schema_version"), "schema_version None"),
    (lambda d: d.update(task_version="1"), "task_version must be int"),
    (lambda d: d.update(task_version=True), "task_version must be int"),
    (lambda d: d.update(model=["seqgan"]), "model must be str"),
    (lambda d: d.update(evaluations={}), "evaluations must be a list"),
    (lambda d: d.update(task_config=[]), "task_config must be an object"),
    (lambda d: last(d).update(scores=[]), "scores must be an object"),
    (bleu(value="0.9"), "value must be float"),
    (bleu(value=None), "value must be float"),
    (bleu(better="best"), "better must be one of higher, lower, real"),
    (lambda d: d.update(status={"completed": 1}), "status must be one of"),
    (lambda d: d.update(run_id="../../../evil"), "run_id must be letters"),
    (lambda d: d.update(run_id="/tmp/evil"), "run_id must be letters"),
    (lambda d: d.update(run_id=""), "run_id must be letters"),
    (lambda d: d.update(run_id="..", config_hash="a"), "run_id must be letters"),
    (lambda d: d.update(run_id="a" * 1000), "run_id must be letters"),
    (lambda d: d.update(config_hash="a/b"), "config_hash must be letters"),
    (lambda d: d.update(created_at="zzzz, so the newest"), "created_at must be a time"),
    (lambda d: last(d).update(samples_file="../samples.txt"), "file name beside the record"),
    (lambda d: last(d).update(samples_file="/etc/passwd"), "file name beside the record"),
    (lambda d: last(d).update(samples_file="a/b.txt"), "file name beside the record"),
    (lambda d: last(d).update(samples_file="C:\\samples.txt"), "file name beside the record"),
    (lambda d: last(d).update(samples_file=".ssh"), "file name beside the record"),
    (lambda d: last(d).update(samples_file="samples.txt\0.png"), "file name beside the record"),
    (lambda d: last(d).update(samples_file="samples\u202etxt.exe"), "file name beside the record"),
    (lambda d: last(d).update(samples_sha256=None), "without samples_sha256"),
    (lambda d: last(d).update(samples_sha256="00"), "64 hexadecimal digits"),
    (bleu(value=1e308), "no number of a run"),
    (lambda d: d.update(n_parameters=10**4000), "no number of a run"),
    (lambda d: d["task_config"].update(n_train=-(10**60)), "no number of a run"),
]

TEXTS: list[tuple[Callable[[str], str | bytes], str]] = [
    (text('"step": 0', '"step": NaN'), "no number of a run"),
    (text('"step": 0', '"step": Infinity'), "no number of a run"),
    (text('"step": 0', '"step": -Infinity'), "no number of a run"),
    (text('"step": 0', '"step": 1e999'), "no number of a run"),
    (text('"step": 0', f'"step": {"9" * 5000}'), "no number of a run"),
    (text('"step": 0', f'"step": 0.{"9" * 5000}'), "no number of a run"),
    (text('"step": 0', '"step": 0, "step": 1'), "the key 'step' stands twice"),
    (text('"environment": {', f'"environment": {{"a": {"[" * 200_000}{"]" * 200_000}, '), "in one another without end"),
    (text('"environment": {', f'"environment": {{"a": {"[" * 200_000}, '), "is not a run record"),
    (text('"environment": {', '"environment": {"a": "\\ud800", '), "surrogates not allowed"),
    (lambda t: t[: len(t) // 2], "is not a run record"),
    (lambda _: "", "is not a run record"),
    (lambda t: f"[{t}]", "expected an object, got list"),
    (lambda _: '"record"', "expected an object, got str"),
    (lambda t: f"{t}{t}", "Extra data"),
    (lambda t: b"\xef\xbb\xbf" + t.encode(), "BOM"),
    (lambda t: t.encode("utf-16"), "is not a run record"),
    (lambda t: t.replace("Somebody", "Ütz").encode("latin-1"), "is not a run record"),
    (lambda t: t.encode() + b"\0" * (65 << 20), "bytes; at most"),
    (lambda _: os.urandom(4096), "is not a run record"),
]

NAMES: list[tuple[Damage, str]] = [
    (lambda d: d.update(model="<script>alert(1)</script>"), "model must be a name"),
    (lambda d: d.update(model="seqgan\u202e"), "model must be a name"),
    (lambda d: d.update(model="seq\x1b[31mgan"), "model must be a name"),
    (lambda d: d.update(model=" \n"), "model must be a name"),
    (lambda d: d.update(model="m" * 201), "model must be a name"),
    (lambda d: d.update(scale="<b>"), "scale must be a name"),
    (lambda d: d.update(task="grammar<img src=x>"), "task must be a name"),
    (lambda d: d.update(task="../../evil.py:Task"), "a file of its author's"),
    (lambda d: d.update(task="bench.tasks.grammar"), "no task 'bench.tasks.grammar'"),
    (lambda d: last(d).update(phase="a/../b"), "a phase must be a word"),
    (lambda d: last(d)["scores"].update({"<img src=x>": last(d)["scores"]["bleu_2"]}), "a score must be a word"),
    (lambda d: last(d)["skipped"].update({"a b": "why"}), "a score must be a word"),
    (lambda d: d["data_facts"].update({"<i>": 1}), "a fact of the data must be a word"),
    (lambda d: d["model_config"].update({"": 1}), "a setting of the model must be a word"),
    (bleu(metric="evil.py:Metric"), "a metric must be a word"),
    (bleu(metric="os"), "no metric 'os'"),
    (bleu(settings={"samples": 10**15, "v": 1}), "one number of samples up to 1,000,000"),
    (lambda d: last(d).update(temperature=0), "has temperature 0"),
    (lambda d: last(d).update(temperature=1e40), "has temperature 1e+40"),
    (lambda d: last(d).update(step=-1), "step -1"),
    (lambda d: d.update(seed=3), "a run has a seed, a samples file has none"),
    (lambda d: d.update(evaluations=[]), "without an evaluation at its end"),
    (lambda d: d["task_config"].update(n_train=10**9), "over 1000000"),
    (lambda d: d["task_config"].update(n_train=[1]), "n_train"),
    (lambda d: d["task_config"].update(path="/dev/zero"), "a file of its author's"),
]


def reasons(row: Path) -> str:
    (report,) = verify([row])
    assert report.state != "verified"
    return "\n".join(report.reasons)


def refused_by_every_reader(row: Path, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        read_record(row / "record.json")
    assert said in str(error.value)
    assert str(row / "record.json") in str(error.value)
    assert len(str(error.value)) < 600, "a reason is short whatever the record holds"
    (problem,) = read_store([row]).problems
    assert said in problem
    assert said in reasons(row)
    with pytest.raises(ValueError, match=r".") as error:
        add(row / "record.json", tmp_path / "results")
    assert said in str(error.value)
    assert not (tmp_path / "results").exists()


def test_the_undamaged_record_passes(row: Path, tmp_path: Path) -> None:
    (report,) = verify([row])
    assert report.state == "verified"
    assert add(row / "record.json", tmp_path / "results").new


@pytest.mark.parametrize(("damage", "said"), FIELDS, ids=range(len(FIELDS)))
def test_a_field_that_is_not_what_it_should_be(row: Path, tmp_path: Path, damage: Damage, said: str) -> None:
    runs.change_json(row, damage)
    refused_by_every_reader(row, said, tmp_path)


@pytest.mark.parametrize(("damage", "said"), TEXTS, ids=range(len(TEXTS)))
def test_a_file_that_is_no_record(row: Path, tmp_path: Path, damage: Callable[[str], str | bytes], said: str) -> None:
    content = damage((row / "record.json").read_text())
    (row / "record.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused_by_every_reader(row, said, tmp_path)


@pytest.mark.parametrize(("damage", "said"), NAMES, ids=range(len(NAMES)))
def test_what_the_harness_never_writes_is_no_row(row: Path, tmp_path: Path, damage: Damage, said: str) -> None:
    runs.change_json(row, damage)
    assert said in reasons(row)
    if "metric 'os'" not in said:
        with pytest.raises(ValueError, match=r".") as error:
            add(row / "record.json", tmp_path / "results")
        assert said in str(error.value)
        assert not (tmp_path / "results").exists()


def packed(content: bytes) -> bytes:
    return bz2.compress(content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (packed(b"\0" * (100 << 20)), "holds more than 32,768 bytes"),
        (packed(packed(b"the dog sleeps\n" * 1000))[:60], "cannot be read"),
        (b"the dog sleeps\n", "cannot be read"),
        (b"", "cannot be read"),
        (packed(b"the dog sleeps\n" * 8), "SHA-256"),
    ],
)
def test_samples_that_are_a_bomb_or_torn(row: Path, content: bytes, said: str) -> None:
    (row / "samples.txt").unlink()
    (row / "samples.txt.bz2").write_bytes(content)
    assert said in reasons(row)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xff\xfe\n" * 8, "no UTF-8"), (b"a dog\n" * 7 + b"a dog", "line break"), (b"a dog\n" * 9, "holds 9 sentences")],
)
def test_samples_that_have_the_hash_and_are_no_samples(row: Path, content: bytes, said: str) -> None:
    (row / "samples.txt").write_bytes(content)
    runs.change_json(row, lambda d: last(d).update(samples_sha256=runs.sha256(content)))
    assert said in reasons(row)


def test_links_are_not_followed(row: Path, tmp_path: Path) -> None:
    (row / "samples.txt").rename(tmp_path / "samples.txt")
    (row / "samples.txt").symlink_to(tmp_path / "samples.txt")
    assert "is a link" in reasons(row)
    (row / "record.json").rename(tmp_path / "record.json")
    (row / "record.json").symlink_to(tmp_path / "record.json")
    assert "is a link" in reasons(row)
    with pytest.raises(ValueError, match="is a link"):
        add(row / "record.json", tmp_path / "results")


def test_a_list_of_verified_records_that_is_none_is_said(row: Path) -> None:
    for content in ("[]", "{}", '{"records": 3}', "<<<<<<< ours"):
        (row / "verified.json").write_text(content)
        (problem,) = read_store([row]).problems
        assert "write it anew" in problem


def test_numbers_as_the_harness_writes_them_pass(row: Path) -> None:
    def change(document: Document) -> None:
        document["environment"] |= {"small": 1e-300, "minus": -0.0, "large": 3.4e38, "integer": -(2**63)}

    runs.change_json(row, change)
    found = read_record(row / "record.json").environment
    assert (found["small"], found["large"], found["integer"]) == (1e-300, 3.4e38, -(2**63))
    assert json.loads((row / "record.json").read_text())["environment"] == found


def _deep(path: Path) -> None:
    path.write_text("[" * 100_000)


def _nested_setting(path: Path) -> None:
    document = json.loads((path.parents[1] / "kept.json").read_text())
    value: list[Any] = []
    for _ in range(500):
        value = [value]
    path.write_text(json.dumps(document | {"model_config": {"x": value}}))


BAD_FILES: dict[str, Callable[[Path], None]] = {
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "deep": _deep,
    "nested setting": _nested_setting,
}


@pytest.mark.parametrize("kind", BAD_FILES)
@pytest.mark.parametrize("name", ["record.json", "run.json", "verified.json"])
def test_one_bad_file_ends_no_table(row: Path, tmp_path: Path, name: str, kind: str) -> None:
    """Nothing is waited for, nothing is read without end, and the other rows are there."""
    shutil.copy(row / "record.json", tmp_path / "kept.json")
    bad = tmp_path / "bad"
    bad.mkdir()
    BAD_FILES[kind](bad / name)
    if name == "verified.json":
        shutil.copy(row / "record.json", bad / "record.json")
    store = read_store([row, bad])
    assert [entry.path for entry in store.entries] == [row / "record.json"]
    assert [str(bad) in problem for problem in store.problems] == [True]


def test_only_files_of_a_run_are_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    assert read_regular(tmp_path / "file", 5) == b"12345"
    with pytest.raises(ValueError, match="5 bytes; at most 4"):
        read_regular(tmp_path / "file", 4)
    for name in ("link", "pipe", "."):
        assert not is_regular(tmp_path / name)
        with pytest.raises(ValueError, match="a file is expected"):
            read_regular(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "nothing")


def test_a_diary_of_sixty_thousand_names_is_shown_in_part(tmp_path: Path) -> None:
    line = '{{"kind": "train", "phase": "mle", "step": 1, "values": {{"k{}": 1.0}}}}\n'
    (tmp_path / "train.jsonl").write_text("".join(line.format(number) for number in range(60_000)))
    curves = read_diary(tmp_path, 10)
    assert list(curves) == [f"k{number}" for number in range(200)]
