"""What a metric's card says of attacks, from the tables that are kept, so that prose and table cannot disagree."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from bench.attack.table import KEPT, AttackTable, Verdict, document, read_kept
from bench.config import build, plain
from bench.places import METRICS
from bench.record import write_atomic
from bench.registry import find

__all__ = ["bullets", "keep", "of_cards", "with_attacks"]

BEGIN = "<!-- attacks: written by the command `attack` with --write, from metrics/attacks.json -->"
END = "<!-- end of attacks -->"
_BLOCK = re.compile(rf"{re.escape(BEGIN)}\n.*?{re.escape(END)}\n", re.DOTALL)
_HEADING = "## What fools it\n\n"
_WIDTH = 118


def of_cards(tables: Sequence[AttackTable]) -> list[AttackTable]:
    """The tables that cards tell of: those of tasks without settings of their own."""
    return [table for table in tables if table.task_config == plain(build(find("tasks", table.task), {}, table.task))]


def bullets(metric: str, tables: Sequence[AttackTable] | None = None) -> list[str]:
    """Markdown, a paragraph for each table in which the metric has a column; of those that are kept the usual ones."""
    found = of_cards(read_kept()) if tables is None else tables
    return [_bullet(metric, table) for table in found if any(column.metric == metric for column in table.columns)]


def _bullet(metric: str, table: AttackTable) -> str:
    """Each attack stands where its worst verdict is; what it fools is said by key, where it is not every key."""
    columns = [column for column in table.columns if column.metric == metric]
    named: dict[Verdict, list[str]] = {"fooled": [], "not fooled": [], "absent": []}
    for line in table.attacks:
        keys: dict[Verdict, list[str]] = {verdict: [] for verdict in named}
        for column in columns:
            keys[table.verdict(line, column)].append(f"`{column.key}`")
        worst = next(verdict for verdict in named if keys[verdict])
        some = worst == "fooled" and len(keys[worst]) < len(columns)
        named[worst].append(line.what + (f" ({', '.join(keys[worst])})" if some else ""))
    parts = [f"**Attacks on `{table.task}`**, {table.n_samples:,} sentences each. "]
    parts += [f"Fooled by: {'; '.join(named['fooled']) or 'none'}."]
    parts += [f" Not by: {'; '.join(named['not fooled'])}."] if named["not fooled"] else []
    parts += [f" No score: {'; '.join(named['absent'])}."] if named["absent"] else []
    return "".join(parts)


def with_attacks(card: str, metric: str, tables: Sequence[AttackTable]) -> str:
    """A card with its part on attacks made anew: it stands first below the heading, before what people wrote."""
    rest = _BLOCK.sub("", card)
    told = bullets(metric, tables)
    if not told:
        return rest
    wrapped = [
        textwrap.fill(f"- {text}", _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        for text in told
    ]
    before, heading, after = rest.partition(_HEADING)
    if not heading:
        raise ValueError(f"the card of {metric} has no part {_HEADING.strip()!r}")
    return "\n".join([before + heading + BEGIN, *wrapped, END, after])


def keep(tables: Sequence[AttackTable], folder: Path = METRICS) -> list[Path]:
    """Keep these tables in the place of earlier ones of their data, and renew every card; the files that changed.

    Cards tell of tasks as they are without settings.
    """
    path = folder / KEPT.name
    new = {table.data_sha256: table for table in (*read_kept(path), *tables)}
    kept = sorted(new.values(), key=lambda table: (table.task, repr(sorted(table.task_config.items()))))
    files = {path: document(kept)}
    for card in sorted(folder.glob("*/README.md")):
        files[card] = with_attacks(card.read_text(encoding="utf-8"), card.parent.name, of_cards(kept))
    changed = [p for p, text in files.items() if not p.is_file() or p.read_text(encoding="utf-8") != text]
    for p in changed:
        write_atomic(p, files[p].encode())
    return changed
