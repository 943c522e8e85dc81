"""What each metric measures, in the words of its card, `metrics/<name>/README.md`: read as text, nothing imported."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from bench.places import METRICS

__all__ = ["Definition", "definition"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Definition:
    """A card in short."""

    name: str
    title: str
    text: str
    """What it measures, in a sentence or two."""
    formula: str = ""
    """Plain text, several lines."""
    direction: str = ""
    pitfalls: tuple[str, ...] = ()
    """What fools it."""


@cache
def definition(name: str) -> Definition:
    """Of a metric; one that has no card with us (a plug-in's) says so."""
    path = METRICS / name / "README.md"
    if _NAME.fullmatch(name) is None or not path.is_file():
        return Definition(
            name, name, "No definition is stored here: the metric comes from elsewhere. See its signature."
        )
    sections = re.split(r"^## +(.+)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    title, _, text = sections[0].partition("\n")
    rest = dict(zip(sections[1::2], sections[2::2], strict=True))
    formula = re.search(r"(?:^ {4}.*\n)+", rest.get("Definition", ""), re.MULTILINE)
    bullets = re.findall(r"^- (.+(?:\n  .+)*)", rest.get("What fools it", ""), re.MULTILINE)
    return Definition(
        name=name,
        title=title.lstrip("# "),
        text=_without_marks(text),
        formula=re.sub(r"^ {4}", "", formula[0], flags=re.MULTILINE).rstrip() if formula else "",
        direction=_without_marks(rest.get("Direction and range", "").strip().partition("\n\n")[0]),
        pitfalls=tuple(map(_without_marks, bullets)),
    )


def _without_marks(markdown: str) -> str:
    """Markdown of our cards -> one line of text: links, code and bold lose their marks."""
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", markdown)
    return " ".join(re.sub(r"\*\*|`", "", text).split())
