"""What a model, a task, a metric or a suite is, in words: its text, its settings, its runs."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
from pathlib import Path
from typing import Any

from bench.attack.cards import bullets
from bench.commands.names import suite_path
from bench.places import METRICS, PAPER, command
from bench.record import with_settings
from bench.run_settings import RunSettings
from bench.suite import SuiteConfig, read_rows
from bench.terminal import counted

__all__ = ["describe", "describe_run", "describe_suite"]


def describe(member: type[Any], name: str) -> str:
    """Name, docstring, settings with defaults and what they mean."""
    settings = getattr(member, "Config", member)
    is_metric = hasattr(member, "better")
    about = inspect.getdoc(inspect.getmodule(member)) or inspect.getdoc(member) or ""
    lines = [name, "", about, ""]
    if is_metric:
        better = {"real": "best near the value of real text"}.get(member.better, f"{member.better} is better")
        lines += [f"Version {member.version}; {better}.", ""]
    lines.append(f"Settings (--set {f'{name}.' if is_metric else ''}name=value):")
    texts = {key: text for cls in reversed(settings.__mro__[:-1]) for key, text in _field_texts(cls).items()}
    for field in dataclasses.fields(settings):
        default = "required" if field.default is dataclasses.MISSING else repr(field.default)
        lines += _setting(field.name, default, texts.get(field.name, ""))
    for scale, changes in getattr(member, "scales", {}).items():
        lines.append(f"Scale {scale}: {', '.join(f'{k}={v!r}' for k, v in changes.items()) or 'as published'}")
    if is_metric and (attacks := bullets(name)):
        lines += ["What fools it (" + command("bench", "attack", here=False) + "):"]
        lines += [
            textwrap.fill(re.sub(r"\*\*|`", "", text), 106, initial_indent="  ", subsequent_indent="      ")
            for text in attacks
        ]
    if (card := METRICS / name / "README.md").is_file():
        lines.append(f"Card: {card}")
    return "\n".join(lines)


def describe_run() -> str:
    """What a run is told beside model, task and seed: each setting with its default."""
    lines = ["run", "", inspect.getdoc(RunSettings) or "", "", "Settings (--set name=value):"]
    texts = _field_texts(RunSettings)
    for name, field in RunSettings.model_fields.items():
        lines += _setting(name, repr(field.default), texts[name])
    return "\n".join(lines)


def describe_suite(name: str) -> str:
    """What a suite does: its runs, and the texts that it only scores, with the command."""
    path = suite_path(Path(name))
    suite = SuiteConfig.read(path)
    rows = read_rows(path, suite)
    preset = path.parent == PAPER
    lines = [name, "", suite.description, "", f"File: {path}"]
    n_runs = sum(len(row.configs) for row in rows)
    lines.append(f"{counted(n_runs, 'run')}:" if rows else "Nothing is trained.")
    for row in rows:
        first = row.configs[0]
        what = with_settings(f"{first.model} on {first.task}", {**first.model_settings, **first.task_settings})
        label = f"{row.notes.label}: " if row.notes.label else ""
        seeds = ", ".join(str(config.seed) for config in row.configs)
        lines.append(f"  {label}{what}, scale {first.scale}, seed{'s' * (len(row.configs) > 1)} {seeds}")
    lines += [f"  scored: {text.name} on {text.task}" for text in suite.samples]
    lines += [f"  scored: {text.name} on {text.task}" for text in suite.rewritten]
    lines += [f"  scored: real text on {text.task}" for text in suite.real_text]
    given = command("bench", "reproduce", path.stem) if preset else command("bench", "suite", Path(name))
    lines.append(f"{'Compared with what was published' if preset else 'All of it'}: {given}")
    return "\n".join(lines)


def _setting(name: str, default: str, text: str) -> list[str]:
    indent = " " * 6
    return [f"  {name} = {default}", *textwrap.wrap(text, 100, initial_indent=indent, subsequent_indent=indent)]


def _field_texts(cls: type[Any]) -> dict[str, str]:
    """Field -> the string that stands below it in the class body."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    texts: dict[str, str] = {}
    for field, text in itertools.pairwise(body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                texts[name] = " ".join(words.split())
    return texts
