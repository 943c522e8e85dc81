"""Lines that are cut without NLTK: cut as NLTK does."""

from __future__ import annotations

import pytest
from helpers.paths import STUDY
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nltk.tokenize.destructive import NLTKWordTokenizer

from bench.text import tokenizers
from bench.text.tokenizers import english

nltk = NLTKWordTokenizer().tokenize
parts = st.sampled_from(
    ["a", "b", "Z", "1", " ", "  ", ",", ", ", ".", " .", "-", "--", "'", "can", "not", "cannot", "Gonna"]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(parts, max_size=10).map("".join))
@example("")
@example("a, b,1 , c-d - e.")
@example("You cannot, gimme.")
@example("wannabe can-not")
def test_a_plain_line_is_cut_as_nltk_does(line: str) -> None:
    if "''" not in line:
        assert english(lower=False)(line) == nltk(line.strip())


def test_captions_are_plain_and_cut_as_nltk_does() -> None:
    file = STUDY / "corpora" / "image_coco" / "image_coco.txt"
    if not file.is_file():
        pytest.skip("needs the published files")
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()[::20]]
    assert sum(bool(tokenizers._PLAIN.fullmatch(line)) for line in lines) > 0.95 * len(lines)
    assert [english(lower=False)(line) for line in lines] == [nltk(line) for line in lines]
