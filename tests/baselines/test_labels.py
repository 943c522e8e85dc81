"""What models do with labels: the n-gram of a class, the controls of classes, a generator for each class."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.common.spec import LabelledSpec, SequenceSpec
from baselines.common.training.state import DiscriminatorPool, kinds_of
from baselines.mle import MLE
from baselines.ngram import NGram
from baselines.one_label import OneLabel
from baselines.sentigan import SentiGAN
from baselines.shuffled_labels import ShuffledLabels

SPEC = LabelledSpec(vocab_size=8, max_len=6, bos_id=0, pad_id=0, eos_id=0, classes=("negative", "positive"))
WORDS = SequenceSpec(vocab_size=6, max_len=5, bos_id=0, pad_id=0, eos_id=0)
NEGATIVE, POSITIVE = SPEC.class_ids


def sentences(n: int = 64) -> Tensor:
    """Negative ones count up, positive ones down, three times as many negative."""
    starts = torch.arange(n) % 5
    up = (starts[:, None] + torch.arange(5)) % 5 + 1
    labels = torch.where(torch.arange(n) % 4 == 0, POSITIVE, NEGATIVE)
    words = torch.where((labels == POSITIVE)[:, None], up.flip(1), up)
    words[torch.arange(n) % 3 == 0, 3:] = 0
    return torch.cat([labels[:, None], words], 1)


def rising(rows: Tensor) -> float:
    """Share of sentences whose second word counts up from the first, as negative ones do."""
    return (rows[:, 2] == rows[:, 1] % 5 + 1).float().mean().item()


def collected(kind: Any, rows: Tensor, spec: SequenceSpec = SPEC, **settings: Any) -> Any:
    model = kind(kind.Config(batch_size=16, batches=len(rows) // 16, **settings), spec)
    stream = iter(rows.split(16))
    for phase in model.phases():
        for _ in range(phase.steps):
            phase.step(stream)
    return model


def test_the_ngram_of_a_class_is_that_of_its_sentences() -> None:
    rows = sentences()
    model = collected(NGram, rows, sharpen=1.3)
    shares = {NEGATIVE: 0.75, POSITIVE: 0.25}
    for label, share in shares.items():
        own = rows[rows[:, 0] == label]
        alone = NGram(NGram.Config(batch_size=len(own), batches=1, sharpen=1.3), WORDS)
        alone.collect(iter([own[:, 1:]]))
        asked = torch.cat([torch.full((len(rows), 1), label), rows[:, 1:]], 1)
        words = model.log_prob(asked) - model.label_log_prob(asked)
        assert torch.allclose(words, alone.log_prob(rows[:, 1:]), atol=1e-5)
        assert torch.allclose(model.label_log_prob(asked), torch.tensor(share).log())
    none = torch.cat([torch.full((1, 1), 3), rows[:1, 1:]], 1)
    twice = torch.tensor([[POSITIVE, 1, NEGATIVE, 0, 0, 0]])
    assert (model.log_prob(torch.cat([none, twice])) == -torch.inf).all()


def test_no_label_is_written_among_the_words() -> None:
    model = collected(NGram, sentences(), sharpen=0.3)
    torch.manual_seed(0)
    drawn = model.sample(2_000)
    assert not (drawn[:, 1:] >= NEGATIVE).any()
    assert (drawn[:, 0] == NEGATIVE).float().mean().item() == pytest.approx(0.75, abs=0.05)


@pytest.mark.parametrize("kind", [ShuffledLabels, OneLabel])
def test_the_controls_copy_words_under_any_label(kind: Any) -> None:
    rows = sentences()
    model = collected(kind, rows)
    torch.manual_seed(0)
    labels = torch.tensor([NEGATIVE, POSITIVE]).repeat(500)
    drawn = model.sample(1_000, labels=labels)
    assert torch.equal(drawn[:, 0], labels)
    of_class = {label: {tuple(row) for row in rows[rows[:, 0] == label, 1:].tolist()} for label in (NEGATIVE, POSITIVE)}
    source = of_class[NEGATIVE] if kind is OneLabel else of_class[NEGATIVE] | of_class[POSITIVE]
    for label in (NEGATIVE, POSITIVE):
        written = {tuple(row) for row in drawn[labels == label, 1:].tolist()}
        assert written == source, "the same under each label"
    own = model.sample(1_000)[:, 0]
    assert (own == NEGATIVE).float().mean().item() == pytest.approx(0.5, abs=0.08)
    assert torch.equal(rows, sentences()), "what is stored stays as it is"
    with pytest.raises(ValueError, match="has no temperature"):
        model.sample(1, temperature=0.5)
    plain = collected(kind, rows[:, 1:], WORDS)
    assert {tuple(row) for row in plain.sample(500).tolist()} <= of_class[NEGATIVE] | of_class[POSITIVE]


def test_kinds_are_labels_where_there_are_as_many() -> None:
    rows = sentences(8)
    assert kinds_of(rows, SPEC, 2).tolist() == (rows[:, 0] - NEGATIVE + 1).tolist()
    assert kinds_of(rows, SPEC, 3).tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert kinds_of(rows, WORDS, 2).tolist() == [1, 2] * 4


def test_a_pool_holds_real_sentences_with_their_own_kinds() -> None:
    pool = DiscriminatorPool(SPEC, batches=2, batch_size=8, epochs=1, kinds=2)
    stream = iter(sentences().split(8))
    found = [pool.next(stream, lambda n: torch.zeros(n, 6, dtype=torch.int64)) for _ in range(4)]
    for tokens, kinds in found:
        real = tokens[:, 0] > 0
        assert torch.equal(kinds[real], tokens[real, 0] - NEGATIVE + 1)
        assert (kinds[~real] == 0).all()


@pytest.mark.parametrize("place", [0, 300])
def test_ngram_chooses_its_sharpening_where_a_class_has_one_sentence(place: int) -> None:
    """Held out or not: what is left of the class in the other part says nothing of a power of the counts."""
    rows = sentences(400)
    rows[:, 0] = NEGATIVE
    rows[place, 0] = POSITIVE
    model = NGram(NGram.Config(batch_size=40, batches=10), SPEC)
    for batch in rows.split(40):
        model.collect(iter([batch]))
    found = model.choose_sharpening(iter([]))
    assert found["held_out_nll"].isfinite()
    likelihood = {}
    for sharpen in (0.6, 0.8, 1.0, 1.2, 1.5, 2.0):
        other = NGram(NGram.Config(sharpen=sharpen, batch_size=38, batches=10), SPEC)
        for batch in rows[20:].split(38):
            other.collect(iter([batch]))
        likelihood[sharpen] = other.log_prob(rows[int(place == 0) : 20]).sum().item()
    assert found["sharpening"].item() == pytest.approx(max(likelihood, key=likelihood.__getitem__))


def test_each_generator_of_sentigan_writes_its_class() -> None:
    small = {"batch_size": 16, "mle_steps": 150, "embedding_dim": 8, "hidden_dim": 8}
    torch.manual_seed(1)
    model = SentiGAN(SentiGAN.Config(generators=2, **small), SPEC)
    stream = iter(sentences().repeat(50, 1).split(16))
    for _ in range(150):
        model.mle_step(stream)
    torch.manual_seed(2)
    told = model.sample(400, labels=torch.tensor([NEGATIVE, POSITIVE]).repeat(200))
    assert told[:, 0].tolist() == [NEGATIVE, POSITIVE] * 200
    assert rising(told[::2]) > 0.7
    assert rising(told[1::2]) < 0.3
    assert (model.sample(400)[:, 0] == POSITIVE).float().mean().item() == pytest.approx(0.5, abs=0.05)
    with pytest.raises(ValueError, match=r"set generators to 2, or to 1 .* got 3"):
        SentiGAN(SentiGAN.Config(generators=3, batch_size=15), SPEC)


def test_sentigan_writes_after_a_label_what_it_says_even_where_its_generators_write_each_others() -> None:
    torch.manual_seed(3)
    model = SentiGAN(SentiGAN.Config(generators=2, batch_size=4, embedding_dim=4, hidden_dim=4), SPEC)
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(6)  # each prefers some words to others
    pairs = torch.tensor([[POSITIVE, word] for word in range(SPEC.vocab_size)])
    assert (model.label_log_prob(pairs) <= 0).all()
    given = (model.log_prob(pairs) - model.label_log_prob(pairs)).exp()
    assert given.sum().item() == pytest.approx(1.0, abs=1e-4)
    drawn = model.sample(4_000, labels=torch.full((4_000,), POSITIVE))
    shares = drawn[:, 1].bincount(minlength=SPEC.vocab_size) / len(drawn)
    assert (shares - given).abs().max().item() < 0.04
    own = [one.log_prob(pairs).exp() / one.log_prob(pairs[:, :1]).exp() for one in model._generators()]
    assert max((one - given).abs().max().item() for one in own) > 0.1, "it is neither generator's alone"


def test_a_batch_without_a_class_moves_its_generator_nowhere() -> None:
    model = SentiGAN(SentiGAN.Config(generators=2, batch_size=4, embedding_dim=4, hidden_dim=4), SPEC)
    before = {name: value.clone() for name, value in model.generators[1].state_dict().items()}
    logged = model.imitate(sentences(16)[1:4], torch.tensor([1, 1, 1]))
    assert logged["nll"].isfinite()
    for name, value in model.generators[1].state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_language_model_goes_on_from_its_label() -> None:
    torch.manual_seed(1)
    model = MLE(MLE.Config(batch_size=16, embedding_dim=16, hidden_dim=16), SPEC)
    stream = iter(sentences().repeat(50, 1).split(16))
    for _ in range(200):
        model.mle_step(stream)
    rows = sentences()
    share = model.label_log_prob(rows).exp()
    assert share[rows[:, 0] == NEGATIVE].mean().item() == pytest.approx(0.75, abs=0.1)
    told = {label: model.sample(300, labels=torch.full((300,), label)) for label in SPEC.class_ids}
    assert all((rows[:, 0] == label).all() for label, rows in told.items())
    assert rising(told[NEGATIVE]) > rising(told[POSITIVE]) + 0.3
