"""Opinions turned round: one right answer, which the exact judge and the grammar bear out; inputs that a copy fails."""

from __future__ import annotations

import numpy as np
import pytest

from bench.config import build_metrics
from bench.rewriting.data import RewritingText
from bench.score.scoring import metric_inputs, real_text, score
from bench.tasks.grammar_transfer import GrammarTransfer
from metrics.common.labels import without_label
from metrics.common.tokens import Tokens

TASK = GrammarTransfer(n_train=400, n_valid=40, n_test=150)


def loaded() -> RewritingText:
    data = TASK.load()
    assert isinstance(data, RewritingText)
    return data


def test_the_right_answers_are_right_and_copies_are_not() -> None:
    data = loaded()
    answers = data.references
    assert 100 < len(answers.inputs) < 150
    right, skipped = score(build_metrics(TASK.metrics, {}), metric_inputs(data, answers.sets[0]))
    for key in ("exact_match", "transfer_accuracy", "validity", "reference_bleu"):
        assert right[key].value == pytest.approx(1, abs=1e-12)
    assert set(skipped) == {"reference_bleu_first", "reference_bleu_others"}
    copied, _ = score(build_metrics(TASK.metrics, {}), metric_inputs(data, answers.inputs))
    assert {copied[key].value for key in ("exact_match", "transfer_accuracy", "transfer_joint")} == {0.0}
    assert copied["transfer_content"].value == pytest.approx(copied["input_bleu"].value) == pytest.approx(1)
    assert answers.judge is not None
    own = answers.judge.posteriors(answers.inputs)
    assert (own[np.arange(len(own)), 1 - answers.wanted] == 1).all(), "an input of both classes has no other answer"
    assert real_text(data, 5) is answers.sets[0]


def test_training_text_is_unpaired_and_labelled_and_samples_are_not() -> None:
    data = loaded()
    assert set(data.train[:, 0]) == set(data.spec.class_ids)
    assert set(data.input_ids[:, 0]) == set(data.spec.class_ids)
    labels, inputs = without_label(Tokens.from_rows(data.input_ids, 0), data.spec.class_ids)
    assert (labels == 1 - data.references.wanted).all()
    assert data.vocabulary.sentences(inputs) == data.vocabulary.sentences(data.references.inputs)
    assert not any(sentence.startswith("<") for sentence in data.vocabulary.sentences(data.training))
    assert len(data.training) == len(data.train)


def test_the_hash_holds_what_is_wanted() -> None:
    data, again = loaded(), loaded()
    assert data.sha256 == again.sha256
    object.__setattr__(again.references, "wanted", 1 - again.references.wanted)
    del again.__dict__["sha256"]
    assert data.sha256 != again.sha256
