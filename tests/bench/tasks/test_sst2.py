"""SST-2: the published split, and a judge that has seen no sentence of train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.labels.data import LabelledText
from bench.tasks.sst2 import SST2
from metrics.common.labels import without_label


def test_the_published_split(study_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(study_data))
    task = SST2()
    found = task.load()
    assert isinstance(found, LabelledText)
    assert [found.facts[part] for part in ("train", "valid", "test")] == [4_004, 492, 1_053]
    assert found.judge.accuracy == found.facts["judge_accuracy"] == 0.7447
    labels, texts = without_label(found.references, found.spec.class_ids)
    assert texts.lengths.max() == 20
    assert labels[0] == 0
    sentence = found.vocabulary.sentences(found.references.select(np.array([0])))[0]
    assert task.detokenize(sentence) == "negative\tno movement, no yuks, not much of anything."
    everything = SST2(max_words=60).load()
    assert [everything.facts[part] for part in ("train", "valid", "test")] == [6_920, 872, 1_821]


@pytest.mark.usefixtures("own_cache", "offline")
def test_without_file_and_network_it_says_what_to_put_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEXTGAN_BENCH_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"stsa\.binary\.train is not on this machine"):
        SST2().load()
