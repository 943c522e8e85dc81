"""The commands of a model's author: `new` writes a file that runs, `check` tries the contract on it in seconds."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from bench.check.new import Kind, write_new
from bench.places import command
from bench.run.scales import Scale
from bench.terminal import Settings, UserErrors, console, counted

__all__ = ["check_command", "new_command"]

_MARKS = {"passed": "✓", "failed": "✗", "skipped": "–"}


_AS_STORED = ("--scale", "small", "--seed", "0", "1", "2")
"""What makes a row that stands beside those of the repository."""


def new_command(
    name: Annotated[str, typer.Argument(help="my_gan writes my_gan.py, with the class MyGAN.")],
    kind: Annotated[
        Kind, typer.Option(help="How the generator learns: likelihood alone, then by rewards, or by relaxed words.")
    ] = "policy",
) -> None:
    """Write a commented file to begin a model with, which runs as it stands: a GRU, trained as the kind says."""
    with UserErrors():
        path, model = write_new(name, kind)
        console.print(f"written: {path}, class {model} ({kind})")
        named = f"{path}:{model}"
        console.print(f"the contract, in seconds: {command('bench', 'check', named)}")
        console.print(f"a first run:              {command('bench', 'run', named, 'grammar', '--scale', 'smoke')}")
        console.print(f"beside the stored rows:   {command('bench', 'run', named, 'grammar', *_AS_STORED)}")


def check_command(
    model: Annotated[str, typer.Argument(help="my_gan.py:MyGAN, or a name from `list models`.")],
    task: Annotated[str, typer.Option(help="The task whose sentences it is tried on.")] = "grammar",
    scale: Annotated[Scale, typer.Option(help="The settings that it is tried with, where it has them.")] = "smoke",
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Try the contract on a model in seconds, and say in words what is wrong. Exit status 1: a check failed."""
    from bench.config import build, parse_settings
    from bench.registry import find

    with UserErrors():
        task_class = find("tasks", task)
        own = parse_settings(settings or ())
        of_task = {key.removeprefix("task."): value for key, value in own.items() if key.startswith("task.")}
        of_model = {key.removeprefix("model."): value for key, value in own.items() if not key.startswith("task.")}
        data = build(task_class, {**task_class.scales.get(scale, {}), **of_task}, task).load()
    from bench.check.checks import NAMES, check_model  # torch: not where a name is wrong

    results = []
    width = max(map(len, NAMES))
    for result in check_model(model, of_model, scale, data):
        results.append(result)
        if not as_json:
            style = {"failed": "red", "skipped": "dim"}.get(result.status, "")
            console.print(f"{_MARKS[result.status]} {result.check:<{width}}  {result.told}", style=style)
    failed = [result.check for result in results if result.status == "failed"]
    if as_json:
        checks = [dataclasses.asdict(result) for result in results]
        document = {"model": model, "task": task, "scale": scale, "passed": not failed, "checks": checks}
        console.print_json_text(json.dumps(document, indent=2, ensure_ascii=False))
    elif failed:
        console.print(f"\n{counted(len(failed), 'check')} failed: {', '.join(failed)}")
    else:
        rows = _AS_STORED if "small" in find("models", model).scales else _AS_STORED[2:]
        console.print(f"\nIt keeps the contract. Next: {command('bench', 'run', model, task, *rows)}")
    if failed:
        raise typer.Exit(1)
