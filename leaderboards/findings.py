"""What the boards answer together: whether an adversarial phase brings a model nearer to the text it learns from.

Four losses are looked at, in which a narrower model does not win by being narrower: the two exact divergences from the
truth, held-out text's cost under the model at its best single temperature (`nll_gen_calibrated`), and the cost of real
text under a language model of the samples (`reverse_lm_score`) at the temperature at which the model's samples are as
plausible as the baseline's (`lm_score`). The last two do not move with a model's temperature; a divergence, taken at
temperature 1, does, so what it gains may be calibration.

For each row that ends with a phase called `adversarial` after pre-training, the change over that phase is paired by
seed. The last loss needs a temperature sweep of the end of pre-training, which is a row of its own (`last_phase`): it
belongs to every row whose recorded scores at that point are its own, seed by seed.

A change is *told* if its t-test over seeds is among the discoveries of its direction, over all changes of all boards:
what is counted as nearer, and what is counted as away, has each a false discovery rate of at most 2.5%. The control (a
constant reward in the discriminator's place) has the same adversarial steps without a discriminator; its changes are a
family of their own. A correction that lets no chance finding through at all (Holm's) would answer "none" to everything:
of 70 tests with three seeds it asks for a change of 37 standard errors.

Ranked rows are compared with the baseline, and what people use today with the GANs, by the rule of the boards' ranks.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.seeds import CONFIDENCE
from leaderboards.curves import lines_of, quality_at
from leaderboards.headline import unknown_words_decide
from leaderboards.schema import CONTROL, FULL_SCALE, RANKED_SEEDS, Board, Curve, RankedMean, Row, RunView
from leaderboards.statistics import beside_first, difference, discoveries, one_sample, seed_mean, targets
from leaderboards.tables.cells import Cell, Column, Line, Table

__all__ = ["LOSSES", "MATCHED", "TODAY", "Change", "Finding", "changes", "finding", "sentences", "tables"]

TODAY = ("transformer_mle", "masked_diffusion")
"""What people use in the place of these GANs."""
MATCHED = "reverse_lm_score"
"""The loss that is taken at the baseline's `lm_score`."""
_ADVERSARIAL = "adversarial"  # the phase's name; PG-BLEU's is another, as its reward is a fixed score
_MATCH = ("lm_score", MATCHED)
LOSSES = ("kl_to_oracle", "kl_from_oracle", "nll_gen_calibrated", MATCHED)
"""Lower is nearer to the text."""
_MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Change:
    """What an adversarial phase does to one loss of one row."""

    board: Board
    row: Row
    key: str
    change: RankedMean
    """End minus end of pre-training, paired by seed."""
    p: float
    """Two-sided, of Student's t; 0 or 1 where no seed differs from another."""
    alike: bool
    """Whether it goes the same way in every seed."""
    told: bool = False
    """Whether it is a discovery among all changes, the control's apart from the others'."""

    @property
    def control(self) -> bool:
        """Whether no discriminator took part."""
        return self.row.model == CONTROL


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two rows of a board in one loss."""

    board: Board
    row: Row
    beside: Row
    key: str
    change: RankedMean
    """The row less the one beside it, with the interval of Welch's t."""
    better: bool
    """Whether the row is clearly better, by the rule of the ranks, and not beyond real text."""
    worse: bool
    """Whether it is clearly worse."""

    @property
    def told(self) -> bool:
        """Whether the two are told apart."""
        return self.better or self.worse


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The answer, as counts and rows."""

    changes: tuple[Change, ...]
    """By board, by row, by loss."""
    over_baseline: tuple[Comparison, ...]
    """Of ranked rows with an adversarial phase with the board's baseline, in a loss."""
    today: Mapping[str, tuple[Comparison, ...]]
    """Model of `TODAY` -> its comparisons with ranked rows with an adversarial phase."""

    @property
    def measured(self) -> tuple[Change, ...]:
        """Without the control's."""
        return tuple(c for c in self.changes if not c.control)

    @property
    def lowered(self) -> tuple[Change, ...]:
        """Losses that an adversarial phase lowers."""
        return tuple(c for c in self.measured if c.told and c.change.mean < 0)

    @property
    def raised(self) -> tuple[Change, ...]:
        """Losses that an adversarial phase raises."""
        return tuple(c for c in self.measured if c.told and c.change.mean > 0)


def finding(boards: Iterable[Board]) -> Finding | None:
    """What the boards answer; None where no row of theirs can tell."""
    boards = list(boards)
    found = changes(boards)
    if not any(not c.control for c in found):
        return None
    over = [each for board in boards for each in _against_baseline(board)]
    today = [each for board in boards for each in _today(board)]
    models = sorted({c.row.model for c in today})
    return Finding(
        changes=tuple(found),
        over_baseline=tuple(over),
        today={model: tuple(c for c in today if c.row.model == model) for model in models},
    )


def changes(boards: Iterable[Board]) -> list[Change]:
    """Every change that can be told, of rows with seeds enough for a rank; the control's on boards of others alone."""
    by_board = [list(_changes(board)) for board in boards]
    found = [c for own in by_board if not all(c.control for c in own) for c in own]
    told: dict[int, bool] = {}
    for control in (False, True):
        family = [i for i, c in enumerate(found) if c.control == control]
        sides = [_sign(found[i].change.mean) for i in family]
        told |= dict(zip(family, discoveries([found[i].p for i in family], sides), strict=True))
    return [replace(c, told=told[i]) for i, c in enumerate(found)]


def _changes(board: Board) -> Iterator[Change]:
    for row in board.rows:
        if not _is_adversarial(row):
            continue
        for key in LOSSES:
            by_seed = _matched_changes(board, row) if key == MATCHED else _gains(row, key)
            if len(by_seed) >= RANKED_SEEDS:
                change, alike = seed_mean(by_seed), abs(sum(map(_sign, by_seed))) == len(by_seed)
                yield Change(board=board, row=row, key=key, change=change, p=one_sample(change), alike=alike)


def _is_adversarial(row: Row) -> bool:
    """Whether its runs end with a phase called `adversarial` after another one."""
    return bool(row.gain) and any(run.borders[-1][0] == _ADVERSARIAL for run in row.runs if run.borders)


def _gains(row: Row, key: str) -> list[float]:
    return [run.gain[key] for run in row.runs if run.status == "completed" and key in run.gain]


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _matched_changes(board: Board, row: Row) -> list[float]:
    """By seed, of the loss at the baseline's plausibility, against the row that is this one's end of pre-training."""
    curve = _matching(board)
    before = next((r for r in board.rows if r is not row and _begins(r, row)), None)
    if curve is None or curve.diversity is None or before is None:
        return []
    ends, starts = _by_seed(curve, row), _by_seed(curve, before)
    return [ends[seed] - starts[seed] for seed in ends if seed in starts]


def _matching(board: Board) -> Curve | None:
    """None where words that the test's language model does not know decide: they are too many of real text."""
    if unknown_words_decide(board):
        return None
    return next((c for c in board.curves if (c.x, c.y) == _MATCH), None)


def _by_seed(curve: Curve, row: Row) -> dict[int | None, float]:
    """Seed -> the loss where the row's line over temperature crosses the baseline's plausibility."""
    trace = next((t for t in curve.traces if t.label == row.label), None)
    lines = lines_of(trace).items() if trace is not None else ()
    assert curve.diversity is not None
    found = {seed: quality_at(line, curve.diversity, curve.y_better) for seed, line in lines if len(line) > 1}
    return {seed: value for seed, value in found.items() if value is not None}


def _begins(before: Row, row: Row) -> bool:
    """Whether one row holds the other's pre-training alone: equal scores at that point in every common seed."""
    if before.gain:
        return False
    ends = {run.seed: run.values.get(1.0, {}) for run in before.runs if run.status == "completed"}
    found = [(ends[run.seed], at_end) for run in row.runs if run.seed in ends and (at_end := _end_of_pretraining(run))]
    keys = [set(a) & set(b) for a, b in found]
    return bool(found) and all(
        common and all(a[k] == b[k] for k in common) for (a, b), common in zip(found, keys, strict=True)
    )


def _end_of_pretraining(run: RunView) -> dict[str, float]:
    return next((dict(point.values) for point in run.learning if point.at == "phase_end"), {})


def _against_baseline(board: Board) -> Iterator[Comparison]:
    """Each ranked row with an adversarial phase, but for the control, beside the baseline in each loss."""
    for base in (row for row in board.rows if row.baseline):
        for key in LOSSES:
            means, found = _beside(board, base, key)
            yield from (_compared(board, row, base, key, means, found[row.label]) for row in _gans(board, found))


def _today(board: Board) -> Iterator[Comparison]:
    """What people use now beside each ranked GAN of its board, by the comparisons of the former."""
    for row in (row for row in board.rows if row.model in TODAY and row.status == "ranked"):
        for key in LOSSES:
            means, found = _beside(board, row, key)
            yield from (_compared(board, row, gan, key, means, -found[gan.label]) for gan in _gans(board, found))


def _compared(board: Board, row: Row, beside: Row, key: str, means: Mapping[str, RankedMean], side: int) -> Comparison:
    """`side`: -1 where the row is clearly better, 1 where it is clearly worse."""
    mean = means[row.label]
    better, change = side < 0 and not mean.beyond_real, difference(mean, means[beside.label])
    return Comparison(board=board, row=row, beside=beside, key=key, change=change, better=better, worse=side > 0)


def _gans(board: Board, having: Container[str]) -> list[Row]:
    """Ranked rows with an adversarial phase, but for the control, whose labels are among those."""
    rows = (row for row in board.rows if _is_adversarial(row) and row.model != CONTROL and row.status == "ranked")
    return [row for row in rows if row.label in having]


def _beside(board: Board, first: Row, key: str) -> tuple[dict[str, RankedMean], dict[str, int]]:
    """Label -> mean of each ranked row that has the loss, and how it stands beside the first one (`beside_first`)."""
    known, ranked = targets(board.rows, board.meanings), [row for row in board.rows if row.status == "ranked"]
    if key == MATCHED:
        curve = _matching(board)
        values = {trace.label: trace.matched for trace in curve.traces} if curve is not None else {}
    else:
        values = {row.label: row.final.get(key) for row in ranked}
    order = [first.label, *(row.label for row in ranked if row is not first)]
    means = {label: mean for label in order if (mean := values.get(label)) is not None and mean.n >= RANKED_SEEDS}
    if first.label not in means:
        return {}, {}
    found = beside_first(list(means.values()), board.meanings[key].better, known.get(key))
    return means, dict(zip([*means][1:], found[1:], strict=True))


def sentences(found: Finding, name: Callable[[Board], str]) -> list[str]:
    """The answer in words, the control beside it. `name` says which board."""
    models = sorted({c.row.model for c in found.measured})
    boards = list(dict.fromkeys(name(c.board) for c in found.measured))
    control = [c for c in found.changes if c.control]
    n_control = len({name(c.board) for c in control})
    where = f", on {n_control} of them" if control and n_control < len(boards) else ""
    lines = [
        f"Of {len(found.measured)} measurements on {_boards_of(found)} the adversarial phase of {_listed(models)} "
        f"brought its model nearer to its text in {_how_many(found.lowered)}, and away from it in "
        f"{_how_many(found.raised)}. With a constant reward in the discriminator's place{where}: "
        f"{_nearer_and_away(c for c in control if c.told)}, of {len(control)}.",
        f"Of each count at most 2.5% are expected to be there by chance. The largest fall, counted or not: "
        f"{max(0.0, *(-c.change.mean for c in found.measured)):.2g} nats a token; half of the 95% intervals reach "
        f"{_middle(found.measured):.2g} or more to either side. At 5% in each measurement alone: "
        f"{_alone(found.measured)}; with the constant reward {_alone(control)}.",
        f"The same way in every seed, counted or not: {_nearer_and_away(c for c in found.measured if c.alike)}"
        f"{_alike_by_model(found)}; chance alone leaves {sum(0.5**c.change.n for c in found.measured):.0f} each way.",
    ]
    moved = (("Most lowered", found.lowered), ("Most raised", found.raised))
    lines += [f"{word}: {_largest(some, name)}." for word, some in moved if some]
    over = found.over_baseline
    better = [_better(found, c, name) for c in over if c.better]
    families = len({(c.board.number, c.key) for c in over})
    chance = f" (by chance up to {families * (1 - CONFIDENCE) / 2:.2g})" if better else ""
    lines.append(
        f"Better than the baseline in one of these losses, by the rule of the ranks: {len(better)} of {len(over)} "
        f"comparisons{chance}{': ' if better else ''}{'; '.join(better)}. Worse: {sum(c.worse for c in over)}."
    )
    lines += [
        f"{model}{_read(c.row for c in pairs)} beside a GAN{_read(c.beside for c in pairs)}: better in "
        f"{sum(c.better for c in pairs)}, worse in {sum(c.worse for c in pairs)}, of {len(pairs)} comparisons."
        for model, pairs in found.today.items()
    ]
    lines.append(
        f"The losses: {_listed([_titled(key) for key in LOSSES])}, in nats a token. A fall in one alone is not yet "
        "learning: kl_to_oracle need not rise in a collapse, and a constant reward lowers nll_gen_calibrated. "
        "Changes are paired by seed; all are one family, in which each direction has a false discovery rate of at most "
        "2.5% (Benjamini and Hochberg). Ranked rows are compared by Welch's test with Holm's correction within the "
        f"row. The boards: {'; '.join(boards)}."
    )
    return lines


def _boards_of(found: Finding) -> str:
    """`8 boards`, and whether none of them has a published setting."""
    boards = {c.board.number: c.board for c in found.measured}
    reduced = all(board.scale != FULL_SCALE for board in boards.values())
    return f"{len(boards)} boards{' of reduced scale' if reduced else ''}"


def _middle(some: Sequence[Change]) -> float:
    return statistics.median(c.change.half_width or 0.0 for c in some)


def _alike_by_model(found: Finding) -> str:
    """` (nearer: relgan 6; away: ...)`."""
    sides = (("nearer", -1), ("away", 1))
    told = []
    for word, side in sides:
        models = Counter(c.row.model for c in found.measured if c.alike and _sign(c.change.mean) == side)
        if models:
            told.append(f"{word}: {', '.join(f'{model} {n}' for model, n in models.most_common())}")
    return f" ({'; '.join(told)})" if told else ""


def _read(rows: Iterable[Row]) -> str:
    """` (124,800 to 249,600 real sentences read)`; empty where it is not known."""
    counts = [row.real_sentences for row in rows if row.real_sentences is not None]
    if not counts:
        return ""
    ends = dict.fromkeys(f"{count:,.0f}" for count in (min(counts), max(counts)))
    return f" ({' to '.join(ends)} real sentences read)"


def _how_many(some: Sequence[Change]) -> str:
    """`12, by up to 0.59 nats a token`."""
    if not some:
        return "none"
    return f"{len(some)}, by up to {max(abs(c.change.mean) for c in some):.2g} nats a token"


def _nearer_and_away(some: Iterable[Change]) -> str:
    means = [c.change.mean for c in some]
    return f"{sum(mean < 0 for mean in means)} nearer, {sum(mean > 0 for mean in means)} away"


def _largest(some: Sequence[Change], name: Callable[[Board], str]) -> str:
    """The largest first."""
    order = sorted(some, key=lambda c: -abs(c.change.mean))
    return "; ".join(_of(c, name) for c in order[:_MOST_NAMED])


def _better(found: Finding, c: Comparison, name: Callable[[Board], str]) -> str:
    """A row that is better than the baseline, with what it cost, and whether its adversarial phase made it so."""
    base, told = next(each for each in c.board.rows if each.baseline), []
    if c.row.real_sentences is not None and base.real_sentences is not None:
        told.append(f"{c.row.real_sentences:,.0f} real sentences read, the baseline {base.real_sentences:,.0f}")
    here = (c.board.number, c.row.label, c.key)
    if not any((each.board.number, each.row.label, each.key) == here for each in found.lowered):
        told.append("its adversarial phase was not seen to lower it")
    return f"{c.row.label} in {_titled(c.key)} on {name(c.board)}" + (f" ({'; '.join(told)})" if told else "")


def tables(found: Finding, name: Callable[[Board], str]) -> list[Table]:
    """Every change and every comparison, by board and row; those that are told are marked."""
    today = [c for compared in found.today.values() for c in compared]
    interval = "± half of the 95% interval over seeds. ↓: counted as lower, ↑: counted as higher."
    parts: tuple[tuple[str, str, Sequence[Change | Comparison], str], ...] = (
        (
            "findings",
            "What the adversarial phase changes",
            found.changes,
            "End minus end of pre-training, whose scores stand as recorded, as those at other temperatures do",
        ),
        (
            "over_baseline",
            "Rows with an adversarial phase beside the baseline",
            found.over_baseline,
            "Model less baseline",
        ),
        ("today", "Models of today beside GANs", today, "Model less GAN"),
    )
    return [_table(key, title, some, f"{what}, {interval}", name) for key, title, some, what in parts if some]


def _table(
    table_name: str, title: str, some: Sequence[Change | Comparison], note: str, name: Callable[[Board], str]
) -> Table:
    keys = [key for key in LOSSES if any(c.key == key for c in some)]
    places = {(id(c.board), _labels(c)): c for c in some}
    cells = {(id(c.board), _labels(c), c.key): c for c in some}
    lines = []
    for (board, labels), first in places.items():
        values = [_cell(cells.get((board, labels, key))) for key in keys]
        words = [Cell(label) for label in (name(first.board), *labels)]
        lines.append(Line((*words, *values), first.row, name(first.board)))
    titles = [_titled(key) for key in keys]
    words_of = ("board", "model", "beside")[: 1 + len(_labels(some[0]))]
    columns = [Column(title=title, kind="words") for title in words_of]
    columns += [Column(title=title, kind="change", better="lower") for title in titles]
    return Table(title=title, columns=tuple(columns), lines=tuple(lines), notes=(note,), name=table_name)


def _labels(c: Change | Comparison) -> tuple[str, ...]:
    return (c.row.label, c.beside.label) if isinstance(c, Comparison) else (c.row.label,)


def _cell(c: Change | Comparison | None) -> Cell:
    if c is None:
        return Cell()
    lower = c.change.mean < 0
    mark = ("↓" if lower else "↑") if c.told else ""
    return Cell(c.change.mean, c.change.half_width, mark=mark, strong=c.told and lower)


def _titled(key: str) -> str:
    return f"{key} at the baseline's {_MATCH[0]}" if key == MATCHED else key


def _alone(some: Sequence[Change]) -> str:
    """How many go down and up by more than chance, each for itself."""
    return f"{_nearer_and_away(c for c in some if c.p <= 1 - CONFIDENCE)}, of {len(some)}"


def _of(change: Change, name: Callable[[Board], str]) -> str:
    half = change.change.half_width
    told = f" ± {half:.3f}" if half is not None else ""
    return f"{change.row.label}, {_titled(change.key)} on {name(change.board)}, by {abs(change.change.mean):.3f}{told}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1] if names else ""
