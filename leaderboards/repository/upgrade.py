"""`leaderboards upgrade`: records of an older schema are written anew in today's, every score as it was.

Records of older schemas are read wherever records are read; this is for those that are kept. What `verify --write` says
is of a record's very bytes, so upgraded records are to be verified again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.record import SCHEMA_VERSION, RunRecord, read_document, read_record
from bench.run_folder import records_in

__all__ = ["upgrade"]


def upgrade(paths: Iterable[Path]) -> Iterator[Path]:
    """The record files below `paths` that were written anew, each in one move. Raises ValueError, FileNotFoundError."""
    for path in paths:
        for file in records_in(path):
            old = read_document(file)
            if old.get("schema_version") == SCHEMA_VERSION:
                continue
            record = read_record(file)
            _check(record, old["evaluations"], file)
            record.write(file)
            yield file


def _check(record: RunRecord, old: list[dict[str, dict[str, dict[str, object]]]], file: Path) -> None:
    """Every score has the value, the standard error and the signature that it had."""
    for evaluation, before in zip(record.evaluations, old, strict=True):
        same = {key: (s.value, s.standard_error, s.signature) for key, s in evaluation.scores.items()}
        were = {key: (s["value"], s.get("standard_error"), s["signature"]) for key, s in before["scores"].items()}
        if same != were:
            key = next(key for key in were if same.get(key) != were[key])
            raise ValueError(
                f"{file}: {key} at step {evaluation.step} would change from {were[key]} to {same.get(key)}"
            )
