"""Who trained a run: a name in a file beside the record, which itself stays as the run wrote it.

Most runs have none: then it was whoever keeps the folder.
"""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

from bench.record import HELD_OUT_TEXT, REAL_TEXT, RunRecord
from bench.run_folder import TRAINED_BY, read_regular

__all__ = ["check_name", "read_trained_by", "trained_by_json", "who_trained"]

_MOST_BYTES = 2_000
_MOST = 200


def check_name(name: str) -> str:
    """The name of a person or a group, without blanks around it. Raises ValueError."""
    found = name.strip()
    odd = [c for c in found if c in "<>" or unicodedata.category(c).startswith("C")]
    if odd or not 0 < len(found) <= _MOST:
        raise ValueError(
            f"who trained it is a name of 1 to {_MOST} characters without <, > and control characters: {name[:80]!r}"
        )
    return found


def trained_by_json(name: str) -> bytes:
    """What stands in the file. Raises ValueError for what is no name."""
    return (json.dumps({"trained_by": check_name(name)}, ensure_ascii=False) + "\n").encode()


def read_trained_by(folder: Path) -> str | None:
    """The name beside a record; None where there is none. Raises ValueError, OSError."""
    path = folder / TRAINED_BY
    try:
        content = read_regular(path, _MOST_BYTES)
    except FileNotFoundError:
        return None
    try:
        document = json.loads(content)
        if not isinstance(document, dict) or document.keys() != {"trained_by"}:
            raise ValueError("it must hold trained_by and nothing else")
        name = document["trained_by"]
        if not isinstance(name, str):
            raise ValueError(f"trained_by must be text, got {type(name).__name__}")
        return check_name(name)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} does not say who trained the run: {error}") from error


def who_trained(record: RunRecord, folder: Path, said: str | None) -> str | None:
    """The name beside a record, or what somebody says where there is none; None of real text, which nobody trained.

    Raises ValueError where the two differ.
    """
    if record.model in (REAL_TEXT, HELD_OUT_TEXT):
        return None
    beside, name = read_trained_by(folder), None if said is None else check_name(said)
    if None not in (beside, name) and beside != name:
        raise ValueError(f"{TRAINED_BY} beside it says that {beside} trained it, not {name}")
    return name or beside
