"""Settings and their documentation, read from the source: the string below a field is its description."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import textwrap
from typing import Any

__all__ = ["describe"]


def describe(member: type[Any], name: str) -> str:
    """Name, docstring, settings with defaults and what they mean."""
    settings = getattr(member, "Config", member)
    about = inspect.getdoc(inspect.getmodule(member)) or inspect.getdoc(member) or ""
    lines = [name, "", about, "", "Settings (--set name=value):"]
    texts = {key: text for cls in reversed(settings.__mro__[:-1]) for key, text in _field_texts(cls).items()}
    for field in dataclasses.fields(settings):
        default = "required" if field.default is dataclasses.MISSING else repr(field.default)
        lines.append(f"  {field.name} = {default}")
        lines += textwrap.wrap(texts.get(field.name, ""), 100, initial_indent=" " * 6, subsequent_indent=" " * 6)
    for scale, changes in getattr(member, "scales", {}).items():
        lines.append(f"Scale {scale}: {', '.join(f'{k}={v!r}' for k, v in changes.items()) or 'as published'}")
    return "\n".join(lines)


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
