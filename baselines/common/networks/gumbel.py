"""Words drawn so that a gradient passes: the Gumbel-softmax relaxation, and schedules of how sharp it is."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Schedule", "gumbel_softmax", "inverse_temperature"]

Schedule = Literal["none", "linear", "exponential", "logarithmic", "sigmoid", "quadratic", "square_root"]


def gumbel_softmax(logits: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Logits (B, V) -> relaxed words y = softmax(beta (logits + g)) (B, V), and words argmax(logits + g) (B,) int64.

    g = -log(-log u), u ~ U(0, 1): by the Gumbel-max trick the words are exact draws from softmax(logits), whatever
    the inverse temperature beta; y tends to their one-hot vectors as beta grows. Jang et al., "Categorical
    reparameterization with Gumbel-softmax", ICLR 2017, equations 1 and 2. Only y has a gradient.
    """
    with torch.no_grad():
        tiny = torch.finfo(logits.dtype).tiny  # a uniform number can be 0, and no word is impossible
        noise = torch.rand_like(logits).clamp_(min=tiny).log_().neg_().log_().neg_()
    noisy = logits + noise
    return (noisy * beta).softmax(-1), noisy.detach().argmax(-1)


def inverse_temperature(schedule: Schedule, i: int, *, beta_max: float, horizon: int) -> float:
    """beta in iteration i = 0, 1, .. of `horizon` = N: from 1 to `beta_max` = b.

    none: b at once. exponential: b^(i / N). The others are 1 + (b - 1) s(i) with s(i) = i / (N - 1) for linear, its
    square for quadratic and its root for square_root, log(i + 1) / log N for logarithmic, and
    1 / (1 + e^(-20 (i / N - 1/2))) for sigmoid. Nie et al., RelGAN, ICLR 2019: the exponential one is the paper's, all
    are in the released code (weilinie/RelGAN real/real_gan/real_train.py:379-400).
    """
    share = i / (horizon - 1)
    match schedule:
        case "none":
            return beta_max
        case "exponential":
            return float(beta_max ** (i / horizon))
        case "linear":
            grown = share
        case "quadratic":
            grown = share**2
        case "square_root":
            grown = math.sqrt(share)
        case "logarithmic":
            grown = math.log(i + 1) / math.log(horizon)
        case "sigmoid":
            grown = 1 / (1 + math.exp(-20 * (i / horizon - 0.5)))
    return 1 + (beta_max - 1) * grown
