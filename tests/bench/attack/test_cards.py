"""Cards say of attacks what the kept tables say: written by the program, read by `show` and by the pages."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.commands import call_bench
from helpers.paths import ROOT

from bench.attack.cards import BEGIN, bullets, keep, of_cards, with_attacks
from bench.attack.table import AttackTable, Column, Line, Value, read_kept
from bench.config import build, plain
from bench.registry import find, names
from leaderboards.render.page.glossary import definition

CARD = "# M\n\nA metric.\n\n## What fools it\n\n- **Noise.** It does.\n\n## Cost\n\nNone.\n"


def table(task: str = "grammar", better: str = "higher") -> AttackTable:
    """Two scores of one metric, beside real text of .5 and .5, and one of another that no attack reaches."""
    columns = [
        Column(key=key, metric=metric, better=better, signature="m|v:1")  # type: ignore[arg-type]
        for key, metric in (("m_1", "m"), ("m_2", "m"), ("other", "other"))
    ]

    def line(name: str, *scores: float | None, real: bool = False, **absent: str) -> Line:
        known = zip(columns, scores, strict=False)
        values = {column.key: Value(score, 0.01) for column, score in known if score is not None}
        return Line(name=name, what=f"the trick {name}", real=real, scores=values, absent=absent)

    lines = (
        line("held_out", 0.5, 0.5, 0.5, real=True),
        line("training", 0.5, 0.5, 0.5, real=True),
        line("both", 0.6, 0.6, 0.1),
        line("first", 0.6, 0.1, 0.1),
        line("neither", 0.1, 0.1, 0.1),
        line("none", None, None, 0.1, m="it has no grammar"),
    )
    usual = plain(build(find("tasks", task), {}, task))
    return AttackTable(
        task=task, task_version=1, task_config=usual, data_sha256=task, n_samples=1_000, seed=0, columns=tuple(columns),
        lines=lines,
    )  # fmt: skip


@pytest.mark.parametrize("name", names("metrics"))
def test_every_card_says_what_the_kept_tables_say(name: str) -> None:
    card = (ROOT / "metrics" / name / "README.md").read_text(encoding="utf-8")
    assert with_attacks(card, name, of_cards(read_kept())) == card
    scored = any(column.metric == name for kept in of_cards(read_kept()) for column in kept.columns)
    assert (BEGIN in card) == scored


def test_attacks_stand_by_verdict_with_the_keys_where_they_differ() -> None:
    (told,) = bullets("m", [table()])
    assert told == (
        "**Attacks on `grammar`**, 1,000 sentences each. Fooled by: the trick both; the trick first (`m_1`). "
        "Not by: the trick neither. No score: the trick none."
    )
    assert "Fooled by: none. " in bullets("other", [table()])[0]
    assert bullets("third", [table()]) == []


def test_a_card_keeps_what_people_wrote_and_is_made_anew_without_a_trace() -> None:
    once = with_attacks(CARD, "m", [table()])
    assert once.startswith(CARD.partition("- **Noise")[0])
    assert once.endswith(CARD[CARD.index("- **Noise") :])
    assert with_attacks(once, "m", [table()]) == once
    assert with_attacks(once, "m", []) == CARD
    twice = with_attacks(once, "m", [table(), table("image_coco")])
    assert twice.count(BEGIN) == 1
    assert twice.count("**Attacks on") == 2
    assert max(map(len, twice.splitlines())) <= 120
    with pytest.raises(ValueError, match="the card of m has no part"):
        with_attacks("# M\n", "m", [table()])


def test_keeping_a_table_replaces_that_of_its_data_alone(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "README.md").write_text(CARD)
    assert {path.name for path in keep([table(), table("image_coco")], tmp_path)} == {"attacks.json", "README.md"}
    assert read_kept(tmp_path / "attacks.json") == (table(), table("image_coco"))
    assert keep([table()], tmp_path) == []
    newer = replace(table(), seed=1)
    assert [path.name for path in keep([newer], tmp_path)] == ["attacks.json"]
    assert read_kept(tmp_path / "attacks.json") == (newer, table("image_coco"))
    resplit = replace(table("image_coco"), data_sha256="other", task_config={"split": "resplit", "n_valid": 1_000})
    assert [path.name for path in keep([resplit], tmp_path)] == ["attacks.json"], "cards tell of usual settings"
    assert read_kept(tmp_path / "attacks.json") == (newer, table("image_coco"), resplit)


def test_a_file_of_something_else_is_told_with_its_place(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "attacks.json")
    with pytest.raises(ValueError, match=r"attacks\.json: no tables of attacks"):
        read_kept(tmp_path / "attacks.json")
    assert read_kept(tmp_path / "none.json") == ()


def test_show_and_the_pages_tell_it_too() -> None:
    shown = " ".join(call_bench("show", "bleu").stdout.split())
    assert "What fools it (python -m bench attack):" in shown
    for told in bullets("bleu"):
        assert told.replace("**", "").replace("`", "") in shown
        assert told.replace("**", "").replace("`", "") in definition("bleu").pitfalls


def test_what_the_method_says_of_attacks_is_in_the_kept_tables() -> None:
    """docs/method.md, "Most metrics are fooled by something"."""
    kept = read_kept()
    fooled: dict[str, list[set[str]]] = {}
    for each in kept:
        for column in each.columns:
            names_of = {line.name for line in each.attacks if each.verdict(line, column) == "fooled"}
            fooled.setdefault(column.key, []).append(names_of)
    assert (len(kept), {len(each.attacks) for each in kept}) == (11, {14})
    assert {key for key, found in fooled.items() if not any(found)} == {
        "nearest_train",
        "novelty_ngram_3",
        "train_overlap",
    }
    assert all(found == {"copies"} for found in fooled["ngram_entropy_2"])
    assert sum(found == {"copies"} for found in fooled["reverse_lm_score_known"]) == 8
    bleu = zip(*(fooled[f"bleu_{n}"] for n in (2, 3, 4, 5)), strict=True)
    assert sum(all("repeat_one" in found for found in orders) for orders in bleu) == 9
    text = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    assert "In the 11 kept tables none of the 14 attacks fools `nearest_train`" in text
