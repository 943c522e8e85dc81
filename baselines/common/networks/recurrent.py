"""Language models with a recurrent core: exact likelihood and samples, and relaxed samples that a gradient passes."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.fast.kernels import applied
from baselines.common.fast.likelihood import counted, log_likelihood, weighted_nll
from baselines.common.fast.sampling import draw, write_words
from baselines.common.networks.gumbel import gumbel_softmax
from baselines.common.networks.layers import fan_in_linear, fan_in_normal_, lstm_step
from baselines.common.spec import SequenceSpec

__all__ = ["Core", "LSTMCore", "RecurrentLanguageModel"]

_AT_ONCE = 256  # sentences that are sampled or scored at once


class Core(nn.Module, ABC):
    """A recurrent network as a language model needs it. The first dimension of a state is the sentences."""

    output_dim: int
    """H: width of what a step puts out."""

    @abstractmethod
    def initial_state(self, n: int) -> Tensor:
        """The state of n sentences before the start token."""

    @abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """(..., E) -> (..., P): what steps need of their inputs; for many steps at once where those are known."""

    @abstractmethod
    def step(self, projected: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Projected input (B, P) and a state -> output (B, H) and the next state."""


class LSTMCore(Core):
    """A plain LSTM with one bias per gate, all 0 at first, as weilinie/RelGAN models/lstm_vanilla.py."""

    def __init__(self, input_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.output_dim = hidden_dim
        self.input = fan_in_linear(input_dim, 4 * hidden_dim)
        self.recurrent = fan_in_linear(hidden_dim, 4 * hidden_dim, bias=False)

    def initial_state(self, n: int) -> Tensor:
        """(n, 2, H) zeros: hidden state and cell."""
        return self.input.weight.new_zeros(n, 2, self.output_dim)

    def project(self, x: Tensor) -> Tensor:
        """(..., E) -> (..., 4 H): the input's part of the gates."""
        return applied(self.input, x)

    def step(self, projected: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Gates (B, 4 H) and state (B, 2, H) -> output (B, H) and the next state."""
        hidden, cell = state.unbind(1)
        hidden, cell = lstm_step(projected + applied(self.recurrent, hidden), cell)
        return hidden, torch.stack([hidden, cell], 1)


class RecurrentLanguageModel(nn.Module):
    """p(x) = prod_t softmax(W h_t + b)[x_t], (h_t, state_t) = core(embedding of x_{t-1}, state_{t-1}).

    Where `padding_is_a_word`, training and relaxed sentences go on after the end token, and padding is predicted and
    generated like any word; else what follows the end counts nothing, and relaxed sentences have one-hot padding
    there. Likelihood and samples end at the end token either way.
    """

    def __init__(self, spec: SequenceSpec, core: Core, *, embedding_dim: int, padding_is_a_word: bool = False) -> None:
        super().__init__()
        self.spec = spec
        self.ends = spec.eos_id is not None and not padding_is_a_word
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        self.core = core
        self.output = fan_in_linear(core.output_dim, spec.vocab_size)
        fan_in_normal_(self.embedding.weight, spec.vocab_size)

    def hidden(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, H): the output from which each position is predicted, by teacher forcing."""
        inputs = self.core.project(self.embedding(functional.pad(tokens[:, :-1], (1, 0), value=self.spec.bos_id)))
        state, outputs = self.core.initial_state(len(tokens)), []
        for projected in inputs.unbind(1):
            output, state = self.core.step(projected, state)
            outputs.append(output)
        return torch.stack(outputs, 1)

    def mean_nll(self, tokens: Tensor) -> Tensor:
        """(B, T) -> the mean of -log p over the words that count, nats; a scalar with gradient."""
        hidden = self.hidden(tokens).flatten(0, 1)
        inside = counted(tokens, self.spec.eos_id if self.ends else None).flatten().to(hidden.dtype)
        return weighted_nll(hidden, self.output.weight, self.output.bias, tokens.flatten(), inside / inside.sum())

    @torch.no_grad()
    def log_prob(self, tokens: Tensor, *, temperature: float = 1.0) -> Tensor:
        """(B, T) -> (B,): log-probability of each sentence, nats; what follows the end token counts nothing."""
        return torch.cat([self._log_prob(part, temperature) for part in tokens.split(_AT_ONCE)])

    def _log_prob(self, tokens: Tensor, temperature: float) -> Tensor:
        hidden = self.hidden(tokens).flatten(0, 1) / temperature
        log_p = log_likelihood(hidden, self.output.weight, self.output.bias / temperature, tokens.flatten())
        return (log_p.view(tokens.shape) * counted(tokens, self.spec.eos_id)).sum(1)

    @torch.no_grad()
    def sample(self, n: int, *, temperature: float = 1.0, prefix: Tensor | None = None) -> Tensor:
        """(n, T) int64: sentences from the model; what follows an end token is padding.

        With a prefix (n, N), the first N tokens of each sentence are given and the model draws the others.
        """
        if not temperature > 0:
            raise ValueError(f"temperature must be over 0, got {temperature}")
        sizes = [min(_AT_ONCE, n - start) for start in range(0, n, _AT_ONCE)]
        given = [None] * len(sizes) if prefix is None else prefix.split(_AT_ONCE)
        return torch.cat([self._sample(size, temperature, part) for size, part in zip(sizes, given, strict=True)])

    def _sample(self, n: int, temperature: float, prefix: Tensor | None) -> Tensor:
        def read(words: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            return self.core.step(self.core.project(self.embedding(words)), state)

        return write_words(
            n,
            self.spec,
            read(torch.full((n,), self.spec.bos_id, device=self.output.weight.device), self.core.initial_state(n)),
            draw=lambda state, _: draw(applied(self.output, state[0]) / temperature)[0],
            read=lambda words, state, _: read(words, state[1]),
            prefix=prefix,
        )

    def relaxed(self, n: int, beta: float) -> Tensor:
        """(n, T, V): sentences of relaxed words, with gradient; beta is the inverse temperature of `gumbel_softmax`.

        The next input is the embedding of the drawn word, not of the relaxed one: a gradient goes through the relaxed
        words, through the recurrent state, and into the embeddings that were looked up, but not through the choice.
        """
        words, drawn = [], []
        token = torch.full((n,), self.spec.bos_id, device=self.output.weight.device)
        state = self.core.initial_state(n)
        for _ in range(self.spec.max_len):
            output, state = self.core.step(self.core.project(self.embedding(token)), state)
            word, token = gumbel_softmax(applied(self.output, output), beta)
            words.append(word)
            drawn.append(token)
        relaxed = torch.stack(words, 1)
        if not self.ends or self.spec.pad_id is None:
            return relaxed
        padding = (torch.arange(self.spec.vocab_size, device=relaxed.device) == self.spec.pad_id).to(relaxed)
        return relaxed.where(counted(torch.stack(drawn, 1), self.spec.eos_id)[..., None], padding)
