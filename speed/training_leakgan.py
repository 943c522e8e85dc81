"""LeakGAN in the sizes of the synthetic task, beside a plain one, where each prefix goes through the whole network.

V = 5,000 words, T = 20, batches of 64, blocks of 4 words, 4 roll-outs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.networks.cnn import FILTERS
from baselines.common.spec import SequenceSpec
from baselines.leakgan import LeakGAN
from baselines.leakgan.generator import Walk
from baselines.leakgan.rewards import boundary_scores
from speed.plain import PlainCNN
from speed.textgan_pytorch import TEXTGAN, LeakGANPeer, with_textgan
from speed.training import Case, Setting, Work

__all__ = ["PlainLeakGAN", "cases"]


class PlainLeakGAN(nn.Module):
    """Discriminator, manager and worker, one word at a time; goals as samples are drawn with."""

    def __init__(
        self, spec: SequenceSpec, *, hidden_dim: int, goal_dim: int, horizon: int, d_embedding_dim: int
    ) -> None:
        super().__init__()
        self.vocab_size, self.max_len, self.bos_id = spec.vocab_size, spec.max_len, spec.bos_id
        self.horizon, self.goal_dim, self.hidden_dim = horizon, goal_dim, hidden_dim
        self.discriminator = PlainCNN(spec.vocab_size + 1, spec.max_len, d_embedding_dim, 1.0, FILTERS)
        width = self.discriminator.gate.in_features
        self.manager, self.goal = nn.LSTMCell(width, hidden_dim), nn.Linear(hidden_dim, width)
        self.first_goal = nn.Parameter(torch.randn(width) * 0.1)
        self.embedding, self.worker = nn.Embedding(spec.vocab_size, hidden_dim), nn.LSTMCell(hidden_dim, hidden_dim)
        self.output = nn.Linear(hidden_dim, spec.vocab_size * goal_dim)
        self.project = nn.Linear(width, goal_dim, bias=False)

    @torch.no_grad()
    def leaked(self, tokens: Tensor, read: int) -> Tensor:
        """(B, T) -> (B, F): what the discriminator's last layer sees where all but `read` words are unread."""
        prefix = tokens.clone()
        prefix[:, read:] = self.vocab_size
        seen: list[Tensor] = []
        hook = self.discriminator.output.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        self.discriminator(prefix)
        hook.remove()
        return seen[0]

    def walk(self, tokens: Tensor, given: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The first `given` words of tokens (B, T) are kept, the others drawn -> all words (B, T), log p (B, T, V),
        features of s_0 .. s_T (B, T + 1, F), goals of the blocks (B, K, F).
        """
        tokens, features, logs = tokens.clone(), [], []
        zeros = self.first_goal.new_zeros(len(tokens), self.hidden_dim)
        manager, worker = (zeros, zeros), (zeros, zeros)
        goals, total = [self.first_goal.expand(len(tokens), -1)], torch.zeros_like(self.first_goal)
        word = torch.full((len(tokens),), self.bos_id, device=tokens.device)
        for position in range(self.max_len):
            if position and position % self.horizon == 0:
                goals.append(total)
                total = torch.zeros_like(self.first_goal)
            features.append(self.leaked(tokens, position))
            manager = self.manager(features[-1], manager)
            total = total + functional.normalize(self.goal(manager[0]), dim=1)
            heading = functional.normalize(self.project(goals[-1].detach()), dim=1)
            worker = self.worker(self.embedding(word), worker)
            table = self.output(worker[0]).view(-1, self.vocab_size, self.goal_dim)
            logs.append((table @ heading[:, :, None]).squeeze(2).log_softmax(1))
            if position >= given:
                tokens[:, position] = torch.multinomial(logs[-1].exp(), 1).squeeze(1)
            word = tokens[:, position]
        features.append(self.leaked(tokens, self.max_len))
        return tokens, torch.stack(logs, 1), torch.stack(features, 1), torch.stack(goals, 1)

    def cosines(self, features: Tensor, goals: Tensor, at: Tensor) -> Tensor:
        """Positions (N,) -> (B, N): between the goal of the block and how far the features came since it began."""
        block = at // self.horizon
        moved = features[:, at + 1] - features[:, block * self.horizon]
        return functional.cosine_similarity(moved, goals[:, block], dim=2, eps=1e-12)

    def ends(self, device: torch.device) -> Tensor:
        """(K,): the last position of each block."""
        ends = torch.arange(self.horizon, self.max_len + self.horizon, self.horizon, device=device)
        return ends.clamp(max=self.max_len) - 1

    def losses(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Pre-training of worker and manager: equation 5."""
        _, log_p, features, goals = self.walk(tokens, self.max_len)
        nll = functional.nll_loss(log_p.flatten(0, 1), tokens.flatten())
        return nll, -self.cosines(features, goals, self.ends(tokens.device)).mean()

    def adversarial_losses(self, tokens: Tensor, rewards: Tensor) -> tuple[Tensor, Tensor]:
        """Worker and manager on own samples (B, T), rewards (B, K): equations 8 and 6."""
        _, log_p, features, goals = self.walk(tokens, self.max_len)
        every = torch.arange(self.max_len, device=tokens.device)
        words = self.cosines(features, goals.detach(), every) * log_p.gather(2, tokens[:, :, None]).squeeze(2)
        return -words.mean(), -(rewards * self.cosines(features, goals, self.ends(tokens.device))).mean()

    def sides(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Parameters of worker and manager."""
        worker = [p for m in (self.embedding, self.worker, self.output, self.project) for p in m.parameters()]
        return worker, [self.first_goal, *self.manager.parameters(), *self.goal.parameters()]

    def update(self, optimizers: Iterable[torch.optim.Optimizer], losses: Iterable[Tensor]) -> None:
        """One update of both."""
        for loss, side, optimizer in zip(losses, self.sides(), optimizers, strict=True):
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(side, 5.0)
            optimizer.step()

    @torch.no_grad()
    def complete(self, tokens: Tensor, given: int) -> Tensor:
        """(B, T) -> (B, T): the first `given` words are kept."""
        return self.walk(tokens, given)[0]

    @torch.no_grad()
    def boundary_scores(self, tokens: Tensor, n: int) -> Tensor:
        """(B, T) -> (B, K): the mean score of n completions of every prefix that ends with a block."""
        scores = []
        for given in range(self.horizon, self.max_len, self.horizon):
            completed = [self.complete(tokens, given) for _ in range(n)]
            scores.append(torch.stack([self.discriminator(x).softmax(1)[:, 1] for x in completed]).mean(0))
        return torch.stack([*scores, self.discriminator(tokens).softmax(1)[:, 1]], 1)


class Bench:
    """Ours and the plain one in one setting."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        quick = setting.quick
        self.spec = SequenceSpec(
            vocab_size=60 if quick else 5_000, max_len=9 if quick else 20, bos_id=0, pad_id=None, eos_id=None
        )
        self.batch_size, self.samples, self.rollouts = (4, 40, 2) if quick else (64, 10_000, 4)
        self.config = LeakGAN.Config(batch_size=self.batch_size, rollouts=self.rollouts)

    def models(self) -> tuple[LeakGAN, PlainLeakGAN, Tensor]:
        """Both, and a batch of random words."""
        plain = PlainLeakGAN(self.spec, hidden_dim=32, goal_dim=16, horizon=4, d_embedding_dim=64)
        size = self.batch_size, self.spec.max_len
        tokens = torch.randint(self.spec.vocab_size, size, device=self.setting.device)
        return LeakGAN(self.config, self.spec).to(self.setting.device), plain.to(self.setting.device), tokens

    def mle_step(self) -> dict[str, list[Work]]:
        """One update on a batch."""
        ours, plain, tokens = self.models()
        optimizers = [torch.optim.Adam(side, lr=self.config.lr) for side in plain.sides()]
        batches = itertools.repeat(tokens)
        found = {
            "ours": [Work(lambda: ours.mle_step(batches))],
            "plain": [Work(lambda: plain.update(optimizers, plain.losses(tokens)))],
        }
        return with_textgan(self.setting, found, lambda: LeakGANPeer(self.setting).mle())

    def sampling(self) -> dict[str, list[Work]]:
        """In batches of 1,000 and of 64."""
        ours, plain, tokens = self.models()
        part = min(self.samples, 1_000)  # as many as evaluations draw at a time
        found = {
            "ours": [Work(lambda: ours.sample(part), self.samples / part)],
            "plain": [Work(lambda: plain.complete(tokens, 0), self.samples / self.batch_size)],
        }
        return with_textgan(self.setting, found, lambda: LeakGANPeer(self.setting).sampling(self.samples))

    def rollout(self) -> dict[str, list[Work]]:
        """Scores of a batch of sentences."""
        ours, plain, tokens = self.models()

        def fast() -> Tensor:
            walk = Walk(ours.generator, ours.discriminator, to_score=True)
            return boundary_scores(walk, tokens, self.rollouts, self.config.horizon)

        found = {
            "ours": [Work(fast)],
            "plain": [Work(partial(plain.boundary_scores, tokens, 1), self.rollouts)],
        }
        return with_textgan(self.setting, found, lambda: LeakGANPeer(self.setting).rollout(self.rollouts))

    def generator_step(self) -> dict[str, list[Work]]:
        """Samples, roll-outs, update."""
        ours, plain, tokens = self.models()
        optimizers = [torch.optim.Adam(side, lr=self.config.lr) for side in plain.sides()]
        batches = itertools.repeat(tokens)
        rewards = torch.rand(self.batch_size, len(plain.ends(tokens.device)), device=tokens.device)

        def policy_step() -> None:
            plain.update(optimizers, plain.adversarial_losses(plain.complete(tokens, 0), rewards))

        found = {
            "ours": [Work(lambda: ours.generator_step(batches, iteration=0))],
            "plain": [Work(partial(plain.boundary_scores, tokens, 1), self.rollouts), Work(policy_step)],
        }

        def textgan() -> list[Work]:
            peer = LeakGANPeer(self.setting)
            return peer.rollout(self.rollouts) + peer.policy_step()

        return with_textgan(self.setting, found, textgan)


def cases(setting: Setting) -> Iterable[Case]:
    """MLE step, sampling, roll-out reward, generator step. The discriminator step is seqgan's, but for one word."""
    bench = Bench(setting)
    yield Case("leakgan", "MLE step", bench.mle_step, {TEXTGAN: 11})
    yield Case("leakgan", f"sampling {bench.samples:,}", bench.sampling, {TEXTGAN: 6.5})
    yield Case("leakgan", "roll-out reward", bench.rollout, {TEXTGAN: 9})
    yield Case("leakgan", "adversarial generator step", bench.generator_step)
