"""The record: written and read back, strictly; what is of schema 1 becomes schema 2 with every score as it was."""

from __future__ import annotations

import json
import math
import random
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from helpers.records import as_schema_1, evaluation, example, record
from hypothesis import given
from hypothesis import strategies as st

import bench.record
from bench.config import RunConfig
from bench.record import RunRecord, Score, read_document, read_evaluation, read_record
from bench.record_upgrade import upgrade_evaluation
from bench.registry import find, names
from bench.run_settings import RunSettings
from bench.text.documents import read_quickly
from metrics.common.signature import signature_text

SETTINGS = RunSettings(n_samples=1000, temperatures=(0.5, 1.0), evaluate_every=6, fp32_precision="bf16", threads=2)


def trained() -> RunRecord:
    evaluations = (
        replace(evaluation("cadence", phase="mle", bleu_2=0.5), step=6),
        replace(evaluation("cadence", phase="mle", bleu_2=0.55), step=18),
        evaluation("phase_end", phase="mle", bleu_2=0.6),
        evaluation(temperature=0.5, bleu_2=0.9),
        evaluation(bleu_2=0.7, self_bleu_3=1 / 3),
    )
    environment = {"device": "cpu", "threads": 2, "fp32_precision": "bf16", "git.dirty": False}
    return record("seqgan", 0, *evaluations, run=SETTINGS, environment=environment)


def written(document: dict[str, Any], folder: Path) -> RunRecord:
    (folder / "record.json").write_text(json.dumps(document))
    return read_record(folder / "record.json")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    one = trained()
    one.write(tmp_path / "record.json")
    assert read_record(tmp_path / "record.json") == one


def test_the_runs_own_settings_stand_in_the_record() -> None:
    assert set(json.loads(trained().to_json())["run"]) == set(RunSettings.model_fields)


def test_a_record_of_schema_1_has_the_same_scores_and_what_its_run_was_set_to(tmp_path: Path) -> None:
    one = trained()
    upgraded = written(as_schema_1(one), tmp_path)
    assert upgraded.upgraded_from == 1
    assert upgraded.evaluations == one.evaluations
    assert upgraded.run == SETTINGS.model_copy(update={"device": "cpu"})
    assert replace(upgraded, upgraded_from=None, run=one.run) == one


def test_samples_of_schema_1_have_no_run(tmp_path: Path) -> None:
    one = record("mine", None, evaluation("samples", phase="samples", bleu_2=0.7))
    assert written(as_schema_1(one), tmp_path) == replace(one, upgraded_from=1)


@pytest.mark.parametrize("name", names("metrics"))
def test_every_signature_becomes_settings_and_the_same_signature_again(name: str) -> None:
    metric = find("metrics", name)()
    own = {f.name: getattr(metric, f.name) for f in fields(metric)}
    settings = {**own, "samples": 10_000, "v": metric.version}
    signature = signature_text(name, settings)
    old = {"scores": {"key": {"metric": name, "signature": signature}}}
    found = upgrade_evaluation(old)["scores"]["key"]["settings"]
    assert found == settings
    assert signature_text(name, found) == signature


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(st.characters(exclude_characters="|"))))
def test_any_text_of_a_setting_stays_that_text(texts: dict[str, str]) -> None:
    signature = "|".join(["m", *(f"{name}:{text}" for name, text in texts.items())])
    found = upgrade_evaluation({"scores": {"m_2": {"metric": "m", "signature": signature}}})["scores"]["m_2"]
    assert signature_text("m", found["settings"]) == signature


@pytest.mark.parametrize("signature", ["", "bleu", "other|v:1", "bleu|v", "bleu|v:1|v:2", 3, None])
def test_a_signature_that_is_none_is_refused(tmp_path: Path, signature: object) -> None:
    document = as_schema_1(trained())
    document["evaluations"][0]["scores"]["bleu_2"]["signature"] = signature
    if signature == "bleu":  # a metric without a setting, as it could be
        assert written(document, tmp_path).evaluations[0].scores["bleu_2"].settings == {}
        return
    with pytest.raises(ValueError, match=r"record\.json"):
        written(document, tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"run": {"n_samples": "1000"}}, "record.run.n_samples must be int, got '1000'"),
        ({"run": {"sample": 1}}, "record.run has unknown field 'sample'"),
        ({"run": {"fp32_precision": "fp8"}}, "record.run.fp32_precision must be one of ieee, tf32, bf16, got 'fp8'"),
        ({"run": {"n_samples": 0}}, "record.run.n_samples: input should be greater than 0, got 0"),
        ({"schema_version": 3}, "schema_version 3; this version reads 1 and 2"),
        ({"seed": "0"}, "record.seed must be int"),
    ],
)
def test_a_damaged_field_is_named(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        written({**json.loads(trained().to_json()), **change}, tmp_path)
    assert complaint in str(error.value)


def test_an_evaluation_of_either_schema_is_read() -> None:
    one = trained()
    new = json.loads(one.to_json())["evaluations"][0]
    assert read_evaluation(new) == read_evaluation(as_schema_1(one)["evaluations"][0]) == one.evaluations[0]


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="value"):
        read_evaluation(
            {**json.loads(trained().to_json())["evaluations"][0], "scores": {"a": {"value": None, "metric": "a"}}}
        )
    assert math.isfinite(Score(value=1.0, metric="a", settings={}, better="real").value)


@pytest.mark.parametrize(
    "change", [{"evaluations": 5}, {"evaluations": None}, {"environment": []}, {"origin": ["run"]}]
)
def test_an_older_record_of_other_types_is_refused_by_name(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(as_schema_1(example()[0]) | change))
    with pytest.raises(ValueError, match=rf"record\.json: record.{next(iter(change))} must be"):
        read_record(path)


def test_an_older_record_whose_temperature_is_a_list_is_refused_by_name(tmp_path: Path) -> None:
    document = as_schema_1(example()[0])
    document["evaluations"][-1]["temperature"] = [1.0]
    path = tmp_path / "record.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="temperature must be float"):
        read_record(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "m" * 1_000_000}, "has a name of 1,000,000 characters; at most 1,000 are read"),
        (
            {"model_config": {"a": list(range(100_000))}},
            "record.model_config takes .* characters as JSON; at most 100,0",
        ),
        ({"task_config": {"a" * 200_000: 1}}, "record.task_config takes .* characters as JSON"),
        ({"environment": {"a": "b" * 200_000}}, "record.environment takes .* characters as JSON"),
        ({"evaluations": (evaluation(**{f"bleu_{i}": 0.5 for i in range(1_100)}),)}, "1,100 scores of different names"),
        ({"evaluations": (evaluation(phase="p" * 2_000),)}, "a name of 2,000 characters"),
    ],
)
def test_a_record_that_no_table_can_show_is_refused_at_once(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "record.json"
    replace(example()[0], **change).write(path)
    with pytest.raises(ValueError, match=said):
        read_record(path)


def test_a_run_with_settings_that_no_record_keeps_is_refused_before_it_starts() -> None:
    with pytest.raises(
        ValueError, match=r"text_file takes .* characters as JSON; at most 100,000 can be kept of a run"
    ):
        RunConfig(model="mle", task="text_file", task_settings={"path": "x" * 200_000}).resolve()


def slowly(content: bytes, monkeypatch: pytest.MonkeyPatch, folder: Path) -> dict[str, Any] | None:
    """What the careful reader makes of a document; None: it refuses."""
    (folder / "d.json").write_bytes(content)
    with monkeypatch.context() as patch:
        patch.setattr(bench.record, "read_quickly", lambda *_: None)
        try:
            return read_document(folder / "d.json")
        except ValueError:
            return None


DOUBTFUL = [
    b'{"a":1,"a":2}', b'{"a":{"b":1,"b":1}}', b'{"a" :1,"a"\n:2}', b'{"a":[1e50,1e51]}',
    b'{"a":1e51}', b'{"a":-1e51}', b'{"a":1e400}', b'{"a":NaN}', b'{"a":-Infinity}',
    b'{"a":"\\ud800"}', b'{"a":01}', b'{"a":[1,]}', b'{"a":1} x', b'[1]', b"", b'{"a":tru}', b'{"a":"\xff"}',
    b'{"a":"\x01"}', b"\xef\xbb\xbf{}", b'{"a":' + b"[" * 60 + b"]" * 60 + b"}", b'{"a":' + b"9" * 401 + b"}",
]  # fmt: skip
FINE = [b"{}", b' {"a" : -0.0, "b":[1, 2.5e-7, true, null]}\n', b'{"a":{"b":"x"},"c":123456789012345678901234567890}',
        b'{"a"\r\n\t : [[1e50, -1e50], {"b": [{"c": {}}]}]}']  # fmt: skip


def test_the_quick_reader_takes_nothing_that_the_careful_one_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in DOUBTFUL:
        assert slowly(content, monkeypatch, tmp_path) is None, content
        assert read_quickly(content, 50) is None, content
    for content in FINE:
        assert repr(read_quickly(content, 50)) == repr(slowly(content, monkeypatch, tmp_path)), content
    assert read_quickly(b'{"a":"x\\":y"}', 50) is None, "in doubt"
    assert read_record_of(b'{"a":"x\\":y"}', tmp_path) == {"a": 'x":y'}
    numbers = random.Random(0)
    whole = b'{"a":{"value":0.1234567890123,"n":12,"s":"x","l":[1,2.5e-7,"q",null,true]},"b":"t"}'
    taken = 0
    for _ in range(3000):
        content = bytearray(whole)
        for _ in range(numbers.randint(1, 3)):
            content[numbers.randrange(len(content))] = numbers.choice(b'{}[]":,.0123456789eE+-\\ \nabnu\xc3truefals')
        quick = read_quickly(bytes(content), 50)
        if quick is not None:
            taken += 1
            assert repr(quick) == repr(slowly(bytes(content), monkeypatch, tmp_path)), bytes(content)
    assert taken > 100


def read_record_of(content: bytes, folder: Path) -> dict[str, Any]:
    (folder / "d.json").write_bytes(content)
    return read_document(folder / "d.json")


def test_equal_settings_of_other_types_have_other_signatures() -> None:
    texts = [Score(value=0.5, metric="m", settings={"a": a}, better="lower").signature for a in (1, 1.0, True, "1")]
    assert texts == ["m|a:1", "m|a:1.0", "m|a:True", "m|a:1"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('    "value": ', '    "value": 1, "value": '), "twice"),
        (('"status": "completed"', '"status": "done"'), "status"),
        (('"status": "completed"', '"status": "completed", "more": 1'), "unknown field 'more'"),
        (('"temperature": 1.0', '"temperature": [1.0]'), r"temperature must be float"),
        (('"checksum": "', '"checksums": "'), "unknown field 'checksums'"),
    ],
)
def test_a_record_is_read_from_its_own_bytes_as_strictly(
    tmp_path: Path, change: tuple[str, str], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes go to the checks as they lie there, without the checksum; how they are laid out changes nothing."""
    path = tmp_path / "record.json"
    trained().write(path)
    whole = path.read_text()
    assert read_record(path) == trained()
    for layout in (json.dumps(json.loads(whole)), json.dumps(json.loads(whole), separators=(",", ":")), whole + "\n "):
        path.write_text(layout)
        assert read_record(path) == trained(), layout
    first = dict(reversed(json.loads(whole).items()))  # the checksum in front
    path.write_text(json.dumps(first))
    assert read_record(path) == trained()
    path.write_text(whole.replace(*change, 1))
    assert path.read_text() != whole
    with pytest.raises(ValueError, match=complaint) as quick:
        read_record(path)
    monkeypatch.setattr(bench.record, "read_quickly", lambda *_: None)
    with pytest.raises(ValueError, match=complaint) as careful:
        read_record(path)
    assert str(quick.value) == str(careful.value)
