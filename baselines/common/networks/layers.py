"""What several networks are made of: layers with their initial values, and one step of an LSTM."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.common.spec import LabelledSpec

__all__ = ["fan_in_linear", "fan_in_normal_", "lstm_step", "of_class", "one_bias_lstm", "without_labels"]


def fan_in_normal_(weight: Tensor, fan_in: int, *, gain: float = 1.0) -> Tensor:
    """Fill with N(0, gain / fan_in), cut at two standard deviations as TensorFlow cuts.

    weilinie/RelGAN utils/ops.py:17-20.
    """
    std = (gain / fan_in) ** 0.5
    return nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


def fan_in_linear(n_in: int, n_out: int, *, bias: bool = True) -> nn.Linear:
    """A linear layer whose weights start as `fan_in_normal_` and whose bias, if any, as 0."""
    layer = nn.Linear(n_in, n_out, bias=bias)
    fan_in_normal_(layer.weight, n_in)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def one_bias_lstm(n_in: int, hidden_dim: int) -> nn.LSTM:
    """One LSTM layer, batch first, all N(0, 0.1^2), with one bias per gate as the released codes of LeakGAN and SeqGAN.

    `nn.LSTM` has two, so the second is zero and stays zero.
    """
    lstm = nn.LSTM(n_in, hidden_dim, batch_first=True)
    for parameter in lstm.parameters():
        nn.init.normal_(parameter, std=0.1)
    nn.init.zeros_(lstm.get_parameter("bias_hh_l0")).requires_grad_(False)
    return lstm


def lstm_step(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """What all of input, state and bias add to the gates (N, 4H), and cell (N, H) -> next hidden state and cell (N, H).

    The gates are in the order of `nn.LSTM`. How they are computed differs: from a table of words, or with a gradient.
    """
    admit, keep, candidate, show = gates.chunk(4, dim=1)
    cell = keep.sigmoid() * cell + admit.sigmoid() * candidate.tanh()
    return show.sigmoid() * cell.tanh(), cell


def without_labels(logits: Tensor, spec: LabelledSpec) -> Tensor:
    """(..., V) -> (..., V): -inf for the labels, which are no words of a text."""
    barred = logits.new_zeros(logits.shape[-1])
    barred[list(spec.class_ids)] = -torch.inf
    return logits + barred


def of_class(outputs: Tensor, classes: Tensor) -> Tensor:
    """A critic's outputs (B, K) and classes (B,) from 0 -> (B,): for each sentence the one of its class."""
    return outputs.gather(1, classes[:, None]).squeeze(1)
