"""Captions: both directions have the same factual inputs, and nothing that is learnt from holds an answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.config import build_metrics
from bench.rewriting.data import RewritingText
from bench.score.scoring import metric_inputs, score
from bench.tasks import _text
from bench.tasks.captions_style import CaptionsStyle


def test_the_published_captions(study_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(study_data))
    data = CaptionsStyle().load()
    assert isinstance(data, RewritingText)
    answers = data.references
    assert (len(answers.inputs), len(answers.sets), data.facts["train"], data.facts["valid"]) == (600, 1, 8_000, 400)
    assert list(answers.wanted) == [1] * 300 + [0] * 300
    inputs, people = (data.vocabulary.sentences(text) for text in (answers.inputs, answers.sets[0]))
    assert inputs[:300] == inputs[300:]
    assert inputs[0] == "the group of hikers is resting in front of a mountain ."
    assert people[0] == "a group of backpackers lay on the dry ground exhausted after a long day of hiking ."
    assert people[300] == "several hikers , gear , mountain in hopes of seeing a bear ."
    held = {*_text.fingerprints(answers.inputs).tolist(), *_text.fingerprints(answers).tolist()}
    for text in (*answers.class_text, data.training, data.validation):
        assert not held & set(_text.fingerprints(text).tolist())
    assert answers.judge is not None
    assert answers.judge.accuracy is not None
    assert answers.judge.accuracy > 0.72
    assert np.mean(data.input_ids[:, 0] == data.spec.class_ids[0]) == 0.5
    found, skipped = score(
        build_metrics(["transfer", "reference_bleu", "target_nll"], {}), metric_inputs(data, answers.inputs)
    )
    assert skipped.keys() == {"reference_bleu_first", "reference_bleu_others"}, "one person wrote each answer"
    assert found["transfer_content"].value == 1
    assert found["transfer_accuracy"].value == 0.5, "the same sentences, wanted in each style"
    assert 0 < found["reference_bleu"].value < 0.3
