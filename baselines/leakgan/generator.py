"""The worker, and both together: by teacher forcing in one batch, and word by word."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.fast.kernels import product
from baselines.common.fast.likelihood import log_likelihood, tiles, token_entropy, weighted_nll
from baselines.common.fast.sampling import BLOCK, draw, write_words
from baselines.common.networks.cnn import CNNClassifier
from baselines.common.networks.layers import lstm_step, one_bias_lstm
from baselines.common.spec import SequenceSpec
from baselines.leakgan.features import PrefixReader, Reading
from baselines.leakgan.manager import Manager

__all__ = ["Generator", "Outputs", "State", "Walk", "Worker"]

_AT_ONCE = 256  # sentences that are sampled at once on a CPU, whose states stay in the last cache


class Worker(nn.Module):
    """Reads the words; its output layer gives every word a vector, whose product with the heading is a logit."""

    def __init__(self, *, vocab_size: int, n_features: int, embedding_dim: int, hidden_dim: int, goal_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = one_bias_lstm(embedding_dim, hidden_dim)
        self.output = nn.Parameter(torch.empty(vocab_size, (hidden_dim + 1) * goal_dim))  # weights and biases of O_t
        self.project = nn.Linear(n_features, goal_dim, bias=False)
        for parameter in (self.embedding.weight, self.output, self.project.weight):
            nn.init.normal_(parameter, std=0.1)

    def heading(self, goal: Tensor) -> Tensor:
        """(.., F) -> (.., k): the projected goal, of length 1."""
        return functional.normalize(self.project(goal), dim=-1)

    def directed(self, heading: Tensor) -> tuple[Tensor, Tensor]:
        """(k,) -> (V, H) and (V,): weights and biases of the words where all sentences have one heading."""
        table = self.output.unflatten(1, (-1, len(heading))) @ heading
        return table[:, :-1].contiguous(), table[:, -1].contiguous()

    @staticmethod
    def inputs(hidden: Tensor, heading: Tensor) -> Tensor:
        """(N, H) and (N, k) -> (N, (H + 1) k): its product with `output` is O_t w, and no (N, V, k) is ever made."""
        with_one = functional.pad(hidden, (0, 1), value=1.0)
        return (with_one[:, :, None] * heading[:, None, :]).flatten(1)


class Outputs(NamedTuple):
    """The logits of `positions` of B sentences, sentence by sentence: `hidden` (N, D) x `weight` (V, D) + `bias`."""

    positions: slice
    hidden: Tensor
    weight: Tensor
    bias: Tensor


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
        first_goals: int,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.horizon = horizon
        self.manager = Manager(n_features=n_features, hidden_dim=hidden_dim, first_goals=first_goals)
        self.worker = Worker(
            vocab_size=spec.vocab_size,
            n_features=n_features,
            embedding_dim=embedding_dim,
            hidden_dim=hidden_dim,
            goal_dim=goal_dim,
        )

    @property
    def goals_read(self) -> int:
        """How many goals g_0, g_1, .. equation 3 needs; those of the last block are of no use."""
        return (self.spec.max_len - 1) // self.horizon * self.horizon

    def block_goals(self, features: Tensor, begun: Tensor, *, shift: int = 0) -> Tensor:
        """Features of s_0 .. s_T (B, T + 1, F) -> (B, K, F), with the manager's gradient, of blocks `begun` (B, K)."""
        read = features[:, : self.goals_read + shift]
        return self.manager.block_goals(read, horizon=self.horizon, shift=shift, begun=begun)

    def outputs(self, tokens: Tensor, goals: Tensor) -> Iterator[Outputs]:
        """Tokens (B, T) and goals (B, K, F) -> what gives the logits of all positions, in turn.

        The goals are data here, but for that of block 0: the worker's gradient does not reach the manager.
        """
        hidden, goals, alike = self._read(tokens), goals.detach(), 0
        if len(self.manager.first_goals) == 1:  # block 0 has one heading in all sentences
            alike = min(self.horizon, tokens.shape[1])
            weight, bias = self.worker.directed(self.worker.heading(goals[0, 0]))
            yield Outputs(slice(alike), hidden[:, :alike].flatten(0, 1), weight, bias)
        if tokens.shape[1] > alike:
            yield self._steered(hidden, goals, slice(alike, tokens.shape[1]))

    def _read(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, H): the worker's state before each token."""
        before = functional.pad(tokens[:, :-1], (1, 0), value=self.spec.bos_id)
        return self.worker.lstm(self.worker.embedding(before))[0]

    def _steered(self, hidden: Tensor, goals: Tensor, at: slice, rows: Tensor | slice = slice(None)) -> Outputs:
        """Where each sentence has headings of its own; of all rows, or of these."""
        heading = self.worker.heading(goals).repeat_interleave(self.horizon, 1)[:, at]
        inputs = self.worker.inputs(hidden[:, at].flatten(0, 1)[rows], heading.flatten(0, 1)[rows])
        return Outputs(at, inputs, self.worker.output, inputs.new_zeros(self.spec.vocab_size))

    def weighted_nll(self, tokens: Tensor, goals: Tensor, weights: Tensor) -> Tensor:
        """-sum of weights (B, T) x log p, with the worker's gradient."""
        loss = tokens.new_zeros((), dtype=weights.dtype)
        for at, hidden, weight, bias in self.outputs(tokens, goals):
            loss = loss + weighted_nll(hidden, weight, bias, tokens[:, at].flatten(), weights[:, at].flatten())
        return loss

    @torch.no_grad()
    def log_prob(self, tokens: Tensor, goals: Tensor, inside: Tensor, multiplier: float) -> Tensor:
        """(B,), nats: of the tokens that are `inside` (B, T), logits multiplied by `multiplier`.

        Any first goal is as likely as another, and neither later goals nor the worker's state depend on it: a mean of
        probabilities over block 0, times those of the other blocks.
        """
        total = self.first_log_prob(tokens[:, : self.horizon], multiplier, inside).logsumexp(1)
        if tokens.shape[1] > self.horizon:
            then = slice(self.horizon, tokens.shape[1])
            counts = inside[:, then].flatten()
            # On a CPU what counts nothing costs nothing; elsewhere the choice would wait for the device.
            rows = counts.nonzero().squeeze(1) if counts.device.type == "cpu" else slice(None)
            o = self._steered(self._read(tokens), goals, then, rows)
            log_p = torch.zeros_like(counts, dtype=o.hidden.dtype)
            log_p[rows] = log_likelihood(o.hidden * multiplier, o.weight, o.bias, tokens[:, then].flatten()[rows])
            total = total + (log_p * counts).view(len(tokens), -1).sum(1)
        return total

    @torch.no_grad()
    def first_log_prob(self, words: Tensor, multiplier: float, inside: Tensor | None = None) -> Tensor:
        """(B, N) -> (B, P), nats: of a first goal, each as likely as another, and after it of these N first words.

        They are no more than block 0 has. Those that are not `inside` (B, T) do not count.
        """
        hidden = self._read(words).flatten(0, 1) * multiplier
        columns = []
        for heading in self.worker.heading(self.manager.first_goals):
            weight, bias = self.worker.directed(heading)
            log_p = log_likelihood(hidden, weight, bias * multiplier, words.flatten()).view_as(words)
            columns.append((log_p if inside is None else log_p * inside[:, : words.shape[1]]).sum(1))
        return torch.stack(columns, 1) - math.log(len(columns))

    @torch.no_grad()
    def places(self, n: int, multiplier: float, prefix: Tensor | None) -> Tensor:
        """(n,): numbers of first goals by chance, after a prefix (n, N) by their probability given it."""
        goals = self.manager.first_goals
        if len(goals) == 1:
            return torch.zeros(n, dtype=torch.int64, device=goals.device)
        if prefix is None:
            return torch.randint(len(goals), (n,), device=goals.device)
        return draw(self.first_log_prob(prefix[:, : self.horizon], multiplier))[0]

    @torch.no_grad()
    def entropy(self, tokens: Tensor, goals: Tensor, inside: Tensor) -> Tensor:
        """The mean over tokens of the entropy of p(. | s_t), nats."""
        parts = [token_entropy(o.hidden, o.weight, o.bias) for o in self.outputs(tokens, goals)]
        entropy = torch.cat([part.view(len(tokens), -1) for part in parts], 1)
        return (entropy * inside).sum() / inside.sum()

    @torch.no_grad()
    def sample(
        self,
        discriminator: CNNClassifier,
        places: Tensor,
        multiplier: Callable[[int], float],
        prefix: Tensor | None = None,
    ) -> Tensor:
        """(n, T) int64, with the first goals of the numbers `places` (n,). Ended rows are padded.

        Logits at position t, from 0, are multiplied by `multiplier(t)`. With a prefix (n, N) the first N tokens of each
        sentence are given.
        """
        walk = Walk(self, discriminator, to_score=False)
        parts = places.split(_AT_ONCE if walk.device.type == "cpu" else 4096)
        given = [None] * len(parts) if prefix is None else prefix.split(len(parts[0]))
        return torch.cat([walk.sample(part, multiplier, begun) for part, begun in zip(parts, given, strict=True)])


class State(NamedTuple):
    """Of N unfinished sentences; each tensor has N rows."""

    windows: Tensor
    """(N, C), with `best` (N, F): what the discriminator has read (`Reading`)."""
    best: Tensor
    manager: Tensor
    """(N, 2 H): hidden state and cell."""
    worker: Tensor
    """(N, 2 H): hidden state and cell."""
    goals: Tensor
    """(N, F): sum of the goals since the block began."""
    heading: Tensor
    """(N, k): w of this block."""
    ended: Tensor
    """(N,) bool."""

    def joined(self, first: int, times: int) -> State:
        """`times` copies of the first rows, below all rows."""
        return State(*(torch.cat([x, x[:first].repeat(times, *[1] * (x.dim() - 1))]) for x in self))


class Walk:
    """The generator unrolled token by token without gradients, as it is now: later updates are not seen.

    At each position, `read` the word that `draw` gives or another. Unless sentences are `to_score` at their end, the
    discriminator reads only what the manager needs.
    """

    @torch.no_grad()
    def __init__(self, generator: Generator, discriminator: CNNClassifier, *, to_score: bool) -> None:
        worker = generator.worker
        self._generator = generator
        self._spec = generator.spec
        self._to_score = to_score
        self._reader = PrefixReader(discriminator, self._spec.max_len)
        self.device = worker.output.device
        lstm = worker.lstm
        self._gates = functional.linear(
            worker.embedding.weight, lstm.get_parameter("weight_ih_l0"), lstm.get_parameter("bias_ih_l0")
        )  # (V, 4H)
        padding = -self._spec.vocab_size % BLOCK  # impossible words, to the width that `draw` likes
        self._output = functional.pad(worker.output, (0, 0, 0, padding))
        self._bias = functional.pad(worker.output.new_zeros(self._spec.vocab_size), (0, padding), value=-math.inf)
        self._headings = worker.heading(generator.manager.first_goals)
        self._alike = 0  # tokens that have one heading in all sentences
        if len(self._headings) == 1:
            self._alike = generator.horizon
            weight, bias = worker.directed(self._headings[0])
            self._first_output = functional.pad(weight, (0, 0, 0, padding))
            self._first_bias = functional.pad(bias, (0, padding), value=-math.inf)

    @torch.no_grad()
    def start(self, places: Tensor) -> State:
        """Sentences of which only the start token is read, with the first goals of these numbers (N,)."""
        manager, worker = self._generator.manager, self._generator.worker
        zeros = manager.first_goals.new_zeros
        state = State(
            *self._reader.start(1),
            manager=zeros(1, 2 * manager.lstm.hidden_size),
            worker=zeros(1, 2 * worker.lstm.hidden_size),
            goals=zeros(1, manager.first_goals.shape[1]),
            heading=self._headings[:1],
            ended=torch.zeros(1, dtype=torch.bool, device=self.device),
        )
        state = self._think(state, torch.full((1,), self._spec.bos_id, device=self.device), read=0)
        state = State(*(x.expand(len(places), *x.shape[1:]) for x in state))
        return state._replace(heading=self._headings[places])

    @torch.no_grad()
    def draw(self, state: State, position: int, multiplier: float = 1.0, first: int = 0) -> Tensor:
        """The next words (N - first,) of the rows from `first` on; padding after the end of a sentence."""
        inputs = state.worker[first:].chunk(2, 1)[0]
        if position < self._alike:
            output, bias = self._first_output, self._first_bias
        else:
            inputs, output, bias = Worker.inputs(inputs, state.heading[first:]), self._output, self._bias
        out = torch.empty(len(inputs), dtype=torch.int64, device=self.device)
        for tile in tiles(len(inputs), self.device, 256):
            out[tile] = draw(product(inputs[tile] * multiplier, output, bias * multiplier))[0]
        return out if self._spec.pad_id is None else out.masked_fill_(state.ended[first:], self._spec.pad_id)

    @torch.no_grad()
    def read(self, state: State, words: Tensor, position: int) -> State:
        """Put the words (N,) at `position`, from 0; where a block ends there, its goals are the next one's heading."""
        read = position + 1
        if self._to_score or read < self._generator.goals_read:
            windows, best = self._reader.read(Reading(state.windows, state.best), words, position)
            state = state._replace(windows=windows, best=best)
        if self._spec.eos_id is not None:
            state = state._replace(ended=state.ended | (words == self._spec.eos_id))
        if read % self._generator.horizon == 0:
            heading = self._generator.worker.heading(state.goals)
            state = state._replace(goals=torch.zeros_like(state.goals), heading=heading)
        return self._think(state, words, read)

    def _think(self, state: State, words: Tensor, read: int) -> State:
        """Manager and worker take in what is new: equation 2, and equation 4 up to the logits."""
        manager, worker = self._generator.manager, self._generator.worker
        state = state._replace(worker=_step(worker.lstm, self._gates[words], state.worker))
        if read >= self._generator.goals_read:
            return state
        features = self._reader.features(self._reader.pooled(Reading(state.windows, state.best), read))
        gates = product(features, manager.lstm.get_parameter("weight_ih_l0"), manager.lstm.get_parameter("bias_ih_l0"))
        advanced = _step(manager.lstm, gates, state.manager)
        goal = functional.normalize(product(advanced.chunk(2, 1)[0], manager.goal.weight, manager.goal.bias), dim=1)
        return state._replace(manager=advanced, goals=state.goals + goal)

    @torch.no_grad()
    def sample(self, places: Tensor, multiplier: Callable[[int], float], prefix: Tensor | None = None) -> Tensor:
        """(n, T): a sentence for each of the first goals (n,), from the start or behind a prefix (n, N)."""
        return write_words(
            len(places),
            self._spec,
            self.start(places),
            draw=lambda state, position: self.draw(State(*state), position, multiplier(position)),
            read=lambda words, state, position: self.read(State(*state), words, position),
            prefix=prefix,
        )

    @torch.no_grad()
    def score(self, state: State) -> Tensor:
        """The probability (N,) that complete sentences are real."""
        return self._reader.score(Reading(state.windows, state.best))


def _step(lstm: nn.LSTM, gates: Tensor, state: Tensor) -> Tensor:
    """Gates (N, 4H) without what the state adds, state (N, 2H) -> the next state."""
    hidden, cell = state.chunk(2, 1)
    return torch.cat(lstm_step(torch.addmm(gates, hidden, lstm.get_parameter("weight_hh_l0").t()), cell), 1)
