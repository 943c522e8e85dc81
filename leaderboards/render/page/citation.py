"""A BibTeX entry for a row: the benchmark's own facts, as in CITATION.cff, and what was measured."""

from __future__ import annotations

import re
from importlib.metadata import metadata

from leaderboards.render.latex import escape_latex
from leaderboards.schema import Board, Row

__all__ = ["TITLE", "bibtex"]

TITLE = "textgan-bench: a benchmark of text GANs"


def bibtex(board: Board, row: Row) -> str:
    """One `@misc` entry; names from records cannot leave their braces."""
    seeds = ", ".join(str(run.seed) for run in row.runs if run.seed is not None)
    project = metadata("textgan-bench")
    what = [
        f"Version {project['Version']}",
        f"{board.task} version {board.task_version}, scale {board.scale}, data {board.data_sha256[:12]}",
        f"{row.label}, configuration {row.config_hash}" + (f", seeds {seeds}" if seeds else ""),
    ]
    year = max((run.created_at[:4] for run in row.runs), default="")
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"textgan-bench-{board.task}-{row.model}-{row.config_hash[:6]}").strip("-")
    fields = {"author": f"{{{project['Author']}}}", "title": TITLE, "year": year, "note": escape_latex(". ".join(what))}
    lines = [
        f"  {key:<6} = {{{value}}}," for key, value in fields.items() if re.fullmatch(r"\d{4}", year) or key != "year"
    ]
    return "\n".join([f"@misc{{{name[:80]},", *lines, "}"])
