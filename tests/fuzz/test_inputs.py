"""Whatever a user hands in (samples, settings, suites, published numbers, oracles): read, or refused in words."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.fuzz import JSON, TEXT, cases, damaged_bytes, damaged_values, only_clear_errors, toml
from hypothesis import given
from hypothesis import strategies as st

from bench import places, published
from bench.cli import spread
from bench.config import assign, build, make_runs, parse_settings, setting_names
from bench.registry import find, names
from bench.reproduce import presets
from bench.reproduce.durations import read_duration
from bench.score.references import References
from bench.suite import read_suite
from bench.task import Vocabulary
from bench.tasks import _oracle
from bench.text.sample_files import read_samples

WORDS = st.sampled_from(
    ["a dog", "the cat sat .", "1 2 3", "7", "héé", "明 月", "x\ty", "a,b", "a;b", '"a b"', "<eos>"]
)
LINES = st.one_of(
    WORDS,
    TEXT.map(lambda text: text.encode(errors="replace").decode()),
    JSON.map(lambda value: json.dumps(value)),
    st.lists(WORDS, max_size=3).map(json.dumps),
    st.dictionaries(st.sampled_from(["text", "tokens", "x"]), st.one_of(WORDS, JSON), max_size=3).map(json.dumps),
    st.lists(WORDS, max_size=4).map("\t".join),
)
ENDS = st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"])


@st.composite
def sample_files(draw: st.DrawFn) -> tuple[str, bytes]:
    """A name and what lies under it: lines of one kind or of several, whole or damaged, plain or packed."""
    kind, end = draw(st.sampled_from([WORDS, LINES, LINES])), draw(ENDS)
    text = end.join(draw(st.lists(kind, max_size=6))) + draw(st.sampled_from(["", end]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1", "gb18030", "cp1252"]))
    content = text.encode(encoding, errors="replace")
    if draw(st.integers(0, 3)) == 0:
        content = draw(damaged_bytes(content))
    name = "samples" + draw(st.sampled_from([".txt", ".jsonl", ".json", ".tsv", ".csv", ".ids", ""]))
    pack = draw(st.sampled_from(["", "", ".gz", ".bz2"]))
    if pack:
        content = gzip.compress(content, 1) if pack == ".gz" else bz2.compress(content, 1)
        if draw(st.integers(0, 2)) == 0:
            content = draw(damaged_bytes(content))
    return name + pack, content


@cases(250)
@given(
    file=sample_files(),
    how=st.sampled_from(["auto", "auto", "text", "jsonl", "ids", "tokens", "table"]),
    field=st.sampled_from([None, None, "text", "x", ""]),
    column=st.sampled_from([None, None, "1", "2", "text", "0", "²"]),
    tokenizer=st.sampled_from(["blanks", "characters", "english"]),
)
def test_samples(file: tuple[str, bytes], how: Any, field: Any, column: Any, tokenizer: Any, tmp_path: Path) -> None:
    path = tmp_path / file[0]
    path.write_bytes(file[1])
    task = References(references=path, tokenizer=tokenizer)
    with pytest.MonkeyPatch.context() as patch, only_clear_errors():
        patch.setenv("TEXTGAN_BENCH_CACHE", str(tmp_path / "cache"))
        read = read_samples(path, task, Vocabulary(("<eos>", "a", "dog")), format=how, field=field, column=column)
        assert len(read.sentences) == len(read)
        assert not any("\n" in sentence for sentence in read.sentences)


KEYS = st.one_of(
    st.sampled_from(["lr", "steps", "model.lr", "task.n_train", "run.device", "n_samples", "seed", "lm_score.order"]),
    st.sampled_from(["bleu.orders", "temperatures", "metrics", "bleu", ".", "a.", ".a", "model.", "run.model"]),
    TEXT,
)
VALUES = st.one_of(
    TEXT, JSON.map(toml), JSON.map(json.dumps), st.sampled_from([".5", "1e3", "True", "[[[", "'", "{a=1}"])
)


@cases(150)
@given(
    assignments=st.lists(st.tuples(KEYS, VALUES).map("=".join) | TEXT, max_size=3),
    model=st.sampled_from(["mle", "seqgan", "relgan", "leakgan", "wgan_gp", "ngram", "maligan"]),
    task=st.sampled_from(["grammar", "oracle_lstm", "characters"]),
)
def test_settings(assignments: list[str], model: str, task: str) -> None:
    with only_clear_errors():
        values = parse_settings(assignments)
        for run in make_runs(assign(values, {"model": model, "task": task, "scale": "smoke"}), [0]):
            json.dumps(run.resolve().config_hash)


@cases(150)
@given(
    settings=st.dictionaries(st.sampled_from(["lr", "batch_size", "orders", "length", "n_train"]) | KEYS, JSON),
    data=st.data(),
)
def test_settings_of_every_class(settings: dict[str, Any], data: st.DataObject) -> None:
    kind: Any = data.draw(st.sampled_from(["models", "tasks", "metrics"]))
    name = data.draw(st.sampled_from(names(kind)))
    member = find(kind, name)
    member = getattr(member, "Config", member)
    own = data.draw(st.dictionaries(st.sampled_from(setting_names(member) or ["x"]), JSON, max_size=3))
    with only_clear_errors():
        build(member, own | (settings if data.draw(st.integers(0, 3)) == 0 else {}), name)


SUITE = {
    "description": "all of it",
    "scale": "smoke",
    "seeds": [0, 1],
    "n_samples": 100,
    "tasks": {"grammar": {"n_train": 100}},
    "models": {"mle": {"lr": 0.01}},
    "runs": [
        {"model": ["mle"], "task": "grammar", "metrics": ["bleu"], "metric_settings": {"bleu": {"orders": [2]}}},
        {
            "model": "mle",
            "task": "grammar",
            "label": "b",
            "model_settings": {"steps": 3},
            "shown": ["bleu_2"],
            "expected": [
                {"published": "yu2017seqgan/oracle20/seqgan", "where": "end", "temperature": 1.0},
            ],
        },
    ],
    "samples": [
        {"task": "grammar", "name": "n", "file": "f.txt", "url": "https://example.org/f.txt", "sha256": "0" * 64}
    ],
    "real_text": [{"task": "grammar", "n_samples": 100}],
}


def as_toml(document: Any) -> str:
    if not isinstance(document, dict):
        return toml(document)
    return "\n".join(f"{toml(key)} = {toml(value)}" for key, value in document.items())


def test_the_whole_suite_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(as_toml(SUITE))
    assert [run.seed for run in read_suite(path)] == [0, 1, 0, 1]


SUITES = st.one_of(
    damaged_values(SUITE).map(lambda document: as_toml(document).encode(errors="replace")),
    damaged_bytes(as_toml(SUITE).encode()),
)


@cases(100)
@given(content=SUITES)
def test_suites(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with only_clear_errors(str(path)):
        read_suite(path)


@cases(60)
@given(content=SUITES)
def test_presets(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(content)
    with pytest.MonkeyPatch.context() as patch, only_clear_errors("mine"):
        patch.setattr(presets, "PAPER", tmp_path)
        presets.read_preset("mine").check()


def _csv(rows: Any) -> bytes:
    out = io.StringIO()
    for row in rows if isinstance(rows, list) else [rows]:
        csv.writer(out).writerow([str(cell) for cell in row] if isinstance(row, list) else [str(row)])
    return out.getvalue().encode(errors="replace")


PUBLISHED = list(csv.reader(io.StringIO(next(iter(sorted(places.PUBLISHED.glob("*.csv")))).read_text())))[:6]
PUBLISHED_TEXT = _csv(PUBLISHED)


@cases(100)
@given(
    rows=damaged_values(PUBLISHED),
    content=st.none() | st.integers(0, 9).flatmap(lambda _: damaged_bytes(_csv(PUBLISHED))),
)
def test_published_numbers(rows: Any, content: bytes | None, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_bytes(_csv(rows) if content is None else content)
    with only_clear_errors("mine.csv, row"):
        published._read.__wrapped__(tmp_path)


ORACLE = pickle.dumps([np.asarray(t, np.float32) for t in _oracle.seeded(5, 3, 1).tensors], protocol=2)


@cases(120)
@given(content=damaged_bytes(ORACLE))
def test_a_pickled_oracle(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "oracle.pkl"
    path.write_bytes(content)
    with only_clear_errors(str(path)):
        _oracle.read_pickle(path)


@cases(60)
@given(
    value=st.recursive(
        st.one_of(st.none(), TEXT, st.integers()), lambda inner: st.lists(inner) | st.tuples(inner, inner)
    )
)
def test_a_pickle_of_something_else(value: Any, tmp_path: Path) -> None:
    path = tmp_path / "oracle.pkl"
    try:
        path.write_bytes(pickle.dumps(value))
    except UnicodeEncodeError:
        return
    with only_clear_errors(str(path)), pytest.raises(ValueError):
        _oracle.read_pickle(path)
        raise AssertionError("this was no oracle")


@cases(100)
@given(
    arguments=st.lists(
        st.one_of(st.sampled_from(["--seed", "--temperature", "--set", "0", "1", ".5", "a=1", "--", "-1"]), TEXT)
    )
)
def test_spreading_of_arguments(arguments: list[str]) -> None:
    found = spread(arguments)
    assert spread(found) == found
    takes = ("--seed", "--temperature", "--set")
    assert [a for a in found if a not in takes] == [a for a in arguments if a not in takes]


@cases(60)
@given(text=st.one_of(TEXT, st.sampled_from(["20s", "3 h", "1e400h", "-1s", "nan", "9" * 400 + "d", "1:00"])))
def test_durations(text: str) -> None:
    with only_clear_errors():
        assert read_duration(text, "--budget takes text") < 1e15
