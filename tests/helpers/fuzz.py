"""Random and damaged inputs for everything that reads: how many are tried, how they are made, what may come out.

Normally a few of each; with TEXTGAN_BENCH_FUZZ=100 a hundred times as many, and others at every run.
"""

from __future__ import annotations

import copy
import json
import os
import pickle
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

__all__ = ["JSON", "NAMES", "TEXT", "cases", "damaged_bytes", "damaged_values", "only_clear_errors", "toml"]

_FACTOR = float(os.environ.get("TEXTGAN_BENCH_FUZZ", "1"))


def cases(n: int) -> Callable[[Any], Any]:
    """So many examples, times TEXTGAN_BENCH_FUZZ; a fixture that lives longer than one of them is meant to."""
    more: dict[str, Any] = {"derandomize": False, "database": None} if _FACTOR > 1 else {}
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=max(1, round(n * _FACTOR)), deadline=None, suppress_health_check=checks, **more)


@contextmanager
def only_clear_errors(*said: str) -> Iterator[None]:
    """Inside, what is wrong is told in words: a ValueError, OSError or KeyError with a sentence, that names all of
    `said`. Anything else, and what only a library says, goes through."""
    try:
        yield
    except (ValueError, OSError, KeyError) as error:
        strange = (UnicodeError, json.JSONDecodeError, pickle.UnpicklingError, zlib.error, zipfile.BadZipFile, EOFError)
        text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        if isinstance(error, strange) or " " not in text or any(word not in text for word in said):
            raise AssertionError(f"no clear error: {type(error).__name__}: {text[:300]}") from error


_ODD = [
    "", " ", "\0", "\x1b]0;x\a", "\u202e", "\ud800", "\u2028", "\ufeff", "\U0001f600", "[bold]", "[/]", "{x!r}",
    "%s", "=1+1", "@x", "-1", "../x", "/etc/passwd", "C:\\x", "a/b", "<script>", "&amp;", "\\input{x}", "$x^2$", "|",
    "`x`", "null", "true", "nan", "1e999", "9" * 400, "a\nb", "a\rb", "a,b", '"', "'", "'''", '"""', "#", "é", "明",
    "x" * 300,
]  # fmt: skip
TEXT = st.one_of(st.sampled_from(_ODD), st.text(max_size=12))
NAMES = st.one_of(st.sampled_from([odd for odd in _ODD if "\ud800" not in odd]), st.text(min_size=1, max_size=12))
_NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, -1, 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, 1e51]),
    st.floats(),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
"""Any JSON value, and NaN and infinity, which Python writes and reads as such."""


def _places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every part of a value of lists and dicts."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*here, key)
            yield from _places(value[key], (*here, key))


@st.composite
def damaged_values(draw: st.DrawFn, value: Any) -> Any:
    """A document in which up to three parts are replaced, removed, added, renamed or put too deep."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        if not (places := list(_places(value))):
            return draw(JSON)
        *way, last = draw(st.sampled_from(places))
        parent = value
        for key in way:
            parent = parent[key]
        match draw(st.sampled_from(["replace", "replace", "replace", "remove", "add", "rename", "deep", "swap"])):
            case "replace":
                parent[last] = draw(JSON)
            case "remove":
                del parent[last]
            case "add" if isinstance(parent, dict):
                parent[draw(TEXT)] = draw(JSON)
            case "rename" if isinstance(parent, dict):
                parent[draw(TEXT)] = parent.pop(last)
            case "deep":
                for _ in range(draw(st.sampled_from([1, 30, 60, 300]))):
                    parent[last] = [parent[last]]
            case _:
                parent[last] = copy.deepcopy(value) if draw(st.booleans()) else draw(TEXT)
    return value


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """A file that was cut, or in which bytes were flipped, zeroed, doubled, put in or left out."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        long = draw(st.sampled_from([1, 1, 2, 8, 64]))
        match draw(st.sampled_from(["flip", "flip", "cut", "zero", "double", "put in", "leave out"])):
            case "flip" if content:
                content = content[:at] + bytes([content[at] ^ (1 << draw(st.integers(0, 7)))]) + content[at + 1 :]
            case "cut":
                content = content[:at]
            case "zero":
                content = content[:at] + bytes(min(long, len(content) - at)) + content[at + long :]
            case "double":
                content = content[: at + long] + content[at:]
            case "put in":
                content = content[:at] + draw(st.binary(min_size=1, max_size=long)) + content[at:]
            case _:
                content = content[:at] + content[at + long :]
    return content


def toml(value: Any) -> str:
    """A value as TOML has it, on one line; what TOML does not have (null) as text."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(key)} = {toml(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value) if value == value else "nan"
    return _key("null" if value is None else value)


def _key(text: str) -> str:
    return json.dumps(text.encode(errors="replace").decode(), ensure_ascii=False).replace("\x7f", "\\u007f")
