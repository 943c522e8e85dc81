"""LeakGAN's procedure: which step comes when, what it moves, how sharply it samples; and that it learns."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import leakgan_slow as slow
from torch import Tensor, nn

from baselines import leakgan
from baselines.leakgan import LeakGAN
from baselines.leakgan.generator import Walk
from bench.config import source_hash


def test_released_numbers_of_steps() -> None:
    phases = LeakGAN(LeakGAN.Config(), slow.FIXED).phases()
    assert [(phase.name, phase.steps) for phase in phases] == [
        ("pretraining", 10 * (5 * 3 * 312 + 8 * 156)),
        ("adversarial", 90 * (1 + 5 * 3 * 312)),
    ]


def test_the_order_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = slow.gan_of(
        slow.FIXED, rounds=2, d_pretrain_steps=3, mle_steps=2, iterations=5, d_steps=2, mle_every=2, mle_interleaved=1
    )
    done: list[str] = []
    monkeypatch.setattr(gan, "mle_step", lambda _: done.append("m"))
    monkeypatch.setattr(gan, "discriminator_step", lambda _: done.append("d"))
    monkeypatch.setattr(gan, "generator_step", lambda _, iteration: done.append(str(iteration)))
    for phase in gan.phases():
        for _ in range(phase.steps):
            phase.step(iter([]))
        done.append(" ")
    assert "".join(done) == "dddmmdddmm 0dd1ddm2dd3ddm4dd "


def test_pretraining_may_read_the_same_few_batches_while_the_discriminator_reads_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gan = slow.gan_of(
        slow.FIXED, rounds=2, d_pretrain_steps=2, mle_steps=3, iterations=2, d_steps=2, mle_every=1, mle_interleaved=2,
        mle_batches=2, pool_batches=1, pool_epochs=1, rollouts=1,
    )  # fmt: skip
    read: list[Tensor] = []
    find = gan._read

    def spy(tokens: Tensor, *, all_features: bool) -> Any:
        if not all_features:  # of mle_step alone
            read.append(tokens)
        return find(tokens, all_features=all_features)

    monkeypatch.setattr(gan, "_read", spy)
    taken: list[Tensor] = []

    def batches() -> Iterator[Tensor]:
        for batch in slow.stream(gan):
            taken.append(batch)
            yield batch

    stream = batches()
    for phase in gan.phases():
        for _ in range(phase.steps):
            phase.step(stream)
    assert len(read) == 2 * 3 + 2 * 2
    assert all(torch.equal(tokens, read[i % 2]) for i, tokens in enumerate(read))
    assert not torch.equal(read[0], read[1])
    assert len(taken) == 2 + 2 + 2  # those two, and one for each pool of two steps


def test_each_step_moves_its_own_parts_with_its_own_optimisers() -> None:
    gan = slow.gan_of(slow.FIXED, rollouts=1)
    batches = slow.stream(gan)
    parts: dict[str, nn.Module] = {
        "manager": gan.generator.manager, "worker": gan.generator.worker, "discriminator": gan.discriminator,
    }  # fmt: skip
    steps = {
        "manager_mle worker_mle": lambda: gan.mle_step(batches),
        "manager worker": lambda: gan.generator_step(batches, 0),
        "discriminator": lambda: gan.discriminator_step(batches),
    }
    for names, step in steps.items():
        before = {name: [p.detach().clone() for p in part.parameters()] for name, part in parts.items()}
        counts = {name: len(optimizer.state) for name, optimizer in gan.optimizers.items()}
        step()
        used = {name for name, optimizer in gan.optimizers.items() if len(optimizer.state) > counts[name]}
        moved = {
            n
            for n, part in parts.items()
            if any((p != b).any() for p, b in zip(part.parameters(), before[n], strict=True))
        }
        assert used == set(names.split())
        assert moved == {name.removesuffix("_mle") for name in names.split()}
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in gan.optimizers.items()}
    assert rates.pop("discriminator") == 5e-5
    assert set(rates.values()) == {1.5e-3}


def test_own_samples_go_through_the_first_goals_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = slow.gan_of(slow.FIXED, first_goals=3)
    begun: list[list[int]] = []
    start = Walk.start

    def spy(walk: Walk, places: Tensor) -> Any:
        begun.append(places.tolist())
        return start(walk, places)

    monkeypatch.setattr(Walk, "start", spy)
    gan._draw(300, 1.0)
    assert list(itertools.chain(*begun)) == [0, 1, 2] * 100
    begun.clear()
    gan.sample(300)
    assert all(70 < list(itertools.chain(*begun)).count(place) < 130 for place in range(3))


def test_multipliers_of_the_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    """1.5 for the pools, 1.5 for two tokens and then 1 for own samples; our evaluation's own, over its temperature."""
    gan = slow.gan_of(slow.FIXED, g_multiplier=0.8, rollouts=1)
    asked: list[list[float]] = []
    draw_one = Walk.draw

    def spy(walk: Walk, state: Any, position: int, multiplier: float = 1.0, first: int = 0) -> Tensor:
        asked[-1].append(multiplier)
        return draw_one(walk, state, position, multiplier, first)

    monkeypatch.setattr(Walk, "draw", spy)
    for act in (
        lambda: gan.discriminator_step(slow.stream(gan)),
        lambda: gan.sample(2),
        lambda: gan.sample(2, temperature=0.5),
    ):
        asked.append([])
        act()
    assert asked == [[1.5] * 7, [1.0] * 7, [2.0] * 7]
    asked.append([])
    gan.generator_step(slow.stream(gan), 0)
    assert asked[-1] == [1.5, 1.5, *[0.8] * 5, *[1.0] * 7]  # the last seven are roll-outs
    asked.append([])
    slow.gan_of(slow.FIXED, evaluation_temperature=1.5).sample(2, temperature=0.5)
    assert asked[-1] == [3.0] * 7


def test_real_sentences_take_part_in_the_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = slow.gan_of(slow.FIXED, rank="sorted", rank_with_real=True, rollouts=2, batch_size=4)
    scores = torch.tensor([[0.2], [0.4], [0.6], [0.8]], dtype=torch.float64).expand(4, 3)
    monkeypatch.setattr(leakgan, "boundary_scores", lambda *_: scores)
    real = iter([torch.full((2,), 0.9), torch.full((2,), 0.1)])  # their slow.mean is .5
    monkeypatch.setattr(gan.discriminator, "score", lambda tokens: next(real).to(scores)[: len(tokens)])
    begun = torch.ones(4, 3, dtype=torch.bool)
    tokens = slow.sentences(slow.FIXED, 4)
    rewards, _ = gan._rewards(tokens, begun, slow.stream(gan), iteration=4)
    expected = (16 * (torch.tensor([1, 2, 5, 6], dtype=torch.float64) / 6 - 0.5)).sigmoid()
    torch.testing.assert_close(rewards, expected[:, None].expand(4, 3))
    rewards, _ = gan._rewards(tokens, begun, iter([]), iteration=1)
    torch.testing.assert_close(rewards[:, 0], (16 * (torch.arange(1, 5) / 4 - 0.5)).sigmoid().double())


def test_pretraining_learns_and_the_discriminator_beats_chance() -> None:
    torch.manual_seed(0)
    config = LeakGAN.Config(batch_size=32, pool_batches=4, d_lr=1e-3, lr=1e-2, horizon=2)
    gan = LeakGAN(config, slow.FIXED)
    rows = torch.arange(4).repeat(8)[:, None].add(torch.arange(7)).remainder(5)  # every word gives the next
    batches = itertools.repeat(rows)
    accuracy = torch.stack([gan.discriminator_step(batches)["d_accuracy"] for _ in range(24)])
    assert accuracy[-8:].mean() > 0.95
    values = [gan.mle_step(batches) for _ in range(80)]
    assert values[0]["nll"] > 1.5
    assert values[-1]["nll"] < 0.4  # log(4) / 7 = .2 is the least
    assert values[-1]["cosine"] > values[0]["cosine"] + 0.2


def test_a_change_of_any_of_its_sources_makes_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(leakgan.__file__).parent
    before = source_hash(LeakGAN)
    read_bytes = Path.read_bytes
    for changed in (folder / "__init__.py", folder / "rewards.py", folder.parent / "common" / "training" / "state.py"):
        monkeypatch.setattr(Path, "read_bytes", lambda path, c=changed: read_bytes(path) + b"#" * (path == c))
        assert source_hash(LeakGAN) != before, changed
