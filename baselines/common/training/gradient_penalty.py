"""The gradient penalty: a critic's slope between real and generated inputs is pulled towards 1."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["gradient_penalty"]


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    generated: Tensor,
    *,
    slope: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """mean_b (||grad critic(x_b)||_2 - 1)^2, x_b drawn evenly between real_b and generated_b.

    Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017, equation 3. Real and generated inputs
    (B, ...), the critic (B, ...) -> (B,); each row has its own point, and the norm is over the whole row. The critic
    must treat rows separately (no batch norm). The result is differentiable in the critic's parameters. `slope` gives
    the gradients (B, ...) where the critic has a faster way to them than autograd.
    """
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
    between = real.lerp(generated, share).detach()
    slopes = _slope(critic, between) if slope is None else slope(between)
    penalty: Tensor = (slopes.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty


def _slope(critic: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    points.requires_grad_()
    (slopes,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return slopes
