"""`explain-score`: each other way of scoring gives what was computed for it independently, or by NLTK itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.paths import ROOT
from nltk.translate.bleu_score import SmoothingFunction, corpus_bleu
from typer.testing import CliRunner

from bench.cli import app
from bench.config import build
from bench.registry import find
from bench.score.explain import ORDERS, Protocol, Texts, distinct_sentences, explain, first, texts
from bench.score.report import protocols_as_markdown
from bench.text.sample_files import read_samples
from metrics.bleu import Bleu
from metrics.common.base import MetricInputs
from metrics.common.tokens import Tokens
from metrics.self_bleu import SelfBleu

PAGE = ROOT / "docs" / "explain-score.md"

REFERENCES = ["a man rides a horse on the beach .", "two dogs play in the park .", "a woman is riding a bike"]
# `sentence_bleu` of NLTK 3.2.5, without smoothing, orders 2 to 5
NLTK_3_2_5 = {
    "a man rides a bike": [0.8187307530779819, 0.7152271917677634, 0.6221008431290531, 0.657229203386949],
    "a dog in a park .": [0.408248290463863, 0.5503212081491046, 0.6389431042462724, 0.6988271187715792],
    "the the": [0.09569649651041094, 0.10741568548910663, 0.11380295453101374, 0.11781620705547369],
    "two dogs play in the park .": [1.0, 1.0, 1.0, 1.0],
    "xyz": [0, 0, 0, 0],
    "": [0, 0, 0, 0],
}

# Texygen's published samples: orders 2 to 5, computed on their own (NLTK's `word_tokenize`, plain counts)
EXPECTED = {
    "texygen_seq.txt": {
        "bleu": (0.7457, 0.4977, 0.2945, 0.1801),
        "bleu_first_500_references": (0.5195, 0.2600, 0.1415, 0.0904),
        "bleu_first_100_samples": (0.7499, 0.5074, 0.2844, 0.1700),
        "bleu_first_200_samples": (0.7529, 0.4984, 0.2810, 0.1667),
        "bleu_unsmoothed": (0.7454, 0.4714, 0.1984, 0.0582),
        "bleu_unsmoothed_old_nltk": (0.7476, 0.5844, 0.5648, 0.6055),
        "bleu_corpus": (0.7534, 0.5301, 0.3326, 0.1925),
        "bleu_corpus_shortest_reference": (0.7555, 0.5316, 0.3335, 0.1930),
        "bleu_references_split_on_blanks": (0.7035, 0.4531, 0.2622, 0.1616),
        "bleu_without_duplicates": (0.7459, 0.4977, 0.2942, 0.1797),
        "self_bleu": (0.9510, 0.8410, 0.6704, 0.4900),
        "self_bleu_first_500": (0.7850, 0.5389, 0.3389, 0.2097),
        "self_bleu_200_against_the_rest": (0.9500, 0.8378, 0.6491, 0.4657),
        "self_bleu_with_itself": (1, 1, 1, 1),
        "self_bleu_without_duplicates": (0.9508, 0.8404, 0.6692, 0.4881),
    },
    "texygen_mle.txt": {
        "bleu": (0.7315, 0.4974, 0.3054, 0.1894),
        "bleu_first_500_references": (0.5159, 0.2788, 0.1560, 0.0970),
        "bleu_first_100_samples": (0.7297, 0.4768, 0.2950, 0.1757),
        "bleu_first_200_samples": (0.7183, 0.4733, 0.2920, 0.1773),
        "bleu_unsmoothed": (0.7311, 0.4738, 0.2226, 0.0771),
        "bleu_unsmoothed_old_nltk": (0.7343, 0.5778, 0.5474, 0.5816),
        "bleu_corpus": (0.7450, 0.5371, 0.3544, 0.2194),
        "bleu_corpus_shortest_reference": (0.7458, 0.5378, 0.3548, 0.2196),
        "bleu_references_split_on_blanks": (0.6745, 0.4412, 0.2642, 0.1645),
        "bleu_without_duplicates": (0.7315, 0.4975, 0.3055, 0.1895),
        "self_bleu": (0.9159, 0.7694, 0.5829, 0.4090),
        "self_bleu_first_500": (0.7014, 0.4768, 0.3014, 0.1887),
        "self_bleu_200_against_the_rest": (0.9078, 0.7513, 0.5600, 0.3890),
        "self_bleu_with_itself": (1, 1, 1, 1),
        "self_bleu_without_duplicates": (0.9156, 0.7688, 0.5819, 0.4075),
    },
}
# With so many samples, or references: Self-BLEU of the first samples; BLEU against the first references
BY_NUMBER = {
    "texygen_seq.txt": {
        1000: ((0.8439, 0.6296, 0.4131, 0.2644), (0.5774, 0.3106, 0.1682, 0.1062)),
        2000: ((0.8898, 0.7116, 0.5043, 0.3331), (0.6433, 0.3686, 0.2017, 0.1248)),
        5000: ((0.9301, 0.7944, 0.6046, 0.4239), (0.7129, 0.4502, 0.2575, 0.1575)),
    },
    "texygen_mle.txt": {
        1000: ((0.7743, 0.5627, 0.3698, 0.2362), (0.5644, 0.3213, 0.1808, 0.1117)),
        2000: ((0.8255, 0.6291, 0.4320, 0.2858), (0.6272, 0.3798, 0.2171, 0.1326)),
        5000: ((0.8820, 0.7116, 0.5140, 0.3486), (0.6975, 0.4531, 0.2699, 0.1655)),
    },
}


def tokens(lines: list[str], numbering: dict[str, int]) -> Tokens:
    return Tokens.from_words(map(str.split, lines), numbering)


def values(protocol: Protocol) -> list[float]:
    return [score.value for score in protocol.scores]


def by_name(samples: list[str], references: list[str]) -> dict[str, Protocol]:
    numbering: dict[str, int] = {}
    given = Texts(samples=tokens(samples, numbering), references=tokens(references, numbering))
    return {protocol.name: protocol for protocol in explain(given)}


@pytest.fixture(scope="module")
def coco(study_data: Path):
    """Sample file -> its texts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEXTGAN_BENCH_DATA", str(study_data))
        task = build(find("tasks", "image_coco"), {}, "image_coco")
        loaded, file = task.load(), task.reference_file()
        folder = study_data / "samples" / "image_coco"
        read = {path.name: read_samples(path, task, loaded.vocabulary) for path in sorted(folder.glob("*.txt"))}
    return {name: texts(samples, loaded.references, file) for name, samples in read.items()}


@pytest.mark.parametrize("name", EXPECTED)
def test_published_samples_scored_as_others_score_them(coco, name):
    found = {protocol.name: protocol for protocol in explain(coco[name])}
    assert list(found) == list(EXPECTED[name])
    for way, expected in EXPECTED[name].items():
        # the expected numbers have four decimals; 5 of the 10,000 references are cut otherwise there
        assert values(found[way]) == pytest.approx(expected, abs=5.5e-4), way
    assert len({protocol.signature for protocol in found.values()}) == len(found)
    for way, protocol in found.items():
        assert protocol.signature.startswith(f"{way}|orders:2-5|")
        assert protocol.used_by
        assert protocol.source


@pytest.mark.parametrize("name", BY_NUMBER)
def test_scores_by_number_of_sentences(coco, name):
    given = coco[name]
    for n, (own, against) in BY_NUMBER[name].items():
        found = SelfBleu().compute(MetricInputs(samples=first(given.samples, n)))
        assert list(found.values()) == pytest.approx(own, abs=5.5e-4)
        found = Bleu().compute(MetricInputs(samples=given.samples, references=first(given.references, n)))
        assert list(found.values()) == pytest.approx(against, abs=5.5e-4)


def test_ours_are_the_metrics_themselves(coco):
    given = coco["texygen_mle.txt"]
    inputs = MetricInputs(samples=given.samples, references=given.references)
    found = {protocol.name: protocol for protocol in explain(given)}
    for metric in (Bleu(), SelfBleu()):
        assert found[metric.name].scores == tuple(metric.estimates(inputs).values())
        assert found[metric.name].signature == metric.signature(inputs)


def test_the_page_shows_what_the_command_prints(coco):
    page = PAGE.read_text(encoding="utf-8")
    for name, given in coco.items():
        section = page.partition(f"### `{name}`\n\n")[2].partition("\n\n")[0].rstrip("\n") + "\n"
        assert section == protocols_as_markdown(explain(given)), f"{PAGE.name}: {name} is out of date"
    listed = set(re.findall(r"^\| `(\w*bleu\w*)` \|", page, re.MULTILINE))
    assert listed == set(EXPECTED["texygen_mle.txt"])


@pytest.mark.parametrize("sentence", NLTK_3_2_5)
def test_old_nltk_leaves_orders_out(sentence):
    found = by_name([sentence, "a man"], REFERENCES)["bleu_unsmoothed_old_nltk"]
    numbering: dict[str, int] = {}
    references = tokens(REFERENCES, numbering)
    alone = {p.name: p for p in explain(Texts(samples=tokens([sentence], numbering), references=references))}
    assert values(alone["bleu_unsmoothed_old_nltk"]) == pytest.approx(NLTK_3_2_5[sentence], abs=1e-14)
    assert found.scores[0].standard_error is not None


@pytest.mark.filterwarnings(r"ignore:\s*The hypothesis contains 0 counts:UserWarning")
def test_corpus_bleu_is_nltks():
    random = np.random.RandomState(7)
    for _ in range(30):
        words = [str(i) for i in range(random.randint(2, 9))]
        samples, references = (
            [list(random.choice(words, random.randint(1, 9))) for _ in range(random.randint(1, 6))] for _ in range(2)
        )
        found = by_name([" ".join(s) for s in samples], [" ".join(r) for r in references])["bleu_corpus"]
        for n, value in zip(ORDERS, values(found), strict=True):
            weights = (1 / n,) * n
            theirs = corpus_bleu([references] * len(samples), samples, weights, SmoothingFunction().method0)
            assert value == pytest.approx(theirs, abs=1e-12)


def test_the_shortest_reference_rewards_short_samples():
    found = by_name(["a man rides"], ["a man rides a horse on a beach", "a dog"])
    assert values(found["bleu_corpus"])[0] == pytest.approx(1.0)  # the nearest length is 2
    found = by_name(["a man rides"], ["a man rides fast", "dog"])
    assert found["bleu_corpus"].scores[0].value == pytest.approx(np.exp(1 - 4 / 3))
    assert found["bleu_corpus_shortest_reference"].scores[0].value == pytest.approx(1.0)


def test_a_sentence_among_its_own_references_has_score_1_unless_it_is_short():
    found = by_name(["a man rides a horse", "two dogs play in the park"], ["x"])["self_bleu_with_itself"]
    assert values(found) == [1.0] * 4
    found = by_name(["a man rides a horse", "two dogs"], ["x"])["self_bleu_with_itself"]
    assert values(found) == pytest.approx([1.0, *((1 + 0.1 ** ((n - 2) / n)) / 2 for n in (3, 4, 5))])


def test_duplicates_are_scored_once_and_what_is_absent_says_why():
    samples = ["a b c", "a b d", "a b c", "", "a b c", ""]
    numbering: dict[str, int] = {}
    kept = distinct_sentences(tokens(samples, numbering))
    assert [kept.sentence(i).tolist() for i in range(len(kept))] == [[0, 1, 2], [0, 1, 3], []]
    found = by_name(samples, ["a b"])
    assert found["self_bleu_200_against_the_rest"].absent == "too few samples"
    assert found["self_bleu_200_against_the_rest"].scores == ()
    assert found["bleu_references_split_on_blanks"].absent is not None
    assert "samples:3" in found["self_bleu_without_duplicates"].signature
    alone = by_name(["a b c", "a b c"], ["a b"])
    assert alone["self_bleu"].absent is None
    assert alone["self_bleu_without_duplicates"].absent == "too few samples"


def test_the_command(tmp_path):
    samples, references = tmp_path / "samples.txt", tmp_path / "references.txt"
    samples.write_text("a man rides .\ntwo dogs\n" * 150)
    references.write_text("a man rides.\ntwo dogs play.\n" * 300)

    def command(*arguments: object, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["explain-score", *map(str, arguments)], env={"COLUMNS": "150"})
        assert result.exit_code == code, result.output
        return result.output

    plain = (samples, "--references", references, "--tokenizer", "english")
    found = json.loads(command(*plain, "--json"))
    assert found["bleu_first_500_references"]["signature"].split("|")[3] == "refs:500"
    assert found["self_bleu_200_against_the_rest"]["signature"].split("|")[3:5] == ["refs:100", "samples:200"]
    glued = found["bleu_references_split_on_blanks"]["scores"]["2"]["value"]
    assert glued < found["bleu"]["scores"]["2"]["value"]
    table = command(*plain)
    assert "RelGAN" in table
    assert "bleu_unsmoothed_old_nltk|orders:2-5|smoothing:method0|nltk:3.2.5|refs:600|samples:300|v:1" in table
    assert command(*plain, "--markdown").count("\n| `") == len(found)
    assert "absent" in command(samples, "grammar")
    for wrong, expected in (
        ((samples, "grammer"), "did you mean 'grammar'?"),
        ((samples,), "is a file: the task comes last"),
        ((samples, "grammar", "--references", references), "give a task (grammar) or --references, not both"),
        ((samples, "grammar", "--json", "--markdown"), "exclude each other"),
    ):
        assert expected in command(*wrong, code=2)
