"""Equations of docstrings, set by their form alone: nothing is lost, words stay words, the MathML is well formed."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from helpers.paths import ROOT

from baselines.common.training.losses import LOSSES
from bench.registry import names, source_file


def _load() -> Callable[[str], list[tuple[bool, str]]]:
    spec = importlib.util.spec_from_file_location("equations", ROOT / "docs" / "site" / "equations.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["equations"] = module
    spec.loader.exec_module(module)
    found: Callable[[str], list[tuple[bool, str]]] = module.parts_of
    return found


parts_of = _load()
SIGNS = {
    **dict(
        zip(
            "∑∏∫∇∈−←≤≥∼‖…·×′",
            ["sum", "prod", "integral", "grad", "in", "-", "<-", "<=", ">=", "~", "||", "..", ".", "x", "'"],
            strict=True,
        )
    ),
    **dict(zip("βγϵθλσ", ["beta", "gamma", "epsilon", "theta", "lambda", "sigma"], strict=True)),
}


def bare(text: str) -> str:
    """Without blanks and without the brackets of an index, which are not drawn."""
    return re.sub(r"[\s_^(){}\u00a0]|\.\.\.", "", text)


def equations(text: str) -> list[str]:
    """What is set, as plain text again."""
    drawn = [
        "".join(ET.fromstring(f"<x>{piece}</x>").itertext()) for is_equation, piece in parts_of(text) if is_equation
    ]
    return [bare("".join(SIGNS.get(c, c) for c in piece)) for piece in drawn]


def docstrings() -> dict[str, str]:
    found = {}
    for name in names("models"):
        text = ast.get_docstring(ast.parse(source_file("models", name).read_text(encoding="utf-8"))) or ""
        found[name] = re.sub(r"`[^`]*`", "", text[text.find("**Equations**") :].split("\n\n**")[0])
    for name, loss in LOSSES.items():
        found[name] = " ".join(inspect.getdoc(half) or "" for half in (loss.discriminator, loss.generator))
    return found


@pytest.mark.parametrize("name", docstrings())
def test_nothing_of_a_docstring_is_lost(name: str) -> None:
    text = docstrings()[name]
    pieces = []
    for is_equation, piece in parts_of(text):
        drawn = "".join(ET.fromstring(f"<x>{piece}</x>").itertext()) if is_equation else piece
        pieces.append("".join(SIGNS.get(c, c) for c in drawn) if is_equation else drawn)
    assert sorted(bare("".join(pieces))) == sorted(bare(text))  # of an index and an exponent MathML has an order
    assert any(is_equation for is_equation, _ in parts_of(text))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "loss = -(1 / number of tokens) sum_{b,t} log G(x_{b,t}) on real sentences x",
            ["loss=-1/numberoftokenssumb,tlogGxb,t", "x"],
        ),
        ("x^n a completion of x_1..x_t by G; at the end Q = D(x)", ["xn", "x1..xt", "G", "Q=Dx"]),
        ("D is kept in [epsilon, 1 - epsilon]", ["D", "[epsilon,1-epsilon]"]),
        ("G(z) in [0, 1]^{T x V}: a sample", ["Gzin[0,1]TxV"]),
        ("the sum of equation 3 is the same (5), of a paper's n-gram", []),
        ("u = a x + (1 - a) G(z) with one a ~ U[0, 1] per sentence", ["u=ax+1-aGz", "a~U[0,1]"]),
        ("an index < 3 of lines (see https://x.org/a_b)", ["<3"]),
    ],
)
def test_what_is_mathematics_is_found_by_its_form(text: str, wanted: list[str]) -> None:
    assert equations(text) == wanted


def test_an_index_stands_low_and_an_exponent_high() -> None:
    ((_, drawn),) = parts_of("z^0_t")
    assert drawn == "<math><msubsup><mi>z</mi><mrow><mi>t</mi></mrow><mrow><mn>0</mn></mrow></msubsup></math>"
