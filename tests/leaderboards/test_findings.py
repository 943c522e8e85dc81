"""What the boards answer together: changes over an adversarial phase, the control's beside them, and the baseline's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from helpers.records import evaluation, record, tables
from scipy import stats

from bench.record import RunRecord, Score
from bench.run_settings import RunSettings
from leaderboards.figures import looks_of
from leaderboards.findings import Finding, changes, finding, sentences
from leaderboards.findings import tables as tables_of
from leaderboards.render.changes import draw_changes, write_changes
from leaderboards.render.front import readme_block, write_overview
from leaderboards.render.markdown import FINDINGS, findings_of, markdown_table, to_overview, to_pages
from leaderboards.render.page.site import write_page
from leaderboards.schema import Boards
from leaderboards.statistics import discoveries, front_keys, one_sample, seed_mean, two_sample
from leaderboards.words import names_of

METRICS = {
    "kl_to_oracle": ("nll_oracle", "lower"),
    "nll_gen_calibrated": ("nll_gen", "lower"),
    "lm_score": ("lm_score", "real"),
    "reverse_lm_score": ("reverse_lm_score", "lower"),
    "reverse_lm_score_known": ("reverse_lm_score_known", "lower"),
    "ms_jaccard_3": ("ms_jaccard", "higher"),
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


def test_a_change_is_paired_and_told_from_none(tmp_path: Path) -> None:
    before = {"kl_to_oracle": [1.0, 2.0, 3.0]}  # seeds far apart: only the pairs tell
    learns = gan("learns", before, {"kl_to_oracle": [0.9, 1.91, 2.9]})
    noise = gan("noise", before, {"kl_to_oracle": [1.1, 1.9, 3.0]})
    control = gan("constant_reward", before, {"kl_to_oracle": [1.2, 2.2, 3.2]})
    answer = found(tmp_path, *learns, *noise, *control)
    assert [(c.row.label, c.told) for c in answer.measured] == [("learns", True), ("noise", False)]
    (change,) = (c for c in answer.measured if c.row.label == "learns")
    assert change.p == pytest.approx(stats.ttest_1samp([-0.1, -0.09, -0.1], 0).pvalue)
    assert change.change.mean == pytest.approx(-0.29 / 3)
    assert [c.row.label for c in answer.lowered] == ["learns"]
    assert answer.raised == ()  # the control's change is shown, and is no finding
    assert [(c.row.label, c.told) for c in answer.changes if c.control] == [("constant_reward", True)]


def test_a_phase_of_another_name_is_no_adversarial_phase(tmp_path: Path) -> None:
    before = {"kl_to_oracle": [1.0, 2.0, 3.0]}
    learns = gan("learns", before, {"kl_to_oracle": [0.9, 1.91, 2.9]})
    rewarded = [
        replace(
            r,
            phases=(r.phases[0], replace(r.phases[1], name="policy_gradient")),
            evaluations=tuple(
                replace(e, phase=e.phase.replace("adversarial", "policy_gradient")) for e in r.evaluations
            ),
        )
        for r in gan("rewarded", before, {"kl_to_oracle": [0.1, 1.1, 2.1]})
    ]
    answer = found(tmp_path / "both", *learns, *rewarded)
    assert [c.row.label for c in answer.measured] == ["learns"]
    assert finding(tables(tmp_path / "none", *rewarded).boards) is None


def test_the_more_is_compared_the_less_is_told(tmp_path: Path) -> None:
    """p = .008, .004 of one side: told alone and of six, not of seven."""
    before = {"kl_to_oracle": [1.0, 1.0, 1.0]}
    one = gan("one", before, {"kl_to_oracle": [0.90, 0.91, 0.88]})
    p = stats.ttest_1samp([-0.10, -0.09, -0.12], 0).pvalue
    assert 0.05 / 7 < p < 0.05 / 6
    others = [gan(f"other{i}", before, {"kl_to_oracle": [1.1, 0.9, 1.01]}) for i in range(6)]
    assert found(tmp_path / "six", *one, *(r for other in others[:5] for r in other)).lowered != ()
    assert found(tmp_path / "seven", *one, *(r for other in others for r in other)).lowered == ()


def test_what_is_sure_on_one_side_helps_nothing_on_the_other(tmp_path: Path) -> None:
    """Of seven the one that is lowered is not told, be the six others noise or all raised; of those each is."""
    before = {"kl_to_oracle": [1.0, 1.0, 1.0]}
    one = gan("one", before, {"kl_to_oracle": [0.90, 0.91, 0.88]})
    others = [gan(f"other{i}", before, {"kl_to_oracle": [1.5, 1.501, 1.499]}) for i in range(6)]
    answer = found(tmp_path, *one, *(r for other in others for r in other))
    assert (answer.lowered, len(answer.raised)) == ((), 6)


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
    told = [(c.row.label, c.key, c.told, c.better) for c in answer.over_baseline]
    assert told == [("better", "nll_gen_calibrated", True, True), ("same", "nll_gen_calibrated", False, False)]
    told = "Better than the baseline in one of these losses, by the rule of the ranks: "
    (line,) = (line for line in sentences(answer, lambda _: "B") if line.startswith(told))
    where = "comparisons (by chance up to 0.025): better in nll_gen_calibrated on B"
    assert line.removeprefix(told) == f"1 of 2 {where} (18 real sentences read, the baseline 9). Worse: 0."
    already = [*gan("better", {"nll_gen_calibrated": [2.5, 2.51, 2.49]}, {"nll_gen_calibrated": [2.49, 2.51, 2.5]})]
    costs = {"mle": 640, "better": 1280}
    rows = [
        replace(r, phases=tuple(replace(p, real_sentences=costs[r.model] // len(r.phases)) for p in r.phases))
        for r in (*base, *already)
    ]
    (line,) = (each for each in sentences(found(tmp_path / "b", *rows), lambda _: "B") if each.startswith(told))
    said = "1,280 real sentences read, the baseline 640; its adversarial phase was not seen to lower it"
    assert line.removeprefix(told) == f"1 of 1 {where} ({said}). Worse: 0."


def test_the_answer_stands_on_top_with_the_control_and_every_change(tmp_path: Path) -> None:
    before = {"kl_to_oracle": [1.0, 2.0, 3.0]}
    learns = gan("learns", before, {"kl_to_oracle": [0.9, 1.91, 2.9]})
    control = gan("constant_reward", before, {"kl_to_oracle": [1.2, 2.21, 3.2]})
    boards = tables(tmp_path, *learns, *control)
    lines, (changes,) = findings_of(boards)
    place = "COCO captions, published split, small scale"
    assert lines[0] == (
        "Of 1 measurements on 1 boards of reduced scale the adversarial phase of learns brought its model nearer to "
        "its text in 1, by up to 0.097 nats a token, and away from it in none. With a constant reward in the "
        "discriminator's place: 0 nearer, 1 away, of 1."
    )
    assert lines[-1].endswith(f"The boards: {place}.")
    assert lines[1].endswith("alone: 1 nearer, 0 away, of 1; with the constant reward 0 nearer, 1 away, of 1.")
    assert "0.097 nats a token; half of the 95% intervals reach 0.014 or more" in lines[1]
    alike = "The same way in every seed, counted or not: 1 nearer, 0 away (nearer: learns 1); chance alone leaves 0"
    assert lines[2] == f"{alike} each way."
    assert lines[3].startswith("Most lowered: learns, kl_to_oracle on COCO captions")
    assert lines[3].endswith("by 0.097 ± 0.014.")
    assert "by the rule of the ranks: 0 of 0 comparisons. Worse: 0." in lines[4]
    assert [[cell.value for cell in line.cells[1:2]] for line in changes.lines] == [["constant_reward"], ["learns"]]
    assert [(line.cells[2].strong, line.cells[2].mark) for line in changes.lines] == [(False, "↑"), (True, "↓")]
    assert lines[0] in to_overview(boards, "pages").replace("\\", "")
    assert f"{lines[0]} {lines[1]}" in readme_block(boards, "L.md", "pages")
    first_page = write_page(boards, tmp_path / "page").read_text().replace("&#39;", "'")
    assert first_page.index(lines[0]) < first_page.index(lines[-1]) < first_page.index("<table")
    assert markdown_table(changes) in to_pages(boards, "../L.md")[FINDINGS]


def test_the_picture_has_a_line_for_each_row_and_fills_what_is_told(tmp_path: Path) -> None:
    before = {"kl_to_oracle": [1.0, 2.0, 3.0], "nll_gen_calibrated": [1.0, 2.0, 3.0]}
    learns = gan("learns", before, {"kl_to_oracle": [0.9, 1.91, 2.9], "nll_gen_calibrated": [1.1, 1.9, 3.0]})
    control = gan("constant_reward", before, {"kl_to_oracle": [1.2, 2.21, 3.2]})
    boards = tables(tmp_path, *learns, *control)
    answer, names = finding(boards.boards), names_of(boards)
    assert answer is not None
    picture = draw_changes(answer.changes, names, looks_of(boards))
    assert [axes.get_title(loc="left") for axes in picture.axes] == ["kl_to_oracle", "nll_gen_calibrated"]
    told, noise = picture.axes
    assert [text.get_text() for text in told.get_yticklabels()] == ["constant_reward", "learns"]
    assert [text.get_text() for text in told.texts] == [names[1]]
    places = [(line.get_xdata()[0], line.get_ydata()[0]) for line in told.lines if line.get_marker() != "None"]
    assert places == [(pytest.approx(0.61 / 3), -1), (pytest.approx(-0.29 / 3), -2)]
    assert not told.xaxis_inverted()  # nearer is to the left
    fills = [
        [line.get_markerfacecolor() for line in axes.lines if line.get_marker() != "None"] for axes in (told, noise)
    ]
    assert [[fill != "white" for fill in some] for some in fills] == [[True, True], [False]]

    written = write_overview(boards, tmp_path / "L.md", tmp_path / "pages")
    page = (written[1] / FINDINGS).read_text()
    assert page.index('<img src="adversarial-phases.svg"') < page.index("## What the adversarial phase changes")
    assert 'srcset="adversarial-phases-dark.svg"' in page
    light, dark = ((tmp_path / "pages" / f"adversarial-phases{ground}.svg").read_bytes() for ground in ("", "-dark"))
    assert b"#101418" in dark
    assert b"#101418" not in light
    write_changes(boards, tmp_path / "again")
    assert (tmp_path / "again.svg").read_bytes() == light


def test_without_an_answer_there_is_no_picture(tmp_path: Path) -> None:
    assert write_changes(tables(tmp_path, *alone("mle", {"nll_gen_calibrated": [3.0] * 3})), tmp_path / "none") is None
    assert not list(tmp_path.glob("*.svg"))


def test_what_training_raised_is_named(tmp_path: Path) -> None:
    worse = gan("unlearns", {"kl_to_oracle": [1.0, 2.0, 3.0]}, {"kl_to_oracle": [1.1, 2.09, 3.1]})
    lines = sentences(found(tmp_path, *worse), lambda _: "B")
    told = "nearer to its text in none, and away from it in 1, by up to 0.097 nats a token."
    assert told in lines[0]
    assert lines[3] == "Most raised: unlearns, kl_to_oracle on B, by 0.097 ± 0.014."


def test_what_people_use_now_is_compared_with_each_gan(tmp_path: Path) -> None:
    before = {"kl_to_oracle": [1.0, 1.0, 1.0]}
    rows = [*gan("bad", before, {"kl_to_oracle": [2.0, 2.01, 1.99]}), *gan("good", before, {"kl_to_oracle": [0.2] * 3})]
    rows += gan("constant_reward", before, {"kl_to_oracle": [9.0, 9.0, 9.0]})
    now = alone("transformer_mle", {"kl_to_oracle": [0.5, 0.51, 0.49]})
    compared = found(tmp_path, *rows, *now).today["transformer_mle"]
    assert [(c.told, c.better, c.worse) for c in compared] == [(True, True, False), (True, False, True)]
    lines = sentences(found(tmp_path / "again", *rows, *now), lambda _: "B")
    told = (
        "transformer_mle (9 real sentences read) beside a GAN (18 real sentences read): better in 1, worse in 1, of 2"
    )
    assert f"{told} comparisons." in lines


def test_masked_diffusion_is_compared_where_plausibility_is_the_baselines(tmp_path: Path) -> None:
    """It has no likelihood, and so none of the other losses."""
    start = {"lm_score": [2.4, 2.4, 2.4], "reverse_lm_score": [3.2, 3.1, 3.15]}
    rows = [*alone("mle", start), *alone("gan", start, last_phase="mle"), *gan("gan", start, start)]
    now = alone("masked_diffusion", {"lm_score": [2.4, 2.4, 2.4], "reverse_lm_score": [2.2, 2.1, 2.15]})
    (compared,) = found(tmp_path, *rows, *now).today["masked_diffusion"]
    assert (compared.key, compared.better) == ("reverse_lm_score", True)


def test_rows_that_are_not_ranked_are_compared_with_nobody(tmp_path: Path) -> None:
    """Under-trained rows: a comparison would be one of budgets. What their adversarial phase changes is told."""
    base, before = alone("mle", {"kl_to_oracle": [1.0, 1.01, 0.99]}), {"kl_to_oracle": [2.0, 2.01, 1.99]}
    now, rows = alone("transformer_mle", {"kl_to_oracle": [0.5, 0.51, 0.49]}), gan("gan", before, before)
    read = {"mle": 1280, "gan": 320, "transformer_mle": 1280}
    records = [
        replace(r, scale="small", phases=tuple(replace(p, real_sentences=read[r.model] // 2) for p in r.phases))
        for r in (*base, *rows, *now)
    ]
    answer = found(tmp_path, *records)
    assert len(answer.measured) == 1
    assert (answer.over_baseline, answer.today) == ((), {})


def test_comparisons_are_told_by_the_rule_of_the_ranks(tmp_path: Path) -> None:
    """p = .0175: told of two rows, not of four: Holm's correction within the row."""
    mine, theirs, before = [0.5, 0.51, 0.49], [0.54, 0.525, 0.525], {"kl_to_oracle": [1.0, 1.0, 1.0]}
    p = stats.ttest_ind(mine, theirs, equal_var=False).pvalue
    assert 0.05 / 3 < p < 0.05
    now = alone("transformer_mle", {"kl_to_oracle": mine})
    base = alone("mle", {"kl_to_oracle": mine})
    gans = [gan(f"gan{i}", before, {"kl_to_oracle": theirs if i == 0 else [0.51, 0.49, 0.5]}) for i in range(3)]
    one = found(tmp_path / "one", *now, *base, *gans[0])
    three = found(tmp_path / "three", *now, *base, *(r for g in gans for r in g))
    for answer, n, told in ((one, 1, True), (three, 3, False)):
        for compared, better in ((answer.over_baseline, False), (answer.today["transformer_mle"], True)):
            assert [c.told for c in compared] == [told] + [False] * (n - 1)
            assert (compared[0].better, compared[0].worse) == (told and better, told and not better)
            first = compared[0].row if better else compared[0].beside
            assert (first.final["kl_to_oracle"].rank_high == n + 1) == told  # as the board's table has it
        _, beside_baseline, beside_gans = tables_of(answer, lambda _: "B")
        for table, sign, mark in ((beside_baseline, 1, "↑"), (beside_gans, -1, "↓")):
            assert [line.cells[3].value for line in table.lines] == pytest.approx([sign * 0.03, 0.0, 0.0][:n])
            assert [line.cells[3].mark for line in table.lines] == [mark if told else "", "", ""][:n]
        assert [cell.value for cell in beside_baseline.lines[0].cells[:3]] == ["B", "gan0", "mle"]
        assert [cell.value for cell in beside_gans.lines[0].cells[:3]] == ["B", "transformer_mle", "gan0"]


def test_other_boards_do_not_change_what_a_board_tells(tmp_path: Path) -> None:
    theirs, before = {"nll_gen_calibrated": [0.522, 0.535, 0.52]}, {"nll_gen_calibrated": [1.0, 1.0, 1.0]}
    base = alone("mle", {"nll_gen_calibrated": [0.5, 0.51, 0.489]})
    equal = gan("gan", before, {"nll_gen_calibrated": [0.5, 0.5, 0.5]})
    rows = {"a": [*base, *gan("gan", before, theirs)], "b": [*base, *equal]}
    boards = [tables(tmp_path / name, *some).boards[0] for name, some in rows.items()]
    for some in (boards[:1], boards):
        answer = finding(some)
        assert answer is not None
        assert [c.worse for c in answer.over_baseline] == [True, False][: len(some)]


@pytest.mark.parametrize("seed", range(20))
def test_discoveries_are_those_of_the_definition_on_each_side(seed: int) -> None:
    random = Random(seed)
    n = random.randint(0, 12)
    p = [random.choice([0.0, 0.001, 0.01, 0.02, 0.05, random.random()]) for _ in range(n)]
    sides = [random.choice([-1, -1, 1, 0]) for _ in range(n)]
    expected = [False] * n
    for side in (-1, 1):
        one_sided = [{side: q / 2, -side: 1 - q / 2, 0: 1.0}[own] for q, own in zip(p, sides, strict=True)]
        most = max((k for k in range(1, n + 1) if sorted(one_sided)[k - 1] * n / k <= 0.025), default=0)
        for i in range(n):
            expected[i] |= most > 0 and one_sided[i] <= sorted(one_sided)[most - 1] and sides[i] == side
    assert discoveries(p, sides) == expected


# The table of docs/method.md, drawn 2,000 times there: rows of 22 that get worse and better, by how many standard
# deviations, seeds, and the share of the worse and of the better ones that is found.
SIMULATED = [
    (0, 0, 0, 3, None, None), (0, 0, 0, 6, None, None), (7, 0, 4, 3, 0.19, None), (7, 0, 8, 3, 0.94, None),
    (7, 0, 4, 6, 1.0, None), (14, 3, 4, 3, 0.62, 0.07), (14, 3, 4, 6, 1.0, 1.0),
]  # fmt: skip


@pytest.mark.parametrize("same", [0.0, 0.7])
@pytest.mark.parametrize(("worse", "better", "by", "seeds", "worse_found", "better_found"), SIMULATED)
def test_the_false_discovery_rate_of_each_direction_is_held(
    worse: int, better: int, by: float, seeds: int, worse_found: float | None, better_found: float | None, same: float
) -> None:
    """Of each row three measurements that move together."""
    draws, rows, each = 200, 22, 3
    random = np.random.default_rng(1)
    truth = np.repeat([1] * worse + [-1] * better + [0] * (rows - worse - better), each)
    common = np.repeat(random.normal(size=(draws, rows, seeds)), each, axis=1)
    x = same**0.5 * common + (1 - same) ** 0.5 * random.normal(size=common.shape) + by * truth[:, None]
    sides, p = np.sign(x.mean(2)).astype(int), stats.ttest_1samp(x, 0, axis=2).pvalue
    told = np.array([discoveries(*pair) for pair in zip(p.tolist(), sides.tolist(), strict=True)])
    for side, expected in ((1, worse_found), (-1, better_found)):
        of_side = told & (sides == side)
        chance = (of_side & (truth != side)).sum(1) / of_side.sum(1).clip(min=1)
        assert chance.mean() <= 0.025 + 3 * (0.025 / draws) ** 0.5
        if expected is not None:
            assert of_side[:, truth == side].mean() == pytest.approx(expected, abs=0.06)


def test_the_control_is_counted_on_boards_of_models_alone(tmp_path: Path) -> None:
    def board(where: str, *models: str) -> Boards:
        rows = [
            record(model, seed, at("phase_end", kl_to_oracle=2.0 + seed), at("end", kl_to_oracle=2.1 + seed))
            for model in models
            for seed in range(3)
        ]
        return tables(tmp_path / where, *rows)

    assert changes(board("alone", "constant_reward").boards) == []
    both = changes(board("beside", "constant_reward", "seqgan").boards)
    assert {c.row.model for c in both} == {"constant_reward", "seqgan"}


def test_a_change_by_rounding_alone_is_none() -> None:
    assert one_sample(seed_mean([1e-16, 1e-16, 1e-16])) == 1.0
    assert one_sample(seed_mean([0.5, 0.5, 0.5])) == 0.0
    assert one_sample(seed_mean([0.1, 0.2, 0.4])) == pytest.approx(stats.ttest_1samp([0.1, 0.2, 0.4], 0).pvalue)


def test_two_means_are_told_apart_by_welchs_test() -> None:
    a, b = [0.1, 0.2, 0.4], [0.3, 0.5, 0.9, 1.0]
    assert two_sample(seed_mean(a), seed_mean(b)) == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)


def test_known_words_stand_for_the_front_where_every_ranked_row_has_them(tmp_path: Path) -> None:
    old = {"ms_jaccard_3": 0.5, "reverse_lm_score": 4.0}
    new = {**old, "reverse_lm_score_known": 3.0}

    def front(where: str, **models: dict[str, float]) -> tuple[str, str] | None:
        rows = [record(model, seed, at("end", **scores)) for model, scores in models.items() for seed in range(3)]
        (board,) = tables(tmp_path / where, *rows).boards
        return front_keys(board.rows)

    assert front("all", mle=new, seqgan=new) == ("ms_jaccard_3", "reverse_lm_score_known")
    assert front("one", mle=new, seqgan=old) == ("ms_jaccard_3", "reverse_lm_score")
    assert front("none", mle=old, seqgan=old) == ("ms_jaccard_3", "reverse_lm_score")
