"""Initial values of the models after weilinie/RelGAN: truncated normal, scaled by the number of inputs."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["fan_in_linear", "fan_in_normal_"]


def fan_in_normal_(weight: Tensor, fan_in: int, *, gain: float = 1.0) -> Tensor:
    """Fill with N(0, gain / fan_in), cut at two standard deviations as TensorFlow cuts (utils/ops.py:17-20)."""
    std = (gain / fan_in) ** 0.5
    return nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


def fan_in_linear(n_in: int, n_out: int, *, bias: bool = True) -> nn.Linear:
    """A linear layer whose weights start as `fan_in_normal_` and whose bias, if any, as 0."""
    layer = nn.Linear(n_in, n_out, bias=bias)
    fan_in_normal_(layer.weight, n_in)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
