"""The grammar's probabilities against NLTK's chart parser and against counting every sentence."""

import dataclasses
import itertools
import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from helpers.paths import ROOT
from helpers.sentences import tokens
from nltk.grammar import PCFG
from nltk.parse.pchart import InsideChartParser

from bench.task import rows
from bench.tasks import grammar
from bench.tasks._pcfg import Grammar
from bench.tasks.grammar import GrammarTask

# recursive, ambiguous, with a chain of single symbols, a word beside symbols and a rule of three symbols
SMALL = """
S -> A B [0.5] | S 'x' S [0.2] | A [0.3]
A -> B [0.4] | 'y' [0.6]
B -> 'x' [0.5] | 'y' A 'z' [0.5]
"""

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEXTGAN_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        return GrammarTask(n_train=600, n_valid=150, n_test=400).load()


def every_sentence(n_words, max_len):
    lengths = range(1, max_len + 1)
    return tokens([sentence for n in lengths for sentence in itertools.product(range(n_words), repeat=n)])


def parsed(pcfg, words):
    """Probability of a sentence as the sum over its parses."""
    return math.fsum(tree.prob() for tree in InsideChartParser(pcfg).parse(words))


@pytest.mark.parametrize("max_len", [1, 3, 7])
def test_probabilities_of_all_sentences_sum_to_one(max_len):
    small = Grammar.read(SMALL, max_len)
    assert np.exp(small.log_prob(every_sentence(3, max_len))).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("text", [SMALL, grammar._text_of_rules()])
def test_a_kept_grammar_is_read_back_to_the_last_bit(text, tmp_path):
    read = Grammar.read(text, 7)
    np.savez(tmp_path / "kept.npz", **read.as_arrays())
    with np.load(tmp_path / "kept.npz") as file:
        again = Grammar.from_arrays(file, 7)
    for field in dataclasses.fields(Grammar):
        one, other = getattr(read, field.name), getattr(again, field.name)
        assert type(one) is type(other)
        assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other
    first, second = (g.sample(50, np.random.RandomState(1)) for g in (read, again))
    assert np.array_equal(first.flat, second.flat)


def test_nltk_is_loaded_once_on_a_machine():
    grammar._english.cache_clear()
    GrammarTask(n_train=9, n_valid=9, n_test=9).load()
    code = "import sys; from bench.tasks.grammar import GrammarTask as T; T(n_train=9, n_valid=9, n_test=9).load(); "
    code += "print('nltk' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert told == "False\n"


def test_probabilities_equal_nltks():
    small, pcfg = Grammar.read(SMALL, 5), PCFG.fromstring(SMALL)
    everything = every_sentence(3, 5)
    ours = np.exp(small.log_prob(everything) + small.log_total())
    chosen = np.random.RandomState(0).permutation(len(everything))[:60]
    chosen = np.unique(np.concatenate([chosen, np.argsort(-ours)[:60]]))
    theirs = [parsed(pcfg, [small.words[w] for w in everything.sentence(i)]) for i in chosen]
    assert np.count_nonzero(theirs) > 40
    np.testing.assert_allclose(ours[chosen], theirs, rtol=1e-9)


def test_draws_follow_the_probabilities():
    small = Grammar.read(SMALL, 5)
    everything = every_sentence(3, 5)
    expected = 20_000 * np.exp(small.log_prob(everything))
    drawn = small.sample(20_000, np.random.RandomState(0))
    counts = Counter(tuple(drawn.sentence(i)) for i in range(len(drawn)))
    observed = np.array([counts[tuple(everything.sentence(i))] for i in range(len(everything))])
    assert observed[expected == 0].sum() == 0
    often = expected > 5
    chi2 = ((observed - expected)[often] ** 2 / expected[often]).sum()
    assert chi2 < often.sum() + 5 * np.sqrt(2 * often.sum())


def test_a_grammar_that_cannot_be_scored_is_refused():
    with pytest.raises(ValueError, match="can become itself"):
        Grammar.read("S -> A [0.5] | 'x' [0.5]\nA -> S [1.0]", 3)
    with pytest.raises(ValueError, match="no rule"):
        Grammar.read("S -> A 'x' [1.0]", 3)


def test_english_equals_nltk(loaded):
    pcfg = PCFG.fromstring(grammar._text_of_rules())
    sentences = [s for s in loaded.vocabulary.sentences(loaded.references)[:100] if len(s.split()) <= 10][:12]
    ambiguous = "the man sees the dog near the tree ."  # the dog is near it, or he sees it there
    assert len(list(InsideChartParser(pcfg).parse(ambiguous.split()))) == 2
    sentences.append(ambiguous)
    expected = [math.log(parsed(pcfg, s.split())) - grammar._english().log_total() for s in sentences]
    ids, kept = rows(loaded.vocabulary.tokens(s.split() for s in sentences), loaded.spec)
    assert kept.all()
    np.testing.assert_allclose(loaded.oracle_log_prob(ids), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("sentence", "valid"),
    [
        ("the dog sleeps .", True),
        ("the dogs sleep .", True),
        ("mary says that the small dog that the farmers know sees many birds .", True),
        ("the dog near the houses sleeps .", True),
        ("the dog near the houses sleep .", False),
        ("many dog sleeps .", False),
        ("the dog sleeps", False),
        ("dog the sleeps .", False),
        ("", False),
        ("the zebra sleeps .", False),
        ("mary sees the dog near the dog near the dog near the dog near the dog .", False),
    ],
)
def test_validity_is_agreement_and_length(loaded, sentence, valid):
    tokens = loaded.vocabulary.tokens([sentence.split()])
    assert loaded.is_valid(tokens).tolist() == [valid]


def test_real_sentences_are_valid_and_possible(loaded):
    assert loaded.is_valid(loaded.references).all()
    assert loaded.is_valid(loaded.training).all()
    log_prob = loaded.oracle_log_prob(loaded.test)
    assert np.isfinite(log_prob).all()
    assert loaded.facts["entropy_per_sentence"] == pytest.approx(-log_prob.mean(), abs=1e-3)
    assert len(loaded.test) == len(loaded.references) == 400


def test_impossible_rows_have_probability_zero(loaded):
    rows = loaded.test[:3].copy()
    rows[0] = 0
    rows[1, 0] = loaded.spec.vocab_size
    assert np.isfinite(loaded.oracle_log_prob(rows)).tolist() == [False, False, True]
    with pytest.raises(ValueError, match="rows of 16 ids"):
        loaded.oracle_log_prob(rows[:, :5])


def test_copying_can_be_told_from_learning():
    facts = GrammarTask().load().facts
    assert facts["test_sentences_in_train"] / facts["test"] < 0.15
    assert facts["entropy_per_sentence"] > math.log(facts["train"]) + 5
    assert facts["unseen_token_share"] == 0


def test_data_never_change(loaded):
    assert loaded.sha256 == "b6510ddafa54cc50b21abc3f2063ca57ee7804960f78cb0139224c6655e5b75d"
    again = GrammarTask(n_train=600, n_valid=20, n_test=400).load()
    assert (again.test == loaded.test).all()


def test_text_for_a_reader():
    assert GrammarTask().detokenize("the dog sleeps .") == "The dog sleeps."
