"""What lies beside a record and is shown with it: sentences, nearest training sentences, the diary of the training.

These files may be anybody's. A name from a record may not leave the record's folder, and a file is read up to a limit,
decompressed bytes too, so that neither a path nor a bomb does harm. What is not there is None.
"""

from __future__ import annotations

import bz2
import json
import lzma
import math
import zlib
from pathlib import Path
from typing import Any

__all__ = ["read_diary", "read_lines", "read_nearest"]

_LIMIT = 4 << 20
"""Bytes read of a file, and bytes that these may become."""
_MEMORY = 64 << 20
"""Bytes that decompression may take: what xz -9 asks for."""
_WIDTH = 400
"""Characters of a line that are shown."""


def read_lines(folder: Path, name: str, n: int) -> list[str] | None:
    """The first `n` lines of a file of sentences, plain or compressed (`name.bz2`, `.gz`, `.xz`); long ones are cut.

    None if no such file lies directly in the folder. Raises ValueError if it is not what its name says.
    """
    for candidate in (name, f"{name}.bz2", f"{name}.gz", f"{name}.xz"):
        if (path := _inside(folder, candidate)) is not None:
            lines = _text(path, min(_LIMIT, 4 * _WIDTH * n)).split("\n")
            return [line.rstrip("\r")[:_WIDTH] + "…" * (len(line) > _WIDTH) for line in lines[: min(n, len(lines) - 1)]]
    return None


def read_nearest(folder: Path) -> dict[str, tuple[str, float]] | None:
    """Sentence -> (nearest training sentence, similarity), from `nearest.json`; None where there is none.

    Raises ValueError if it is no list of `{"sample": …, "nearest": …, "similarity": …}`.
    """
    path = _inside(folder, "nearest.json")
    if path is None:
        return None
    try:
        document = json.loads(_text(path), parse_constant=_refuse)
        return {str(e["sample"]): (str(e["nearest"])[:_WIDTH], float(e["similarity"])) for e in document}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is no list of sample, nearest and similarity: {error}") from error


def read_diary(folder: Path, n: int) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """What was logged in training: key -> phase -> (step, value), at most `n` points of each, evenly taken.

    Read from `train.jsonl`; lines that are no finite values of a step are passed over. Empty where there is no file.
    """
    path = _inside(folder, "train.jsonl")
    curves: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for line in _text(path).split("\n") if path is not None else ():
        event = _parse(line)
        values, step = event.get("values"), event.get("step")
        if event.get("kind") != "train" or not isinstance(values, dict) or type(step) is not int:
            continue
        for key, value in values.items():
            if type(value) is float and math.isfinite(value):
                curves.setdefault(key, {}).setdefault(str(event.get("phase")), []).append((step, value))
    return {key: {phase: _thin(points, n) for phase, points in found.items()} for key, found in curves.items()}


def _thin(points: list[tuple[int, float]], n: int) -> list[tuple[int, float]]:
    every = math.ceil(len(points) / n)
    return points[::every] if every > 1 else points


def _parse(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):  # torn by a kill, or not ours
        return {}
    return event if isinstance(event, dict) else {}


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON knows")


def _inside(folder: Path, name: str) -> Path | None:
    """The file of that name directly in the folder, links that lead out of it left aside."""
    path = folder / name
    if Path(name).name != name or "\0" in name or not path.is_file():
        return None
    return path if path.resolve().parent == folder.resolve() else None


def _text(path: Path, limit: int = _LIMIT) -> str:
    """Its first `limit` bytes, decompressed. A last line without an end stays only if the file ends there."""
    with path.open("rb") as file:
        raw = file.read(limit)
    try:
        if path.suffix == ".bz2":
            raw = bz2.BZ2Decompressor().decompress(raw, limit)
        elif path.suffix == ".gz":
            raw = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(raw, limit)
        elif path.suffix == ".xz":
            raw = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY).decompress(raw, limit)
    except (OSError, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"{path} cannot be decompressed: {error}") from error
    text = raw.decode("utf-8", errors="replace")
    return text[: text.rfind("\n") + 1] if len(raw) == limit else text + "\n" * (not text.endswith("\n"))
