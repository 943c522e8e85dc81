"""The manager, and what its optimisers share with TensorFlow's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from baselines.common.networks.layers import one_bias_lstm

__all__ = ["Manager", "add_epsilon_first"]


class Manager(nn.Module):
    """Reads the leaked features of s_0, s_1, .. and names a direction in their space for each: equation 2."""

    def __init__(self, *, n_features: int, hidden_dim: int, first_goals: int) -> None:
        super().__init__()
        self.lstm = one_bias_lstm(n_features, hidden_dim)
        self.goal = nn.Linear(hidden_dim, n_features)
        for parameter in self.goal.parameters():
            nn.init.normal_(parameter, std=0.1)
        goals = nn.init.trunc_normal_(torch.empty(first_goals, n_features), std=0.1, a=-0.2, b=0.2)
        self.first_goals = nn.Parameter(goals)  # (P, F): sentence i of a batch has number i mod P

    def block_goals(self, features: Tensor, *, horizon: int, shift: int, begun: Tensor) -> Tensor:
        """Features of s_0, s_1, .. as far as needed (B, (K - 1) c + shift, F) -> (B, K, F): equation 3, c = `horizon`.

        `shift` is 0 for the sums of equation 3, 1 for those that leave out the first goal and begin with the next. The
        goals of later blocks that are not `begun` (B, K) may be 0: on a CPU they cost nothing.
        """
        b, length, _ = features.shape
        first = self.first_goals.repeat(-(-b // len(self.first_goals)), 1)[:b, None]
        if length <= shift:
            return first
        hidden = self.lstm(features)[0][:, shift:].unflatten(1, (-1, horizon))
        if features.device.type != "cpu":  # the choice would wait for the device
            return torch.cat([first, self._sum(hidden)], 1)
        sums = features.new_zeros(*hidden.shape[:2], features.shape[2])
        sums[begun[:, 1:]] = self._sum(hidden[begun[:, 1:]])
        return torch.cat([first, sums], 1)

    def _sum(self, hidden: Tensor) -> Tensor:
        """States (.., c, H) -> (.., F): the sum of their goals, each of length 1."""
        return functional.normalize(self.goal(hidden), dim=-1).sum(-2)


def add_epsilon_first(optimizer: Optimizer) -> None:
    """From now on, as TensorFlow's Adam: m / (sqrt(v) + epsilon) before the corrections for the first steps.

    torch corrects v first. In step t TensorFlow's epsilon is 1 / sqrt(1 - beta_2^t) times torch's, 32 times at first,
    and gradients of its size, 1e-8, begin slowly.
    """
    epsilon = optimizer.defaults["eps"]

    def before_step(optimizer: Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            group["step"] = group.get("step", 0) + 1  # saved and restored with the state
            group["eps"] = epsilon / (1 - group["betas"][1] ** group["step"]) ** 0.5

    optimizer.register_step_pre_hook(before_step)
