"""The adversarial losses as one interchangeable set: from logits of real and generated sentences to two losses.

C is the discriminator's output before any squashing, higher for real: a number per sentence, or per sentence and
representation. sigma is the logistic function, D = sigma(C). Real and generated logits have one shape (B, ...); row b
of the one is paired with row b of the other, which matters to `relativistic` alone. All losses are to be minimised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus

__all__ = ["LOSSES", "AdversarialLoss", "LossName", "clip_weights", "smooth_labels"]

LossName = Literal[
    "standard",
    "non_saturating",
    "reverse_kl",
    "least_squares",
    "hinge",
    "total_variation",
    "wasserstein",
    "relativistic",
    "relativistic_average",
]


@dataclass(frozen=True)
class AdversarialLoss:
    """What the discriminator and what the generator minimise: functions (real logits, generated logits) -> scalar."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    shift_invariant: bool = False
    """Only differences of logits count, so that a constant added to all of them has no gradient."""
    labelled: bool = False
    """The discriminator's is the cross-entropy of labels, which can be smoothed."""


def logistic_d(real: Tensor, fake: Tensor) -> Tensor:
    """-mean log D(x) - mean log(1 - D(x')). Goodfellow et al., NeurIPS 2014, equation 1."""
    return softplus(-real).mean() + softplus(fake).mean()


def standard_g(_: Tensor, fake: Tensor) -> Tensor:
    """mean log(1 - D(x')): the game's own loss, flat where D is sure. Goodfellow et al. 2014, equation 1."""
    return -softplus(fake).mean()


def non_saturating_g(_: Tensor, fake: Tensor) -> Tensor:
    """-mean log D(x'). Goodfellow et al. 2014, section 3."""
    return softplus(-fake).mean()


def mean_g(_: Tensor, fake: Tensor) -> Tensor:
    """-mean C(x'): Arjovsky et al., "Wasserstein GAN", 2017, equation 3; Miyato et al. 2018, equation 17.

    Under the logistic D at its optimum C = log(p_real / p_generated), so that this is KL(generated || real)
    (Sønderby et al., "Amortised MAP inference for image super-resolution", ICLR 2017).
    """
    return -fake.mean()


def least_squares_d(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 mean (C(x) - 1)^2 + 1/2 mean C(x')^2. Mao et al., LSGAN, ICCV 2017, equation 9. RelGAN's code has no 1/2."""
    return (real - 1).square().mean() / 2 + fake.square().mean() / 2


def least_squares_g(_: Tensor, fake: Tensor) -> Tensor:
    """1/2 mean (C(x') - 1)^2. Mao et al. 2017, equation 9."""
    return (fake - 1).square().mean() / 2


def hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    """mean max(0, 1 - C(x)) + mean max(0, 1 + C(x')). Miyato et al., spectral normalization, ICLR 2018, equation 16."""
    return relu(1 - real).mean() + relu(1 + fake).mean()


def total_variation_d(real: Tensor, fake: Tensor) -> Tensor:
    """mean tanh C(x') - mean tanh C(x): twice the bound of Nowozin et al., f-GAN, NeurIPS 2016, as RelGAN's code."""
    return fake.tanh().mean() - real.tanh().mean()


def total_variation_g(_: Tensor, fake: Tensor) -> Tensor:
    """-mean tanh C(x')."""
    return -fake.tanh().mean()


def wasserstein_d(real: Tensor, fake: Tensor) -> Tensor:
    """mean C(x') - mean C(x). Arjovsky et al. 2017, equation 2.

    Needs a C of bounded slope: `clip_weights` (their algorithm 1) or `gradient_penalty` of its own module.
    """
    return fake.mean() - real.mean()


def relativistic_d(real: Tensor, fake: Tensor) -> Tensor:
    """-mean log sigma(C(x_b) - C(x'_b)). Jolicoeur-Martineau, "The relativistic discriminator", 2018, section 4.1."""
    return softplus(fake - real).mean()


def relativistic_g(real: Tensor, fake: Tensor) -> Tensor:
    """-mean log sigma(C(x'_b) - C(x_b)): the discriminator's, swapped. Jolicoeur-Martineau 2018, section 4.1."""
    return softplus(real - fake).mean()


def relativistic_average_d(real: Tensor, fake: Tensor) -> Tensor:
    """-mean log sigma(C(x) - mean C(x')) - mean log(1 - sigma(C(x') - mean C(x))).

    Jolicoeur-Martineau 2018, section 4.3. Inner means are over the batch: representations are kept apart.
    """
    return softplus(fake.mean(0) - real).mean() + softplus(fake - real.mean(0)).mean()


def relativistic_average_g(real: Tensor, fake: Tensor) -> Tensor:
    """-mean log sigma(C(x') - mean C(x)) - mean log(1 - sigma(C(x) - mean C(x'))): real and generated swapped."""
    return relativistic_average_d(fake, real)


LOSSES: Mapping[LossName, AdversarialLoss] = MappingProxyType(
    {
        "standard": AdversarialLoss(logistic_d, standard_g, labelled=True),
        "non_saturating": AdversarialLoss(logistic_d, non_saturating_g, labelled=True),
        "reverse_kl": AdversarialLoss(logistic_d, mean_g, labelled=True),
        "least_squares": AdversarialLoss(least_squares_d, least_squares_g),
        "hinge": AdversarialLoss(hinge_d, mean_g),
        "total_variation": AdversarialLoss(total_variation_d, total_variation_g),
        "wasserstein": AdversarialLoss(wasserstein_d, mean_g, shift_invariant=True),
        "relativistic": AdversarialLoss(relativistic_d, relativistic_g, shift_invariant=True),
        "relativistic_average": AdversarialLoss(relativistic_average_d, relativistic_average_g, shift_invariant=True),
    }
)


def smooth_labels(name: LossName, smoothing: float) -> AdversarialLoss:
    """The loss with the target 1 - `smoothing` for D(x) of real sentences: one-sided label smoothing.

    Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, section 3.4. The cross-entropy of the target
    1 - s is -(1 - s) log D - s log(1 - D) = -log D + s C. Raises ValueError for losses of other kinds. Their papers
    have no labels; least squares has targets, but a lower one only gives C another unit; relativistic losses judge
    pairs, where one side cannot be smoothed alone.
    """
    loss = LOSSES[name]
    if not smoothing:
        return loss
    if not loss.labelled:
        known = ", ".join(other for other, its in LOSSES.items() if its.labelled)
        raise ValueError(f"label_smoothing needs a loss with labels ({known}), and {name} has none: leave it at 0")

    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        return loss.discriminator(real, fake) + smoothing * real.mean()

    return replace(loss, discriminator=discriminator)


@torch.no_grad()
def clip_weights(module: nn.Module, limit: float) -> None:
    """Put every parameter into [-limit, limit]. Arjovsky et al. 2017, algorithm 1, line 7."""
    for parameter in module.parameters():
        parameter.clamp_(-limit, limit)
