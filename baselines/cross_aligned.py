"""Cross-aligned autoencoder: a content that fits every style, because sentences written in one look like real ones.

**Paper**: Style Transfer from Non-Parallel Text by Cross-Alignment, Shen, Lei, Barzilay, Jaakkola, NeurIPS 2017,
https://arxiv.org/abs/1705.09655

**Equations** (x a real sentence of class s, k another class; numbers are ours)

1. content: z = E(x, s), what a GRU that began as [w_s, 0] has behind its first numbers when it has read x
2. writer: h_0 = [v_k, z], p(x_t | x_<t, k, z) = softmax(W h_t), h_t = GRU(h_{t-1}, x_{t-1}) [section 4: G(y, z)]
3. reconstruction: -1/B sum log p(x | s, z), by teacher forcing; its states are h [L_rec]
4. rewritten without words drawn: h~ of class k from z, each word read as the mean of embeddings under
   softmax((W h~_t + g) / gamma), g Gumbel noise [section 4.2]
5. critic of class k: -mean log D_k(h) - mean log(1 - D_k(h~)), of the real sentences of class k and of those that are
   rewritten into it; so states are aligned, as in professor forcing [section 4.2]
6. adversarial loss: - sum_k mean log D_k(h~)
7. loss of E and G: (3) + rho (6), and (3) alone while the critics' loss is not under 1.2 [algorithm 1; the limit is
   the released code's]
8. an answer: from v_k and z, at each place the likeliest word

**Differences** (released code: shentianxiao/language-style-transfer f078a9d, of February 2018)

- Before the paper was printed its code was another one: 718b271, of November 2017, has gamma from 1 down to .001,
  windows of 3 to 5, a rate of 1e-4, no shuffled words, and E and G maximise the critics' whole loss, real term too.
- Equation 1. Code: the input is read from its end, its words shuffled by up to 3 places, which the paper does not
  have. Ours: `places`, its default the code's. Code: shuffled once, in batches that are the same in each epoch
  (style_transfer.py:236-238), with hardly any padding. Ours: anew, and the encoder reads end and padding first, between
  its class and the last word.
- Equation 4. Code: a softmax without noise stands beside the one with noise, unused.
- Equation 5. Paper: the states, z not apart from them. Code and ours: h_0 is the first of them, so z is judged too.
- Equation 5. Code: batches of equally long sentences, half of each class; what follows an end is judged as it comes.
  Ours: sentences of any length and class, states behind the end 0, so that critics see lengths: in the code all
  sentences of a pair of batches have as many states (:121). Means are over the batch.
- Equation 6. Paper: log(1 - D). Code and ours: - log D.
- Equation 7. Code: critics are updated, then all is drawn and written anew for E and G, and each critic's loss must be
  under 1.2; clipped at 30 is (7) alone. Ours: one drawing for both, the mean of the critics' losses, and (3) alone is
  clipped too.
- Two classes in paper and code. Ours: any number, the other one by chance.
- Initial values. Code: TensorFlow's GRU, gates' biases at 1, word vectors of length 1 (vocab.py:12-26), class vectors
  of 1 to 2. Ours: torch's, vectors of length 10 and 14.
- Tested state. Code: the epoch with the lowest (7) on dev (style_transfer.py:292-299), by a beam of 8 in its README.
  Ours: the last one, and the code's default, the greedy decoder.
- `pretraining_steps`, of (3) alone, are none in paper and code. At scale `small` they are twice the adversarial ones:
  of four settings that was the cheapest; in one seed it had the most right answers (.305 for .294), which three seeds'
  spread does not tell (docs/transfer.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from baselines.common.fast.likelihood import counted
from baselines.common.interface import (
    BaseConfig,
    Batches,
    Fraction,
    LabelledSpec,
    NonNegativeFloat,
    NonNegativeInt,
    Phase,
    PositiveFloat,
    PositiveInt,
    Rewriter,
)
from baselines.common.networks.autoencoder import StateCritic, StyleAutoencoder
from baselines.common.networks.layers import of_class
from baselines.common.training.losses import LOSSES
from baselines.common.training.optimizer import adam, frozen, update
from baselines.common.training.state import own_and_other

__all__ = ["CrossAligned"]

_BETAS = (0.5, 0.999)


class CrossAligned(Rewriter):
    """An autoencoder that is told the class, and a critic of the writer's states for each class."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Defaults: `code/options.py`, for Yelp's 444,000 training sentences; a batch there is 64 of each class."""

        batch_size: PositiveInt = 128
        shuffle: bool = True
        embedding_dim: PositiveInt = 100
        """Width of word vectors."""
        style_dim: PositiveInt = 200
        """Width of a class in the states."""
        content_dim: PositiveInt = 500
        """Width of z."""
        filters: PositiveInt = 128
        """Of each critic, for each window."""
        lr: PositiveFloat = 5e-4
        """Adam of all networks, whose betas are .5 and .999."""
        dropout: Fraction = 0.5
        """Of words read, of outputs, and of the critics' maxima."""
        places: NonNegativeInt = 3
        """Places that a word may be moved in what the encoder reads, in training."""
        gamma: PositiveFloat = 0.1
        """Temperature of equation 4."""
        rho: NonNegativeFloat = 1.0
        """Weight of equation 6."""
        d_limit: PositiveFloat = 1.2
        """Equation 7: a critic whose loss is not under it teaches nothing."""
        pretraining_steps: NonNegativeInt = 0
        """Steps of equation 3 alone."""
        steps: PositiveInt = 84_000
        """Steps of equations 5 and 7: 20 epochs of the 267,000 sentences of the larger class, 64 in a step."""

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "batch_size": 16, "embedding_dim": 16, "style_dim": 8, "content_dim": 16, "filters": 8,
            "pretraining_steps": 10, "steps": 20,
        },
        "small": {
            "batch_size": 64, "embedding_dim": 64, "style_dim": 32, "content_dim": 128, "filters": 32, "lr": 2e-3,
            "dropout": 0.0, "places": 0, "pretraining_steps": 600, "steps": 300,
        },
    }  # fmt: skip

    def __init__(self, config: CrossAligned.Config, spec: LabelledSpec) -> None:
        super().__init__(config, spec)
        self.config: CrossAligned.Config = config
        self.spec = spec
        self.autoencoder = StyleAutoencoder(
            spec,
            embedding_dim=config.embedding_dim,
            style_dim=config.style_dim,
            content_dim=config.content_dim,
            dropout=config.dropout,
        )
        self.critic = StateCritic(
            spec, hidden_dim=config.style_dim + config.content_dim, filters=config.filters, dropout=config.dropout
        )
        self.optimizers = {
            "autoencoder": adam(self.autoencoder, config.lr, betas=_BETAS),
            "critic": adam(self.critic, config.lr, betas=_BETAS),
        }

    def phases(self) -> Sequence[Phase]:
        """Equation 3, then critics and autoencoder together."""
        return [
            Phase("reconstruction", self.config.pretraining_steps, self.reconstruction_step),
            Phase("adversarial", self.config.steps, self.adversarial_step),
        ]

    def reconstruction_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """Equation 3."""
        words, own = self._parted(next(batches))
        begin = self.autoencoder.begin(self._content(words, own), own)
        loss = self.autoencoder.nll(self.autoencoder.told(begin, words)[1], words)
        update(self.optimizers["autoencoder"], loss, max_norm=30.0)
        return {"reconstruction": loss.detach()}

    def adversarial_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """Equation 5, then equation 7."""
        tokens = next(batches)
        words, (own, other) = tokens[:, 1:], own_and_other(tokens, self.spec)
        content = self._content(words, own)
        states, logits = self.autoencoder.told(self.autoencoder.begin(content, own), words)
        written = self.autoencoder.free(self.autoencoder.begin(content, other), 1 / self.config.gamma)
        real, generated = (of_class(self.critic(x.detach()), c) for x, c in ((states, own), (written, other)))
        d_loss = LOSSES["non_saturating"].discriminator(real, generated)
        update(self.optimizers["critic"], d_loss)
        with frozen(self.critic):
            judged = of_class(self.critic(written), other)
        adversarial = len(self.spec.classes) * LOSSES["non_saturating"].generator(judged, judged)
        reconstruction = self.autoencoder.nll(logits, words)
        taught = (d_loss.detach() < self.config.d_limit).to(adversarial.dtype)
        update(self.optimizers["autoencoder"], reconstruction + self.config.rho * taught * adversarial, max_norm=30.0)
        return {"d_loss": d_loss.detach(), "g_loss": adversarial.detach(), "reconstruction": reconstruction.detach()}

    def _parted(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T) -> the words (B, T - 1), and the class of each sentence (B,)."""
        return tokens[:, 1:], tokens[:, 0] - self.spec.class_ids[0]

    def _content(self, words: Tensor, classes: Tensor) -> Tensor:
        """Equation 1, of words that are moved a little."""
        if self.config.places:
            at = torch.arange(words.shape[1], device=words.device)
            moved = at + (self.config.places + 1) * torch.rand(words.shape, device=words.device)
            inside = counted(words, self.spec.eos_id) & (words != self.spec.eos_id)  # an end stays behind its words
            words = words.gather(1, moved.where(inside, at + 2 * words.shape[1]).argsort(1))
        return self.autoencoder.content(words, classes, dropout=self.config.dropout)

    def transfer(self, tokens: Tensor, labels: Tensor) -> Tensor:
        """Equation 8: (B, T) sentences, (B,) labels wanted -> (B, T)."""
        words, own = self._parted(tokens)
        content = self.autoencoder.content(words, own)
        return self.autoencoder.answer(self.autoencoder.begin(content, labels - self.spec.class_ids[0]), labels)
