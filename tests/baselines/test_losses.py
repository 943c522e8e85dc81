"""The adversarial losses against closed forms, number by number and by what the papers prove about them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import get_args

import pytest
import torch
from torch import nn

from baselines.common.training.losses import LOSSES, LossName, clip_weights

REAL = [2.5, -0.75, 0.2]
FAKE = [-1.25, 0.5, 3.0]
Pair = tuple[float, float]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def logistic_d(r: Sequence[float], f: Sequence[float]) -> float:
    return -mean([math.log(sigma(x)) for x in r]) - mean([math.log(1 - sigma(x)) for x in f])


def relativistic_average_d(r: Sequence[float], f: Sequence[float]) -> float:
    real = mean([math.log(sigma(x - mean(f))) for x in r])
    return -real - mean([math.log(1 - sigma(x - mean(r))) for x in f])


# name -> the discriminator's loss and the generator's, as the papers print them
CLOSED: dict[str, tuple[Callable[..., float], Callable[..., float]]] = {
    "standard": (logistic_d, lambda r, f: mean([math.log(1 - sigma(x)) for x in f])),
    "non_saturating": (logistic_d, lambda r, f: -mean([math.log(sigma(x)) for x in f])),
    "reverse_kl": (logistic_d, lambda r, f: -mean([math.log(sigma(x) / (1 - sigma(x))) for x in f])),
    "least_squares": (
        lambda r, f: 0.5 * mean([(x - 1) ** 2 for x in r]) + 0.5 * mean([x**2 for x in f]),
        lambda r, f: 0.5 * mean([(x - 1) ** 2 for x in f]),
    ),
    "hinge": (
        lambda r, f: mean([max(0, 1 - x) for x in r]) + mean([max(0, 1 + x) for x in f]),
        lambda r, f: -mean(f),
    ),
    "total_variation": (
        lambda r, f: mean([math.tanh(x) for x in f]) - mean([math.tanh(x) for x in r]),
        lambda r, f: -mean([math.tanh(x) for x in f]),
    ),
    "wasserstein": (lambda r, f: mean(f) - mean(r), lambda r, f: -mean(f)),
    "relativistic": (
        lambda r, f: -mean([math.log(sigma(a - b)) for a, b in zip(r, f, strict=True)]),
        lambda r, f: -mean([math.log(sigma(b - a)) for a, b in zip(r, f, strict=True)]),
    ),
    "relativistic_average": (relativistic_average_d, lambda r, f: relativistic_average_d(f, r)),
}


def tensors(*values: Sequence[float]) -> list[torch.Tensor]:
    return [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]


def test_every_loss_has_a_name_and_a_closed_form() -> None:
    assert set(LOSSES) == set(get_args(LossName)) == set(CLOSED)


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("swap", [False, True])
def test_values(name: LossName, swap: bool) -> None:
    real, fake = (FAKE, REAL) if swap else (REAL, FAKE)
    for ours, closed in zip((LOSSES[name].discriminator, LOSSES[name].generator), CLOSED[name], strict=True):
        assert ours(*tensors(real, fake)).item() == pytest.approx(closed(real, fake), abs=1e-12)


@pytest.mark.parametrize("name", CLOSED)
def test_directions(name: LossName) -> None:
    """The discriminator raises real and lowers generated logits, the generator raises those of its own sentences."""
    real, fake = tensors([0.3, -0.2], [0.1, 0.4])  # least squares wants 0 and 1, and no more
    LOSSES[name].discriminator(real, fake).backward()
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()
    real, fake = tensors([0.3, -0.2], [0.1, 0.4])
    LOSSES[name].generator(real, fake).backward()
    assert (fake.grad < 0).all()


@pytest.mark.parametrize("name", CLOSED)
def test_who_is_shift_invariant(name: LossName) -> None:
    """Known up to a constant, or not: a wrong mark would freeze biases that matter."""
    real, fake = tensors(REAL, FAKE)
    loss = LOSSES[name].discriminator
    same = loss(real + 1.5, fake + 1.5).item() == pytest.approx(loss(real, fake).item(), abs=1e-12)
    assert same == LOSSES[name].shift_invariant


@pytest.mark.parametrize("name", CLOSED)
def test_large_logits_overflow_nowhere(name: LossName) -> None:
    real, fake = (torch.tensor([sign * 500.0, 500.0], requires_grad=True) for sign in (1, -1))
    loss = LOSSES[name]
    total = loss.discriminator(real, fake) + loss.generator(real, fake)
    total.backward()
    assert total.isfinite()
    assert real.grad is None or real.grad.isfinite().all()
    assert fake.grad.isfinite().all()


def test_representations_are_critics_of_their_own() -> None:
    """On (B, R) every loss is the mean of what it is in each column."""
    torch.manual_seed(0)
    real, fake = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    for loss in LOSSES.values():
        for side in (loss.discriminator, loss.generator):
            columns = [side(real[:, r], fake[:, r]) for r in range(3)]
            torch.testing.assert_close(side(real, fake), torch.stack(columns).mean())


def test_pairs_matter_to_relativistic_alone() -> None:
    real, fake = tensors(REAL, FAKE)
    for name, loss in LOSSES.items():
        same = torch.isclose(loss.discriminator(real, fake), loss.discriminator(real, fake.flip(0)))
        assert same.item() == (name != "relativistic")


def test_optimal_logistic_critic_is_the_log_ratio_and_gives_the_divergences() -> None:
    """With C = log p / q the loss is 2 log 2 - 2 JSD, its slope is 0, and `reverse_kl` is KL(q || p)."""
    p, q = (torch.tensor(x, dtype=torch.float64) for x in ([0.5, 0.3, 0.2], [0.2, 0.2, 0.6]))
    real = torch.tensor([0] * 5 + [1] * 3 + [2] * 2)  # ten sentences distributed as p, ten as q
    fake = torch.tensor([0] * 2 + [1] * 2 + [2] * 6)
    critic = (p / q).log().requires_grad_()
    loss = LOSSES["standard"].discriminator(critic[real], critic[fake])
    mixture = (p + q) / 2
    divergence = 0.5 * (p * (p / mixture).log()).sum() + 0.5 * (q * (q / mixture).log()).sum()
    assert loss.item() == pytest.approx(2 * math.log(2) - 2 * divergence.item())
    assert torch.autograd.grad(loss, critic)[0].abs().max() < 1e-12
    reverse = LOSSES["reverse_kl"].generator(critic[real], critic[fake])
    assert reverse.item() == pytest.approx((q * (q / p).log()).sum().item())


def test_clipped_weights_stay_in_the_box() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(5, 5)
    before = [parameter.detach().clone() for parameter in layer.parameters()]
    clip_weights(layer, 0.1)
    for parameter, old in zip(layer.parameters(), before, strict=True):
        assert torch.equal(parameter, old.clamp(-0.1, 0.1))
    assert not torch.equal(layer.weight, before[0])
