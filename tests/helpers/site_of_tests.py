"""Folders of runs for the tests of the page: records with samples and diaries."""

import bz2
import json
from dataclasses import replace
from pathlib import Path

from bench.record import RunRecord

SENTENCES = ["a cat sits on a mat .", "a dog runs .", "", "the cat sleeps ."]
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202e"
"""A text that tries to get out of HTML, of attributes, of JSON and of its line."""


def write_runs(folder: Path, records: list[RunRecord]) -> None:
    """Records with samples for every evaluation, and a diary."""
    for i, one in enumerate(records):
        run = folder / f"r{i:02d}"
        named = []
        for j, e in enumerate(one.evaluations):
            name = f"samples-{j}.txt"
            named.append(replace(e, samples_file=name, samples_sha256="0" * 64, step=100 * (j + 1)))
            run.mkdir(parents=True, exist_ok=True)
            lines = [f"{one.model} {one.seed} {j}", *SENTENCES]
            (run / f"{name}.bz2").write_bytes(bz2.compress("".join(f"{line}\n" for line in lines).encode()))
        replace(one, evaluations=tuple(named)).write(run / "record.json")
        event = {"kind": "train", "phase": "mle", "step": 1, "values": {"nll": 3.5, "bad": None}}
        (run / "train.jsonl").write_text("".join(json.dumps({**event, "step": s}) + "\n" for s in range(1, 9)) + '{"ki')


def board_page(site: Path) -> Path:
    (found,) = site.glob("board-*.html")
    return found
