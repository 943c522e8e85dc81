"""`attack`: the tricks themselves, the rule by which one fools a metric, what must hold of metrics, what is kept."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.commands import call_bench

from baselines.common.spec import SequenceSpec
from baselines.ngram import NGram
from bench.attack.attacks import ATTACKS, Attack
from bench.attack.cards import of_cards
from bench.attack.chains import _counts, truncated
from bench.attack.material import Material
from bench.attack.report import as_markdown
from bench.attack.scoring import attack, set_aside
from bench.attack.table import AttackTable, Column, Line, Value, read_kept
from bench.config import build, build_metrics
from bench.registry import find, names
from bench.score.records import LoadedTask
from bench.score.scoring import metric_inputs
from bench.task import rows
from metrics.common.tokens import Tokens

BY_NAME = {each.name: each for each in ATTACKS}
MEMORY = {"novelty", "train_overlap", "nearest_train", "bleu_train"}
SEMANTIC = {"mauve", "frechet_embedding_distance"}


@pytest.fixture(scope="module")
def loaded() -> LoadedTask:
    """The grammar, with fewer sentences to score with, by every metric but the slow ones (chrF compares all pairs)."""
    task = build(find("tasks", "grammar"), {"n_test": 3_000}, "grammar")
    chosen = [name for name in names("metrics") if name not in {"chrf", "nearest_train", *SEMANTIC}]
    return LoadedTask(name="grammar", task=task, data=task.load(), metrics=build_metrics(chosen, {}))


@pytest.fixture(scope="module")
def table(loaded: LoadedTask) -> AttackTable:
    return attack(loaded, 1_000, 0)


@pytest.fixture
def material(loaded: LoadedTask) -> Material:
    return Material(spec=loaded.data.spec, train=loaded.data.train[:2_000], n=300, seed=0)


def sentences(tokens: Tokens) -> list[tuple[int, ...]]:
    return [tuple(tokens.sentence(i).tolist()) for i in range(len(tokens))]


def fooled(table: AttackTable, name: str) -> set[str]:
    (line,) = [line for line in table.lines if line.name == name]
    return {column.key for column in table.columns if table.verdict(line, column) == "fooled"}


def keys(table: AttackTable, *metrics: str) -> set[str]:
    return {column.key for column in table.columns if column.metric in metrics}


# The attacks.


@pytest.mark.parametrize("each", ATTACKS, ids=lambda each: each.name)
def test_an_attack_is_a_function_of_text_and_seed_and_the_task_can_write_it(each: Attack, material: Material) -> None:
    first = each.write(material)
    assert len(first) == material.n
    assert rows(first, material.spec)[1].all()
    assert sentences(first) == sentences(each.write(material))
    again = Material(spec=material.spec, train=material.train, n=material.n, seed=1)
    by_chance = each.name not in {"repeat_one", "repeat_ten", "likeliest"}
    assert (sentences(each.write(again)) != sentences(first)) == by_chance


def test_copies_come_once_before_any_comes_again(material: Material) -> None:
    train = Counter(sentences(material.training))
    twice = Material(spec=material.spec, train=material.train, n=2 * len(material.train), seed=0)
    assert Counter(sentences(BY_NAME["copies"].write(twice))) == {s: 2 * n for s, n in train.items()}


def test_what_is_repeated_is_typical_and_counted(material: Material) -> None:
    one, ten = (sentences(BY_NAME[name].write(material)) for name in ("repeat_one", "repeat_ten"))
    assert len(set(one)) == 1
    assert sorted(Counter(ten).values()) == [30] * 10
    assert ten[0] == one[0]
    assert set(ten) <= set(sentences(material.training))
    half = sentences(BY_NAME["half_repeated"].write(material))
    assert set(half[1::2]) == set(one)
    assert len(set(half[::2])) > 100


def test_shuffled_words_keep_each_sentence_and_swapped_words_the_text(material: Material) -> None:
    copies, shuffled, swapped = (
        BY_NAME[name].write(material) for name in ("copies", "shuffled_words", "swapped_words")
    )
    assert [sorted(s) for s in sentences(shuffled)] == [sorted(s) for s in sentences(copies)]
    assert sentences(shuffled) != sentences(copies)
    assert [sorted(s) for s in sentences(swapped)] != [sorted(s) for s in sentences(copies)]
    for other in (shuffled, swapped):
        assert np.array_equal(np.sort(other.flat), np.sort(copies.flat))
        assert np.array_equal(other.lengths, copies.lengths)


def test_short_sentences_are_copies_and_cut_ones_are_beginnings(material: Material) -> None:
    copies, short, cut = (BY_NAME[name].write(material) for name in ("copies", "short_only", "cut_short"))
    assert set(sentences(short)) <= set(sentences(material.training))
    assert short.lengths.max() <= np.quantile(material.training.lengths, 0.25)
    assert sentences(cut) == [s[: math.ceil(len(s) / 2)] for s in sentences(copies)]


def test_where_all_sentences_are_equally_long_two_attacks_are_absent_and_the_others_write() -> None:
    spec = SequenceSpec(vocab_size=20, max_len=8, bos_id=0, pad_id=None, eos_id=None)
    given = Material(spec=spec, train=np.random.RandomState(0).randint(20, size=(60, 8)), n=40, seed=0)
    missing = {each.name: each.missing(given) for each in ATTACKS}
    assert {name: reason for name, reason in missing.items() if reason} == dict.fromkeys(
        ["short_only", "cut_short"], "every sentence of this task has 8 words"
    )
    for each in ATTACKS:
        if not missing[each.name]:
            assert each.write(given).lengths.tolist() == [8] * 40


def test_the_likeliest_sentences_are_those_of_all_sentences() -> None:
    """Beside every sentence of a small language, weighed one by one by the baseline's own likelihood."""
    spec = SequenceSpec(vocab_size=4, max_len=4, bos_id=0, pad_id=0, eos_id=0)
    train = np.array([[1, 2, 0, 0], [1, 2, 3, 0], [1, 2, 3, 3], [2, 1, 0, 0], [3, 0, 0, 0], [1, 1, 2, 0]])
    given = Material(spec=spec, train=train, n=12, seed=0)
    every = [s for length in range(5) for s in itertools.product((1, 2, 3), repeat=length)]
    ids = np.array([[*s, 0, 0, 0, 0][:4] for s in every])
    model = NGram(NGram.Config(order=4, sharpen=1.0, batches=1, batch_size=len(train)), spec)
    model.collect(iter([torch.from_numpy(train)]))
    log_p = model.log_prob(torch.from_numpy(ids)).numpy()
    best = np.sort(log_p)[::-1][:12]
    found = sentences(BY_NAME["likeliest"].write(given))
    assert len(set(found)) == 12
    weighed = dict(zip(every, log_p.tolist(), strict=True))
    assert sorted((weighed[s] for s in found), reverse=True) == pytest.approx(best.tolist(), abs=1e-5)


def test_a_truncated_model_draws_among_its_likeliest_words(material: Material) -> None:
    counts = _counts(material, 3)
    for write, kept in (
        (truncated(top_k=2), lambda p: (-p).argsort()[:2]),
        (truncated(top_p=0.5), lambda p: (-p).argsort()[: 1 + int((np.sort(p)[::-1].cumsum() < 0.5).sum())]),
    ):
        drawn, _ = rows(write(material), material.spec)
        history = counts.history(torch.from_numpy(drawn), 1)
        p = counts.logits(history, torch.tensor(1.0)).exp().numpy()
        going = drawn[:, 0] != material.spec.eos_id
        assert going.sum() > 100
        assert all(word in kept(row) for word, row in zip(drawn[going, 1], p[going], strict=True))


# Real text.


def test_real_text_is_set_aside_and_no_attack_sees_it(loaded: LoadedTask) -> None:
    data, n = set_aside(loaded.data, 1_000, "grammar")
    assert n == len(data.valid) == 1_000
    before = np.concatenate([loaded.data.train, loaded.data.valid])
    after = np.concatenate([data.train, data.valid])
    order = [np.lexsort(text.T) for text in (before, after)]
    assert np.array_equal(before[order[0]], after[order[1]])
    assert data.references is loaded.data.references
    inputs = metric_inputs(data, data.validation)
    assert inputs.training is not None
    assert len(inputs.training) == len(before) - 1_000


@pytest.mark.parametrize(("asked", "n"), [(None, 2_000), (5_500, 5_500)])
def test_as_many_sentences_as_asked_for(loaded: LoadedTask, asked: int | None, n: int) -> None:
    assert set_aside(loaded.data, asked, "grammar")[1] == n


def test_more_than_half_of_the_text_is_refused(loaded: LoadedTask) -> None:
    with pytest.raises(ValueError, match=r"--n-samples is at most 5,500 on grammar.* got 5,501"):
        set_aside(loaded.data, 5_501, "grammar")


# The rule.


@pytest.mark.parametrize(
    ("better", "score", "verdict"),
    [
        ("higher", 0.9, "fooled"), ("higher", 0.5, "fooled"), ("higher", 0.48, "fooled"),
        ("higher", 0.47, "not fooled"), ("higher", None, "absent"),
        ("lower", 0.1, "fooled"), ("lower", 0.52, "fooled"), ("lower", 0.53, "not fooled"),
        ("real", 0.9, "not fooled"), ("real", 0.527, "fooled"), ("real", 0.473, "fooled"),
        ("real", 0.529, "not fooled"), ("real", 0.471, "not fooled"),
    ],
)  # fmt: skip
def test_fooled_is_as_good_as_real_text_up_to_its_sampling_error(
    better: str, score: float | None, verdict: str
) -> None:
    """With a standard error of .01 the allowance is .0233 on one side, .0277 on either."""
    column = Column(key="k", metric="m", better=better, signature="m|v:1")  # type: ignore[arg-type]
    real = Line(name="held_out", what="real", real=True, scores={"k": Value(0.5, 0.01)})
    values = {} if score is None else {"k": Value(score, 5.0)}  # its own error excuses nothing
    line = Line(name="trick", what="a trick", scores=values, absent={} if values else {"m": "no grammar"})
    table = AttackTable(
        task="t", task_version=1, task_config={}, data_sha256="", n_samples=10, seed=0, columns=(column,),
        lines=(real, line),
    )  # fmt: skip
    assert table.verdict(line, column) == verdict
    assert table.reason(line, column) == ("" if values else "no grammar")


# What is known of metrics.


def test_real_text_is_taken_for_real_by_nearly_all(table: AttackTable) -> None:
    others = {column.key for column in table.columns} - keys(table, *MEMORY)
    missed = others - fooled(table, "training")
    assert len(missed) <= 0.15 * len(others), sorted(missed)


def test_copies_fool_all_but_memorisation(table: AttackTable) -> None:
    others = {column.key for column in table.columns} - keys(table, *MEMORY)
    missed = others - fooled(table, "copies")
    assert len(missed) <= 0.1 * len(others), sorted(missed)  # one in twenty by chance
    assert not fooled(table, "copies") & keys(table, *MEMORY)


def test_a_repeated_sentence_fools_bleu_and_not_self_bleu(table: AttackTable) -> None:
    for name in ("repeat_one", "repeat_ten"):
        assert keys(table, "bleu", "corpus_bleu", "validity") <= fooled(table, name)
        assert not fooled(table, name) & keys(table, "self_bleu", "unique", "distinct", "ngram_entropy", "ms_jaccard")


def test_a_sharpened_ngram_is_better_than_real_text_by_bleu_and_worse_backwards(table: AttackTable) -> None:
    (line,) = [line for line in table.lines if line.name == "ngram_sharp"]
    for key in ("bleu_3", "bleu_4", "bleu_5"):
        assert line.scores[key].value > table.held_out.scores[key].value
        assert key in fooled(table, "ngram_sharp")
    real, sharp = table.held_out.scores["reverse_lm_score"], line.scores["reverse_lm_score"]
    assert sharp.value > real.value + 5 * math.hypot(real.standard_error or 0, sharp.standard_error or 0)
    assert "reverse_lm_score" not in fooled(table, "ngram_sharp")


def test_words_in_another_order_fool_what_counts_words_alone(table: AttackTable) -> None:
    unigram = {"ms_jaccard_1", "distinct_1", "ngram_entropy_1", "ngram_jsd_1", "ngram_jsd_1_first", "zipf"}
    longer = {column.key for column in table.columns} - unigram - {"unique"}  # nonsense is all different, too
    for name in ("shuffled_words", "swapped_words"):
        assert not fooled(table, name) & longer
        assert len(fooled(table, name) & unigram) >= len(unigram) - 1


def test_zero_parameter_samplers_cost_less_than_real_text_and_repeat_nothing(table: AttackTable) -> None:
    for name in ("greedy_chains", "likeliest"):
        (line,) = [line for line in table.lines if line.name == name]
        assert line.scores["lm_score"].value < table.held_out.scores["lm_score"].value
        assert line.scores["unique"].value == 1.0
        assert keys(table, "bleu") <= fooled(table, name)


# The command.


SMALL = ("--scale", "smoke", "--n-samples", 60)


def test_the_whole_command_by_the_tasks_own_metrics() -> None:
    out = call_bench("attack", "grammar", *SMALL).stdout
    assert "14 attacks of 60 sentences each on grammar (version 1), seed 0" in out
    for each in ATTACKS:
        assert each.what in out
    assert "no column: nll_gen (nll_gen needs a model with a likelihood" in out
    assert "absent: words swapped between sentences: nll_oracle" in out
    assert "√2 standard errors" in out


def test_json_csv_and_markdown_say_the_same(tmp_path: Path) -> None:
    words = ("attack", "grammar", *SMALL, "--metric", "bleu", "novelty", "--seed", 3)
    (document,) = json.loads(call_bench(*words, "--json", "--markdown", tmp_path / "new" / "table.md").stdout)
    assert document["seed"] == 3
    assert list(document["scores"])[:2] == ["bleu_2", "bleu_3"]
    rows = list(csv.DictReader(io.StringIO(call_bench(*words, "--csv").stdout)))
    assert len(rows) == len(document["lines"]) * len(document["scores"])
    cells = {line["name"]: line["scores"] for line in document["lines"]}
    for row in rows:
        cell = cells[row["attack"]][row["score"]]
        assert row["verdict"] == cell.get("verdict", "")
        assert float(row["value"]) == pytest.approx(cell["value"], abs=1e-12)
    page = (tmp_path / "new" / "table.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith("| `bleu_2` |"))
    marks = [cell.strip() for cell in line.strip("|").split("|")][3:]
    said = {"fooled": "fooled", "not fooled": "no", "absent": "absent"}
    assert marks == [said[scores["bleu_2"]["verdict"]] for name, scores in cells.items() if name != "held_out"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("gramar",), "did you mean 'grammar'"),
        (("bleu",), "'bleu' is among the metrics, not the tasks"),
        (("grammar", "--metric", "blue"), "did you mean 'bleu'"),
        (("grammar", "grammar"), "'grammar' is given twice"),
        (("grammar", "--n-samples", "1"), "greater than or equal to 2"),
        (("grammar", "--scale", "smoke", "--n-samples", "321"), "--n-samples is at most 320 on grammar"),
        (("grammar", "--json", "--csv"), "--json and --csv exclude each other"),
        (("grammar", "--set", "n_tran=9"), "did you mean 'n_train'"),
        (("grammar", "--write", "--metric", "bleu"), "no --metric or --scale with it"),
        (("grammar", "--markdown", "."), "--markdown takes a file to write"),
    ],
)
def test_mistakes_are_told_in_a_line(words: tuple[str, ...], message: str) -> None:
    done = call_bench("attack", *words, code=2)
    assert not done.stdout
    assert message in " ".join(done.stderr.replace("│", " ").split())


# What is kept.


def test_the_kept_tables_are_what_comes_out_today() -> None:
    """Of the grammar, by metrics of every kind; what is drawn word by word may differ with the machine, by a draw."""
    (kept,) = [table for table in read_kept() if table.task == "grammar"]
    task = build(find("tasks", "grammar"), {}, "grammar")
    data = task.load()
    assert kept.data_sha256 == data.sha256
    chosen = ("validity", "bleu", "self_bleu", "lm_score", "ms_jaccard", "distinct", "unique", "novelty", "zipf")
    some = [BY_NAME[name] for name in ("copies", "repeat_one", "half_repeated", "swapped_words", "cut_short")]
    small = LoadedTask(name="grammar", task=task, data=data, metrics=build_metrics(chosen, {}))
    today = attack(small, kept.n_samples, kept.seed, [*some, BY_NAME["ngram_sharp"]])
    for column in today.columns:
        assert column in kept.columns
    for line in today.lines:
        (other,) = [each for each in kept.lines if each.name == line.name]
        assert line.what == other.what
        for key, found in line.scores.items():
            error = found.standard_error or 0.0
            allowed = 4 * error if line.name == "ngram_sharp" else 1e-9
            assert found.value == pytest.approx(other.scores[key].value, abs=allowed + 1e-9)
    assert [line.name for line in kept.attacks] == [each.name for each in ATTACKS]
    assert [line.what for line in kept.attacks] == [each.what for each in ATTACKS]


def test_the_kept_tables_hold_every_metric_that_can_be_scored() -> None:
    for table in read_kept():
        assert {column.metric for column in table.columns} | table.not_scored.keys() >= set(names("metrics"))


def test_a_sharpened_ngram_beats_real_captions_on_bleu(study_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(study_data))
    (kept,) = [table for table in of_cards(read_kept()) if table.task == "image_coco"]
    task = build(find("tasks", "image_coco"), {}, "image_coco")
    board = LoadedTask(name="image_coco", task=task, data=task.load(), metrics=build_metrics(["bleu"], {}))
    today = attack(board, kept.n_samples, kept.seed, [BY_NAME["ngram_sharp"], BY_NAME["copies"]])
    assert kept.data_sha256 == today.data_sha256
    assert {"bleu_3", "bleu_4", "bleu_5"} <= fooled(today, "ngram_sharp") & fooled(kept, "ngram_sharp")
    assert today.lines[-1].scores["bleu_5"].value == pytest.approx(
        next(line for line in kept.lines if line.name == "copies").scores["bleu_5"].value, abs=1e-9
    )


def test_markdown_has_a_table_for_each_task() -> None:
    page = as_markdown(read_kept())
    assert page.count("\n## ") + page.startswith("## ") == len(read_kept())
    widths = {line.count("|") for line in page.splitlines() if line.startswith("|")}
    assert len(widths) == 1
