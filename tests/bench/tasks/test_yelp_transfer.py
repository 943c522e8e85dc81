"""Yelp: its inputs stand in no training text, its judge is good, and copying has the published surprise."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.config import build_metrics
from bench.rewriting.data import RewritingText
from bench.score.scoring import metric_inputs, score
from bench.tasks import _text
from bench.tasks.yelp_transfer import YelpTransfer


def test_the_heldout_split_on_the_published_files(study_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(study_data))
    data = YelpTransfer(split="heldout").load()
    assert isinstance(data, RewritingText)
    answers = data.references
    assert (len(answers.inputs), len(answers.sets), data.facts["train"]) == (1_000, 4, 60_473)
    assert list(answers.wanted) == [1] * 500 + [0] * 500
    assert answers.judge is not None
    assert answers.judge.accuracy is not None
    assert answers.judge.accuracy > 0.94
    asked = set(_text.fingerprints(answers.inputs).tolist())
    for text in (*answers.class_text, data.training):
        assert not asked & set(_text.fingerprints(text).tolist())
    sentence = data.vocabulary.sentences(answers.inputs)[0]
    assert sentence == "ever since joes has changed hands it 's just gotten worse and worse ."
    found, _ = score(build_metrics(["reference_bleu"], {}), metric_inputs(data, answers.inputs))
    assert round(100 * found["reference_bleu"].value, 1) == 64.3
    assert round(100 * found["reference_bleu_others"].value, 1) == 60.0
    people, _ = score(build_metrics(["reference_bleu"], {}), metric_inputs(data, answers.sets[answers.shown]))
    assert round(100 * people["reference_bleu_others"].value, 1) == 57.7


def test_more_sentences_than_there_are_are_refused(study_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(study_data))
    with pytest.raises(ValueError, match="ask for more than the 62,473 sentences of split=heldout"):
        YelpTransfer(split="heldout", n_train=70_000).load()


@pytest.mark.usefixtures("own_cache", "offline")
def test_without_file_and_network_it_says_what_to_put_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEXTGAN_BENCH_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"li\.sentiment\.test\.0 is not on this machine"):
        YelpTransfer().load()
