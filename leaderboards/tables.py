"""Every table as data: columns, lines, notes. Terminal, Markdown, LaTeX and the pages print these and compute nothing.

A column is made in one place, with what it holds of a row; tables choose columns. For a reader of text there are narrow
tables, one after another (`text_tables`), for the page a wide one with choices of columns (`page_tables`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

from bench.published import Published
from leaderboards.attacks import attack_table
from leaderboards.cells import ALL, TICKS, Cell, Column, Line, Table
from leaderboards.formats import ARROWS, Kind, of_change, phases, plain, value_text
from leaderboards.headline import headline_keys, most_telling
from leaderboards.schema import RANKED_SEEDS, Board, Curve, RankedMean, Row

__all__ = [
    "ALL",
    "MAIN",
    "Cell",
    "Column",
    "Line",
    "Table",
    "is_best",
    "main_table",
    "page_tables",
    "published_tables",
    "reported_tables",
    "text_tables",
    "with_published",
]

_PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("class and content", ("transfer_accuracy", "transfer_content", "transfer_joint", "exact_match")),
    ("answers and inputs", ("reference_bleu", "reference_bleu_others", "reference_bleu_first", "input_bleu")),
    ("language model of the class wanted", ("target_nll",)),
    ("divergence from the truth, per token", ("kl_to_oracle", "kl_from_oracle")),
    ("likelihood and validity", ("nll_oracle", "nll_oracle_valid", "lm_score", "validity")),
    ("classes", ("class_accuracy", "class_accuracy_judged", "class_accuracy_worst", "class_unlabelled")),
    ("inside a class", ("per_class_bleu_2", "per_class_bleu_2_worst", "per_class_bleu_4", "per_class_bleu_4_worst")),
    ("language model of known words", ("lm_score_known", "lm_score_unknown")),
    ("BLEU", ("bleu_2", "bleu_3", "bleu_4", "bleu_5")),
    ("sentence vectors", ("prdc_precision", "prdc_density")),
    (
        "likelihood, language models, n-gram overlap",
        ("nll_gen", "nll_gen_calibrated", "nll_bound", "reverse_lm_score", "ms_jaccard_2", "ms_jaccard_5"),
    ),
    ("likelihood given the class", ("nll_class", "nll_class_worst", "kl_class_from_oracle")),
    ("inside a class", ("per_class_ms_jaccard_4", "per_class_ms_jaccard_4_worst")),
    ("language model of known words", ("reverse_lm_score_known", "reverse_lm_score_unknown")),
    ("sentence vectors", ("prdc_coverage",)),
    ("Self-BLEU", ("self_bleu_2", "self_bleu_3", "self_bleu_4", "self_bleu_5")),
    ("inside a class", ("per_class_self_bleu_4", "per_class_self_bleu_4_worst")),
    ("repetition", ("distinct_2", "unique", "self_repetition", "compression_ratio", "vendi_ngram")),
    ("sentence vectors", ("prdc_recall", "vendi_embedding")),
    ("entropy of the model", ("nll_own",)),
    ("copies", ("novelty",)),
)
"""The order of columns. What a part can see (`Meaning.aspect`, the same for its keys) names the table."""
_ASPECTS = {"quality": "Quality", "both": "Both", "diversity": "Diversity", "memorisation": "Memorisation"}
MAIN = (
    *("kl_to_oracle", "kl_from_oracle", "nll_oracle", "class_accuracy", "nll_class", "nll_gen", "nll_gen_calibrated"),
    *("validity", "bleu_2", "bleu_5", "self_bleu_2", "self_bleu_5", "unique"),
)
"""Scores of the tables of ranks, gains and temperatures, as far as `_WIDE` of them are there, and of a first look."""
_FITS, _WIDE = 5, 7
"""Scores that 120 characters hold beside model, status and seeds; beside model and one short column."""
_HIDDEN = (
    *("per_class_ms_jaccard_2", "per_class_ms_jaccard_2_worst", "per_class_self_bleu_2", "per_class_self_bleu_2_worst"),
    *("nll_gen_padded", "nll_gen_temperature", "nll_train_padded", "distinct_1", "distinct_3", "distinct_4"),
    *("ms_jaccard_1", "ms_jaccard_3", "ms_jaccard_4", "novelty_ngram_2", "novelty_ngram_3", "novelty_ngram_4"),
)
"""Variants of a score that is shown: in the CSV, and on the page among all columns."""
_GAIN = "End of training minus end of pre-training of the same run"
_FIRST = "what the adversarial training added."

Place = tuple[Row, float]
"""A row at a temperature."""
Field = tuple[Column, Callable[[Row, float], Cell]]
"""A column and what it holds of a place."""
Pick = Callable[[Row, float], RankedMean | None]


# The tables of a board.


def text_tables(board: Board) -> list[Table]:
    """Every table of a board, narrow ones; those that would be empty left out."""
    families = _families(board)
    tables = [t for name, keys in families for t in _final_table(board, name, keys, board.rows)]
    tables += _places_table(board) + _gain_table(board) + _matched_tables(board)
    tables += _temperature_table(board) + _cost_table(board)
    apart = [(f"At another temperature: {name}", keys) for name, keys in families]
    tables += [t for name, keys in apart for t in _final_table(board, name, keys, board.apart)]
    return tables + _attack_tables(board) + reported_tables(board)


def _attack_tables(board: Board) -> list[Table]:
    found = attack_table(board)
    return [found] if found is not None else []


def page_tables(board: Board) -> list[Table]:
    """Scores at the end, gains over pre-training, temperatures, rows apart; those that would be empty left out."""
    keys = _keys(board, [*board.rows, *board.apart])
    final = [
        *(_score(board, key, _final(key), choices) for key, choices in keys.items()),
        *(_places(board, key, f"rank in {plain(key)}") for key in keys if _n_ranked(board, key)),
        *_curve_fields(board),
        *_cost_fields(board),
        _seeds(),
        *_collapsed(board),
        _tier(),
    ]
    gains = {key: choices for key, choices in keys.items() if any(key in row.gain for row in board.rows)}
    gain = [_score(board, key, _gain(key), choices, "change") for key, choices in gains.items()]
    sweep = [_score(board, key, _sweep(key), choices) for key, choices in keys.items()]
    paired = f"{_GAIN}, paired by seed: {_FIRST}"
    elsewhere = "By a setting of their own these rows are drawn at another temperature than 1."
    gained, swept = [row for row in board.rows if row.gain], [row for row in board.rows if len(row.sweep) > 1]
    tables = [
        _table("Scores at the end of training", _at_end(board.rows), final, name="scores"),
        _table("Gain over pre-training", _at_end(gained), gain, name="gain", notes=[paired]),
        _table(
            "Temperatures",
            _at_every_temperature(swept),
            [_temperature(), *sweep],
            name="temperatures",
            notes=_unkept(swept),
        ),
        _table("At another temperature", _at_end(board.apart), final, name="apart", notes=[elsewhere]),
        *_attack_tables(board),
    ]
    return [table for table in tables if table.name == "scores" or (table.lines and len(table.columns) > 1)]


def main_table(board: Board, most: int) -> tuple[Table, int]:
    """The few scores that carry the message: exact divergences, quality, diversity, both. With the rows left out.

    Of a long board those rows are left out first that say least: further controls, then rows that are not ranked.
    """
    chosen = most_telling(board, most)
    fields = [_state(board), *(_headline(board, word, key) for word, key in headline_keys(board))]
    return _table("Main scores", _at_end(chosen), fields, name="main"), len(board.rows) - len(chosen)


def _headline(board: Board, word: str, key: str) -> Field:
    column, cell = _score(board, key, _final(key))
    return dataclasses.replace(column, title=f"{word} {column.title}".lstrip()), cell


def _table(
    title: str,
    places: Iterable[Place],
    fields: Sequence[Field],
    *,
    notes: Sequence[str] = (),
    name: str = "",
    group: Callable[[Row], str] = lambda row: row.status,
) -> Table:
    """A table of rows, whose first column is the model; lines of one status stand together."""
    fields = [_model(), *fields]
    lines = [Line(tuple(cell(row, t) for _, cell in fields), row, group(row)) for row, t in places]
    columns = tuple(column for column, _ in fields)
    return Table(title=title, columns=columns, lines=tuple(lines), notes=tuple(notes), name=name)


def _at_end(rows: Iterable[Row]) -> list[Place]:
    return [(row, 1.0) for row in rows]


def _at_every_temperature(rows: Iterable[Row]) -> list[Place]:
    return [(row, temperature) for row in rows for temperature in sorted(row.sweep)]


def _final_table(board: Board, name: str, keys: Iterable[str], rows: Sequence[Row]) -> list[Table]:
    present = [key for key in keys if any(key in row.final for row in rows)]
    if not present and (board.signatures or name != "Quality"):  # a board of failures shows its rows once
        return []
    present.sort(
        key=lambda key: _only_references(rows, key)
    )  # no table begins with a column that says nothing of models
    return [
        _table(
            name,
            _at_end(rows),
            [_status(), _seeds(), *_collapsed(board), *(_score(board, key, _final(key)) for key in present)],
        )
    ]


def _places_table(board: Board) -> list[Table]:
    present = [key for key in MAIN if _n_ranked(board, key) > 1][:_WIDE]
    rows = [row for row in board.rows if row.status == "ranked"]
    note = (
        "The places that a row may have, with 95% confidence for each row alone: from 1 + the clearly better rows to "
        "all but the clearly worse. By Welch's t over seeds for every pair, with Holm's correction in the row; "
        "distances to real text are compared, and beyond it nothing is gained. 1–3: a tie of three."
    )
    fields = [_seeds(), *_collapsed(board), *(_places(board, key, _score_title(board, key)) for key in present)]
    return [_table("Ranks", _at_end(rows), fields, notes=[note])] if present else []


def _gain_table(board: Board) -> list[Table]:
    rows = [row for row in board.rows if row.gain]
    present = [key for key in MAIN if any(key in row.gain for row in rows)][:_WIDE]
    note = f"{_GAIN}: {_FIRST} The interval is of the differences."
    fields = [_seeds(), *(_score(board, key, _gain(key), kind="change") for key in present)]
    return [_table("Gain over pre-training", _at_end(rows), fields, notes=[note])] if present else []


def _temperature_table(board: Board) -> list[Table]:
    rows = [row for row in board.rows if len(row.sweep) > 1]
    present = [key for key in MAIN if any(key in means for row in rows for means in row.sweep.values())][:_WIDE]
    fields = [_temperature(), *(_score(board, key, _sweep(key)) for key in present)]
    places = _at_every_temperature(rows)
    notes = _unkept(rows)
    return [_table("Temperatures", places, fields, notes=notes, group=lambda row: row.label)] if present else []


def _unkept(rows: Sequence[Row]) -> list[str]:
    """Whether verified rows have scores at other temperatures whose samples are not kept."""
    means = (m for row in rows if row.verified for t, means in row.sweep.items() if t != 1.0 for m in means.values())
    told = "Of rows with ✓ too, scores at other temperatures than 1 stand as recorded: these samples are not kept."
    return [told] if any(mean.as_recorded for mean in means) else []


def _matched_tables(board: Board) -> list[Table]:
    """What rows have where their quality, or their diversity, is the baseline's; nothing where no row has it."""
    having = [curve for curve in board.curves if any(trace.over_baseline is not None for trace in curve.traces)]
    of_quality = [curve for curve in having if board.meanings[curve.x].aspect == "quality"]
    of_diversity = [curve for curve in having if curve not in of_quality]
    titles = ("Diversity at matched quality", of_quality), ("Quality at matched diversity", of_diversity)
    return [table for title, curves in titles if curves for table in _matched_pair(board, title, curves)]


def _matched_pair(board: Board, title: str, curves: Sequence[Curve]) -> list[Table]:
    """The values, and how far they are from the baseline's."""
    having = {trace.label for curve in curves for trace in curve.traces if trace.matched}
    rows = [row for row in [*board.rows, *board.apart] if row.label in having]
    base = plain(str(curves[0].baseline))
    at = ", ".join(f"{c.y} at {c.x} {value_text(c.diversity, 'score')}" for c in curves if c.diversity is not None)
    notes = [f"What is matched is what {base} has at temperature 1: {at}. Read off each seed's curve over temperature."]
    values = [_score(board, c.y, _matched(c)) for c in curves]
    differences = [_score(board, c.y, _over_baseline(c), kind="change") for c in curves]
    others = [row for row in rows if not row.baseline]
    welch = (
        f"± is Welch's 95% interval of this one difference over seeds. Bold: clearly better than {base}, by the rule "
        "of the ranks (Holm's correction over the column); never where the value itself is beyond real text."
    )
    return [
        _table(title, _at_end(rows), [_seeds(), *values], notes=[*notes, *_unmatched(curves)]),
        _table(f"{title}, minus {base}", _at_end(others), [_seeds(), *differences], notes=[welch]),
    ]


def _unmatched(curves: Sequence[Curve]) -> list[str]:
    """Why a row has no quality at matched diversity, rows with the same reason together."""
    reasons: dict[str, dict[str, None]] = {}
    for trace in (trace for curve in curves for trace in curve.traces if trace.reason):
        reasons.setdefault(plain(trace.label), {})[plain(trace.reason)] = None
    labels: dict[str, list[str]] = {}
    for label, of_label in reasons.items():
        labels.setdefault("; ".join(of_label), []).append(label)
    return [f"{', '.join(who)}: {reason}." for reason, who in labels.items()]


def _cost_table(board: Board) -> list[Table]:
    """Parameters, time of training by phase, device; nothing where nothing was trained."""
    rows = [row for row in [*board.rows, *board.apart] if row.seconds]
    notes = ["Training alone, mean over completed seeds; drawing and scoring samples is not in it."]
    if len({device for row in rows for device in row.devices}) > 1:
        notes.append("Times on different devices do not compare.")
    by_phase = Column(title="by phase", kind="words"), lambda row, _: Cell(phases(row.seconds))
    fields = [_parameters(), _real_sentences(), _training("training"), by_phase, _device()]
    return [_table("Cost", _at_end(rows), fields, notes=notes)] if rows else []


def _families(board: Board) -> list[tuple[str, tuple[str, ...]]]:
    """Table name -> its keys: parts of one aspect in one table where they fit, then all others by their names."""
    parts: dict[str, list[tuple[str, tuple[str, ...]]]] = {title: [] for title in _ASPECTS.values()}
    for part, keys in _PARTS:
        if present := tuple(key for key in keys if key in board.signatures):
            parts[_ASPECTS.get(board.meanings[present[0]].aspect, "Quality")].append((part, present))
    tables = []
    for whole, family in parts.items():
        together = tuple(key for _, keys in family for key in keys)
        split = [(f"{whole}: {part}", keys) for part, keys in family]
        tables += [(whole, together)] if len(together) <= _FITS else split
    known = {key for _, keys in _PARTS for key in keys} | set(_HIDDEN)
    others = [key for key in board.signatures if key not in known]
    few = [tuple(others[i : i + _FITS]) for i in range(0, len(others), _FITS)]
    return [*tables, *((f"Further scores: {' to '.join(dict.fromkeys((k[0], k[-1])))}", k) for k in few)]


def _keys(board: Board, rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    """Score key that some row has -> the choices that show it, in the order of the other tables, hidden ones last."""
    families = [(name, key) for name, keys in _families(board) for key in keys]
    found: dict[str, tuple[str, ...]] = {}
    for name, key in [*families, *(("", key) for key in board.signatures)]:
        if key not in found and any(key in means for row in rows for means in (row.final, *row.sweep.values())):
            shown = key in MAIN and not _only_references(rows, key)
            found[key] = (*(("Main",) if shown else ()), name) if name else (ALL,)
    return dict(sorted(found.items(), key=lambda item: _only_references(rows, item[0])))


def _only_references(rows: Sequence[Row], key: str) -> bool:
    """Whether nobody has the score but references, beside whom there are models."""
    models = [row for row in rows if row.status != "reference"]
    return bool(models) and not any(key in row.final or any(key in m for m in row.sweep.values()) for row in models)


# The columns, and what they hold of a row.


def _model() -> Field:
    return Column(title="model", kind="words"), lambda row, _: Cell(row.label, mark=" ‡" if row.front else "")


def _status() -> Field:
    """How a row counts; a tick where its scores were recomputed from its samples, two where a second party agrees."""

    def cell(row: Row, _: float) -> Cell:
        word = "baseline" if row.baseline and row.status == "ranked" else row.status
        return Cell(word, mark=f" {TICKS[row.tier]}".rstrip())

    return Column(title="status", kind="printed"), cell


def _state(board: Board) -> Field:
    """How a row counts; its seeds where some are missing or failed; how many collapsed; its tier where rows differ."""
    mixed = len({row.tier for row in (*board.rows, *board.apart)}) > 1

    def cell(row: Row, _: float) -> Cell:
        words: list[str] = ["baseline" if row.baseline and row.status == "ranked" else row.status]
        whole = row.n_completed == row.n_started and row.n_completed >= RANKED_SEEDS
        words += [f"{row.n_completed}/{row.n_started}"] if row.origin == "run" and not whole else []
        collapsed = f", collapsed {row.collapsed}/{row.n_completed}" if row.collapsed else ""
        return Cell(" ".join(words) + collapsed, mark=f" {TICKS[row.tier]}".rstrip() if mixed else "")

    return Column(title="state", kind="words"), cell


def _seeds() -> Field:
    def cell(row: Row, _: float) -> Cell:
        seeds = "file" if row.origin == "samples" else f"{row.n_completed}/{row.n_started}"
        return Cell(seeds, order=row.n_completed)

    return Column(title="seeds", kind="printed", better="higher"), cell


def _collapsed(board: Board) -> list[Field]:
    """How many of a mean's seeds collapsed: it is then a mean of two kinds of result. Nothing where none did."""
    if not any(row.collapsed for row in (*board.rows, *board.apart)):
        return []

    def cell(row: Row, _: float) -> Cell:
        return Cell(f"{row.collapsed} of {row.n_completed}" if row.collapsed else None, order=row.collapsed)

    return [(Column(title="collapsed", kind="printed"), cell)]


def _tier() -> Field:
    return Column(title="tier", kind="tag"), lambda row, _: Cell(row.tier)


def _temperature() -> Field:
    return Column(title="T", kind="temperature"), lambda _, temperature: Cell(temperature)


def _score(board: Board, key: str, pick: Pick, choices: tuple[str, ...] = (), kind: Kind = "score") -> Field:
    """A score; bold where it is the best at the end, or a difference that is clearly better.

    ° in the heading says that it was not computed again, on cells where only some are so.
    """
    said = [m.as_recorded for row in (*board.rows, *board.apart) if row.verified and (m := pick(row, 1.0)) is not None]
    recorded, mixed = any(said), any(said) and not all(said)

    def cell(row: Row, temperature: float) -> Cell:
        mean = pick(row, temperature)
        if mean is None:
            return Cell()
        strong = mean.clearly_better or (mean is row.final.get(key) and is_best(board, row, key))
        mark = ("†" if mean.beyond_real else "") + ("°" if mixed and mean.as_recorded else "")
        return Cell(mean.mean, mean.half_width, mark, strong)

    meaning, metric = board.meanings[key], board.metrics.get(key, "")
    column = Column(
        title=_score_title(board, key) + ("°" if recorded else ""),
        kind=kind,
        metric=metric,
        better=meaning.better,
        choices=choices,
        bounds=of_change(meaning.bounds) if kind == "change" else meaning.bounds,
    )
    return column, cell


def _score_title(board: Board, key: str) -> str:
    return f"{plain(key)} {ARROWS[board.better[key]]}"


def _final(key: str) -> Pick:
    return lambda row, _: row.final.get(key)


def _gain(key: str) -> Pick:
    return lambda row, _: row.gain.get(key)


def _sweep(key: str) -> Pick:
    return lambda row, temperature: row.sweep.get(temperature, {}).get(key)


def _matched(curve: Curve) -> Pick:
    found = {trace.label: trace.matched for trace in curve.traces}
    return lambda row, _: found.get(row.label)


def _over_baseline(curve: Curve) -> Pick:
    found = {trace.label: trace.over_baseline for trace in curve.traces}
    return lambda row, _: found.get(row.label)


def is_best(board: Board, row: Row, key: str) -> bool:
    """Whether to print it bold: first, not alone, not beyond real text, of a row that fails no floor."""
    mean = row.final.get(key)
    if mean is None or mean.rank != 1 or mean.beyond_real or row.fails_floor:
        return False
    return _n_ranked(board, key) > 1


def _n_ranked(board: Board, key: str) -> int:
    return sum(key in row.final and row.final[key].rank is not None for row in board.rows)


def _places(board: Board, key: str, title: str) -> Field:
    """The places that a row may have, `1–3`; bold where the score is."""

    def cell(row: Row, _: float) -> Cell:
        mean = row.final.get(key)
        if mean is None or mean.rank is None or mean.rank_high is None:
            return Cell()
        last = mean.rank_high if mean.rank_high != mean.rank else None
        return Cell(mean.rank, last, strong=is_best(board, row, key), order=mean.rank + mean.rank_high / 10_000)

    return Column(title=title, kind="places", metric=board.metrics.get(key, ""), choices=("Ranks",)), cell


def _curve_fields(board: Board) -> Iterator[Field]:
    """What each row's curve has where what is matched is MLE's at temperature 1, and what it is over MLE's."""
    for curve in board.curves:
        fields = [
            (" matched", _score(board, curve.y, _matched(curve), ("Curves",))),
            (" matched − MLE", _score(board, curve.y, _over_baseline(curve), ("Curves",), "change")),
        ]
        for what, (column, cell) in fields:
            if any(cell(row, 1.0).value is not None for row in (*board.rows, *board.apart)):
                yield dataclasses.replace(column, title=f"{plain(curve.y)}{what}"), cell


def _cost_fields(board: Board) -> Iterator[Field]:
    if any(row.n_parameters is not None for row in board.rows):
        yield _parameters()
    if any(row.real_sentences is not None for row in board.rows):
        yield _real_sentences()
    if any(row.seconds for row in board.rows):
        yield _training("training time, mean over seeds", by_phase=True)
    if any(row.devices for row in board.rows):
        yield _device()


def _parameters() -> Field:
    return Column(title="parameters", kind="count", choices=("Cost",)), lambda row, _: Cell(row.n_parameters)


def _real_sentences() -> Field:
    column = Column(title="real sentences read", kind="count", choices=("Cost",))
    return column, lambda row, _: Cell(None if row.real_sentences is None else round(row.real_sentences))


def _training(title: str, *, by_phase: bool = False) -> Field:
    def cell(row: Row, _: float) -> Cell:
        told = f" ({phases(row.seconds)})" if by_phase and len(row.seconds) > 1 else ""
        return Cell(sum(row.seconds.values()), mark=told) if row.seconds else Cell()

    return Column(title=title, kind="duration", choices=("Cost",)), cell


def _device() -> Field:
    return Column(title="device", kind="words", choices=("Cost",)), lambda row, _: Cell(", ".join(row.devices))


# Numbers from papers.


def reported_tables(board: Board) -> list[Table]:
    """A table for each source of numbers of the board's data, the keys in the order of our columns."""
    order = [key for _, keys in _families(board) for key in keys]
    return [_reported_table(source, rows, order) for source, rows in board.published.items()]


def _reported_table(source: str, rows: Sequence[Published], order: Sequence[str]) -> Table:
    """The numbers of one source; in brackets what does not compare with ours."""
    keys = sorted({row.key for row in rows}, key=lambda key: order.index(key) if key in order else len(order))
    of_model: dict[str, dict[str, Published]] = {}
    for row in rows:
        of_model.setdefault(_published_model(row), {})[row.key] = row
    columns = [Column(title=plain(key), kind="printed") for key in keys]
    lines = [Line((Cell(model), *(_reported(numbers.get(key)) for key in keys))) for model, numbers in of_model.items()]
    return Table(
        title=f"reported · {plain(source)}",
        columns=(Column(title="model", kind="words"), *columns),
        lines=tuple(lines),
        notes=tuple(_protocols(rows)),
    )


def _reported(row: Published | None) -> Cell:
    if row is None:
        return Cell()
    return Cell(_published_value(row) if row.comparable else f"[{_published_value(row)}]")


def _published_model(row: Published) -> str:
    return f"{row.model} ({row.variant})" if row.variant else row.model


def _published_value(row: Published) -> str:
    return f"{row.value} (sd {row.std})" if row.std else row.value


def _protocols(rows: Sequence[Published]) -> Iterator[str]:
    """Who reports; why a number does not compare, and each protocol, with the models and keys it holds for."""
    reporters = ", ".join(dict.fromkeys(row.reported_by for row in rows))
    yield plain(f"Reported by {reporters}; not measured here, not ranked.")
    for why, models, keys in _holding((row.reason, row) for row in rows):
        yield plain(f"[ ] not comparable: {models} ({keys}): {why}")
    for protocol, models, keys in _holding((row.protocol, row) for row in rows):
        yield plain(f"{models} ({keys}): {protocol}")


def _holding(pairs: Iterable[tuple[str, Published]]) -> Iterator[tuple[str, str, str]]:
    """Each text that is not empty with the models and the keys of the numbers that it is said of."""
    holds: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for text, row in pairs:
        models, keys = holds.setdefault(text, ({}, {}))
        models[row.model] = None
        keys[row.key] = None
    return ((text, ", ".join(models), ", ".join(keys)) for text, (models, keys) in holds.items() if text)


def with_published(board: Board, table: Table) -> tuple[Table, str]:
    """A main table with what one source printed for its models, and the source; as it is where none has them.

    The source is the one that has most of the models, and the score the table's quality, beside which it stands.
    """
    shown = headline_keys(board)
    models = {line.row.model for line in table.lines if line.row is not None}
    best: dict[str, Published] = {}
    for rows in board.published.values():
        ours = (row for row in rows if ("quality", row.key) in shown)
        found = {name: row for row in ours if (name := _letters(row.model)) in models}
        best = max(best, found, key=lambda of: (len(of), sum(row.comparable for row in of.values())))
    if not best:
        return table, ""
    first = next(iter(best.values()))
    column = Column(title=f"published {plain(first.key)}", kind="printed")
    place = len(table.columns) - len(shown) + shown.index(("quality", first.key)) + 1
    printed = [_reported(best.get(line.row.model) if line.row else None) for line in table.lines]
    cells = [(*c[:place], cell, *c[place:]) for c, cell in zip((x.cells for x in table.lines), printed, strict=True)]
    lines = tuple(dataclasses.replace(line, cells=some) for line, some in zip(table.lines, cells, strict=True))
    columns = (*table.columns[:place], column, *table.columns[place:])
    return dataclasses.replace(table, columns=columns, lines=lines), plain(first.source)


def _letters(name: str) -> str:
    """A model as papers write it -> as it is registered here: `SeqGAN` -> `seqgan`."""
    return name.lower().replace("-", "_")


def published_tables(rows: Iterable[Published]) -> list[Table]:
    """Every number of each source with its protocol, a table for each data set of a source."""
    blocks: dict[str, list[Line]] = {}
    for row in rows:
        settings = ", ".join(f"{key}={value}" for key, value in row.task_config.items())
        data = f"{row.task} {settings}".strip() or f"{row.published_task}, which no task here has"
        equal = "equal" + (f" where {row.needs}" if row.needs else "") if row.comparable else f"apart: {row.reason}"
        values = (_published_model(row), row.key, _published_value(row), str(row.n_seeds or ""), equal, row.protocol)
        title = f"reported · {row.source} · by {row.reported_by} · {data}"
        blocks.setdefault(plain(title), []).append(Line(tuple(map(Cell, values))))
    heads: tuple[tuple[str, Kind], ...] = (
        *(("model", "words"), ("score", "words"), ("value", "printed"), ("seeds", "printed")),
        *(("compares with ours", "words"), ("protocol", "words")),
    )
    columns = tuple(Column(title=title, kind=kind) for title, kind in heads)
    return [Table(title=title, columns=columns, lines=tuple(lines)) for title, lines in blocks.items()]
