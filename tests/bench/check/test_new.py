"""`python -m bench new`: the file that it writes is the template's, runs as it stands, and hides nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from helpers.commands import call_bench
from helpers.paths import ROOT

from bench.check.new import KINDS, Kind, class_name, rendered
from bench.record import read_record
from bench.registry import find


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(*arguments: str, code: int = 0) -> str:
    return call_bench("new", *arguments, code=code).output


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_its_parts_and_no_other(kind: Kind) -> None:
    text = rendered("my_gan", kind)
    assert "only for" not in text
    assert "# end" not in text
    assert "\n\n\n\n" not in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    found = {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert {"MyGAN", "Config", "phases", "sample", "log_prob", "mle_step"} <= found
    assert ("Discriminator" in found) == (kind != "likelihood")
    assert ("policy_step" in found) == (kind == "policy")
    assert ("relaxed_step" in found) == (kind == "relaxed")


def test_the_example_of_the_documentation_is_what_new_writes() -> None:
    assert (ROOT / "docs" / "my_gan.py").read_text(encoding="utf-8") == rendered("my_gan", "likelihood")


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_prints_can_be_done(kind: Kind, tmp_path: Path) -> None:
    told = said(f"its_{kind}", "--kind", kind)
    assert f"written: its_{kind}.py" in told
    assert told.count("python -m bench ") == 3
    assert f"bench check its_{kind}.py:Its{kind.capitalize()}" in told
    quick = ("--scale", "smoke", "--set", "n_samples=20", "--runs", "runs", "--tracker", "none", "--metric", "nll_gen")
    call_bench("run", f"its_{kind}.py:Its{kind.capitalize()}", "grammar", *quick)
    (record,) = map(read_record, tmp_path.glob("runs/grammar-its*/record.json"))
    final = record.final()
    assert final is not None
    assert final.scores["nll_gen"].value < 4.5  # evenly drawn words cost log 96 = 4.56
    assert len(record.phases) == (1 if kind == "likelihood" else 2)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    said("my_gan")
    before = (tmp_path / "my_gan.py").read_text()
    assert before == rendered("my_gan", "policy")
    assert "'my_gan.py' is there already, and nothing is overwritten" in said("my_gan", "--kind", "relaxed", code=2)
    assert "is there already" in said("my_gan.py", code=2)
    assert (tmp_path / "my_gan.py").read_text() == before


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("my-gan", "such as 'my_gan'"),
        ("2gan", "such as 'my_2gan'"),
        ("class", "such as 'my_class'"),
        ("my gan", "such as 'my_gan'"),
        ("__", "no name of a Python module"),
        ("random", "a module that Python has already"),
        ("torch", "a module that Python has already"),
        ("bench", "a module that Python has already"),
        ("nowhere/my_gan", "there is no folder 'nowhere'"),
    ],
)
def test_what_is_no_name_is_told(name: str, expected: str, tmp_path: Path) -> None:
    assert expected in said(name, code=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("my_gan", "MyGAN"),
        ("gru2", "Gru2"),
        ("seq_gan_two", "SeqGANTwo"),
        ("MyModel", "MyModel"),
        ("phase", "PhaseModel"),
        ("discriminator", "DiscriminatorModel"),
        ("text_generator", "TextGeneratorModel"),
        ("none", "NoneModel"),
        ("_hidden", "Hidden"),
    ],
)
def test_the_class_is_named_after_the_file(name: str, expected: str, tmp_path: Path) -> None:
    assert class_name(name) == expected
    (tmp_path / "models").mkdir()
    said(f"models/{name}")
    found = find("models", f"models/{name}.py")
    assert found.__name__ == expected


def test_an_unknown_kind_is_told() -> None:
    told = said("my_gan", "--kind", "vae", code=2)
    assert all(kind in told for kind in KINDS)
