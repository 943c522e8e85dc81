"""MyGAN: what is new in it, in one sentence.

**Paper**: authors, title, venue, year, address

**Equations**: number them here and name the number at the line that computes it

1. log p(x) = sum over t of log p(x_t | x_<t)
# only for policy, relaxed
2. D's cost on real x and written y: softplus(-D(x)) + softplus(D(y))
# end
# only for policy
3. G's cost: -(r(y) - mean r) log p(y), with the reward r(y) = sigmoid(D(y))
# end
# only for relaxed
3. G's cost: softplus(-D(y)), where words of y are drawn by Gumbel-softmax, so that a gradient passes
# end
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from textgan_bench import BaseConfig, Batches, Phase, PositiveFloat, PositiveInt, SequenceSpec, TextGenerator


class MyGAN(TextGenerator):
    """A GRU that writes word by word."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Settings: `--set hidden_dim=128`. `batch_size` and `shuffle` come from BaseConfig."""

        hidden_dim: PositiveInt = 64
        """Width of embeddings and GRU."""
        lr: PositiveFloat = 5e-3
        """Adam's, of maximum likelihood."""
        mle_steps: PositiveInt = 1_500
        """Steps of maximum likelihood."""
        # only for policy, relaxed
        adversarial_steps: PositiveInt = 200
        """Steps after it: one update of the discriminator and one of the generator in each."""
        d_lr: PositiveFloat = 1e-3
        """Adam's, of the discriminator."""
        g_lr: PositiveFloat = 1e-4
        """Adam's, of the generator in the adversarial phase."""
        # end
        # only for relaxed
        relaxation: PositiveFloat = 1.0
        """Temperature of the Gumbel-softmax."""
        # end

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "mle_steps": 40,
            # only for policy, relaxed
            "adversarial_steps": 10,
            # end
        },
        "small": {
            "mle_steps": 500,
            # only for policy, relaxed
            "adversarial_steps": 100,
            # end
        },
    }
    """What `--scale smoke` and `--scale small` change; the defaults above are the published setting."""

    def __init__(self, config: Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)  # first: it keeps config and spec, and makes self.optimizers
        self.config: MyGAN.Config = config
        self.embedding = nn.Embedding(spec.vocab_size, config.hidden_dim)
        self.gru = nn.GRU(config.hidden_dim, config.hidden_dim, batch_first=True)
        self.output = nn.Linear(config.hidden_dim, spec.vocab_size)
        generator = list(self.parameters())
        self.optimizers["mle"] = torch.optim.Adam(generator, lr=config.lr)  # here, so that checkpoints have it
        # only for policy, relaxed
        self.discriminator = Discriminator(spec.vocab_size, config.hidden_dim)
        self.optimizers["generator"] = torch.optim.Adam(generator, lr=config.g_lr)
        self.optimizers["discriminator"] = torch.optim.Adam(self.discriminator.parameters(), lr=config.d_lr)
        # end

    def phases(self) -> Sequence[Phase]:
        """Name the steps; the harness calls each as often as it says, in this order."""
        return [
            Phase("mle", self.config.mle_steps, self.mle_step),
            # only for policy
            Phase("adversarial", self.config.adversarial_steps, self.policy_step),
            # end
            # only for relaxed
            Phase("relaxed", self.config.adversarial_steps, self.relaxed_step),
            # end
        ]

    def mle_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """Maximise equation 1 on real sentences, (B, T) ids."""
        return {"nll": self.update("mle", -self.log_prob(next(batches)).mean())}

    # only for policy
    def policy_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """One update of the discriminator (equation 2), one of the generator (equation 3)."""
        real = next(batches)
        with torch.no_grad():  # the gradient goes through log_prob, not through the drawing
            written = self.sample(len(real))
        d_loss = self.update_discriminator(self.one_hot(real), self.one_hot(written))
        with torch.no_grad():
            reward = self.discriminator(self.one_hot(written)).sigmoid()
        g_loss = self.update("generator", -((reward - reward.mean()) * self.log_prob(written)).mean())
        return {"d_loss": d_loss, "g_loss": g_loss, "reward": reward.mean()}

    # end
    # only for relaxed
    def relaxed_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """One update of the discriminator (equation 2), one of the generator (equation 3)."""
        real = next(batches)
        written = self.write_relaxed(len(real))
        d_loss = self.update_discriminator(self.one_hot(real), written.detach())
        g_loss = self.update("generator", functional.softplus(-self.discriminator(written)).mean())
        return {"d_loss": d_loss, "g_loss": g_loss}

    def write_relaxed(self, n: int) -> Tensor:
        """n sentences as one-hot rows through which a gradient passes, (n, T, V)."""
        word = self.embedding(torch.full((n, 1), self.spec.bos_id, device=self.output.weight.device))
        state, rows = None, []
        for _ in range(self.spec.max_len):
            hidden, state = self.gru(word, state)
            row = functional.gumbel_softmax(self.output(hidden[:, -1]), tau=self.config.relaxation, hard=True)
            rows.append(row)
            word = (row @ self.embedding.weight)[:, None]
        written = torch.stack(rows, 1)
        blanked = self.one_hot(self.blank(written.argmax(2)))
        return torch.where(self.after_end(written.argmax(2))[:, :, None], blanked, written)

    # end
    # only for policy, relaxed
    def update_discriminator(self, real: Tensor, written: Tensor) -> Tensor:
        """Equation 2, on one-hot rows (B, T, V)."""
        cost = functional.softplus(-self.discriminator(real)) + functional.softplus(self.discriminator(written))
        return self.update("discriminator", cost.mean())

    def one_hot(self, tokens: Tensor) -> Tensor:
        """Ids (B, T) -> (B, T, V)."""
        return functional.one_hot(tokens, self.spec.vocab_size).to(self.output.weight.dtype)

    # end
    def update(self, name: str, loss: Tensor) -> Tensor:
        """One step of an optimizer -> the loss, detached: a tensor, not a number, so that no step waits for a GPU."""
        self.optimizers[name].zero_grad()
        loss.backward()
        self.optimizers[name].step()
        return loss.detach()

    def sample(self, n: int, *, temperature: float = 1.0) -> Tensor:
        """Draw n sentences -> (n, T) int64."""
        tokens = torch.full((n, 1), self.spec.bos_id, device=self.output.weight.device)
        state, drawn = None, []
        for _ in range(self.spec.max_len):
            hidden, state = self.gru(self.embedding(tokens), state)
            tokens = (self.output(hidden[:, -1]) / temperature).softmax(1).multinomial(1)
            drawn.append(tokens)
        return self.blank(torch.cat(drawn, 1))

    def log_prob(self, tokens: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Equation 1: (B, T) -> (B,), nats. Leave it out if your model has no likelihood."""
        before = functional.pad(tokens[:, :-1], (1, 0), value=self.spec.bos_id)
        words = (self.output(self.gru(self.embedding(before))[0]) / temperature).log_softmax(2)
        words = words.gather(2, tokens[:, :, None]).squeeze(2)
        return words.masked_fill(self.after_end(tokens), 0.0).sum(1)  # what follows the end token counts nothing

    def after_end(self, tokens: Tensor) -> Tensor:
        """Which positions follow the end token, (B, T); none where sentences have no end token."""
        if self.spec.eos_id is None:
            return torch.zeros_like(tokens, dtype=torch.bool)
        ends = tokens == self.spec.eos_id
        return ends.cumsum(1) - ends.long() > 0

    def blank(self, tokens: Tensor) -> Tensor:
        """Padding after the end token, as real sentences have it."""
        return tokens.masked_fill(self.after_end(tokens), self.spec.pad_id or 0)


# only for policy, relaxed
class Discriminator(nn.Module):
    """A GRU reads one-hot rows (B, T, V) -> (B,), the logit that a sentence is real."""

    def __init__(self, vocab_size: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(vocab_size, dim, bias=False)
        self.gru = nn.GRU(dim, dim, batch_first=True)
        self.output = nn.Linear(dim, 1)

    def forward(self, words: Tensor) -> Tensor:
        """Of the mean over all positions."""
        logits: Tensor = self.output(self.gru(self.embedding(words))[0].mean(1)).squeeze(1)
        return logits


# end
