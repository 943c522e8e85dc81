"""RankGAN's ranks, losses and rewards against slow, obvious implementations of its equations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from helpers.parameters import copies, unchanged
from torch import Tensor

from baselines.common.networks.cnn import CNNClassifier
from baselines.common.networks.lstm import LSTMLanguageModel
from baselines.common.networks.ranker import Ranker
from baselines.common.spec import SequenceSpec
from baselines.common.training.rollout import rollout_rewards, rollout_scores
from baselines.rankgan import RankGAN

TASK = SequenceSpec(vocab_size=12, max_len=5, bos_id=0, pad_id=None, eos_id=None)
ENDING = SequenceSpec(vocab_size=6, max_len=5, bos_id=1, pad_id=2, eos_id=3)


def gan(spec: SequenceSpec = TASK, **settings: Any) -> RankGAN:
    torch.manual_seed(0)
    defaults: dict[str, Any] = {"batch_size": 4, "g_batch_size": 3, "pool_batches": 3, "d_pretrain_steps": 18}
    more: dict[str, Any] = {"mle_steps": 2, "iterations": 2, "d_steps": 5, "rollouts": 2, "references": 4}
    return RankGAN(RankGAN.Config(**{**defaults, **more, **settings}), spec)


def stream(model: RankGAN) -> Iterator[Tensor]:
    """Words 1 to 8; each batch is another."""
    random = torch.Generator().manual_seed(1)
    while True:
        yield torch.randint(1, 9, (model.config.batch_size, TASK.max_len), generator=random)


def test_released_numbers_of_steps() -> None:
    settings = RankGAN.Config()
    phases = RankGAN(settings, TASK).phases()
    assert [(phase.name, phase.steps) for phase in phases] == [
        ("mle", 120 * 156),
        ("ranker", 50 * 3 * 312),
        ("adversarial", 200 * (1 + 5 * 312)),
    ]
    assert (settings.references, settings.rollouts, settings.gamma, settings.g_batch_size) == (16, 16, 1.0, 32)


def test_settings_reach_what_they_are_of(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"lr": 0.03, "d_lr": 0.007, "d_keep": 0.6, "d_embedding_dim": 10, "embedding_dim": 6, "rollouts": 3}
    model = gan(**settings, d_filters="texygen", d_initial="texygen")
    assert all(isinstance(optimizer, torch.optim.Adam) for optimizer in model.optimizers.values())
    rates = {name: float(optimizer.param_groups[0]["lr"]) for name, optimizer in model.optimizers.items()}
    assert rates == pytest.approx({"mle": 0.03, "generator": 0.03, "ranker": 0.007})
    assert (model.ranker.drop, model.ranker.embedding.embedding_dim) == (pytest.approx(0.4), 10)
    assert [tuple(bank.shape) for bank in model.ranker.filters] == [(100, 10, 2), (200, 10, 3)]
    assert all((bias == 0.1).all() for bias in model.ranker.filter_biases)  # Texygen's initial values
    assert model.generator.embedding.embedding_dim == 6
    assert not any((bias == 0.1).all() for bias in gan().ranker.filter_biases)
    asked = []

    def scores(_: object, tokens: Tensor, __: object, n: int, ___: object, *, noisy: bool) -> Tensor:
        asked.append((n, noisy))
        return torch.zeros((n, *tokens.shape))

    monkeypatch.setattr("baselines.rankgan.rollout_scores", scores)
    batches = stream(model)
    model.ranker_step(batches)
    model.generator_step(batches)
    assert asked == [(3, False)]


def cosine(a: Tensor, b: Tensor) -> float:
    return sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True)) / (a.norm() * b.norm()).item()


def test_relevance_is_the_sum_of_cosines_to_the_references() -> None:
    """Equation 2, pair by pair."""
    torch.manual_seed(0)
    ranker = Ranker(TASK, embedding_dim=6).double()
    sentences, references = torch.randint(12, (7, 5)), torch.randint(12, (3, 5))
    got = ranker.score(sentences, ranker.reference(references, dropout=False))
    features, real = ranker.features(sentences), ranker.features(references)
    for b, relevance in enumerate(got.tolist()):
        assert relevance == pytest.approx(sum(cosine(features[b], real[u]) for u in range(3)), abs=1e-12)
    assert got.std() > 1e-4
    completions = torch.cat([sentences[:1, :2].expand(7, 2), sentences[:, 2:]], 1)
    parts = ranker.score_completions(completions[:, None], 2, ranker.reference(references, dropout=False))
    whole = ranker.score(completions, ranker.reference(references, dropout=False))
    torch.testing.assert_close(parts.squeeze(1), whole)


def test_initial_values() -> None:
    torch.manual_seed(0)
    spec = SequenceSpec(vocab_size=50, max_len=20, bos_id=0, pad_id=None, eos_id=None)
    ours, texygens = (Ranker(spec, initial=name) for name in ("rankgan", "texygen"))
    for values in [ours.embedding.weight, *ours.filters, *ours.filter_biases]:
        assert 0.09 < values.abs().max() <= 0.1
    assert texygens.embedding.weight.abs().max() > 0.9
    assert all((bias == 0.1).all() for bias in texygens.filter_biases)
    assert 0.19 < max(bank.abs().max() for bank in texygens.filters) <= 0.2
    assert ours.gate.in_features == CNNClassifier(spec).gate.in_features == 1_720
    assert not hasattr(ours, "output")


@pytest.mark.parametrize("gamma", [1.0, 0.25])
def test_loss_and_gradient_of_the_ranker(gamma: float) -> None:
    """Equation 4 in float64, with the ranks written out, and its second form, in which the sum has cancelled."""
    model = gan(gamma=gamma, d_keep=1.0).double()
    tokens, references = torch.randint(12, (6, 5)), torch.randint(12, (4, 5))
    real = torch.tensor([1, 0, 1, 1, 0, 1])
    features, known = model.ranker.features(tokens), model.ranker.features(references)
    relevance = [sum(torch.cosine_similarity(f, u, dim=0) for u in known) for f in features]
    total = sum(torch.exp(gamma * a) for a in relevance)
    log_rank = [torch.log(torch.exp(gamma * a) / total) for a in relevance]
    loss = -sum(log_rank[i] for i in (0, 2, 3, 5)) / 4 + (log_rank[1] + log_rank[4]) / 2
    short = -gamma * (sum(relevance[i] for i in (0, 2, 3, 5)) / 4 - (relevance[1] + relevance[4]) / 2)
    assert loss.item() == pytest.approx(short.item(), abs=1e-9)
    parameters = list(model.ranker.parameters())
    expected = torch.autograd.grad(loss, parameters)
    values = model.compare(tokens, real, references)
    assert values["d_loss"].item() == pytest.approx(loss.item(), abs=1e-9)
    assert values["relevance"].item() == pytest.approx(sum(relevance[i].item() for i in (0, 2, 3, 5)) / 4)
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("label", [0, 1])
def test_a_batch_of_one_kind_gives_finite_numbers(label: int) -> None:
    model = gan()
    values = model.compare(torch.randint(12, (4, 5)), torch.full((4,), label), torch.randint(12, (4, 5)))
    assert all(value.isfinite() for value in values.values())
    assert all(p.isfinite().all() for p in model.ranker.parameters())


@pytest.mark.parametrize("spec", [TASK, ENDING], ids=["fixed", "ending"])
def test_rollout_scores_have_the_mean_of_rollout_rewards(spec: SequenceSpec) -> None:
    """One by one, from the same random numbers; from its last token on a sentence has its own score."""
    torch.manual_seed(0)
    model = LSTMLanguageModel(spec, embedding_dim=4, hidden_dim=6)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8)
    tokens = model.sample(9)
    score = lambda rows: (rows * torch.arange(1.0, 6)).sum(1).sin()  # noqa: E731
    torch.manual_seed(1)
    each = rollout_scores(model, tokens, score, 3)
    torch.manual_seed(1)
    mean = rollout_rewards(model, tokens, score, 3)
    assert each.shape == (3, 9, 5)
    lengths = [row.index(3) + 1 if spec is ENDING and 3 in row else 5 for row in tokens.tolist()]
    assert spec is TASK or len(set(lengths)) > 2
    for b, length in enumerate(lengths):
        torch.testing.assert_close(each[:, b, :length].mean(0), mean[b, :length])
        own = score(tokens[b : b + 1])
        torch.testing.assert_close(each[:, b, length - 1 :], own.expand(3, 5 - length + 1))
        assert length == 1 or each[:, b, 0].std() > 0


def test_a_noisy_score_of_a_sentence_is_taken_anew_for_each_rollout() -> None:
    """As Texygen does: dropout is drawn again for the complete sentence, too."""
    torch.manual_seed(0)
    model = LSTMLanguageModel(ENDING, embedding_dim=4, hidden_dim=6)
    tokens = model.sample(9)
    asked: list[Tensor] = []

    def score(rows: Tensor) -> Tensor:
        asked.append(rows)
        return torch.rand(len(rows))

    each = rollout_scores(model, tokens, score, 3, noisy=True)
    assert torch.equal(asked[0], tokens.repeat(3, 1))
    assert all(len(set(each[:, b, -1].tolist())) == 3 for b in range(9))
    ranker = gan(d_dropout="always", rollouts=3)
    ranker.ranker_step(stream(ranker))
    complete: list[int] = []
    own = ranker.ranker.score
    ranker.ranker.score = lambda rows, **how: complete.append(len(rows)) or own(rows, **how)  # type: ignore[method-assign]
    ranker.rewards(torch.randint(12, (2, 5)), torch.randint(12, (4, 5)))
    assert complete[0] == 2 * 3


@pytest.mark.parametrize("reward", ["rank", "log_rank"])
def test_rewards_are_ranks_among_the_sentences_of_the_batch(reward: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equation 5 with given relevances: the sum is over sentences, for each roll-out and each position apart."""
    model = gan(reward=reward, gamma=2.0)
    model.ranker_step(stream(model))
    scores = torch.randn(2, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    monkeypatch.setattr("baselines.rankgan.rollout_scores", lambda *_, **__: scores)
    got = model.rewards(torch.zeros(3, 5, dtype=torch.int64), torch.randint(12, (4, 5)))
    for b, t in itertools.product(range(3), range(5)):
        ranks = []
        for n in range(2):
            powers = [math.exp(2 * scores[n, other, t]) for other in range(3)]
            ranks.append(powers[b] / sum(powers) if reward == "rank" else math.log(powers[b] / sum(powers)))
        assert got[b, t].item() == pytest.approx(sum(ranks) / 2, abs=1e-9)


@pytest.mark.parametrize(("clip", "pairing"), [(1e9, "own"), (0.01, "own"), (1e9, "released")])
def test_policy_gradient_is_the_sum_over_batch_and_time(
    clip: float, pairing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equation 6 in float64, one token at a time, to the gradient after clipping; nothing after an end token."""
    model = gan(ENDING, clip_norm=clip, pairing=pairing).double()
    tokens = torch.tensor([[4, 5, 3, 2, 2], [0, 1, 4, 4, 5], [3, 2, 2, 2, 2]])
    rewards, references = torch.rand(3, 5, dtype=torch.float64), torch.zeros(4, 5, dtype=torch.int64)
    loss, g = torch.zeros((), dtype=torch.float64), model.generator
    given = rewards * torch.tensor([[t < length for t in range(5)] for length in (3, 5, 1)])
    by_sentence = given.flatten().tolist()  # the released code reads this list in the order of time
    for b, length in enumerate([3, 5, 1]):
        for t in range(length):
            prefix = torch.tensor([[ENDING.bos_id, *tokens[b, :t].tolist()]])
            hidden = g.lstm(g.embedding(prefix))[0][0, -1]
            reward = rewards[b, t] if pairing == "own" else by_sentence[t * 3 + b]
            loss = loss - reward * g.output(hidden).log_softmax(0)[tokens[b, t]]
    trained = [p for p in g.parameters() if p.requires_grad]
    expected = torch.autograd.grad(loss, trained)
    norm = torch.cat([gradient.flatten() for gradient in expected]).norm().item()
    asked: list[int] = []
    monkeypatch.setattr(g, "sample", lambda n: asked.append(n) or tokens)
    monkeypatch.setattr(model, "references", lambda _: references)
    monkeypatch.setattr(model, "rewards", lambda rows, real: rewards if rows is tokens and real is references else None)
    values = model.generator_step(iter([]))
    assert asked == [model.config.g_batch_size]
    assert values["g_loss"].item() == pytest.approx(loss.item(), abs=1e-9)
    for parameter, gradient in zip(trained, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient * min(1.0, clip / norm), rtol=1e-5, atol=1e-10)


def after_pretraining(model: RankGAN, monkeypatch: pytest.MonkeyPatch) -> tuple[Iterator[Tensor], list[int]]:
    """18 steps of the ranker -> the stream, and how many sentences were drawn each time, from the first step on."""
    drawn: list[int] = []
    sample = model.generator.sample
    monkeypatch.setattr(model.generator, "sample", lambda n: drawn.append(n) or sample(n))
    batches = stream(model)
    for _ in range(18):
        model.ranker_step(batches)
    return batches, drawn


def test_pools_are_read_three_times_and_then_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = gan(d_pretrain_steps=18, d_steps=12, iterations=1)
    batches, drawn = after_pretraining(model, monkeypatch)
    assert drawn == [12]
    adversarial = model.phases()[2]
    keys = ["g" if "g_loss" in adversarial.step(batches) else "d" for _ in range(13)]
    assert "".join(keys) == "g" + 12 * "d"
    assert drawn == [12, 3, 12, 12]


def test_a_pool_of_adversarial_training_has_its_own_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two in place of three, counted from its first: a round of two pools begins with a new one each time."""
    model = gan(pool_passes=2, d_steps=24)
    batches, drawn = after_pretraining(model, monkeypatch)
    step, found = model.phases()[2].step, ""
    for _ in range(50):
        drawn.clear()
        kind = "g" if "g_loss" in step(batches) else "d"
        found += "P" if kind == "d" and drawn else kind
    assert found == 2 * ("g" + 2 * ("P" + 11 * "d"))


def test_references_are_real_sentences_of_the_pool() -> None:
    model = gan()
    batches, upstream = stream(model), stream(model)
    model.ranker_step(batches)
    real = {tuple(row) for _ in range(3) for row in next(upstream).tolist()}
    drawn = [tuple(row) for row in model.pool.draw_real(300).tolist()]
    assert set(drawn) == real
    assert max(drawn.count(row) for row in real) < 60


def test_references_of_the_text_are_drawn_from_all_that_is_kept_of_it() -> None:
    """In a small pool a sentence would often be its own reference, with a cosine of 1."""
    model = gan(references_of="text", references=100, pool_batches=1, reference_batches=3)
    batches, upstream = stream(model), stream(model)
    model.ranker_step(batches)  # a pool of one batch, then what is kept
    assert next(upstream).shape == (4, 5)
    kept = {tuple(row) for _ in range(3) for row in next(upstream).tolist()}
    drawn = [tuple(row) for _ in range(12) for row in model.references(batches).tolist()]
    assert len(kept) == 12
    assert set(drawn) == kept
    assert all(60 < drawn.count(row) < 140 for row in kept)  # of 1,200, alike
    assert torch.equal(next(batches), next(upstream))  # read once
    other = gan(references_of="text", references=100, pool_batches=1, reference_batches=3)
    other.load_state_dict(model.state_dict())
    assert {tuple(row) for row in other.references(iter(())).tolist()} == kept  # a resumed run has them


def test_references_pass_a_highway_of_their_own() -> None:
    """Where the setting says so, with its own initial values, and the ranker's optimiser trains it."""
    model = gan(reference_highway="own", d_keep=1.0)
    ranker, sentences = model.ranker, torch.randint(12, (4, 5))
    transform, gate = ranker.reference_transform, ranker.reference_gate
    assert transform is not None
    assert gate is not None
    assert not torch.equal(transform.weight, ranker.transform.weight)
    width = gate.out_features
    assert gate.weight.abs().max() <= (3 / width) ** 0.5
    assert gate.weight.abs().max() > 0.9 * (3 / width) ** 0.5
    shared = ranker.direction(ranker.features(sentences), dropout=False).sum(0)
    assert not torch.allclose(ranker.reference(sentences, dropout=False), shared)
    before = [*copies(transform), *copies(gate)]
    model.compare(sentences, torch.tensor([1, 0, 1, 0]), sentences)
    after = [*transform.parameters(), *gate.parameters()]
    assert all(not torch.equal(p, b) for p, b in zip(after, before, strict=True))
    transform.load_state_dict(ranker.transform.state_dict())
    gate.load_state_dict(ranker.gate.state_dict())
    shared = ranker.direction(ranker.features(sentences), dropout=False).sum(0)
    torch.testing.assert_close(ranker.reference(sentences, dropout=False), shared)
    assert gan().ranker.reference_gate is None


def test_each_step_moves_its_own_side_with_its_own_optimiser() -> None:
    model = gan()
    batches = stream(model)
    mle, adversarial, ranker = (model.optimizers[key] for key in ("mle", "generator", "ranker"))
    model.mle_step(batches)
    assert mle.state
    assert not adversarial.state
    before_g = copies(model.generator)
    model.ranker_step(batches)
    assert unchanged(model.generator, before_g)
    assert ranker.state
    before_r = copies(model.ranker)
    model.generator_step(batches)
    assert unchanged(model.ranker, before_r)
    assert not unchanged(model.generator, before_g)
    assert {int(state["step"]) for state in mle.state.values()} == {1}
    assert (mle.param_groups[0]["lr"], adversarial.param_groups[0]["lr"], ranker.param_groups[0]["lr"]) == (
        1e-2,
        1e-2,
        1e-4,
    )


@pytest.mark.parametrize("d_dropout", ["training", "always"])
def test_rewards_have_dropout_only_where_it_is_asked_for(d_dropout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = gan(d_keep=0.5, d_dropout=d_dropout)
    used: list[bool] = []
    direction = model.ranker.direction

    def spying(features: Tensor, *, dropout: bool) -> Tensor:
        used.append(dropout)
        return direction(features, dropout=dropout)

    monkeypatch.setattr(model.ranker, "direction", spying)
    model.ranker_step(stream(model))
    assert set(used) == {True}
    used.clear()
    model.generator_step(stream(model))
    assert set(used) == {d_dropout == "always"}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"label_smoothing": 0.1}, "leave label_smoothing at 0, got 0.1"),
        ({"gradient_penalty": 1.0}, "leave gradient_penalty at 0"),
        ({"d_norm": "batch"}, "set d_norm to spectral, weight or none"),
        ({"g_batch_size": 1}, "g_batch_size must be at least 2"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        RankGAN.Config(**settings)


def test_the_ranker_tells_kinds_apart_and_the_generator_rises_in_rank() -> None:
    """Real sentences are of one word; what is generated is not. Then the generator is taught by ranks alone."""
    torch.manual_seed(0)
    spec = SequenceSpec(vocab_size=6, max_len=4, bos_id=0, pad_id=None, eos_id=None)
    model = RankGAN(RankGAN.Config(batch_size=32, pool_batches=4, pool_epochs=2, d_lr=1e-3, rollouts=4), spec)
    batches = itertools.repeat(torch.full((32, 4), 5))
    losses = torch.stack([model.ranker_step(batches)["d_loss"] for _ in range(48)])
    assert losses[-8:].mean() < losses[:8].mean() - 1
    before = (model.sample(500) == 5).float().mean()
    for _ in range(60):
        model.generator_step(batches)
    assert (model.sample(500) == 5).float().mean() > before + 0.3
