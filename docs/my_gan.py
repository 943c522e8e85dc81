"""A GRU trained by maximum likelihood: replace `phases` by your own algorithm."""

from dataclasses import dataclass

import torch
from torch import nn

from textgan_bench import BaseConfig, Phase, PositiveInt, TextGenerator


class MyGAN(TextGenerator):
    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        hidden_dim: PositiveInt = 64
        steps: PositiveInt = 1_500

    def __init__(self, config, spec):
        super().__init__(config, spec)
        self.embedding = nn.Embedding(spec.vocab_size, config.hidden_dim)
        self.gru = nn.GRU(config.hidden_dim, config.hidden_dim, batch_first=True)
        self.output = nn.Linear(config.hidden_dim, spec.vocab_size)
        self.optimizers["mle"] = torch.optim.Adam(self.parameters(), lr=5e-3)

    def phases(self):
        return [Phase("mle", self.config.steps, self.mle_step)]

    def mle_step(self, batches):
        loss = -self.log_prob(next(batches)).mean()
        self.optimizers["mle"].zero_grad()
        loss.backward()
        self.optimizers["mle"].step()
        return {"loss": loss.detach()}

    def sample(self, n, *, temperature=1.0):
        tokens = torch.full((n, 1), self.spec.bos_id, device=self.output.weight.device)
        state, drawn = None, []
        for _ in range(self.spec.max_len):
            hidden, state = self.gru(self.embedding(tokens), state)
            tokens = (self.output(hidden[:, -1]) / temperature).softmax(1).multinomial(1)
            drawn.append(tokens)
        return torch.cat(drawn, 1)

    def log_prob(self, tokens):  # leave it out if your model has no likelihood
        before = nn.functional.pad(tokens[:, :-1], (1, 0), value=self.spec.bos_id)
        words = self.output(self.gru(self.embedding(before))[0]).log_softmax(2)
        words = words.gather(2, tokens[:, :, None]).squeeze(2)
        if self.spec.eos_id is not None:  # what follows the end token counts nothing
            ends = tokens == self.spec.eos_id
            words = words.masked_fill(ends.cumsum(1) - ends.long() > 0, 0.0)
        return words.sum(1)
