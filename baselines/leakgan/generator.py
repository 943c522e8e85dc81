"""Manager and worker: by teacher forcing in one batch, and word by word."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.cnn import CNNClassifier
from baselines.common.likelihood import tiles
from baselines.common.sampling import BLOCK, draw
from baselines.common.spec import SequenceSpec
from baselines.leakgan.features import PrefixReader

__all__ = ["Generator", "Manager", "State", "Walk", "Worker"]


class Manager(nn.Module):
    """Reads the leaked features of s_0, s_1, .. and names a direction in their space for each: equation 2."""

    def __init__(self, *, n_features: int, hidden_dim: int) -> None:
        super().__init__()
        self.lstm = _lstm(n_features, hidden_dim)
        self.goal = nn.Linear(hidden_dim, n_features)
        for parameter in self.goal.parameters():
            nn.init.normal_(parameter, std=0.1)
        self.first_goal = nn.Parameter(nn.init.trunc_normal_(torch.empty(n_features), std=0.1, a=-0.2, b=0.2))

    def block_goals(self, features: Tensor, *, horizon: int, shift: int) -> Tensor:
        """Features of s_0 .. s_{T-1} (B, T, F) -> (B, K, F): the goal of each block of `horizon` tokens, equation 3.

        `shift` is 0 for the sums of equation 3, 1 for those that leave out the first goal and begin with the next.
        """
        b, length, n_features = features.shape
        earlier = (length - 1) // horizon  # blocks before the last
        first = self.first_goal.expand(b, 1, n_features)
        if not earlier:
            return first
        goals = functional.normalize(self.goal(self.lstm(features)[0]), dim=2)
        sums = goals[:, shift : shift + earlier * horizon].unflatten(1, (earlier, horizon)).sum(2)
        return torch.cat([first, sums], 1)


class Worker(nn.Module):
    """Reads the words; its output layer gives every word a vector, whose product with the heading is a logit."""

    def __init__(self, *, vocab_size: int, n_features: int, embedding_dim: int, hidden_dim: int, goal_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = _lstm(embedding_dim, hidden_dim)
        self.output = nn.Parameter(torch.empty(vocab_size, (hidden_dim + 1) * goal_dim))  # weights and biases of O_t
        self.project = nn.Linear(n_features, goal_dim, bias=False)
        for parameter in (self.embedding.weight, self.output, self.project.weight):
            nn.init.normal_(parameter, std=0.1)

    def heading(self, goal: Tensor) -> Tensor:
        """(.., F) -> (.., k): the projected goal, of length 1."""
        return functional.normalize(self.project(goal), dim=-1)

    @staticmethod
    def inputs(hidden: Tensor, heading: Tensor) -> Tensor:
        """(N, H) and (N, k) -> (N, (H + 1) k): its product with `output` is O_t w, and no (N, V, k) is ever made."""
        with_one = functional.pad(hidden, (0, 1), value=1.0)
        return (with_one[:, :, None] * heading[:, None, :]).flatten(1)


class Generator(nn.Module):
    """Equations 2 to 4. What the discriminator leaks is an input, so that nothing of it is a parameter here."""

    def __init__(
        self,
        spec: SequenceSpec,
        *,
        n_features: int,
        embedding_dim: int,
        hidden_dim: int,
        goal_dim: int,
        horizon: int,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.horizon = horizon
        self.manager = Manager(n_features=n_features, hidden_dim=hidden_dim)
        self.worker = Worker(
            vocab_size=spec.vocab_size,
            n_features=n_features,
            embedding_dim=embedding_dim,
            hidden_dim=hidden_dim,
            goal_dim=goal_dim,
        )

    def block_goals(self, features: Tensor, *, shift: int = 0) -> Tensor:
        """Features of s_0 .. s_T (B, T + 1, F) -> (B, K, F), with the manager's gradient."""
        return self.manager.block_goals(features[:, :-1], horizon=self.horizon, shift=shift)

    def inputs(self, tokens: Tensor, goals: Tensor) -> Tensor:
        """Tokens (B, T) and goals (B, K, F) -> (B T, (H + 1) k): logits are its product with the worker's `output`.

        The goals are data here: the worker's gradient does not reach the manager.
        """
        before = functional.pad(tokens[:, :-1], (1, 0), value=self.spec.bos_id)
        hidden = self.worker.lstm(self.worker.embedding(before))[0]
        heading = self.worker.heading(goals.detach()).repeat_interleave(self.horizon, 1)[:, : tokens.shape[1]]
        return self.worker.inputs(hidden.flatten(0, 1), heading.flatten(0, 1))

    @torch.no_grad()
    def sample(self, discriminator: CNNClassifier, n: int, multiplier: Callable[[int], float]) -> Tensor:
        """(n, T) int64; logits at position t, from 0, are multiplied by `multiplier(t)`. Ended rows are padded."""
        walk = Walk(self, discriminator)
        state = walk.start(n)
        out = []
        for position in range(self.spec.max_len):
            state = walk.think(state)
            out.append(walk.draw(state, multiplier(position)))
            state = walk.read(state, out[-1], position)
        return torch.stack(out, 1)


class State(NamedTuple):
    """Of N unfinished sentences; each tensor has N rows."""

    responses: Tensor
    """(N, R): of the discriminator's windows."""
    manager: Tensor
    """(N, 2 H): hidden state and cell."""
    worker: Tensor
    """(N, 2 H): hidden state and cell."""
    goals: Tensor
    """(N, F): sum of the goals since the block began."""
    heading: Tensor
    """(N, k): w of this block."""
    word: Tensor
    """(N,): the last word."""
    ended: Tensor
    """(N,) bool."""

    def joined(self, first: int, times: int) -> State:
        """`times` copies of the first rows, below all rows."""
        return State(*(torch.cat([x, x[:first].repeat(times, *[1] * (x.dim() - 1))]) for x in self))


class Walk:
    """The generator unrolled token by token without gradients, as it is now: later updates are not seen.

    At each position `think`, then `read` the word that `draw` gives or another.
    """

    @torch.no_grad()
    def __init__(self, generator: Generator, discriminator: CNNClassifier) -> None:
        worker = generator.worker
        self._generator = generator
        self._spec = generator.spec
        self.reader = PrefixReader(discriminator, self._spec.max_len)
        lstm = worker.lstm
        self._gates = functional.linear(
            worker.embedding.weight, lstm.get_parameter("weight_ih_l0"), lstm.get_parameter("bias_ih_l0")
        )  # (V, 4H)
        padding = -self._spec.vocab_size % BLOCK  # impossible words, to the width that `draw` likes
        self._output = functional.pad(worker.output, (0, 0, 0, padding)).t()
        self._bias = functional.pad(worker.output.new_zeros(self._spec.vocab_size), (0, padding), value=-math.inf)

    @torch.no_grad()
    def start(self, n: int) -> State:
        """n sentences of which only the start token is read."""
        manager, worker = self._generator.manager, self._generator.worker
        zeros = manager.first_goal.new_zeros
        return State(
            responses=self.reader.start(n),
            manager=zeros(n, 2 * manager.lstm.hidden_size),
            worker=zeros(n, 2 * worker.lstm.hidden_size),
            goals=zeros(n, len(manager.first_goal)),
            heading=worker.heading(manager.first_goal).expand(n, -1),
            word=torch.full((n,), self._spec.bos_id, device=self._bias.device),
            ended=torch.zeros(n, dtype=torch.bool, device=self._bias.device),
        )

    @torch.no_grad()
    def think(self, state: State) -> State:
        """Manager and worker read what is new: equations 2 and 4 up to the logits."""
        manager, worker = self._generator.manager, self._generator.worker
        features = self.reader.features(self.reader.pooled(state.responses))
        gates = functional.linear(
            features, manager.lstm.get_parameter("weight_ih_l0"), manager.lstm.get_parameter("bias_ih_l0")
        )
        advanced = _step(manager.lstm, gates, state.manager)
        goal = functional.normalize(manager.goal(advanced.chunk(2, 1)[0]), dim=1)
        return state._replace(
            manager=advanced,
            worker=_step(worker.lstm, self._gates[state.word], state.worker),
            goals=state.goals + goal,
        )

    @torch.no_grad()
    def draw(self, state: State, multiplier: float = 1.0, first: int = 0) -> Tensor:
        """The next words (N - first,) of the rows from `first` on; padding after the end of a sentence."""
        hidden = state.worker[first:].chunk(2, 1)[0]
        inputs = Worker.inputs(hidden, state.heading[first:]) * multiplier
        out = torch.empty(len(hidden), dtype=torch.int64, device=hidden.device)
        for tile in tiles(len(hidden), hidden.device):
            out[tile] = draw(torch.addmm(self._bias, inputs[tile], self._output))[0]
        return out if self._spec.pad_id is None else out.masked_fill_(state.ended[first:], self._spec.pad_id)

    @torch.no_grad()
    def read(self, state: State, words: Tensor, position: int) -> State:
        """Put the words (N,) at `position`, from 0; where a block ends there, its goals are the next one's heading."""
        self.reader.read(state.responses, words, position)
        ended = state.ended if self._spec.eos_id is None else state.ended | (words == self._spec.eos_id)
        state = state._replace(word=words, ended=ended)
        if (position + 1) % self._generator.horizon:
            return state
        heading = self._generator.worker.heading(state.goals)
        return state._replace(goals=torch.zeros_like(state.goals), heading=heading)


def _lstm(inputs: int, hidden_dim: int) -> nn.LSTM:
    """All N(0, 0.1^2); the released code has one bias per gate, so the second of `nn.LSTM` is zero and stays zero."""
    lstm = nn.LSTM(inputs, hidden_dim, batch_first=True)
    for parameter in lstm.parameters():
        nn.init.normal_(parameter, std=0.1)
    nn.init.zeros_(lstm.get_parameter("bias_hh_l0")).requires_grad_(False)
    return lstm


def _step(lstm: nn.LSTM, gates: Tensor, state: Tensor) -> Tensor:
    """Gates (N, 4H) without what the state adds, state (N, 2H) -> the next state."""
    hidden, cell = state.chunk(2, 1)
    gates = torch.addmm(gates, hidden, lstm.get_parameter("weight_hh_l0").t())
    admit, keep, candidate, show = gates.chunk(4, dim=1)  # nn.LSTM's order
    cell = keep.sigmoid() * cell + admit.sigmoid() * candidate.tanh()
    return torch.cat([show.sigmoid() * cell.tanh(), cell], 1)
