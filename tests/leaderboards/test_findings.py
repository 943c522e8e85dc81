"""What the boards answer together: changes over an adversarial phase, the control's beside them, and the baseline's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from helpers.records import evaluation, record, tables
from scipy import stats

from bench.record import RunRecord, Score
from bench.run_settings import RunSettings
from leaderboards.findings import Finding, finding, sentences
from leaderboards.findings import tables as tables_of
from leaderboards.render.front import readme_block
from leaderboards.render.markdown import FINDINGS, findings_of, markdown_table, to_overview, to_pages
from leaderboards.render.page.site import write_page
from leaderboards.statistics import holm

METRICS = {
    "kl_to_oracle": ("nll_oracle", "lower"),
    "nll_gen_calibrated": ("nll_gen", "lower"),
    "lm_score": ("lm_score", "real"),
    "reverse_lm_score": ("reverse_lm_score", "lower"),
}


def at(at: str, temperature: float = 1.0, **values: float):
    phase = "mle" if at == "phase_end" else "adversarial"
    scores = {
        key: Score(value=v, metric=METRICS[key][0], settings={"refs": 9, "samples": 9, "v": 1}, better=METRICS[key][1])
        for key, v in values.items()
    }
    return replace(evaluation(at, temperature, phase), scores=scores)


def gan(name: str, before: Mapping[str, Sequence[float]], after: Mapping[str, Sequence[float]]) -> list[RunRecord]:
    """Three seeds; the temperatures move the plausibility by 1 and its price by half."""
    found = []
    for seed in range(3):
        start, end = ({key: values[seed] for key, values in part.items()} for part in (before, after))
        found.append(record(name, seed, at("phase_end", **start), *sweep(end)))
    return found


def sweep(end: Mapping[str, float]):
    warm = {k: v + {"lm_score": 1.0, "reverse_lm_score": 0.5}[k] for k, v in end.items() if "lm_score" in k}
    return [at("end", **end), *([at("end", 1.2, **warm)] if warm else [])]


def alone(name: str, values: Mapping[str, Sequence[float]], **run: str) -> list[RunRecord]:
    """Three seeds of a row without an adversarial phase."""
    found = []
    for seed in range(3):
        phases = record().phases[:1]
        each = record(name, seed, *sweep({k: v[seed] for k, v in values.items()}), phases=phases)
        told = "-".join([name, *run])
        found.append(replace(each, config_hash=told, run_id=f"{told}-{seed}", run=RunSettings(**run)))
    return found


def found(folder: Path, *records: RunRecord) -> Finding:
    answer = finding(tables(folder, *records).boards)
    assert answer is not None
    return answer


def test_a_change_is_paired_and_told_from_none_after_holm(tmp_path: Path) -> None:
    before = {"kl_to_oracle": [1.0, 2.0, 3.0]}  # seeds far apart: only the pairs tell
    learns = gan("learns", before, {"kl_to_oracle": [0.9, 1.91, 2.9]})
    noise = gan("noise", before, {"kl_to_oracle": [1.1, 1.9, 3.0]})
    control = gan("constant_reward", before, {"kl_to_oracle": [1.2, 2.2, 3.2]})
    answer = found(tmp_path, *learns, *noise, *control)
    assert [(c.row.label, c.clear) for c in answer.measured] == [("learns", True), ("noise", False)]
    (change,) = (c for c in answer.measured if c.row.label == "learns")
    assert change.p == pytest.approx(stats.ttest_1samp([-0.1, -0.09, -0.1], 0).pvalue)
    assert change.change.mean == pytest.approx(-0.29 / 3)
    assert [c.row.label for c in answer.lowered] == ["learns"]
    assert answer.raised == ()  # the control's change is shown, and is no finding
    assert [c.row.label for c in answer.changes if c.control] == ["constant_reward"]


def test_the_more_is_compared_the_less_is_clear(tmp_path: Path) -> None:
    """p = .008: clear alone and of six, not of seven."""
    before = {"kl_to_oracle": [1.0, 1.0, 1.0]}
    one = gan("one", before, {"kl_to_oracle": [0.90, 0.91, 0.88]})
    p = stats.ttest_1samp([-0.10, -0.09, -0.12], 0).pvalue
    assert 0.05 / 7 < p < 0.05 / 6
    others = [gan(f"other{i}", before, {"kl_to_oracle": [1.1, 0.9, 1.01]}) for i in range(6)]
    assert found(tmp_path / "six", *one, *(r for other in others[:5] for r in other)).lowered != ()
    assert found(tmp_path / "seven", *one, *(r for other in others for r in other)).lowered == ()


def test_the_price_of_real_text_is_compared_at_the_baselines_plausibility(tmp_path: Path) -> None:
    base = alone("mle", {"lm_score": [2.5, 2.5, 2.5], "reverse_lm_score": [3.0, 3.01, 2.99]})
    start = {"lm_score": [2.4, 2.4, 2.4], "reverse_lm_score": [3.2, 3.1, 3.15]}
    pretrained = alone("gan", start, last_phase="mle")
    ended = gan("gan", start, {"lm_score": [2.2, 2.2, 2.2], "reverse_lm_score": [3.3, 3.2, 3.25]})
    answer = found(tmp_path, *base, *pretrained, *ended)
    (change,) = answer.measured
    assert change.key == "reverse_lm_score"
    # after: 3.3 + .3 of .5; before: 3.2 + .1 of .5; at 1 alone it would be .1
    assert change.change.mean == pytest.approx(0.2)
    assert [c.key for c in answer.raised] == ["reverse_lm_score"]
    other = gan("other", {k: [v + 1e-9 for v in vs] for k, vs in start.items()}, start)
    alone_again = finding(tables(tmp_path / "other", *base, *pretrained, *other).boards)
    assert alone_again is None  # another pre-training: it cannot be told


def test_a_row_better_than_the_baseline_is_counted(tmp_path: Path) -> None:
    base = alone("mle", {"nll_gen_calibrated": [3.0, 3.01, 2.99]})
    before = {"nll_gen_calibrated": [3.1, 3.1, 3.1]}
    better = gan("better", before, {"nll_gen_calibrated": [2.5, 2.51, 2.49]})
    same = gan("same", before, {"nll_gen_calibrated": [3.0, 3.02, 2.98]})
    answer = found(tmp_path, *base, *better, *same)
    told = [(c.row.label, c.key, c.clear, c.better) for c in answer.over_baseline]
    assert told == [("better", "nll_gen_calibrated", True, True), ("same", "nll_gen_calibrated", False, False)]
    beyond = replace(answer.over_baseline[0], better=False)  # lower, but beyond real text
    assert (beyond.better, beyond.worse) == (False, False)
    told = "Clearly better than the baseline in one of these losses: better in nll_gen_calibrated on B"
    (line,) = (line for line in sentences(answer, lambda _: "B") if line.startswith(told))
    rest = ", of 2 comparisons; clearly worse in 0. Without correction for their number, at 5% each: better in 1, "
    rest += "worse in 0."
    assert line.removeprefix(told) == " (18 real sentences read, the baseline 9)" + rest
    already = [*gan("better", {"nll_gen_calibrated": [2.5, 2.51, 2.49]}, {"nll_gen_calibrated": [2.49, 2.51, 2.5]})]
    costs = {"mle": 640, "better": 1280}
    rows = [
        replace(r, phases=tuple(replace(p, real_sentences=costs[r.model] // len(r.phases)) for p in r.phases))
        for r in (*base, *already)
    ]
    (line,) = (each for each in sentences(found(tmp_path / "b", *rows), lambda _: "B") if each.startswith(told))
    said = "1,280 real sentences read, the baseline 640; its adversarial phase did not clearly lower it"
    assert line.removeprefix(told) == f" ({said})" + rest.replace("2 comparisons", "1 comparisons")


def test_the_answer_stands_on_top_with_the_control_and_every_change(tmp_path: Path) -> None:
    before = {"kl_to_oracle": [1.0, 2.0, 3.0]}
    learns = gan("learns", before, {"kl_to_oracle": [0.9, 1.91, 2.9]})
    control = gan("constant_reward", before, {"kl_to_oracle": [1.2, 2.21, 3.2]})
    boards = tables(tmp_path, *learns, *control)
    lines, (changes,) = findings_of(boards)
    place = "COCO captions, published split, small scale"
    assert lines[0].startswith("The adversarial phase of learns brought its model clearly nearer to its text in 1 of 1")
    assert lines[-1].endswith(f"The boards: {place}.")
    assert lines[0].endswith("measurements on 1 boards, and clearly away from it in none.")
    assert "at 5% each: 1 nearer, 0 away, of 1. With a constant reward in" in lines[1]
    assert lines[1].endswith("discriminator's place: 0 nearer, 1 away, of 1.")
    assert lines[2].startswith("Lowered: learns, kl_to_oracle on COCO captions")
    assert lines[2].endswith("by 0.097 ± 0.014.")
    assert "none, of 0 comparisons; clearly worse in 0." in lines[3]
    assert [[cell.value for cell in line.cells[1:2]] for line in changes.lines] == [["constant_reward"], ["learns"]]
    assert [(line.cells[2].strong, line.cells[2].mark) for line in changes.lines] == [(False, ""), (True, "↓")]
    assert lines[0] in to_overview(boards, "pages").replace("\\", "")
    assert f"{lines[0]} {lines[1]}" in readme_block(boards, "L.md", "pages")
    first_page = write_page(boards, tmp_path / "page").read_text().replace("&#39;", "'")
    assert first_page.index(lines[0]) < first_page.index(lines[-1]) < first_page.index("<table")
    assert markdown_table(changes) in to_pages(boards, "../L.md")[FINDINGS]


def test_what_training_raised_is_named(tmp_path: Path) -> None:
    worse = gan("unlearns", {"kl_to_oracle": [1.0, 2.0, 3.0]}, {"kl_to_oracle": [1.1, 2.09, 3.1]})
    lines = sentences(found(tmp_path, *worse), lambda _: "B")
    assert lines[0].endswith("nearer to its text in none of 1 measurements on 1 boards, and clearly away from it in 1.")
    assert lines[2] == "Raised: unlearns, kl_to_oracle on B, by 0.097 ± 0.014."


def test_what_people_use_now_is_compared_with_each_gan(tmp_path: Path) -> None:
    before = {"kl_to_oracle": [1.0, 1.0, 1.0]}
    rows = [*gan("bad", before, {"kl_to_oracle": [2.0, 2.01, 1.99]}), *gan("good", before, {"kl_to_oracle": [0.2] * 3})]
    rows += gan("constant_reward", before, {"kl_to_oracle": [9.0, 9.0, 9.0]})
    now = alone("transformer_mle", {"kl_to_oracle": [0.5, 0.51, 0.49]})
    compared = found(tmp_path, *rows, *now).today["transformer_mle"]
    assert [(c.clear, c.better, c.worse) for c in compared] == [(True, True, False), (True, False, True)]


def test_comparisons_are_corrected_for_their_number_over_all_boards(tmp_path: Path) -> None:
    """p = .0175 in each: clear alone, not of three, be they with three GANs or three rows with the baseline."""
    mine, theirs, before = [0.5, 0.51, 0.49], [0.54, 0.525, 0.525], {"kl_to_oracle": [1.0, 1.0, 1.0]}
    p = stats.ttest_ind(mine, theirs, equal_var=False).pvalue
    assert 0.05 / 3 < p < 0.05
    now, base = (alone(model, {"kl_to_oracle": mine}) for model in ("transformer_mle", "mle"))
    gans = [gan(f"gan{i}", before, {"kl_to_oracle": theirs}) for i in range(3)]
    one = found(tmp_path / "one", *now, *base, *gans[0])
    three = found(tmp_path / "three", *now, *base, *(r for g in gans for r in g))
    for answer, n, clear in ((one, 1, True), (three, 3, False)):
        for compared, better in ((answer.over_baseline, False), (answer.today["transformer_mle"], True)):
            assert [(c.clear, c.better) for c in compared] == [(clear, better)] * n
            assert [c.p for c in compared] == pytest.approx([p] * n)
        _, beside_baseline, beside_gans = tables_of(answer, lambda _: "B")
        for table, sign, mark in ((beside_baseline, 1, "↑"), (beside_gans, -1, "↓")):
            assert [line.cells[3].value for line in table.lines] == pytest.approx([sign * 0.03] * n)
            assert [line.cells[3].mark for line in table.lines] == [mark if clear else ""] * n
        assert [cell.value for cell in beside_baseline.lines[0].cells[:3]] == ["B", "gan0", "mle"]
        assert [cell.value for cell in beside_gans.lines[0].cells[:3]] == ["B", "transformer_mle", "gan0"]


def test_what_is_told_of_many_boards_is_one_family(tmp_path: Path) -> None:
    """Two boards, and of each a row with p = .030: clear on either board alone, not on both."""
    theirs, before = {"nll_gen_calibrated": [0.522, 0.535, 0.52]}, {"nll_gen_calibrated": [1.0, 1.0, 1.0]}
    rows = [*alone("mle", {"nll_gen_calibrated": [0.5, 0.51, 0.489]}), *gan("gan", before, theirs)]
    boards = [tables(tmp_path / name, *rows).boards[0] for name in ("a", "b")]
    for some, clear in ((boards[:1], [True]), (boards, [False, False])):
        answer = finding(some)
        assert answer is not None
        assert [c.clear for c in answer.over_baseline] == clear
        assert all(0.025 < c.p < 0.05 for c in answer.over_baseline)


@pytest.mark.parametrize("seed", range(20))
def test_holm_rejects_what_its_definition_rejects(seed: int) -> None:
    """Adjusted p: the greatest of (k - i) p_(i) up to its place, beside 5%."""
    random = Random(seed)
    p = [random.choice([0.0, 0.001, 0.01, 0.02, 0.05, random.random()]) for _ in range(random.randint(0, 8))]
    adjusted = {}
    for i in sorted(range(len(p)), key=p.__getitem__):
        adjusted[i] = max([(len(p) - len(adjusted)) * p[i], *adjusted.values()])
    assert holm(p) == [adjusted[i] <= 0.05 for i in range(len(p))]
