"""Whether two parties' seeds of one row agree: Welch's two-sample t for each ranked score, with Holm's correction.

Of every score two means over seeds are compared, as `leaderboards.statistics` compares two rows; the p-values of all
scores are corrected together by Holm's step-down procedure, so that two parties who draw from one distribution are said
to differ in 5% of cases at most. That nothing is found does not prove equality: with 2 seeds each only a gap of several
standard deviations is seen. Scores without chance, equal over the seeds of either side, are compared as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench.seeds import CONFIDENCE
from leaderboards.formats import value_text
from leaderboards.retrained import AGREEING, Result
from leaderboards.schema import Row, RunView, SecondParty
from leaderboards.statistics import seed_mean, two_sample
from metrics.common.base import Meaning

__all__ = ["FEWEST", "KEEPER", "Agreement", "compare", "mark_tiers"]

KEEPER = "whoever keeps these records"
"""Who trained a run of which nothing was said."""

FEWEST = 2
"""Seeds that each side needs: of one there is no spread."""
_ROUNDING = 1e-7
"""Of max(1, |mean|): what two processors may be apart in a score without chance."""
Scores = Mapping[str, float]


@dataclass(frozen=True)
class Agreement:
    """What the test says of two parties."""

    result: Result
    why: str
    p_values: dict[str, float] = field(default_factory=dict)
    """Corrected; score -> p."""


def compare(ours: Sequence[Scores], theirs: Sequence[Scores], keys: Sequence[str]) -> Agreement:
    """Two parties' scores at the end, a mapping for each seed; of `keys` those count that both have enough of."""
    p_values: dict[str, float] = {}
    for key in keys:
        a, b = ([scores[key] for scores in side if key in scores] for side in (ours, theirs))
        if min(len(a), len(b)) >= FEWEST:
            one, other = seed_mean(a), seed_mean(b)
            rounding = abs(one.mean - other.mean) <= _ROUNDING * max(1.0, abs(one.mean))
            p_values[key] = 1.0 if rounding else two_sample(one, other)
    counts = f"{len(ours)} and {len(theirs)} seeds"
    if not p_values:
        few = min(len(ours), len(theirs)) < FEWEST
        lacking = f"it needs at least {FEWEST} on each side" if few else "they have no ranked score in common"
        return Agreement("not decided", f"a two-sample test of {counts}: {lacking}")
    corrected = _holm(p_values)
    apart = sorted((p, key) for key, p in corrected.items() if p <= 1 - CONFIDENCE)
    named = ", ".join(f"{key} (p = {value_text(p, 'score')})" for p, key in apart[:3])
    of_all = f"{len(apart)} of {len(corrected)} scores differ" if apart else f"none of {len(corrected)} scores differs"
    why = f"Welch's t over {counts}, Holm's correction at {1 - CONFIDENCE:.0%}: {of_all}{f': {named}' if named else ''}"
    return Agreement("differs" if apart else "agrees", why, corrected)


def _holm(p_values: Scores) -> dict[str, float]:
    """Corrected p-values: the smallest times their number, the next times one fewer, never falling, at most 1."""
    corrected, highest = {}, 0.0
    for place, key in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[key]))
        corrected[key] = highest
    return {key: corrected[key] for key in p_values}


def mark_tiers(rows: Iterable[Row], meanings: Mapping[str, Meaning]) -> None:
    """Compare the parties that stand in one row, and give each row the tier that it has.

    A second party that differs is said among what the row lacks, and the row is not `retrained`, whoever else agrees.
    """
    keys = [key for key, meaning in meanings.items() if meaning.ranked]
    for row in rows:
        row.second_parties += _within(row, keys)
        results = [party.result for party in row.second_parties]
        if row.verified and "differs" not in results and any(result in AGREEING for result in results):
            row.tier = "retrained"
        for party in row.second_parties:
            if party.result == "differs":
                row.lacks.append(f"a second party that agrees: {party.by} trained it too, {party.method}: {party.why}")


def _within(row: Row, keys: Sequence[str]) -> Iterator[SecondParty]:
    """The other parties whose runs stand in a row, each compared with the keeper or, without one, who has most."""
    parties: dict[str | None, list[RunView]] = {}
    for run in row.runs:
        if run.status == "completed" and run.seed is not None:
            parties.setdefault(run.trained_by, []).append(run)
    if len(parties) < 2:
        return
    first = min(parties, key=lambda by: (by is not None, -len(parties[by]), by or ""))
    for by, runs in sorted((by, runs) for by, runs in parties.items() if by is not None and by != first):
        ours, theirs = ([run.values.get(1.0, {}) for run in side] for side in (parties[first], runs))
        found = compare(ours, theirs, keys)
        yield SecondParty(
            by=by,
            seeds=[run.seed for run in runs if run.seed is not None],
            method="two-sample test",
            result=found.result,
            why=f"beside {first or KEEPER}: {found.why}",
        )
