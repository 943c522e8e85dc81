"""The published COCO files: what they hold, how they are divided, and the resplit."""

import csv
from collections import Counter

import numpy as np
import pytest
from helpers.paths import STUDY

from bench.task import rows
from bench.tasks.image_coco import ImageCOCO
from metrics.bleu.metric import Bleu
from metrics.common.base import MetricInputs
from metrics.self_bleu.metric import SelfBleu

FILES = STUDY / "corpora" / "image_coco"
pytestmark = pytest.mark.skipif(not FILES.is_dir(), reason="needs the published files")


@pytest.fixture(scope="module", autouse=True)
def data_folder():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEXTGAN_BENCH_DATA", str(STUDY))
        yield


@pytest.fixture(scope="module")
def published():
    return ImageCOCO().load()


@pytest.fixture(scope="module")
def whole():
    return ImageCOCO(n_valid=0).load()


@pytest.fixture(scope="module")
def resplit():
    return ImageCOCO(split="resplit").load()


def counted(array):
    return Counter(map(tuple, array.tolist()))


def test_the_published_files(whole):
    facts = whole.facts
    assert (facts["train"], facts["valid"], facts["test"]) == (10_000, 0, 10_000)
    assert facts["vocabulary"] == 4_659 + 1  # and the end token
    assert facts["max_length"] == 37
    assert facts["duplicates_in_train"] == 46
    assert facts["duplicates_in_test"] == 130
    assert facts["test_sentences_in_train"] == 15
    assert facts["unseen_token_share"] == 0.038
    assert facts["mean_length"] == 11.36
    assert facts["mean_length_test"] == 11.21


def test_facts_equal_plain_counting(whole):
    sentences = {
        name: (FILES / file).read_text().splitlines()
        for name, file in (("train", "image_coco.txt"), ("test", "test_coco.txt"))
    }
    task = ImageCOCO()
    train, test = ([tuple(task.tokenize(line)) for line in sentences[name]] for name in ("train", "test"))
    assert whole.facts["duplicates_in_train"] == len(train) - len(set(train))
    assert whole.facts["duplicates_in_test"] == len(test) - len(set(test))
    known = set(train)
    assert whole.facts["test_sentences_in_train"] == sum(s in known for s in test)
    words = {w for s in train for w in s}
    unseen = sum(w not in words for s in test for w in s) / sum(map(len, test))
    assert whole.facts["unseen_token_share"] == pytest.approx(unseen, abs=5e-5)
    assert [tuple(s.split()) for s in whole.vocabulary.sentences(whole.references)] == test
    assert [tuple(s.split()) for s in whole.vocabulary.sentences(whole.training)] == train


def test_tokens_are_those_of_nltks_word_tokenize():
    from nltk import word_tokenize

    task = ImageCOCO()
    for line in (FILES / "image_coco.txt").read_text().splitlines()[:300]:
        assert task.tokenize(line) == word_tokenize(line.strip(), preserve_line=True)


def test_sentences_are_read_back_as_they_were_written(published):
    """Samples are stored as words joined by blanks; one sentence in 30,000 holds a word that NLTK would cut again."""
    task = ImageCOCO()
    for part, limit in ((published.training, 1), (published.references, 0)):
        sentences = published.vocabulary.sentences(part)
        assert sum(task.tokenize(s) != s.split() for s in sentences) <= limit
    assert task.tokenize('A sign : "Stop"') == ["a", "sign", ":", "``", "stop", "''"]
    assert task.tokenize("a sign : `` stop ''") == ["a", "sign", ":", "``", "stop", "''"]


def test_validation_comes_from_train_and_never_from_test(published, whole):
    assert published.vocabulary.words == whole.vocabulary.words
    assert (len(published.train), len(published.valid)) == (9_000, 1_000)
    assert counted(published.train) + counted(published.valid) == counted(whole.train)
    assert (published.test == whole.test).all()
    assert (published.references.flat == whole.references.flat).all()


def test_rows(published):
    spec = published.spec
    assert (spec.bos_id, spec.pad_id, spec.eos_id, spec.max_len) == (0, 0, 0, 37)
    assert published.vocabulary.words[0] == "<eos>"
    assert 0 < published.train.max() < spec.vocab_size
    ids, kept = rows(published.references, spec)
    assert (ids == published.test).all()
    assert len(ids) == 10_000 - published.facts["test_sentences_not_writable"] == 6_815
    assert len(kept) == 10_000


def test_the_resplit_is_one_distribution_without_duplicates(resplit, published):
    facts = resplit.facts
    assert facts["duplicates_in_train"] == facts["duplicates_in_test"] == facts["test_sentences_in_train"] == 0
    assert facts["valid_sentences_in_train"] == 0
    assert facts["train"] + facts["valid"] == facts["test"]
    assert facts["unseen_token_share"] < published.facts["unseen_token_share"]
    texts = [set(resplit.vocabulary.sentences(part)) for part in (resplit.training, resplit.references)]
    assert not texts[0] & texts[1]
    for word in ("bathroom", "skateboard"):  # hardly ever in one file, often in the other
        n = [sum(word in s.split() for s in part) / len(part) for part in texts]
        assert 0.6 < n[0] / n[1] < 1.6


@pytest.mark.parametrize(
    ("settings", "sha256"),
    [
        ({}, "31970076e43a47f057f0b3e54be59c7600d78af6cb41a1abcfc4e6450e608203"),
        ({"n_valid": 0}, "6468b033e8f4ff11ae05589f252359dee671d3a22b690024b68987d6567fbf29"),
        ({"split": "resplit"}, "f4f29a809d9da050314838b0d531fc926c6b1454a4b412e749dd9f21b71827cf"),
    ],
)
def test_data_never_change(settings, sha256):
    assert ImageCOCO(**settings).load().sha256 == sha256


def test_too_large_a_validation_set_is_refused():
    with pytest.raises(ValueError, match="n_valid must be under 10000"):
        ImageCOCO(n_valid=10_000).load()


def test_published_samples_get_their_published_scores(published):
    """Of the other files `tests/bench/score/test_explain.py` shows it."""
    name = "maligan"
    with (STUDY / "texygen_samples_scores.csv").open() as file:
        scores = {row["sample"]: row for row in csv.DictReader(file)}
    expected = scores[name]
    task = ImageCOCO()
    lines = (STUDY / "samples" / "image_coco" / f"texygen_{name}.txt").read_text().splitlines()
    samples = published.vocabulary.tokens(task.tokenize(line) for line in lines)
    assert len(samples) == int(expected["n_hyp"])
    assert samples.lengths.mean() == pytest.approx(float(expected["mean_len"]), abs=0.01)
    inputs = MetricInputs(samples=samples, references=published.references)
    bleu, self_bleu = Bleu().compute(inputs), SelfBleu().compute(inputs)
    for order in (2, 3, 4, 5):
        assert bleu[f"bleu_{order}"] == pytest.approx(float(expected[f"bleu{order}_test"]), abs=0.001)
        assert self_bleu[f"self_bleu_{order}"] == pytest.approx(float(expected[f"self_bleu{order}"]), abs=0.001)


def test_text_for_a_reader():
    assert ImageCOCO().detokenize("a man 's bike , parked .") == "a man's bike, parked."


def test_ids_are_plain_arrays(published):
    for part in (published.train, published.valid, published.test):
        assert part.dtype == np.int64
        assert part.shape[1] == 37
