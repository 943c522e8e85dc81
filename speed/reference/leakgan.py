"""LeakGAN written plainly: each prefix goes through the whole discriminator."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.networks.cnn import FILTERS
from baselines.common.spec import SequenceSpec
from speed.reference.lstm import PlainCNN
from speed.reference.update import update

__all__ = ["PlainLeakGAN"]


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
        for loss, optimizer in zip(losses, optimizers, strict=True):
            update(optimizer, loss, 5.0)

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
