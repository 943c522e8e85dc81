"""The oracle against published numbers, regenerated weights, and brute force."""

import itertools
import os
import pickle

import numpy as np
import pytest
from helpers.paths import STUDY
from safetensors.numpy import load_file

from bench.tasks import _oracle
from bench.tasks._philox import philox, random_normal
from bench.tasks.oracle_lstm import OracleLSTM

PUBLISHED = STUDY / "oracles" / "target_params_py3.pkl"
WHOLE = os.environ.get("TEXTGAN_BENCH_VERIFY") == "all"
needs_data = pytest.mark.skipif(not PUBLISHED.is_file(), reason="needs the published files")
TINY = {"vocab_size": 5, "hidden_size": 4, "length": 4, "n_train": 40, "n_valid": 10, "n_test": 20}

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def seqgan():
    return _oracle.read_pickle(PUBLISHED)


def published_ids(name):
    return np.loadtxt(STUDY / "samples" / f"{name}.ids.txt", dtype=np.int64)


def mean_and_error(oracle, ids):
    nll = -oracle.log_prob(ids) / ids.shape[1]
    return nll.mean(), nll.std() / np.sqrt(len(nll))


def slow_log_prob(tensors, ids):
    """One sentence, one token, one gate at a time, as the paper has it."""
    e, wi, ui, bi, wf, uf, bf, wo, uo, bo, wc, uc, bc, out, bias = (np.asarray(t, np.float64) for t in tensors)
    h = c = np.zeros(len(ui))
    x, total = e[0], 0.0
    for token in ids:
        i, f, o = (1 / (1 + np.exp(-(x @ w + h @ u + b))) for w, u, b in ((wi, ui, bi), (wf, uf, bf), (wo, uo, bo)))
        c = f * c + i * np.tanh(x @ wc + h @ uc + bc)
        h = o * np.tanh(c)
        logits = h @ out + bias
        total += logits[token] - np.logaddexp.reduce(logits)
        x = e[token]
    return total


def test_probabilities_of_all_sentences_sum_to_one():
    oracle = _oracle.seeded(5, 4, 1)
    everything = np.array(list(itertools.product(range(5), repeat=4)))
    assert np.exp(oracle.log_prob(everything)).sum() == pytest.approx(1, abs=1e-6)


def test_log_prob_equals_the_obvious_implementation():
    oracle = _oracle.seeded(50, 8, 1)
    ids = np.random.RandomState(0).randint(50, size=(300, 7))
    expected = [slow_log_prob(oracle.tensors, row) for row in ids]
    np.testing.assert_allclose(oracle.log_prob(ids), expected, atol=2e-5)


@pytest.mark.parametrize(("vocab_size", "scale"), [(50, 1.0), (1201, 1.0), (1201, 8.0), (50, 60.0)])
def test_tiles_and_large_logits_change_nothing(vocab_size, scale):
    """More words than a tile has, more positions, and logits whose odds no float32 holds."""
    oracle = _oracle.Oracle(tuple(scale * t for t in _oracle.seeded(vocab_size, 8, 1).tensors))
    ids = np.random.RandomState(0).randint(vocab_size, size=(130, 5))
    with np.errstate(over="ignore"):
        expected = [slow_log_prob(oracle.tensors, row) for row in ids]
    found = oracle.log_prob(ids)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, rtol=3e-5, atol=2e-5)
    np.testing.assert_allclose(found.mean(), np.mean(expected), rtol=3e-6)


def test_what_cannot_be_said_has_probability_zero():
    oracle = _oracle.seeded(5, 4, 1)
    assert np.isneginf(oracle.log_prob(np.array([[0, 1, 5], [0, -1, 2]]))).all()
    assert np.isfinite(oracle.log_prob(np.array([[0, 1, 5], [0, 1, 2]]))).tolist() == [False, True]
    assert oracle.log_prob(np.empty((0, 3), np.int64)).shape == (0,)
    with pytest.raises(ValueError, match="rows of ids"):
        oracle.log_prob(np.arange(3))


def test_samples_follow_the_distribution():
    oracle = _oracle.seeded(5, 4, 1)
    ids = oracle.sample(20_000, 3, np.random.RandomState(0))
    counts = np.bincount(ids @ [25, 5, 1], minlength=125)
    expected = 20_000 * np.exp(oracle.log_prob(np.array(list(itertools.product(range(5), repeat=3)))))
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert chi2 < 124 + 5 * np.sqrt(2 * 124)


def test_the_fast_draw_is_the_exact_draw(monkeypatch):
    oracle = _oracle.seeded(1000, 16, 1)
    fast = oracle.sample(200, 10, np.random.RandomState(0))
    unsure = lambda odds, uniform, error: (np.zeros(len(uniform), np.int64), np.zeros(len(uniform), bool))  # noqa: E731
    monkeypatch.setattr(_oracle, "_invert_roughly", unsure)
    assert (oracle.sample(200, 10, np.random.RandomState(0)) == fast).all()


def test_a_shorter_draw_is_the_beginning_of_a_longer_one():
    oracle = _oracle.seeded(100, 8, 1)
    few, many = (oracle.sample(n, 6, np.random.RandomState(3)) for n in (10, 300))
    assert (few == many[:10]).all()


@pytest.mark.parametrize(
    ("settings", "sha256"),
    [
        (TINY, "26e0c32af0397a008ecccee9b2d194ec88534cff7211deab02cce97e648d87d5"),
        (OracleLSTM.scales["smoke"], "4210fc3c0fb30564a3b97e050fb20cac1d0f56e8b9c62ab254c6a7c30e631dc8"),
        (
            {"n_train": 300, "n_valid": 50, "n_test": 300},
            "e1409018aa203c06d99949c3cb43e58f2180c0a5e396e9927c9096a0b962165c",
        ),
    ],
)
def test_seeded_data_never_change(settings, sha256):
    assert OracleLSTM(**settings).load().sha256 == sha256


def test_loaded_data():
    loaded = OracleLSTM(**TINY).load()
    again = OracleLSTM(**TINY).load()  # from the cache
    assert loaded.sha256 == again.sha256
    assert (loaded.train.shape, loaded.valid.shape, loaded.test.shape) == ((40, 4), (10, 4), (20, 4))
    assert loaded.train.dtype == np.int64
    spec = loaded.spec
    assert (spec.vocab_size, spec.max_len, spec.bos_id, spec.pad_id, spec.eos_id) == (5, 4, 0, None, None)
    assert loaded.vocabulary.words == ("0", "1", "2", "3", "4")
    assert (loaded.references.flat.reshape(20, 4) == loaded.test).all()
    own = loaded.facts["own_nll_per_token"]
    assert own == pytest.approx(-loaded.oracle_log_prob(loaded.test).mean() / 4, abs=1e-4)


def test_the_size_of_one_split_does_not_change_another():
    one, other = OracleLSTM(**TINY).load(), OracleLSTM(**TINY | {"n_valid": 3, "n_train": 7}).load()
    assert (one.test == other.test).all()
    assert (one.train[:7] == other.train).all()


def test_sizes_resolve_to_the_published_ones():
    default, long = OracleLSTM(), OracleLSTM(parameters="leakgan40")
    assert (default.length, default.hidden_size) == (20, 32)
    assert (long.length, long.hidden_size) == (40, 64)


@pytest.mark.parametrize("wrong", [{"vocab_size": 100}, {"hidden_size": 64}])
def test_a_published_oracle_has_its_own_sizes(wrong):
    with pytest.raises(ValueError, match="other sizes need parameters=seeded"):
        OracleLSTM(parameters="seqgan", **wrong)


def test_without_the_file_seqgan_says_what_is_missing(monkeypatch, tmp_path, offline):
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"target_params_py3\.pkl"):
        OracleLSTM(parameters="seqgan").load()


def test_philox_known_answers():
    """The test vectors of Random123 (kat_vectors, philox4x32 with 10 rounds)."""
    ones = 0xFFFFFFFF
    vectors = [
        ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([ones] * 4, [ones] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ]
    for counter, key, expected in vectors:
        words = philox(np.array(counter, np.uint64)[:, None], np.array(key, np.uint64))
        assert words[:, 0].tolist() == expected


def test_random_normal_is_normal_and_takes_any_shape():
    drawn = random_normal((101, 99), 1, 2)
    assert drawn.dtype == np.float32
    assert abs(drawn.mean()) < 0.05
    assert drawn.std() == pytest.approx(1, abs=0.03)
    assert (random_normal((7,), 1, 2) == drawn.reshape(-1)[:7]).all()


@needs_data
@pytest.mark.parametrize(
    ("make", "file"),
    [
        (_oracle.leakgan40, "leakgan40_oracle_recovered"),
        (_oracle.relgan, "relgan_oracle_h32"),
        (lambda: _oracle.read_pickle(PUBLISHED), "seqgan_oracle"),
    ],
)
def test_regenerated_tensors_equal_the_stored_ones(make, file):
    stored = load_file(STUDY / "oracles" / f"{file}.safetensors")
    for name, tensor in zip(_oracle.TENSORS, make().tensors, strict=True):
        np.testing.assert_allclose(tensor, stored[name], rtol=0, atol=1e-6)


@needs_data
@pytest.mark.parametrize(("parameters", "expected"), [("seqgan", 5.7565), ("leakgan40", 4.184), ("relgan", 5.819)])
def test_own_nll(parameters, expected, monkeypatch):
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(STUDY))
    loaded = OracleLSTM(parameters=parameters, n_train=1, n_valid=1, n_test=1500).load()
    assert loaded.spec.max_len == (40 if parameters == "leakgan40" else 20)
    facts = loaded.facts
    assert abs(facts["own_nll_per_token"] - expected) < 3 * facts["own_nll_standard_error"]


@needs_data
def test_uniform_ids_under_seqgan(seqgan):
    mean, error = mean_and_error(seqgan, np.random.RandomState(0).randint(5000, size=(2000, 20)))
    assert abs(mean - 11.43) < 3 * error + 0.005


# Of each file every fifth sentence is scored, and the whole where everything is to be verified: both values are known.
@needs_data
@pytest.mark.parametrize(
    ("name", "whole", "fifth", "printed"),
    # the printed values were taken from part of each file
    [("seqgan_chenchengkuan", 8.6723, 8.6820, 8.663), ("collapsed_panxiebit", 5.9175, 5.91707, 5.919)],
)
def test_published_ids_of_length_20(seqgan, name, whole, fifth, printed):
    mean, error = mean_and_error(seqgan, published_ids(f"oracle20/{name}")[:: 1 if WHOLE else 5])
    assert mean == pytest.approx(whole if WHOLE else fifth, abs=5e-5 + 1e-5)
    assert abs(mean - printed) < 3 * error


@needs_data
@pytest.mark.parametrize(
    ("name", "whole", "fifth"), [("leakgan_real", 4.1804, 4.16690), ("leakgan_generated", 7.360, 7.36704)]
)
def test_published_ids_of_length_40(name, whole, fifth):
    mean, error = mean_and_error(_oracle.leakgan40(), published_ids(f"oracle40/{name}")[:: 1 if WHOLE else 5])
    assert mean == pytest.approx(whole if WHOLE else fifth, abs=5e-4 if WHOLE else 6e-5)
    assert abs(mean - whole) < 3 * error


class Malicious:
    def __reduce__(self):
        return os.system, ("exit 1",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps([Malicious()]),
        pickle.dumps([np.zeros(3)] * 3, protocol=2),
        pickle.dumps({"a": 1}),
        pickle.dumps([np.array([Malicious()], dtype=object)]),
        b"",
        b"not a pickle",
        b"\x80\x04\x95" + bytes([255]) * 8 + b"N.",  # a frame of 2^64 bytes
        b"\x80\x05\x96" + (2**62).to_bytes(8, "little") + b".",  # a byte array of 2^62
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # an object numbered 2^31
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nJ\xff\xff\xff\x7fC\x01btR.",
    ],
    ids=["code", "too few", "no list", "objects", "empty", "junk", "frame", "byte array", "memo", "shape"],
)
def test_a_pickle_of_anything_else_is_refused(tmp_path, content, monkeypatch):
    monkeypatch.setattr(os, "system", lambda *_: pytest.fail("the pickle ran code"))
    (tmp_path / "oracle.pkl").write_bytes(content)
    with pytest.raises(ValueError, match=r"oracle\.pkl (is|holds|: )"):
        _oracle.read_pickle(tmp_path / "oracle.pkl")


def test_the_refusal_names_what_the_pickle_wanted(tmp_path):
    (tmp_path / "oracle.pkl").write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(ValueError, match=r"system, which is not allowed"):
        _oracle.read_pickle(tmp_path / "oracle.pkl")
