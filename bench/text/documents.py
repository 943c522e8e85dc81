"""JSON that is read once more by everybody: quickly, where that is beyond doubt, and how deep it may be."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

from pydantic_core import from_json

__all__ = ["LARGEST_NUMBER", "deeper_than", "read_quickly"]

LARGEST_NUMBER = 1e50
"""Of any number: float32 ends at 3.4e38, and sums of fourth powers of what is below stay finite."""

_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER = b"0" * 50
_NUMBERS, _CONTAINERS = frozenset((int, float)), frozenset((dict, list))


def read_quickly(content: bytes, deepest: int) -> dict[str, Any] | None:
    """The document, if it is beyond doubt one that `bench.record.read_document` takes; None: it is read slowly.

    The slow reading says what is wrong. A string can hold a key's end, `":`, only behind a backslash. So there are at
    least as many of them as keys, and exactly as many where no key stands twice in one object and no string has one.
    """
    squeezed = content.translate(_DIGITS, b" \t\n\r")
    if _LONG_NUMBER in squeezed:
        return None
    try:
        document = from_json(content)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    n_keys = 0
    level: list[Any] = [document]
    for _ in range(deepest):
        objects = [each for each in level if type(each) is dict]
        n_keys += sum(map(len, objects))
        values = list(itertools.chain.from_iterable(map(dict.values, objects)))
        values += itertools.chain.from_iterable([each for each in level if type(each) is list])
        numbers = [value for value in values if type(value) in _NUMBERS]
        # A sum with NaN or an infinity in it has one too, and where there is none the ends are what they seem.
        if numbers and not (math.isfinite(sum(numbers)) and max(map(abs, numbers)) <= LARGEST_NUMBER):
            return None
        level = [value for value in values if type(value) in _CONTAINERS]
        if not level:
            return document if n_keys == squeezed.count(b'":') else None
    return None


def deeper_than(value: Any, levels: int) -> bool:
    """Whether more lists or objects lie in one another."""
    level = [value]
    for _ in range(levels):
        level = [child for each in level if isinstance(each, dict | list) for child in _children(each)]
    return bool(level)


def _children(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value
