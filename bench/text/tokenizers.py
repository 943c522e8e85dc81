"""From a line of text to words. Tokenizers are part of a task's protocol: another one gives other scores."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from bench.text.light_nltk import light_nltk

__all__ = ["Tokenizer", "english", "nltk_version", "tokenizer"]

Tokenizer = Literal["blanks", "english", "english_lower", "characters"]
"""blanks: words between blanks. english: NLTK's tokenizer, as on COCO and EMNLP News. characters: each one a word."""

_CLOSING_QUOTE = re.compile(r"(?<!\S)''(?!\S)")
_IN_ITS_PLACE = "\ue000"  # of private use: a word like any other to NLTK, and in no text
_PLAIN = re.compile(r"[A-Za-z0-9 ]*(?:[,-](?=[A-Za-z ])[A-Za-z0-9 ]+)*\.?")
_IN_TWO = re.compile(r"\b(?:cannot|gimme|gonna|gotta|lemme|wanna)\b")
"""The words of letters that NLTK cuts, in whatever capitals."""


@cache
def english(*, lower: bool = True) -> Callable[[str], list[str]]:
    """NLTK's English tokenizer, which all published scores on COCO and EMNLP News use: one line -> words.

    `nltk.word_tokenize(line, preserve_line=True)`: the line is not cut into sentences first, which would need a
    downloaded model. It differs from `word_tokenize(line)` on 5 of 10,000 lines of each COCO file. A closing quote
    that NLTK wrote (`''` between blanks) stays one, and a full stop before it stays where it is, so that a line which
    is tokenised already is nearly always left as it is. What the harness wrote is not cut again at all (see
    `bench.text.sample_files`).

    Lines of letters, digits, commas, hyphens and a full stop at the end are cut here: of NLTK's thirty expressions
    only those of comma and full stop apply to them. They are 98% of the captions, and NLTK takes 25 times as long.
    """
    words: Callable[[str], list[str]] = light_nltk().NLTKWordTokenizer().tokenize

    def tokenize(line: str) -> list[str]:
        line = line.strip().lower() if lower else line.strip()
        if _PLAIN.fullmatch(line) and not _IN_TWO.search(line.lower()):
            return (f"{line[:-1]} ." if line.endswith(".") else line).replace(",", " , ").split()
        if "''" not in line:
            return words(line)
        return ["''" if word == _IN_ITS_PLACE else word for word in words(_CLOSING_QUOTE.sub(_IN_ITS_PLACE, line))]

    return tokenize


def nltk_version() -> str:
    """The version of NLTK that reads text and grammars here, on which depends what the cache keeps of them.

    It is noted in the cache. On a computer without NLTK it is that note's, so that what was read elsewhere is found in
    a cache that was brought along. Raises PackageNotFoundError where there is no note either.
    """
    from bench.data import cache_folder  # numpy, which the names of tokenizers do not need

    note = cache_folder() / "derived" / "nltk-version.txt"
    try:
        found = version("nltk")
    except PackageNotFoundError:
        if not note.is_file():
            raise
        return note.read_text(encoding="utf-8").strip()
    with contextlib.suppress(OSError):  # a cache that cannot be written costs only time
        if not note.is_file() or note.read_text(encoding="utf-8") != found:
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(found, encoding="utf-8")
    return found


def tokenizer(name: Tokenizer) -> Callable[[str], list[str]]:
    """The tokenizer of that name: one line -> words."""
    if name == "characters":
        return _characters
    return str.split if name == "blanks" else english(lower=name == "english_lower")


def _characters(line: str) -> list[str]:
    return [character for character in line if not character.isspace()]
