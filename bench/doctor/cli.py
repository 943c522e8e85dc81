"""`bench doctor`: what this machine is and what would go wrong on it, before anything is trained."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from bench.terminal import Runs, TrackingUri, UserErrors, console
from bench.tracking.options import default_uri

__all__ = ["doctor_command"]

_MARKS = {"ok": "✓", "note": "–", "bad": "✗"}
_STYLES = {"ok": "", "note": "yellow", "bad": "red"}


def doctor_command(
    tasks: Annotated[list[str] | None, typer.Argument(help="Tasks whose data is looked for. Default: all.")] = None,
    runs: Runs = Path("runs"),
    tracking_uri: TrackingUri = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Device, memory, disk, data, MLflow, clock: what a run finds on this machine. Exit status 1: it would fail."""
    from bench.registry import find

    with UserErrors():
        for task in tasks or ():
            find("tasks", task)
        from bench.doctor.checks import examine

        findings = []
        for finding in examine(runs, tracking_uri or default_uri(runs), tasks or ()):
            findings.append(finding)
            if not as_json:
                console.print(f"{_MARKS[finding.state]} {finding.name}: {finding.said}", style=_STYLES[finding.state])
                if finding.advice:
                    console.print(f"    {finding.advice}")
        if as_json:
            document = {"findings": [dataclasses.asdict(finding) for finding in findings]}
            console.print_json_text(json.dumps(document, indent=2, ensure_ascii=False))
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)
