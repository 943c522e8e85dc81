"""The language model of the SeqGAN line: one LSTM layer between an embedding and an output layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.fast.kernels import product
from baselines.common.fast.likelihood import counted, log_likelihood, tiles, token_entropy, weighted_nll
from baselines.common.fast.sampling import BLOCK, draw, draw_by_mass, write_words
from baselines.common.networks.layers import lstm_step
from baselines.common.spec import SequenceSpec

__all__ = ["Decoder", "LSTMLanguageModel"]

_MOST_BITS = 100
"""Powers of 2 up to that, and sums of them, are float32 numbers: no row need be shifted by its highest logit."""


class LSTMLanguageModel(nn.Module):
    """p(x) = prod_t softmax(W h_t + b)[x_t], h_t = LSTM(x_{t-1}, h_{t-1}), x_0 = the start token, h_0 = 0.

    Every parameter starts as N(0, 0.1^2), biases included (LantaoYu/SeqGAN generator.py:128-129). That code has one
    bias per gate; `nn.LSTM` has two, so the second is zero and stays zero.
    """

    def __init__(self, spec: SequenceSpec, *, embedding_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.spec = spec
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, batch_first=True)
        self.output = nn.Linear(hidden_dim, spec.vocab_size)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.1)
        second_bias = self.lstm.get_parameter("bias_hh_l0")
        nn.init.zeros_(second_bias).requires_grad_(False)

    def hidden(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, H): the state from which each position is predicted, by teacher forcing."""
        inputs = functional.pad(tokens[:, :-1], (1, 0), value=self.spec.bos_id)
        hidden: Tensor = self.lstm(self.embedding(inputs))[0]
        return hidden

    def weighted_nll(self, tokens: Tensor, weights: Tensor, *, words: Tensor | None = None) -> Tensor:
        """Tokens and weights (B, T) -> -sum_{b,t} weights log p(x_t | x_<t), a scalar with gradient.

        `words` (B, T) are what is predicted after the tokens before them, where that is not the tokens themselves.
        """
        hidden = self.hidden(tokens).flatten(0, 1)
        words, weights = (tokens if words is None else words).flatten(), weights.flatten().to(hidden.dtype)
        return weighted_nll(hidden, self.output.weight, self.output.bias, words, weights)

    def mean_nll(self, tokens: Tensor) -> Tensor:
        """(B, T) -> the mean over tokens of -log p, nats; what follows the end token does not count."""
        inside = counted(tokens, self.spec.eos_id).to(self.output.weight.dtype)
        return self.weighted_nll(tokens, inside / inside.sum())

    @torch.no_grad()
    def log_prob(self, tokens: Tensor, *, temperature: float = 1.0) -> Tensor:
        """(B, T) -> (B,): log-probability of each sentence, nats."""
        return (self.word_log_prob(tokens, tokens, temperature=temperature) * counted(tokens, self.spec.eos_id)).sum(1)

    @torch.no_grad()
    def word_log_prob(self, tokens: Tensor, words: Tensor, *, temperature: float = 1.0) -> Tensor:
        """(B, T), (B, T) -> (B, T): log p(words_t | x_<t) at each position, nats."""
        hidden, output = self.hidden(tokens).flatten(0, 1) / temperature, self.output
        return log_likelihood(hidden, output.weight, output.bias / temperature, words.flatten()).view(tokens.shape)

    @torch.no_grad()
    def entropy(self, tokens: Tensor) -> Tensor:
        """(B, T) -> the mean over their tokens of the entropy of p(. | x_<t), nats."""
        entropy = token_entropy(self.hidden(tokens).flatten(0, 1), self.output.weight, self.output.bias)
        inside = counted(tokens, self.spec.eos_id)
        return (entropy.view(tokens.shape) * inside).sum() / inside.sum()

    @torch.no_grad()
    def sample(self, n: int, *, temperature: float = 1.0, prefix: Tensor | None = None) -> Tensor:
        """(n, T) int64: sentences from the model; what follows an end token is padding.

        With a prefix (n, N), the first N tokens of each sentence are given and the model draws the others.
        """
        decoder = Decoder(self, temperature=temperature)
        return write_words(
            n,
            self.spec,
            decoder.start(n),
            draw=lambda state, _: decoder.draw(state[0])[0],
            read=lambda words, state, _: decoder.step(words, *state),
            prefix=prefix,
        )


class Decoder:
    """A language model unrolled token by token without gradients, as it is now: later updates are not seen.

    The projection of every word into the gates is a table, so a step looks it up; the output layer is padded with
    impossible words to the width that `draw` likes, and has the temperature in it.
    """

    @torch.no_grad()
    def __init__(self, model: LSTMLanguageModel, *, temperature: float = 1.0) -> None:
        if not temperature > 0:
            raise ValueError(f"temperature must be over 0, got {temperature}")
        lstm, output = model.lstm, model.output
        self.device = output.weight.device
        self.bos_id = model.spec.bos_id
        self.hidden_dim = lstm.hidden_size
        weights, bias = lstm.get_parameter("weight_ih_l0"), lstm.get_parameter("bias_ih_l0")
        self._gates = functional.linear(model.embedding.weight, weights, bias)  # (V, 4H)
        self._recurrent = lstm.get_parameter("weight_hh_l0").detach().t().contiguous()
        padding = -output.out_features % BLOCK
        self._weight = functional.pad(output.weight, (0, 0, 0, padding)) / temperature
        self._bias = functional.pad(output.bias / temperature, (0, padding), value=-math.inf)
        self._bounded = self.device.type == "cpu" and self._bound() < _MOST_BITS
        if self._bounded:
            self._weight, self._bias = self._weight / math.log(2), self._bias / math.log(2)

    def _bound(self) -> float:
        """No logit is farther from 0 than that, in bits: the numbers of a hidden state are between -1 and 1."""
        farthest = self._weight.abs().sum(1) + self._bias.abs()
        return float(farthest[self._bias.isfinite()].max()) / math.log(2)

    @torch.no_grad()
    def start(self, n: int) -> tuple[Tensor, Tensor]:
        """The state (n, H), (n, H) after the start token."""
        zeros = self._gates.new_zeros(n, self.hidden_dim)
        return self.step(torch.full((n,), self.bos_id, device=self.device), zeros, zeros)

    @torch.no_grad()
    def step(self, tokens: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Read tokens (N,) in the state (N, H), (N, H) -> the next state."""
        gates = torch.addmm(self._gates[tokens], hidden, self._recurrent)
        return lstm_step(gates, cell)

    @torch.no_grad()
    def draw(self, hidden: Tensor, n: int = 1) -> Tensor:
        """(N, H) -> (n, N) int64: n independent next tokens per row."""
        out = torch.empty(n, len(hidden), dtype=torch.int64, device=self.device)
        for tile in tiles(len(hidden), self.device, 256):
            logits = product(hidden[tile], self._weight, self._bias)
            out[:, tile] = draw_by_mass(logits.exp2_(), n) if self._bounded else draw(logits, n)
        return out
