"""SentiGAN: k generators, one for each kind of sentence, that minimise penalties by a discriminator of k + 1 classes.

**Paper**: SentiGAN: Generating Sentimental Texts via Mixture Adversarial Networks, Wang and Wan, IJCAI 2018,
https://www.ijcai.org/proceedings/2018/0618.pdf

**Equations** (G_i the i-th generator, D_i(x) the probability that x is a real sentence of kind i, i = 1..k, and D_{k+1}
that it is generated; numbers in brackets are the paper's)

1. pre-training: loss_i = -(1 / number of tokens) sum_{b,t} log G_i(x_{b,t} | x_{b,<t}) on real sentences x of kind i
2. discriminator (5): loss = -mean log D_i(x) over real sentences x, i the kind of each, and generated ones, i = k + 1;
   and .1 ||output layer||^2
3. penalty (3): V_i(x_<t, x_t) = (1 / N) sum_n (1 - D_i(x^n)), x^n a completion of x_1..x_t by G_i; at the end
   V_i = 1 - D_i(x)
4. generator (1, 2): loss_i = sum_{b,t} G_i(w_{b,t} | x_{b,<t}) V_i(x_{b,<t}, x_{b,t}) on own samples x; w = x in the
   paper, w_t = x_{t-1} in the code. Probabilities, not their logarithms: the gradient is G V grad log G
5. mixture: p(x) = (1 / k) sum_i G_i(x)

**Differences** (released code: Nrgeup/SentiGAN at 860b72f, Toy_dataset: k = 1 on SeqGAN's oracle. The paper's 6.924 is
"the best one we have run" by its author, a user had 8.18, and 7.20 after more rounds, with sentences alike
(issue 1 of that repository). k > 1 was not released)

- Penalised word. Paper: the word that was drawn. Code: the loss picks probabilities by `self.x`
  (generator.py:93-97), which is what the LSTM reads, shifted by one (:185-194): the probability that the word before
  comes again, at the start that of word 0. Ours: as the code, which the number is of; `penalised = drawn`: the paper's.
- Kinds. Paper: labels of the data. Ours: the same where the task has as many classes as there are generators, and each
  writes its label too, the first word of a sentence. On other tasks real sentences are dealt to the kinds in turn.
  Samples are of all generators equally, and their likelihood is equation 5.
- Penalty's optimiser. Paper: RMSProp. Code: RMSProp with rate .01 as TensorFlow has it, whose mean square starts at 1
  (:99-102); pre-training has Adam (:86). Ours: as the code.
- Generator. Code: `BasicLSTMCell` with forget bias 1, weights glorot-uniform, output layer without bias (:38-45), word
  vectors N(0, 0.1) (:27,205). Ours: as the code.
- Noise. Paper and Real_dataset: the state begins as N(0, 4^2) (Real_dataset/generator.py:43-51). Toy_dataset: as 0.
  Ours: 0, so that equation 5 is exact.
- Discriminator: SeqGAN's (discriminator.py), with 10 pools of 3 x 312 steps before and 1 in each round
  (train.py:162-178,226-238).
- Rounds. Code: 350 of 1 generator step (train.py:37,182-192); Real_dataset: 2,000 of 2. Paper, on reviews: 5 generator
  steps, 300 dimensions.
- With k > 1, each generator makes `batch_size` samples in its step, and a pool has as many generated sentences as real
  ones: of each class as many as the stream has, of text without labels as many of each kind.
- Sentences that end early: Ours: what follows the end token has no penalty. Real_dataset's code penalises padding too.
- Real_dataset's extra updates, on real sentences with penalties (train.py:237-245) and by likelihood in each round
  (:283-285), are not in Toy_dataset, nor here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge, Interval
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.bases import ClassifierBase, ClassifierConfig
from baselines.common.fast.graphs import replayed
from baselines.common.fast.likelihood import counted
from baselines.common.interface import Batches, LabelledSpec, Phase, PositiveFloat, PositiveInt, SequenceSpec
from baselines.common.networks.cnn import FILTERS, CNNClassifier
from baselines.common.networks.lstm import LSTMLanguageModel
from baselines.common.training.averages import Histories, WeightAverage
from baselines.common.training.optimizer import RMSProp, adam, update
from baselines.common.training.rollout import rollout_rewards
from baselines.common.training.state import Counter, Turns, kinds_of

__all__ = ["SentiGAN"]


class SentiGAN(ClassifierBase):
    """LSTM generators, one convolutional discriminator, Monte-Carlo roll-outs."""

    @dataclass(frozen=True, kw_only=True)
    class Config(ClassifierConfig):
        """Defaults: the released setting for the synthetic task of length 20."""

        generators: PositiveInt = 1
        """k: kinds of sentences, and generators."""
        embedding_dim: PositiveInt = 32
        """Width of the generators' word vectors."""
        hidden_dim: PositiveInt = 32
        """Width of the generators' LSTMs."""
        clip_norm: PositiveFloat = 5.0
        """Global norm at which the gradients of a generator are clipped. The discriminator's are not."""
        lr: PositiveFloat = 1e-2
        """Adam of pre-training, and RMSProp of adversarial training."""
        mle_steps: PositiveInt = 18_720
        """Pre-training: 120 epochs of 156 batches."""
        d_embedding_dim: PositiveInt = 64
        d_keep: Annotated[float, Interval(gt=0, le=1)] = 0.75
        d_l2: Annotated[float, Ge(0)] = 0.2
        d_lr: PositiveFloat = 1e-4
        pool_batches: PositiveInt = 156
        pool_epochs: PositiveInt = 3
        """Passes over a pool, in the same batches, before the next: 3 x 312 = 936 steps."""
        d_pretrain_steps: PositiveInt = 9_360
        """Pre-training of the discriminator: 10 pools of 936 steps."""
        iterations: PositiveInt = 350
        """Rounds of adversarial training."""
        g_steps: PositiveInt = 1
        """Updates of each generator per round."""
        d_steps: PositiveInt = 936
        """Discriminator updates per round: a pool."""
        rollouts: PositiveInt = 16
        """N: completions of each prefix."""
        penalised: Literal["released", "drawn"] = "released"
        """Whose probability equation 4 has: the word before, as in the released code, or the word that was drawn."""

        def __post_init__(self) -> None:
            """Refuse kinds of unequal size, and stabilisers that are about two classes or about log G."""
            super().__post_init__()
            k = self.generators
            if self.batch_size % k:
                raise ValueError(f"generators must divide batch_size, got {k} and {self.batch_size}")
            if self.feature_matching:
                raise ValueError(
                    "sentigan's penalties weigh probabilities, and feature_matching is a reward of their logarithms: "
                    f"leave it at 0, got {self.feature_matching}"
                )
            if k > 1 and self.gradient_penalty:
                raise ValueError(
                    "gradient_penalty is about a discriminator of two classes: set generators to 1 or gradient_penalty "
                    f"to 0, got {k} and {self.gradient_penalty}"
                )

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "batch_size": 16, "mle_steps": 40, "pool_batches": 2, "pool_epochs": 1, "d_pretrain_steps": 8,
            "iterations": 2, "d_steps": 4, "rollouts": 2,
        },
        # SeqGAN's counts at this scale.
        "small": {
            "mle_steps": 1_560, "pool_batches": 10, "d_pretrain_steps": 300,
            "iterations": 10, "d_steps": 60, "rollouts": 4,
        },
    }  # fmt: skip

    config: Config

    def __init__(self, config: SentiGAN.Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        if isinstance(spec, LabelledSpec) and config.generators not in (1, len(spec.classes)):
            raise ValueError(
                f"sentigan has a generator for each class: set generators to {len(spec.classes)}, or to 1 for one that "
                f"writes all classes, got {config.generators}"
            )
        c, kinds = config, range(config.generators)
        self.generators = nn.ModuleList(_generator(spec, c.embedding_dim, c.hidden_dim) for _ in kinds)
        self.discriminator = CNNClassifier(
            spec,
            embedding_dim=c.d_embedding_dim,
            keep=c.d_keep,
            filters=FILTERS,
            norm=c.d_norm,
            label_smoothing=c.label_smoothing,
            kinds=c.generators,
        )
        self.pool = self._pool(kinds=c.generators)
        self.optimizers = {
            **{f"mle_{i}": adam(self.generators[i], c.lr) for i in kinds},
            **{f"generator_{i}": RMSProp(self.generators[i], c.lr) for i in kinds},
            "discriminator": adam(self.discriminator, c.d_lr),
        }
        self.adversarial_updates = Counter()
        sides = {f"generator_{i}": self.generators[i] for i in kinds}
        self.history = Histories(
            c.historical_averaging, self.adversarial_updates, {**sides, "discriminator": self.discriminator}
        )
        last = c.generators - 1  # it moves after the others
        self.average = WeightAverage(
            self.generators, c.ema_decay, after=[self.optimizers[f"mle_{last}"], self.optimizers[f"generator_{last}"]]
        )

    def phases(self) -> Sequence[Phase]:
        """Algorithm 1 of the paper: all pre-trained, then in turn."""
        c = self.config
        rounds = Turns(
            self.adversarial_updates,
            (c.g_steps, lambda _: self.generator_step()),
            (c.d_steps, self.discriminator_step),
        )
        return [
            Phase("mle", c.mle_steps, self.mle_step),
            Phase("discriminator", c.d_pretrain_steps, self.discriminator_step),
            Phase("adversarial", c.iterations * rounds.steps, rounds),
        ]

    def mle_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """Equation 1: one update of each generator, on its part of one batch."""
        tokens = next(batches)
        return self.imitate(tokens, kinds_of(tokens, self.spec, self.config.generators))

    @replayed()
    def imitate(self, tokens: Tensor, kinds: Tensor) -> Mapping[str, Tensor]:
        """Equation 1 on sentences (B, T) of the kinds (B,), 1..k."""
        inside = counted(tokens, self.spec.eos_id)
        losses = []
        for i, generator in enumerate(self._generators()):
            weights = (inside & (kinds == i + 1)[:, None]).to(torch.get_default_dtype())
            loss = generator.weighted_nll(tokens, weights / weights.sum().clamp(min=1))  # a batch may lack a class
            update(self.optimizers[f"mle_{i}"], loss, max_norm=self.config.clip_norm)
            losses.append(loss.detach())
        return {"nll": torch.stack(losses).mean()}

    def discriminator_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """Equation 2 on the next batch of the pool; where the pool is used up, on the first of a new one."""
        return self.discriminate(*self.pool.next(batches, self._sample))

    def generator_step(self) -> Mapping[str, Tensor]:
        """Equations 3 and 4: one update of each generator, on samples of its own."""
        values = [self._penalise(i, generator) for i, generator in enumerate(self._generators())]
        return {name: torch.stack([each[name] for each in values]).mean() for name in values[0]}

    def _penalise(self, i: int, generator: LSTMLanguageModel) -> Mapping[str, Tensor]:
        tokens = generator.sample(self.config.batch_size)
        inside = counted(tokens, self.spec.eos_id)
        penalties = self.penalties(i, tokens)
        words = tokens
        if self.config.penalised == "released":
            words = functional.pad(tokens[:, :-1], (1, 0), value=self.spec.bos_id)
        weights = generator.word_log_prob(tokens, words).exp() * penalties
        # grad(G V) = G V grad(log G), and weighted_nll has a minus.
        loss = generator.weighted_nll(tokens, -weights, words=words) + self.history(f"generator_{i}")
        entropy = generator.entropy(tokens)
        update(self.optimizers[f"generator_{i}"], loss, max_norm=self.config.clip_norm)
        return {"g_loss": weights.sum(), "penalty": penalties.sum() / inside.sum(), "entropy": entropy}

    def penalties(self, i: int, tokens: Tensor) -> Tensor:
        """Equation 3 for samples (B, T) of the i-th generator, counted from 0 -> (B, T), 0 after an end token."""
        d, kind, generator = self.discriminator, i + 1, self._generators()[i]
        score, completions = partial(d.score, kind=kind), partial(d.score_completions, kind=kind)
        real = rollout_rewards(generator, tokens, score, self.config.rollouts, completions)
        return (1 - real) * counted(tokens, self.spec.eos_id)

    def sample(self, n: int, *, temperature: float = 1.0, labels: Tensor | None = None) -> Tensor:
        """As many sentences of each generator, in a random order; logits of each are divided by `temperature`.

        Where labels (n,) are given, each sentence is of a generator drawn by how likely it is to begin with this label,
        which once trained is its own class's.
        """
        with self.average.applied():
            if labels is None:
                return self._sample(n, temperature=temperature)
            return self._sample_of(labels, temperature)

    def _sample_of(self, labels: Tensor, temperature: float) -> Tensor:
        """Sentences (n, T) that begin with the labels (n,), of equation 5 given its first word."""
        generators, out = self._generators(), labels.new_zeros(len(labels), self.spec.max_len)
        who = torch.zeros_like(labels)
        if len(generators) > 1:
            begin = [one.log_prob(labels[:, None], temperature=temperature) for one in generators]
            who = torch.stack(begin, 1).softmax(1).multinomial(1).squeeze(1)
        for i, generator in enumerate(generators):
            places = (who == i).nonzero().squeeze(1)
            if len(places):
                prefix = labels[places, None]
                out[places] = generator.sample(len(places), temperature=temperature, prefix=prefix)
        return out

    def _sample(self, n: int, *, temperature: float = 1.0) -> Tensor:
        generators = self._generators()
        k = len(generators)
        if k == 1:
            return generators[0].sample(n, temperature=temperature)
        # On the host: who makes one sentence more, where n is no multiple of k.
        turn = torch.randperm(k, device="cpu").tolist() if n % k else range(k)
        sizes = [n // k + (place < n % k) for place in turn]
        parts = [g.sample(size, temperature=temperature) for g, size in zip(generators, sizes, strict=True) if size]
        sentences = torch.cat(parts)
        return sentences[torch.randperm(n, device=sentences.device)]

    def log_prob(self, tokens: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Equation 5: (B, T) -> (B,), nats."""
        with self.average.applied():
            each = torch.stack([one.log_prob(tokens, temperature=temperature) for one in self._generators()])
        return each.logsumexp(0) - math.log(len(each))

    def label_log_prob(self, tokens: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Equation 5 of the first word alone: (B,), nats."""
        return self.log_prob(tokens[:, :1], temperature=temperature)

    def _generators(self) -> list[LSTMLanguageModel]:
        return [g for g in self.generators if isinstance(g, LSTMLanguageModel)]


def _generator(spec: SequenceSpec, embedding_dim: int, hidden_dim: int) -> LSTMLanguageModel:
    """SeqGAN's language model with the initial values of `BasicLSTMCell` and of an output layer without bias."""
    model = LSTMLanguageModel(spec, embedding_dim=embedding_dim, hidden_dim=hidden_dim)
    limit = (6 / (embedding_dim + hidden_dim + 4 * hidden_dim)) ** 0.5  # glorot-uniform of one matrix
    nn.init.uniform_(model.lstm.get_parameter("weight_ih_l0"), -limit, limit)
    nn.init.uniform_(model.lstm.get_parameter("weight_hh_l0"), -limit, limit)
    bias = nn.init.zeros_(model.lstm.get_parameter("bias_ih_l0"))
    with torch.no_grad():
        bias[hidden_dim : 2 * hidden_dim] = 1  # of the forget gate
    nn.init.xavier_uniform_(model.output.weight)
    nn.init.zeros_(model.output.bias).requires_grad_(False)
    return model
