"""`leaderboards published`: every number has a source, and what compares with ours is decided by a rule."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from helpers.commands import call_leaderboards

from bench.published import Published, read_published
from leaderboards.published import published_for

COCO = {"split": "published"}
BLEU = {"orders": (2, 3, 4, 5), "smoothing": "method1", "refs": 10_000, "samples": 10_000, "v": 1}
SELF_BLEU = {"orders": (2, 3, 4, 5), "smoothing": "method1", "samples": 10_000, "v": 1}
NLL = {"nll_oracle": {"samples": 10_000, "v": 1}}
NOT_PUBLISHED = ("recomputed for this project", "survey notes")
"""Reporters of the collection whose numbers are no publication: our own, and notes of a survey that nobody names."""
LOGS = (
    "LeakGAN Synthetic Data/README.md log",
    "CR-Gjx/LeakGAN issue #17",
    "weilinie/RelGAN issue #4",
    "SeqGAN repo save/experiment-log.txt",
)
"""Of which the collection has some lines or none, and presets compare with more of them."""
LATER = (
    "LeakGAN Synthetic Data/save/log.txt",
    "RankGAN repo log/",
    "SentiGAN paper Table 5",
    "Papers with Code page of arXiv 1905.10060",
)
"""Sources that were read after the collection was made."""


def number(row: Published | dict[str, str]) -> tuple[str, ...]:
    if isinstance(row, Published):
        n_seeds = "" if row.n_seeds is None else str(row.n_seeds)
        return (row.model, row.published_task, row.published_metric, str(float(row.value)), row.std, n_seeds)
    cells = [row[key] for key in ("model", "task", "metric", "value", "std", "n_seeds")]
    return tuple(str(float(cell)) if key == 3 and cell else cell for key, cell in enumerate(cells))


def test_all_collected_numbers_that_were_seen_in_a_source_and_no_others(study_data: Path) -> None:
    with (study_data / "published_results.csv").open(encoding="utf-8", newline="") as file:
        collected = list(csv.DictReader(file))
    unverified = [row for row in collected if "UNVERIFIED" in " ".join(row.values()).upper()]
    seen = [row for row in collected if row not in unverified and row["value"]]
    published = [row for row in read_published() if not row.source.startswith(LATER)]
    ours = Counter(map(number, published))
    assert len(unverified) == 40
    assert not ours.keys() & ({number(row) for row in unverified} - {number(row) for row in seen})
    collected_ones = Counter(number(row) for row in seen if row["reported_by"] not in NOT_PUBLISHED)
    assert not collected_ones - ours
    more = ours - collected_ones
    of_logs = [row for row in published if row.kind == "curve" and row.source.startswith(LOGS)]
    assert more
    assert not more - Counter(map(number, of_logs))


def test_a_number_compares_or_says_why_not() -> None:
    for row in read_published():
        assert row.comparable == (not row.reason)
        assert row.comparable == (row.task != "" and row.kind == "final" and row.differs == "")
        assert all(part.count(":") == 1 for part in row.needs.split("|") if part)


def found(columns: dict[str, dict[str, object]], source: str, **settings: object) -> dict[tuple[str, str], Published]:
    task, config = ("oracle_lstm", settings) if settings else ("image_coco", COCO)
    return {(row.model, row.key): row for row in published_for(task, config, columns)[source]}


def test_texygens_numbers_compare_where_the_counts_are_texygens() -> None:
    source = "Texygen README / docs/evaluation.md"
    rows = found({"bleu_2": BLEU, "self_bleu_2": {**SELF_BLEU, "samples": 9984}}, source)
    assert (rows["SeqGAN", "bleu_2"].value, rows["SeqGAN", "bleu_2"].comparable) == ("0.745", True)
    assert rows["SeqGAN", "self_bleu_2"].comparable
    assert rows["LeakGAN", "bleu_2"].reason == "samples were drawn with logits x 1.5"
    other = found({"bleu_2": {**BLEU, "refs": 500}, "self_bleu_2": SELF_BLEU}, source)
    assert other["SeqGAN", "bleu_2"].reason == "refs:10000, here refs:500"
    assert other["SeqGAN", "self_bleu_2"].reason == "samples:9984, here samples:10000"
    assert not any(row.comparable for row in other.values())


def test_bleu_of_a_hundred_samples_stands_apart() -> None:
    rows = found({"bleu_2": BLEU}, "RelGAN paper Table 2")
    assert rows["MLE", "bleu_2"].comparable
    assert rows["RelGAN(100)", "bleu_2"].reason.startswith("BLEU of 200 samples")


@pytest.mark.parametrize(
    ("source", "model", "comparable"),
    [
        ("SeqGAN paper Table 1", "SeqGAN", True),
        ("RelGAN paper Table 1 (OpenReview submission version)", "RankGAN", True),
        ("RelGAN paper Table 1 (OpenReview submission version)", "LeakGAN", False),
        ("CR-Gjx/LeakGAN issue #17", "LeakGAN", False),
        ("GansFallingShort csv/oracle (T=1 row)", "RL-GAN(beta)", False),
        ("GansFallingShort csv/oracle (T=1 row)", "LeakGAN(original repo)", True),
        ("CoT issue #4", "CoT", False),
    ],
)
def test_oracle_numbers(source: str, model: str, comparable: bool) -> None:
    row = found(NLL, source, parameters="seqgan", length=20)[model, "nll_oracle"]
    assert row.comparable is comparable
    assert bool(row.reason) is not comparable


def test_numbers_of_another_oracle_are_not_there() -> None:
    assert published_for("oracle_lstm", {"parameters": "seeded", "length": 20}, NLL) == {}
    assert published_for("oracle_lstm", {"parameters": "seqgan", "length": 40}, NLL) == {}
    relgan = published_for("oracle_lstm", {"parameters": "relgan", "length": 20}, NLL)
    assert {row.model for rows in relgan.values() for row in rows} == {"RelGAN"}


def command(*arguments: str, code: int = 0) -> str:
    return call_leaderboards("published", *arguments, code=code).output


def test_command() -> None:
    everything = json.loads(command("--json"))
    assert len(everything) == len(read_published())
    assert {row["task"] for row in json.loads(command("--task", "image_coco", "--json"))} == {"image_coco"}
    told = command("--task", "oracle_lstm")
    assert "reported · SeqGAN paper Table 1 · by SeqGAN paper" in told
    assert "8.736" in told
    assert "apart:" in told
    assert "image_coco, oracle_lstm" in command("--task", "image_cocoa", code=2)
