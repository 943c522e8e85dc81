"""A recurrent network whose state is a small matrix of memories that attend to each other and to the input.

Santoro et al., "Relational recurrent neural networks", NeurIPS 2018, sections 3.1 to 3.3, https://arxiv.org/abs/1806.01822
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.fast.kernels import applied
from baselines.common.networks.layers import fan_in_linear
from baselines.common.networks.recurrent import Core

__all__ = ["JointLayerNorm", "RelationalMemory"]

_FORGET_BIAS, _INPUT_BIAS = 1.0, 0.0
_EPSILON = 1e-12  # of TensorFlow's tf.contrib layer norm


class RelationalMemory(Core):
    """One step reads an input x into the memory m, of S slots with M = heads x head_dim numbers each.

    r = W x + b; then on the S + 1 rows [m; r], per block: rows = LN(rows + attention(rows)); rows = LN(rows +
    MLP(rows)). With a the first S of these rows and (i, f) = U r + V tanh(m), per unit:
    m' = sigmoid(i + 0) tanh(a) + sigmoid(f + 1) m. The output is m'. At first m is the S x M identity.

    Attention is dot-product attention with `heads` heads; queries, keys and values come from one linear layer without
    bias, whose result is normalised, and the scale is 1 / sqrt(2 key + value), not the paper's 1 / sqrt(key)
    (weilinie/RelGAN utils/models/relational_memory.py:109-126). LN is `JointLayerNorm`. Every block has parameters of
    its own.
    """

    def __init__(
        self,
        input_dim: int,
        *,
        slots: int = 1,
        heads: int = 2,
        head_dim: int = 256,
        blocks: int = 1,
        mlp_layers: int = 2,
    ) -> None:
        super().__init__()
        self.slots, self.size = slots, heads * head_dim
        self.output_dim = slots * self.size
        self.input = fan_in_linear(input_dim, self.size)
        self.blocks = nn.Sequential(*(_Block(heads, head_dim, mlp_layers) for _ in range(blocks)))
        self.input_gates = fan_in_linear(self.size, 2 * self.size, bias=False)
        self.memory_gates = fan_in_linear(self.size, 2 * self.size, bias=False)

    def initial_state(self, n: int) -> Tensor:
        """(n, S, M): every slot starts with a unit of its own."""
        weight = self.input.weight
        return torch.eye(self.slots, self.size, device=weight.device, dtype=weight.dtype).expand(n, -1, -1)

    def project(self, x: Tensor) -> Tensor:
        """(..., E) -> (..., 3 M): r and U r, for one step or for many at once."""
        row = applied(self.input, x)
        return torch.cat([row, applied(self.input_gates, row)], -1)

    def step(self, projected: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Projected input (B, 3 M) and memory (B, S, M) -> output (B, S M) and the next memory."""
        row, gates = projected[:, None].split([self.size, 2 * self.size], -1)
        attended = self.blocks(torch.cat([memory, row], 1))[:, :-1]  # (B, S, M)
        admit, keep = (gates + applied(self.memory_gates, memory.tanh())).chunk(2, -1)
        memory = (admit + _INPUT_BIAS).sigmoid() * attended.tanh() + (keep + _FORGET_BIAS).sigmoid() * memory
        return memory.flatten(1), memory


class _Block(nn.Module):
    """Attention among the rows, then a network on each row; both with a skip connection and a norm."""

    def __init__(self, heads: int, head_dim: int, mlp_layers: int) -> None:
        super().__init__()
        size = heads * head_dim
        self.heads, self.scale = heads, (3 * head_dim) ** -0.5
        self.qkv = fan_in_linear(size, 3 * size, bias=False)
        self.norm_qkv, self.norm_attended, self.norm_mixed = (JointLayerNorm(n) for n in (3 * size, size, size))
        layers: list[nn.Module] = [fan_in_linear(size, size)]
        for _ in range(mlp_layers - 1):
            layers += [nn.ReLU(), fan_in_linear(size, size)]
        self.mlp = nn.Sequential(*layers)

    def forward(self, rows: Tensor) -> Tensor:
        """(B, N, M) -> (B, N, M)."""
        qkv = (
            self.norm_qkv(applied(self.qkv, rows)).unflatten(2, (self.heads, -1)).transpose(1, 2)
        )  # (B, heads, N, 3 head_dim)
        query, key, value = qkv.chunk(3, -1)
        weights = (query * self.scale @ key.transpose(2, 3)).softmax(-1)  # (B, heads, N, N)
        attended = (weights @ value).transpose(1, 2).flatten(2)
        rows = self.norm_attended(rows + attended)
        hidden = rows
        for layer in self.mlp:
            hidden = applied(layer, hidden) if isinstance(layer, nn.Linear) else layer(hidden)
        mixed: Tensor = self.norm_mixed(rows + hidden)
        return mixed


class JointLayerNorm(nn.Module):
    """Mean and variance over all rows and features of a sentence together, one gain and bias per feature.

    tf.contrib's default, which RelGAN's released code uses; the usual layer norm treats every row apart.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, rows: Tensor) -> Tensor:
        """(B, N, M) -> (B, N, M)."""
        return functional.layer_norm(rows, rows.shape[1:], eps=_EPSILON) * self.gain + self.bias
