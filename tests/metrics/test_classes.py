"""Metrics of classes: labels apart from words, the judge, accuracy, scores inside a class, NLL given the class."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from metrics.bleu import Bleu
from metrics.class_accuracy import ClassAccuracy
from metrics.common.base import MetricInputs
from metrics.common.labels import (
    NO_CLASS,
    Judge,
    LabelledInputs,
    as_labelled,
    hits,
    labelled,
    with_label,
    without_label,
)
from metrics.common.naive_bayes import NaiveBayes, trained_judge
from metrics.common.tokens import Tokens
from metrics.ms_jaccard import MsJaccard
from metrics.nll_class import NllClass
from metrics.per_class import PerClass
from metrics.self_bleu import SelfBleu

IDS = range(10, 12)
CLASSES = ("negative", "positive")


def text(*sentences: str) -> Tokens:
    return Tokens.from_words([s.split() for s in sentences], {w: i for i, w in enumerate("abcdefg")})


def test_a_label_is_taken_from_the_words_and_given_back() -> None:
    words = text("a b", "c", "", "d")
    with_labels = with_label(words, np.array([1, 0, 0, 1]), IDS)
    assert with_labels.flat.tolist() == [11, 0, 1, 10, 2, 10, 11, 3]
    labels, again = without_label(with_labels, IDS)
    assert labels.tolist() == [1, 0, 0, 1]
    assert (again.flat.tolist(), again.offsets.tolist()) == (words.flat.tolist(), words.offsets.tolist())


def test_what_names_no_class_stays_as_it_is() -> None:
    labels, words = without_label(Tokens(np.array([0, 10, 10, 1, 12]), np.array([0, 2, 2, 4, 5])), IDS)
    assert labels.tolist() == [NO_CLASS, NO_CLASS, 0, NO_CLASS]
    assert [words.sentence(i).tolist() for i in range(4)] == [[0, 10], [], [1], [12]]


def test_a_tie_counts_in_part_and_what_no_class_wrote_is_wrong() -> None:
    posteriors = np.array([[0.2, 0.8], [0.5, 0.5], [0.0, 0.0], [0.9, 0.1], [0.9, 0.1]])
    assert hits(posteriors, np.array([1, 0, 0, 1, NO_CLASS])).tolist() == [1, 0.5, 0, 0, 0]


def judged(posteriors: list[list[float]], labels: list[int]) -> LabelledInputs:
    samples = text(*["a"] * len(labels))
    judge = Judge(name="test", posteriors=lambda _: np.array(posteriors), accuracy=0.5, sha256="f" * 64)
    return LabelledInputs(
        samples=samples, references=samples, classes=CLASSES, sample_labels=np.array(labels), judge=judge
    )


def test_accuracy_by_hand() -> None:
    given = judged([[1, 0], [0.5, 0.5], [0, 1], [1, 0], [0, 0], [1, 0]], [0, 0, 1, 1, 1, NO_CLASS])
    found = ClassAccuracy().compute(given)
    assert found["class_accuracy"] == pytest.approx((1 + 0.5 + 1) / 6)
    assert found["class_unlabelled"] == pytest.approx(1 / 6)
    assert found["class_accuracy_judged"] == pytest.approx(2.5 / 4)
    assert found["class_accuracy_worst"] == pytest.approx(1 / 3.5), "half of the unlabelled one is of each class"
    signature = ClassAccuracy().signature(given)
    assert signature == "class_accuracy|judge:test|judge_accuracy:0.5|judge_sha256:ffffffffffff|samples:6|v:1"


def test_of_a_class_without_samples_nothing_is_said() -> None:
    given = judged([[1, 0], [1, 0]], [0, 0])
    metric = ClassAccuracy()
    assert metric.compute(given).keys() == {"class_accuracy", "class_accuracy_judged", "class_unlabelled"}
    assert metric.absent(given) == {"class_accuracy_worst": "no sample is of class positive"}
    given = replace(given, reference_labels=np.array([0, 1]))
    assert (
        PerClass(orders=(1,)).missing(given)
        == "per_class needs two samples of each class, and there is none of positive"
    )


@pytest.mark.parametrize("metric", [ClassAccuracy(), PerClass(), NllClass()], ids=lambda metric: metric.name)
def test_without_classes_they_are_absent(metric: ClassAccuracy | PerClass | NllClass) -> None:
    plain = MetricInputs(samples=text("a"), references=text("a"), reference_ids=np.array([[1, 0]]), eos_id=0)
    assert metric.missing(plain) == f"{metric.name} needs a task with classes"


def test_no_metric_of_text_counts_a_label() -> None:
    words, labels = text("a b c d", "b c d e", "a a b b", "c d e f"), np.array([0, 0, 1, 1])
    raw = MetricInputs(
        samples=with_label(words, labels, IDS),
        references=with_label(words, labels, IDS),
        training=with_label(words, labels, IDS),
        validation=None,
    )
    found = labelled(raw, IDS, CLASSES)
    for ours in (found.samples, found.references, found.training):
        assert ours is not None
        assert ours.flat.tolist() == words.flat.tolist()
    assert found.validation is None
    assert found.sample_labels.tolist() == found.reference_labels.tolist() == labels.tolist()


def test_scores_inside_a_class_are_those_of_its_sentences_alone() -> None:
    rng = np.random.default_rng(1)
    numbers = [rng.integers(0, 7, size=(40, 6)), rng.integers(0, 4, size=(30, 6))]
    samples, references = (Tokens.from_rows(rows, None) for rows in numbers)
    labels, of_references = np.arange(40) % 2, np.arange(30) % 2
    given = LabelledInputs(
        samples=samples,
        references=references,
        classes=CLASSES,
        sample_labels=labels,
        reference_labels=of_references,
    )
    found = PerClass(orders=(2, 3)).estimates(given)
    assert found.keys() == PerClass(orders=(2, 3)).keys().keys()
    for inner, worst in ((Bleu, min), (SelfBleu, max), (MsJaccard, min)):
        parts = [
            inner(orders=(2, 3)).estimates(
                MetricInputs(
                    samples=samples.select(np.flatnonzero(labels == k)),
                    references=references.select(np.flatnonzero(of_references == k)),
                )
            )
            for k in (0, 1)
        ]
        for key, first in parts[0].items():
            second = parts[1][key]
            assert found[f"per_class_{key}"].value == pytest.approx((first.value + second.value) / 2)
            assert found[f"per_class_{key}"].standard_error == pytest.approx(
                math.hypot(first.standard_error or 0, second.standard_error or 0) / 2
            )
            assert found[f"per_class_{key}_worst"].value == worst(first.value, second.value)


def test_the_text_of_one_class_for_all_is_found_out_by_the_classes_apart() -> None:
    good, bad = text(*["a b c d"] * 5, *["a b c e"] * 5), text(*["e f g f"] * 5, *["g f e f"] * 5)
    both, labels = good.followed_by(bad), np.repeat([1, 0], 10)
    right = LabelledInputs(
        samples=both, references=both, classes=CLASSES, sample_labels=labels, reference_labels=labels
    )
    wrong = replace(right, samples=good.followed_by(good))
    metric = PerClass(orders=(2,))
    assert metric.compute(right)["per_class_ms_jaccard_2_worst"] == pytest.approx(1.0)
    assert metric.compute(wrong)["per_class_ms_jaccard_2_worst"] < 0.05


def test_nll_given_the_class_by_hand() -> None:
    rows = np.array([[10, 1, 0, 0], [11, 1, 2, 0], [11, 3, 0, 0]])
    joint, label = np.array([-5.0, -9.0, -4.0]), np.array([-1.0, -2.0, -2.0])
    given = as_labelled(
        MetricInputs(samples=text("a"), reference_ids=rows, eos_id=0, model_log_prob=lambda _: joint),
        classes=CLASSES,
        model_label_log_prob=lambda _: label,
        oracle_label_log_prob=lambda _: np.full(3, -math.log(2)),
    )
    found = NllClass().compute(given)
    assert found == {"nll_class": pytest.approx(13 / 7), "nll_class_worst": pytest.approx(4 / 2)}
    assert NllClass().absent(given) == {"kl_class_from_oracle": "the true distribution of the task is not known"}
    known = replace(given, oracle_log_prob=lambda _: np.array([-3.0, -4.0, -3.0]))
    assert NllClass().compute(known)["kl_class_from_oracle"] == pytest.approx((13 - 10 + 3 * math.log(2)) / 7)
    assert NllClass().needs_model("nll_class")
    impossible = replace(given, model_log_prob=lambda _: np.array([-5.0, -np.inf, -4.0]))
    assert NllClass().missing(impossible) == "the model gives 1 of 3 test sentences no finite log-probability"


def test_naive_bayes_against_the_formula() -> None:
    """Features of "a b" are a, b and the pair; each counts once in a text, counts are smoothed by 1."""
    texts, labels = text("a b", "a a", "c"), np.array([0, 0, 1])
    model = NaiveBayes.fit(texts, labels, 2)
    features = [{"a", "b", "ab"}, {"a", "aa"}, {"c"}]
    known = set().union(*features)
    total = [sum(map(len, features[:2])), 1]

    def posterior(of_text: set[str]) -> list[float]:
        logs = []
        for k, (prior, own) in enumerate([(2 / 3, features[:2]), (1 / 3, features[2:])]):
            rates = [(sum(f in each for each in own) + 1) / (total[k] + len(known)) for f in of_text & known]
            logs.append(math.log(prior) + sum(map(math.log, rates)))
        return [math.exp(log) / sum(map(math.exp, logs)) for log in logs]

    asked = text("a b", "c", "g g", "", "c a b")
    expected = [posterior(f) for f in ({"a", "b", "ab"}, {"c"}, {"g"}, set(), {"c", "a", "b", "ab"})]
    assert np.allclose(model.posteriors(asked), expected)


def test_a_judge_is_measured_on_what_it_did_not_learn() -> None:
    texts, labels = text("a b", "a c", "d e", "d f"), np.array([1, 1, 0, 0])
    judge = trained_judge(texts, labels, 2, text("a b", "d a", "d e", "d"), np.array([1, 0, 1, 0]))
    assert judge.name == "naive_bayes@1"
    assert judge.accuracy == pytest.approx(
        hits(judge.posteriors(text("a b", "d a", "d e", "d")), np.array([1, 0, 1, 0])).mean()
    )
    assert judge.accuracy < 1
    again = trained_judge(texts, labels, 2, texts, labels)
    assert again.sha256 == judge.sha256
    assert trained_judge(texts, 1 - labels, 2, texts, labels).sha256 != judge.sha256
    with pytest.raises(ValueError, match="class 1 has none"):
        trained_judge(texts, np.zeros(4, np.int64), 2, texts, labels)
