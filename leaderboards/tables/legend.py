"""The words around the tables: what a board is, what its task says of its data, how to read its marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bench.record import HELD_OUT_TEXT, REAL_TEXT
from leaderboards.evidence import How
from leaderboards.formats import plain
from leaderboards.rows import ANSWERS
from leaderboards.schema import (
    FULL_SCALE,
    RANKED_SEEDS,
    TEMPERATURE_SETTING,
    VALIDITY_FLOOR,
    Board,
    Boards,
    SecondParty,
    Tier,
)
from leaderboards.statistics import front_keys
from leaderboards.tables.cells import TICKS
from leaderboards.tables.columns import is_best

__all__ = ["TIERS", "facts", "heading", "legend", "party_text", "short_legend", "signatures"]


def heading(board: Board, *, numbered: bool = True) -> str:
    """What makes the board."""
    number = f"{board.number}. " if numbered else ""
    settings = ", ".join(f"{k}={v}" for k, v in sorted(board.task_config.items()))
    return plain(f"{number}{board.task} (version {board.task_version}) {settings}".rstrip()) + (
        f" · scale {plain(board.scale)} · data {plain(board.data_sha256[:12])}"
    )


def facts(board: Board) -> str:
    """What the task says about its data, on one line; empty if it says nothing."""
    return plain(", ".join(f"{k} {f'{v:.4g}' if isinstance(v, float) else v}" for k, v in board.data_facts.items()))


def signatures(board: Board) -> list[str]:
    """Each signature with its keys: settings, counts and version behind the columns."""
    keys: dict[str, list[str]] = {}
    for key, signature in board.signatures.items():
        keys.setdefault(signature, []).append(key)
    return [f"{', '.join(names)}: {signature}" for signature, names in keys.items()]


def legend(boards: Boards) -> list[str]:
    """The marks that these boards use."""
    return [
        "Mean ± half width of the 95% t-interval over seeds, at the end of training, temperature 1; [low, high] in "
        "place of ± where it would leave the range of the score, cut there. One seed: no interval, no rank. Blank: not "
        "available. Seeds: completed/started. All digits and all keys are in the CSV.",
        "Better: ↑ higher, ↓ lower, as far as real text, beyond which nothing is gained; = nearer to real text. There "
        "is no overall rank: quality and diversity are traded against each other.",
        *_of_rows(boards),
        *_of_marks(boards),
    ]


def short_legend(boards: Sequence[Board]) -> list[str]:
    """What a reader of the first tables of some boards must know."""
    rows = [row for board in boards for row in (*board.rows, *board.apart)]
    means = [mean for row in rows for mean in row.final.values()]
    seeds = "Mean ± half of the 95% interval over seeds" if any(m.half_width is not None for m in means) else "One seed"
    what = seeds if any(row.origin == "run" for row in rows) else "One value for each file"
    at = "" if all(board.elsewhere for board in boards) else ", temperature 1"
    lines = [f"{what}{at}. ↑ higher, ↓ lower, = nearer to real text is better."]
    if any(is_best(row, key) for row in rows for key in row.final):
        lines.append(
            "Bold: by a test of each pair at 5% better than some ranked row, and no ranked row is better than it, or "
            "than any with a better mean."
        )
    if any(mean.beyond_real for mean in means):
        lines.append("†: beyond real text, so no gain.")
    if any(row.front for row in rows):
        lines.append("‡: on the front of quality and diversity.")
    if any(mean.as_recorded for mean in means):
        lines.append("°: as recorded, not recomputed; in a heading, the cells that carry it, or all where none does.")
    verified, retrained = sum(row.verified for row in rows), sum(row.tier == "retrained" for row in rows)
    if verified:
        mark = f" ({TICKS['verified']})" if retrained or verified < len(rows) else ""
        count = "All" if verified == len(rows) else f"{verified} of {len(rows)}"
        lines.append(f"{count} rows are verified{mark}: their scores were recomputed from what is stored.")
    if retrained:
        lines.append(f"{retrained} {'are' if retrained > 1 else 'is'} retrained ({TICKS['retrained']}): {_AGREE}.")
    return lines


_AGREE = "a second party's seeds agree"
TIERS: Mapping[Tier, str] = {
    "reported": "the scores stand as the records say; nobody has computed them again here.",
    "verified": "the scores at the end of training were recomputed from the stored samples and are equal.",
    "retrained": (
        f"verified, and {_AGREE}: trained again by somebody else, on the same kind of machine equal bit for bit, on "
        "another one not told apart by Welch's t over seeds for each ranked score, with Holm's correction at the 5% "
        "level, which does not prove equality."
    ),
}
"""What each tier of a row says."""


def party_text(party: SecondParty) -> str:
    """What a second party's seeds say of a row, as a sentence."""
    seeds = f"seed{'s' * (len(party.seeds) != 1)} {', '.join(map(str, party.seeds))}"
    when = f" on {party.date}" if party.date else ""
    where = f" ({party.machine})" if party.machine else ""
    return f"{party.by} trained {seeds}{when}{where}: {party.result}, {party.method}; {party.why}".rstrip("; ")


def _of_rows(boards: Boards) -> Iterator[str]:
    """What rows there are, and how they count."""
    rows = [row for board in boards.boards for row in board.rows]
    models, statuses = {row.model for row in rows}, {row.status for row in rows}
    if any(board.scale not in (FULL_SCALE, "samples") for board in boards.boards):
        yield (
            "scale small (or smoke): settings reduced to minutes on one core. Such a board compares its own rows at "
            "these budgets and decides nothing about a published number."
        )
    if any(row.label == ANSWERS for row in rows):
        yield f"{ANSWERS}: what people wrote, or the one right answer where there is one, in place of a model's."
    if any(row.model == REAL_TEXT and row.label != ANSWERS for row in rows):
        yield "real_text (train): training sentences in place of samples: what a perfect copy of them gets."
    if HELD_OUT_TEXT in models:
        yield (
            "real_text (test): test sentences in place of samples: the real text of what compares with the training "
            "text, of which training sentences are copies."
        )
    if any(row.baseline and row.status == "ranked" for row in rows):
        yield "baseline: maximum likelihood at temperature 1, the row to beat; ranked like the others."
    if "under-trained" in statuses:
        yield (
            "under-trained: at a reduced scale, and on fewer real sentences than any run of the baseline read, so that "
            "a comparison would be one of budgets; not ranked. The numbers are in the table of costs."
        )
    if "incomplete" in statuses:
        yield f"incomplete: fewer than {RANKED_SEEDS} completed seeds, not ranked."
    if any(board.apart for board in boards.boards):
        yield f"apart: drawn at another temperature ({TEMPERATURE_SETTING} is not 1), in tables of its own, not ranked."
    if any(row.collapsed for row in rows):
        yield (
            "collapsed: how many of the completed seeds raised the alarm in their last phase. Where only some did, a "
            "mean is one of two kinds of result."
        )


def _of_marks(boards: Boards) -> Iterator[str]:
    """What stands beside names and values."""
    rows = [row for board in boards.boards for row in (*board.rows, *board.apart)]
    yield from _checked(boards)
    if any(is_best(row, key) for row in rows for key in row.final):
        yield (
            "Bold: by Welch's t over seeds at 5%, each pair tested alone, better than some ranked row, and no ranked "
            "row is better than it, or than any with a better mean. Several are a tie. Places, with Holm's correction "
            "within a row, may still overlap. Rows with a collapsed seed, or of which fewer than "
            f"{VALIDITY_FLOOR:.0%} of a grammar's sentences are valid, take no part; no value beyond real text is bold."
        )
    if any(mean.beyond_real for row in rows for mean in row.final.values()):
        yield "†: beyond real text by more than the interval: too sharp, collapsed or too random, not a better model."
    if any(row.front for row in rows):
        names = sorted({" and ".join(k) for b in boards.boards if (k := front_keys(b.rows))})
        yield (
            f"‡: on the front of {', '.join(names)}: no ranked row is as good in both and better in one, no seed "
            "collapsed, and enough sentences are valid."
        )


def _checked(boards: Boards) -> list[str]:
    """What ✓ and ✓✓ say and what they do not."""
    rows = [row for board in boards.boards for row in (*board.rows, *board.apart) if row.verified]
    runs = [run for row in rows for run in row.runs if 1.0 in run.checked]
    if not rows:
        return []
    lines = [f"{TICKS['verified']}: verified, {TIERS['verified']}"]
    recorded: dict[str, set[str]] = {}
    for key, (how, why) in (item for run in runs for item in run.checked[1.0].items()):
        if how == "recorded":
            recorded.setdefault(why, set()).add(key)
    by_model = {how: [run for run in runs if how in {h for h, _ in run.checked[1.0].values()}] for how in _BY_MODEL}
    for how, own in by_model.items():
        keys = sorted({key for run in own for key, (h, _) in run.checked[1.0].items() if h == how})
        if own:
            lines[0] += f" {', '.join(keys)} of {len(own)} {_BY_MODEL[how]}"
    if recorded:
        told = "; ".join(f"{', '.join(sorted(keys))}: {why}" for why, keys in sorted(recorded.items()))
        lines.append(f"°: not recomputed, also of rows with ✓; it stands as recorded ({plain(told)}).")
    others = (mean for row in rows for t, means in row.sweep.items() if t != 1.0 for mean in means.values())
    if any(mean.as_recorded for mean in others) or any(p.at == "cadence" for run in runs for p in run.learning):
        lines.append(
            "Never recomputed: scores at other temperatures and along training, whose samples are not kept, and what "
            "is read off them: quality at matched diversity, learning curves."
        )
    if any(row.tier == "retrained" for row in rows):
        lines.append(f"{TICKS['retrained']}: retrained, that is {TIERS['retrained']}")
    return lines


_BY_MODEL: dict[How, str] = {
    "weights": "runs were computed again from their stored weights.",
    "log_probabilities": "runs were averaged again from stored log-probabilities, which shows the arithmetic alone.",
}
