"""What lies beside a record and is shown with it: sentences, and the diary of the training.

These files may be anybody's. A name from a record may not leave the record's folder, and a file is read up to a limit,
decompressed bytes too, so that neither a path nor a bomb does harm. What is not there is None.
"""

from __future__ import annotations

import bz2
import json
import math
from pathlib import Path
from typing import Any

from bench.run_folder import is_regular, open_regular

__all__ = ["first_sentences", "read_diary"]

_LIMIT = 4 << 20
"""Bytes read of a file of sentences, and bytes that these may become."""
_DIARY = 64 << 20
"""Bytes read of a diary; 60,000 steps that are all logged take 8 million."""
_MOST_CURVES = 200
"""Names of values; a training has about ten."""
_WIDTH = 400
"""Characters of a line that are shown."""


def first_sentences(folder: Path, name: str, n: int) -> list[str] | None:
    """The first `n` lines of a file of sentences, plain or compressed (`name.bz2`); long ones are cut.

    None if no such file lies directly in the folder. Raises ValueError if it is not what its name says.
    """
    for candidate in (name, f"{name}.bz2"):
        if (path := _inside(folder, candidate)) is not None:
            lines = _text(path, min(_LIMIT, 4 * _WIDTH * n)).split("\n")
            return [line.rstrip("\r")[:_WIDTH] + "…" * (len(line) > _WIDTH) for line in lines[: min(n, len(lines) - 1)]]
    return None


def read_diary(folder: Path, n: int) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """What was logged in training: key -> phase -> (step, value), at most `n` points of each, evenly taken.

    Read from `train.jsonl`; lines that are no finite values of a step are passed over, and names after the first
    `_MOST_CURVES`. Empty where there is no file.
    """
    path = _inside(folder, "train.jsonl")
    curves: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for line in _text(path, _DIARY).split("\n") if path is not None else ():
        event = _parse(line)
        values, step = event.get("values"), event.get("step")
        if event.get("kind") != "train" or not isinstance(values, dict) or type(step) is not int:
            continue
        for key, value in values.items():
            if type(value) is float and math.isfinite(value) and (key in curves or len(curves) < _MOST_CURVES):
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


def _inside(folder: Path, name: str) -> Path | None:
    """The file of that name directly in the folder; links and what else is no file are left aside."""
    path = folder / name
    return path if Path(name).name == name and is_regular(path) else None


def _text(path: Path, limit: int) -> str:
    """Its first `limit` bytes, decompressed. A last line without an end stays only if the file ends there."""
    compressed = path.suffix == ".bz2"
    with open_regular(path) as file:
        raw = file.read(_LIMIT if compressed else limit)  # bzip2 gives nothing of a block that is not whole
    if compressed:
        try:
            raw = bz2.BZ2Decompressor().decompress(raw, limit)
        except OSError as error:
            raise ValueError(f"{path} cannot be decompressed: {error}") from error
    text = raw.decode("utf-8", errors="replace")
    return text[: text.rfind("\n") + 1] if len(raw) == limit else text + "\n" * (not text.endswith("\n"))
