"""EMNLP News: the error without the training file, and the split on a stand-in for it."""

import json
import re

import pytest
from helpers.paths import STUDY

from bench import data
from bench.tasks import emnlp_news
from bench.tasks.emnlp_news import EMNLPNews

TEST_FILE = STUDY / "corpora" / "emnlp_news" / "test_emnlp.txt"
needs_data = pytest.mark.skipif(not TEST_FILE.is_file(), reason="needs the published files")
pytestmark = pytest.mark.usefixtures("own_cache", "offline")


def test_without_the_training_file_the_error_says_what_to_do(monkeypatch, tmp_path):
    (tmp_path / "emnlp_news.txt").write_text("another file of this name\n")
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(tmp_path))
    with pytest.warns(UserWarning, match="checksum"), pytest.raises(FileNotFoundError) as error:
        EMNLPNews().load()
    for part in ("emnlp_news.txt", "git:538653e5f946b6f76e2b729c5aaa7507152354a3", "geek-ai/Texygen", "differs"):
        assert part in str(error.value)


@needs_data
def test_the_test_file_is_the_published_one():
    assert data.checksum(TEST_FILE, "sha256") == emnlp_news._TEST.checksum


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Files of made-up lines in place of the published ones."""
    texts = {"emnlp_news.txt": [f'He said : " Number {i} won ." ' for i in range(300)]}
    texts["test_emnlp.txt"] = [f"She saw number {i} , too .   " for i in range(290, 340)]
    for name, attribute in (("emnlp_news.txt", "_TRAIN"), ("test_emnlp.txt", "_TEST")):
        (tmp_path / name).write_text("\n".join(texts[name]) + "\n")
        file = data.RemoteFile(name=name, url="http://127.0.0.1:9/", checksum=data.checksum(tmp_path / name, "git"))
        monkeypatch.setattr(emnlp_news, attribute, file)
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(tmp_path))


@pytest.mark.usefixtures("stand_in")
def test_the_split_is_of_the_training_file():
    loaded = EMNLPNews(n_valid=50).load()
    assert (len(loaded.train), len(loaded.valid), len(loaded.references)) == (250, 50, 50)
    numbers = [
        set(re.findall(r"\d+", " ".join(loaded.vocabulary.sentences(part))))
        for part in (loaded.training, loaded.references)
    ]
    assert len(numbers[0]) == 250
    assert {"335", "she"} <= set(loaded.vocabulary.unseen)
    assert loaded.facts["test_sentences_in_train"] == 0
    assert loaded.vocabulary.sentences(loaded.references)[0] == "she saw number 290 , too ."


@pytest.mark.usefixtures("stand_in")
def test_a_subset_keeps_validation_and_vocabulary():
    whole, subset = EMNLPNews(n_valid=50).load(), EMNLPNews(n_valid=50, n_train=20).load()
    assert (whole.valid == subset.valid).all()
    assert whole.vocabulary == subset.vocabulary
    assert len(subset.train) == 20
    assert set(map(tuple, subset.train.tolist())) <= set(map(tuple, whole.train.tolist()))
    with pytest.raises(ValueError, match="n_train=251 and n_valid=50"):
        EMNLPNews(n_valid=50, n_train=251).load()
    with pytest.raises(ValueError, match="n_valid=300"):
        EMNLPNews(n_valid=300).load()


@pytest.mark.usefixtures("stand_in")
def test_case_is_a_setting_of_both_sides():
    assert "he" in EMNLPNews(n_valid=50).load().vocabulary.words
    kept = EMNLPNews(n_valid=50, lower=False).load()
    assert {"He", "Number"} <= set(kept.vocabulary.words)
    assert "She" in kept.vocabulary.unseen
    assert EMNLPNews(lower=False).tokenize("He won .") == ["He", "won", "."]


SMALL = STUDY / "corpora" / "emnlp_news" / "scratchgan_small"


@pytest.mark.skipif(not SMALL.is_dir(), reason="needs the sample data of ScratchGAN")
def test_the_small_split_has_three_files(monkeypatch):
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(STUDY))
    loaded = EMNLPNews(split="scratchgan", n_valid=10_000).load()
    assert (len(loaded.train), len(loaded.valid), len(loaded.references)) == (12_500, 9_735, 10_000)
    assert loaded.facts["test_sentences_in_train"] == 4
    first = json.loads((SMALL / "test.json").read_text(encoding="utf-8"))[0]["s"]
    assert loaded.vocabulary.sentences(loaded.references)[0] == " ".join(EMNLPNews().tokenize(first))
    part = EMNLPNews(split="scratchgan", n_train=10_000).load()
    assert (len(part.train), len(part.valid)) == (10_000, 4_873)
    assert part.vocabulary == loaded.vocabulary
    for settings in ({"n_train": 12_501}, {"n_valid": 10_001}):
        with pytest.raises(ValueError, match="asks for more than the 1"):
            EMNLPNews(split="scratchgan", **settings).load()
