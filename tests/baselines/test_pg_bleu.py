"""PG-BLEU's reward against NLTK, and its updates against obvious implementations."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from nltk.translate.bleu_score import modified_precision, sentence_bleu
from torch import Tensor

from baselines.common.spec import SequenceSpec
from baselines.pg_bleu import PGBLEU, BLEUReward

FIXED = SequenceSpec(vocab_size=4, max_len=9, bos_id=0, pad_id=None, eos_id=None)
ENDING = SequenceSpec(vocab_size=5, max_len=9, bos_id=1, pad_id=2, eos_id=3)


def rows(n: int, spec: SequenceSpec, seed: int, shortest: int = 0) -> Tensor:
    """Random sentences; where they may end, at any place from `shortest` words on."""
    random = torch.Generator().manual_seed(seed)
    if spec.eos_id is None:
        return torch.randint(4, (n, 9), generator=random)
    found = torch.tensor([0, 1, 4])[torch.randint(3, (n, 9), generator=random)]
    place, end = torch.arange(9), torch.randint(shortest, 11, (n, 1), generator=random)
    return found.where(place < end, 2).where(place != end, 3)


def words(row: list[int], spec: SequenceSpec) -> list[int]:
    return row[: row.index(3)] if spec.eos_id is not None and 3 in row else row


def nltks(row: list[int], references: list[list[int]], spec: SequenceSpec, *, skips: bool) -> float:
    """NLTK of today, which has 1e-200 or so where there is no trigram in common: 0; or with the weights of 3.2.1."""
    hypothesis = words(row, spec)
    if not hypothesis:
        return 0.0
    weights = [1 / 3, 1 / 3, 1 / 3]
    if skips:
        found = (modified_precision(references, hypothesis, n).numerator for n in (1, 2, 3))
        weights = [weight if matches else 0.0 for weight, matches in zip(weights, found, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sentence_bleu(references, hypothesis, weights) if weights[0] else 0.0


@pytest.mark.parametrize("spec", [FIXED, ENDING], ids=["fixed", "ending"])
@pytest.mark.parametrize("n_references", [2, 12])
@pytest.mark.parametrize("skips", [True, False])
def test_the_score_is_nltks(spec: SequenceSpec, n_references: int, skips: bool) -> None:
    known = rows(n_references, spec, 1, shortest=6)
    bleu = BLEUReward(spec, references=n_references, skips=skips)
    for batch in known.split(2):
        bleu.add(batch)
    sentences = torch.cat([rows(200, spec, 2), known])
    got = bleu.score(sentences).tolist()
    references = [words(row, spec) for row in known.tolist()]
    expected = [nltks(row, references, spec, skips=skips) for row in sentences.tolist()]
    assert got == pytest.approx(expected, abs=1e-6)
    assert got[-n_references:] == pytest.approx([1.0] * n_references)
    assert len({round(value, 4) for value in got}) > 20
    assert min(got) == 0 or n_references == 12 or (skips and spec is FIXED)


def test_a_sentence_without_a_trigram_in_common_gets_more_than_one_with_few() -> None:
    """By hand: p_2 = 1/3, no trigram; p_2 = 2/3 and one trigram of two, which is worth no more; no bigram; no word."""
    spec = SequenceSpec(vocab_size=6, max_len=4, bos_id=0, pad_id=None, eos_id=None)
    bleu = {skips: BLEUReward(spec, references=1, skips=skips) for skips in (True, False)}
    for each in bleu.values():
        each.add(torch.tensor([[1, 2, 3, 4]]))
    probes = torch.tensor([[1, 2, 4, 3], [4, 1, 2, 3], [1, 3, 2, 4], [5, 5, 5, 5]])
    assert bleu[True].score(probes).tolist() == pytest.approx([(1 / 3) ** (1 / 3)] * 2 + [1, 0], abs=1e-6)
    assert bleu[False].score(probes).tolist() == pytest.approx([0, (1 / 3) ** (1 / 3), 0, 0], abs=1e-6)


def test_an_ngram_counts_as_often_as_one_reference_has_it() -> None:
    """Two references with one "0 0" each do not make two."""
    spec = SequenceSpec(vocab_size=3, max_len=4, bos_id=0, pad_id=None, eos_id=None)
    bleu = BLEUReward(spec, references=2, skips=False)
    bleu.add(torch.tensor([[0, 0, 1, 2], [2, 1, 0, 0]]))
    assert bleu._precision(torch.tensor([[0, 0, 0, 0]]), 1).item() == 0.5
    assert bleu._precision(torch.tensor([[0, 0, 0, 0]]), 2).item() == pytest.approx(1 / 3)


def made(**settings: Any) -> PGBLEU:
    torch.manual_seed(0)
    return PGBLEU(PGBLEU.Config(**{"batch_size": 4, "mle_steps": 6, "reference_batches": 2, **settings}), FIXED)


def test_numbers_of_steps_of_the_first_release() -> None:
    settings = PGBLEU.Config()
    assert [(phase.name, phase.steps) for phase in PGBLEU(settings, FIXED).phases()] == [
        ("mle", 200 * 156),
        ("policy_gradient", 800),
    ]
    assert (settings.lr, settings.rollouts, settings.reference_batches * settings.batch_size) == (1e-3, 1, 3_968)
    without_a_match = torch.full((1, 9), 1)
    scores = []
    for model in (made(), made(unmatched="skipped"), made(unmatched="zero")):
        model.bleu.add(torch.tensor([[1, 0, 0, 0, 0, 0, 0, 0, 0]] * 4))
        scores.append(model.bleu.score(without_a_match).item())
    assert scores == pytest.approx([(1 / 9) ** (1 / 3)] * 2 + [0], abs=1e-6)


def test_references_are_the_first_sentences_of_pretraining() -> None:
    model = made()
    batches = list(rows(24, FIXED, 3).split(4))
    for batch in batches:
        model.mle_step(iter([batch]))
    expected = BLEUReward(FIXED, references=8, skips=True)
    for batch in batches[:2]:
        expected.add(batch)
    for name, kept in expected.named_buffers():
        assert torch.equal(model.bleu.get_buffer(name), kept)
        assert (kept >= 0).all()
    probe = rows(50, FIXED, 4)
    other = PGBLEU(model.config, FIXED)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.bleu.score(probe), model.bleu.score(probe))


def test_policy_gradient_is_the_sum_over_batch_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equation 4 in float64, one token at a time; equation 3 asks for BLEU."""
    model = made(clip_norm=1e9).double()
    tokens, rewards = rows(4, FIXED, 5), torch.rand(4, 9, dtype=torch.float64)
    loss, g = torch.zeros((), dtype=torch.float64), model.generator
    for b in range(4):
        for t in range(9):
            hidden = g.lstm(g.embedding(torch.tensor([[FIXED.bos_id, *tokens[b, :t].tolist()]])))[0][0, -1]
            loss = loss - rewards[b, t] * g.output(hidden).log_softmax(0)[tokens[b, t]]
    trained = [p for p in g.parameters() if p.requires_grad]
    expected = torch.autograd.grad(loss, trained)
    asked: list[Any] = []
    monkeypatch.setattr(g, "sample", lambda _: tokens)
    monkeypatch.setattr("baselines.pg_bleu.rollout_rewards", lambda *given: asked.append(given) or rewards)
    values = model.generator_step(iter([]))
    assert asked[0][2:] == (model.bleu.score, 1)
    assert values["g_loss"].item() == pytest.approx(loss.item(), abs=1e-9)
    for parameter, gradient in zip(trained, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-5, atol=1e-10)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="reference_batches must be at most mle_steps, got 62 and 10"):
        PGBLEU.Config(mle_steps=10)
    wide = SequenceSpec(vocab_size=3_000_000, max_len=20, bos_id=0, pad_id=None, eos_id=None)
    with pytest.raises(ValueError, match="3000000 words and 20 positions are too many"):
        BLEUReward(wide, references=1, skips=True)


def test_the_generator_rises_in_bleu() -> None:
    torch.manual_seed(0)
    model = PGBLEU(PGBLEU.Config(batch_size=32, lr=1e-2, mle_steps=2, reference_batches=2, rollouts=4), FIXED)
    real = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 0]]).expand(32, -1)
    for _ in range(2):
        model.mle_step(iter([real]))
    before = model.bleu.score(model.sample(500)).mean()
    for _ in range(100):
        model.generator_step(iter([]))
    assert model.bleu.score(model.sample(500)).mean() > before + 0.2
