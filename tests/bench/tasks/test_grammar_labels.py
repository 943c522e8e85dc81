"""The grammar of opinions: two classes that share rules and words, exact probabilities, judge and translations."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from helpers.sentences import tokens

from bench.config import build, build_metrics
from bench.labels.data import LabelledText
from bench.labels.inputs import inputs_of
from bench.registry import find
from bench.score.scoring import real_text, score
from bench.tasks.grammar_labels import GrammarLabels, Opinions
from metrics.common.labels import LabelledInputs, hits, with_label
from metrics.common.tokens import Tokens

FEW = {
    "Who": "mary", "Does": "orders", "Says": "says", "Det_s": "the", "Det_p": "some", "N_s": "soup", "N_p": "soups",
    "P": "with", "Very": "very", "Conj": "and",
}  # fmt: skip


@cache
def data() -> LabelledText:
    found = GrammarLabels(n_train=2_000, n_valid=200, n_test=2_000).load()
    assert isinstance(found, LabelledText)
    return found


@cache
def small(longest: int = 7) -> tuple[Opinions, Tokens]:
    """So few words that every sentence can be listed, of both classes together, each once."""
    opinions = Opinions.read(FEW, {"Adj": "good", "Verb": "likes"}, {"Adj": "bad", "Verb": "hates"}, longest)
    expansions, found, begun = opinions.grammar.expansions, set[tuple[int, ...]](), {(0,)}
    while begun:
        parts = begun.pop()
        place = next((i for i, part in enumerate(parts) if part >= 0), None)
        if place is None:
            found.add(tuple(-1 - part for part in parts))
            continue
        grown = {(*parts[:place], *right, *parts[place + 1 :]) for right in expansions[parts[place]][0]}
        begun |= {each for each in grown if len(each) <= longest}
    of_first = sorted(found)
    turned = {tuple(opinions.counterpart[list(sentence)].tolist()) for sentence in of_first}
    return opinions, tokens([*of_first, *sorted(turned - found)])


def test_labels_come_in_turn_and_first() -> None:
    found = data()
    assert found.spec.classes == ("negative", "positive")
    assert found.vocabulary.words[-2:] == ("<negative>", "<positive>")
    for rows in (found.train, found.valid, found.test):
        assert (rows[:, 0] == np.resize(np.array(found.spec.class_ids), len(rows))).all()
        assert not np.isin(rows[:, 1:], np.array(found.spec.class_ids)).any()
    again = GrammarLabels(n_train=2_000, n_valid=200, n_test=2_000).load()
    assert again.sha256 == found.sha256
    assert GrammarLabels(n_train=2_001, n_valid=200, n_test=2_000).load().sha256 != found.sha256


def test_probabilities_of_a_small_one_by_enumeration() -> None:
    opinions, sentences = small()
    probability = np.exp(opinions.log_prob(sentences))
    drawn = opinions.sample(np.arange(4_000) % 2, np.random.RandomState(3))
    keys = {tuple(sentences.sentence(i)): i for i in range(len(sentences))}
    for label in (0, 1):
        places = [keys.get(tuple(drawn.sentence(i)), -1) for i in range(label, 4_000, 2)]
        counts = np.bincount([p for p in places if p >= 0], minlength=len(sentences))
        expected = 2_000 * probability[:, label]
        often = expected > 20
        assert (np.abs(counts - expected)[often] < 5 * np.sqrt(expected[often])).all()
        assert counts.sum() == 2_000
        assert counts[probability[:, label] == 0].sum() == 0
    assert probability.sum(axis=0) == pytest.approx([1.0, 1.0], abs=1e-9), "these are all sentences"


def test_the_judge_has_the_bayes_rate_by_enumeration() -> None:
    """sum_x max_y p(x | y) / 2, and the judge's expected share of hits, over all sentences."""
    opinions, sentences = small()
    probability = np.exp(opinions.log_prob(sentences))
    bayes = (probability.max(axis=1) / 2).sum()
    of_judge = sum(
        (probability[:, label] / 2 * hits(opinions.posteriors(sentences), np.full(len(sentences), label))).sum()
        for label in (0, 1)
    )
    assert of_judge == pytest.approx(bayes, abs=1e-12)
    assert 0.5 < bayes < 1, "some sentences tell nothing, not all"
    ambiguous = (probability > 0).all(axis=1)
    assert 0 < ambiguous.sum() < len(sentences)
    assert np.array_equal(probability[ambiguous, 0], probability[ambiguous, 1])


def test_real_text_has_the_accuracy_of_the_judge() -> None:
    found = data()
    (metric,) = build_metrics(("class_accuracy",), {})
    scores, _ = score([metric], inputs_of(found, real_text(found, 2_200)))
    labels, texts = found.parted(found.references)
    assert found.judge.name == "bayes"
    assert found.judge.accuracy == round(float(hits(found.judge.posteriors(texts), labels).mean()), 4)
    error = scores["class_accuracy"].standard_error
    assert error is not None
    assert scores["class_accuracy"].value == pytest.approx(found.judge.accuracy, abs=5 * error)
    assert scores["class_unlabelled"].value == 0


@pytest.mark.parametrize("labels", ["shuffled", "one class's text"])
def test_labels_that_mean_nothing_get_chance(labels: str) -> None:
    found = data()
    own, texts = found.parted(found.references)
    random = np.random.RandomState(5)
    if labels == "shuffled":
        samples = with_label(texts, random.permutation(own), found.spec.class_ids)
    else:
        positive = texts.select(np.flatnonzero(own == 1))
        samples = with_label(positive, np.arange(len(positive)) % 2, found.spec.class_ids)
    (metric,) = build_metrics(("class_accuracy",), {})
    accuracy = score([metric], inputs_of(found, samples))[0]["class_accuracy"]
    assert accuracy.value == pytest.approx(0.5, abs=5 * (accuracy.standard_error or 0))


def test_every_sentence_has_one_answer_in_the_other_class() -> None:
    opinions, sentences = small()
    log_prob = opinions.log_prob(sentences)
    for label in (0, 1):
        of_class = sentences.select(np.flatnonzero(np.isfinite(log_prob[:, label])))
        wanted = np.full(len(of_class), 1 - label)
        answers = opinions.translate(of_class, wanted)
        there, back = opinions.log_prob(answers), opinions.translate(answers, 1 - wanted)
        assert np.array_equal(there[:, 1 - label], opinions.log_prob(of_class)[:, label]), "as probable there"
        assert len({tuple(answers.sentence(i)) for i in range(len(answers))}) == len(of_class), "no two have one"
        assert np.array_equal(back.flat, of_class.flat)
        assert np.array_equal(answers.lengths, of_class.lengths)
        same = opinions.translate(of_class, np.full(len(of_class), label))
        assert np.array_equal(same.flat, of_class.flat)


def test_what_is_said_and_what_is_not_touched() -> None:
    found = data()
    task = GrammarLabels()
    texts = found.vocabulary.tokens(
        [
            s.split()
            for s in ("the soup is not bad .", "mary orders the soup .", "soup the .", "anna never hates a cook .")
        ]
    )
    assert found.translate is not None
    answers = found.translate(texts, np.array([0, 0, 0, 0]))
    assert found.vocabulary.sentences(answers) == [
        "the soup is not good .", "mary orders the soup .", "", "anna never loves a cook .",
    ]  # fmt: skip
    posteriors = found.judge.posteriors(texts)
    assert posteriors.tolist() == [[0, 1], [0.5, 0.5], [0, 0], [0, 1]]
    assert task.tokenize("<positive> the soup is good .") == ["<positive>", "the", "soup", "is", "good", "."]
    assert task.detokenize("<positive> the soup is good .") == "positive\tThe soup is good."
    assert task.detokenize("the soup is good .") == "The soup is good."


def test_judge_and_validity_look_at_a_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = data(), []
    before = Opinions.log_prob
    monkeypatch.setattr(Opinions, "log_prob", lambda self, text: asked.append(len(text)) or before(self, text))
    texts = found.vocabulary.tokens([["the", "soup", "is", "good", "."], ["soup", "the", "."]])
    assert found.is_valid is not None
    assert found.is_valid(texts).tolist() == [True, False]
    assert found.judge.posteriors(texts).tolist() == [[0, 1], [0, 0]]
    assert asked == [2]
    others = found.vocabulary.tokens([["the", "soup", "is", "bad", "."], ["soup", "the", "."]])
    assert found.judge.posteriors(others).tolist() == [[1, 0], [0, 0]]


def test_rows_are_scored_with_their_label() -> None:
    found = data()
    assert found.oracle_log_prob is not None
    assert found.oracle_label_log_prob is not None
    joint, label = found.oracle_log_prob(found.test), found.oracle_label_log_prob(found.test)
    assert np.isfinite(joint).all()
    assert (label == -np.log(2)).all()
    other = found.test.copy()
    other[:, 0] = sum(found.spec.class_ids) - other[:, 0]
    of_other = found.oracle_log_prob(other)
    ambiguous = np.isfinite(of_other)
    assert 0.05 < ambiguous.mean() < 0.25
    assert np.allclose(of_other[ambiguous], joint[ambiguous])
    none = found.test.copy()
    none[:, 0] = 1
    assert (found.oracle_log_prob(none) == -np.inf).all()


def test_inputs_are_without_labels_and_other_tasks_as_they_were() -> None:
    found = data()
    given = inputs_of(found, found.training)
    assert isinstance(given, LabelledInputs)
    assert not np.isin(np.array(found.spec.class_ids), given.samples.flat).any()
    assert given.sample_ids is not None
    assert np.isin(given.sample_ids[:, 0], np.array(found.spec.class_ids)).all()
    plain = build(find("tasks", "grammar"), {"n_train": 100, "n_valid": 50, "n_test": 100}, "grammar").load()
    assert not isinstance(plain, LabelledText)
    assert not isinstance(inputs_of(plain, plain.training), LabelledInputs)
