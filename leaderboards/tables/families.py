"""Which scores stand in one table, and in what order."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboards.headline import headline_keys
from leaderboards.schema import Board, Row
from leaderboards.tables.cells import ALL

__all__ = ["MAIN", "WIDE", "families_of", "keys_shown", "only_references"]

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
"""Scores of the tables of ranks, gains and temperatures, as far as `WIDE` of them are there, and of a first look."""
_FITS, WIDE = 5, 7
"""Scores that 120 characters hold beside model, status and seeds; beside model and one short column."""
_HIDDEN = (
    *("per_class_ms_jaccard_2", "per_class_ms_jaccard_2_worst", "per_class_self_bleu_2", "per_class_self_bleu_2_worst"),
    *("nll_gen_padded", "nll_gen_temperature", "nll_train_padded", "distinct_1", "distinct_3", "distinct_4"),
    *("ms_jaccard_1", "ms_jaccard_3", "ms_jaccard_4", "novelty_ngram_2", "novelty_ngram_3", "novelty_ngram_4"),
)
"""Variants of a score that is shown: in the CSV, and on the page among all columns."""


def families_of(board: Board) -> list[tuple[str, tuple[str, ...]]]:
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


def keys_shown(board: Board, rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    """Score key that some row has -> the choices that show it, in the order of the other tables, hidden ones last."""
    families = [(name, key) for name, keys in families_of(board) for key in keys]
    main = {key for _, key in headline_keys(board)}.union(MAIN)
    found: dict[str, tuple[str, ...]] = {}
    for name, key in [*families, *(("", key) for key in board.signatures)]:
        if key not in found and any(key in means for row in rows for means in (row.final, *row.sweep.values())):
            shown = key in main and not only_references(rows, key)
            found[key] = (*(("Main",) if shown else ()), name) if name else (ALL,)
    return dict(sorted(found.items(), key=lambda item: only_references(rows, item[0])))


def only_references(rows: Sequence[Row], key: str) -> bool:
    """Whether nobody has the score but references, beside whom there are models."""
    models = [row for row in rows if row.status != "reference"]
    return bool(models) and not any(key in row.final or any(key in m for m in row.sweep.values()) for row in models)
