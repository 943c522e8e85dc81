"""Phases of a checkout of williamSYSU/TextGAN-PyTorch, called as its instructors call them.

It is imported from the path that is given and is no part of this repository. Its results are not compared, and the
amount of work is not quite ours:

- Its convolutional discriminator has one matrix in its highway instead of two. LeakGAN's is SeqGAN's.
- SeqGAN and LeakGAN mix the rewards of roll-outs up (utils/rollout.py:153,182) and score with dropout.
- LeakGAN completes the five prefixes of 1, 5, 9, 13 and 17 words (:174); ours, as the released code, those of 4, 8, 12
  and 16, and scores the sentence.
- LeakGAN's two optimisers take turns over one graph (oracle_data/instructor.py:144-148); PyTorch since 1.5 refuses,
  because the first step changes what the second gradient needs. Here both gradients are taken before either step.
- RelGAN's discriminator steps also differentiate the generator.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from baselines.common.training.optimizer import frozen
from speed.cases import Setting, Work

__all__ = ["LeakGANPeer", "Peer", "RelGANPeer", "SeqGANPeer", "update_both"]

_PACKAGES = ("config", "instructor", "metrics", "models", "utils")
_MODELS = ("SeqGAN", "MaliGAN", "LeakGAN", "RelGAN")
BATCHES = 4
"""Batches in one call of its loops over a data loader."""


def _import(path: Path, cuda: bool) -> dict[str, Any]:
    """Its modules, by their names. Modules of ours with the same names are put back."""
    if not (path / "models" / "SeqGAN_G.py").is_file():
        raise FileNotFoundError(f"{path} is no checkout of TextGAN-PyTorch: it has no models/SeqGAN_G.py")
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in _PACKAGES}
    kept_path = list(sys.path)
    # Its `metrics` is a namespace, so ours would win from anywhere on the path.
    sys.path[:] = [str(path), *(place for place in kept_path if not (Path(place or ".") / "baselines").is_dir())]
    names = [f"models.{model}_{side}" for model in _MODELS for side in "GD"]
    names += [f"instructor.oracle_data.{name}instructor" for name in ("", "maligan_", "relgan_")]
    try:
        config = importlib.import_module("config")
        config.CUDA, config.cuda, config.if_real_data = cuda, cuda, False  # type: ignore[attr-defined]
        # Only now: defaults of arguments are read from it when a model is imported.
        found = {name: importlib.import_module(name) for name in [*names, "utils.rollout", "utils.data_loader"]}
        return {"config": config, **found}
    finally:
        sys.path[:] = kept_path
        for name in [name for name in sys.modules if name.split(".")[0] in _PACKAGES]:
            del sys.modules[name]
        sys.modules.update(kept)


def update_both(optimizers: Sequence[Optimizer], losses: Sequence[Tensor]) -> None:
    """A step of each optimiser with the gradient of its own loss, all gradients taken before the first step.

    Every loss is differentiated by all that it depends on, as `optimize_multi` does.
    """
    parameters = [[p for group in each.param_groups for p in group["params"]] for each in optimizers]
    gradients = []
    for loss, own in zip(losses, parameters, strict=True):
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward(retain_graph=loss is not losses[-1])
        gradients.append([p.grad for p in own])
    for optimizer, own, slopes in zip(optimizers, parameters, gradients, strict=True):
        for parameter, slope in zip(own, slopes, strict=True):
            parameter.grad = slope
        optimizer.step()


class Peer:
    """Generator and discriminator of one of its models, with data, in its default sizes."""

    generator: Any
    discriminator: Any

    def __init__(self, setting: Setting) -> None:
        assert setting.textgan_pytorch is not None
        self.device = setting.device
        self._modules = _import(setting.textgan_pytorch, setting.device.type == "cuda")
        c = self.config = self._modules["config"]
        self.batch_size: int = c.batch_size
        self.instructor = self._modules["instructor.oracle_data.instructor"].BasicInstructor
        self.data = self._modules["utils.data_loader"]
        self.tokens = torch.randint(c.vocab_size, (BATCHES * c.batch_size, c.max_seq_len))
        self.batch = self.tokens[: c.batch_size].to(setting.device)

    def model(self, name: str, *sizes: int) -> Any:
        """One of its networks, on the device."""
        network = getattr(self._modules[f"models.{name}"], name)
        return network(*sizes, gpu=self.config.CUDA).to(self.device)

    def classifier(self, model: str) -> Any:
        """The convolutional discriminator of the SeqGAN line."""
        return self.model(f"{model}_D", self.config.dis_embed_dim, self.config.vocab_size, self.config.padding_idx)

    def mle(self) -> list[Work]:
        """Steps of its pre-training."""
        loader, train = self.data.GenDataIter(self.tokens).loader, self.instructor.train_gen_epoch
        optimizer = Adam(self.generator.parameters(), lr=self.config.gen_lr)
        criterion = torch.nn.NLLLoss()
        return [Work(lambda: train(self.instructor, self.generator, loader, criterion, optimizer), 1 / BATCHES)]

    def sampling(self, n: int) -> list[Work]:
        """One of the batches that it draws for evaluations, without gradients as there, scaled."""
        b = 4 * self.batch_size

        @torch.no_grad()
        def run() -> None:
            self.generator.sample(b, b)

        return [Work(run, n / b)]


class SeqGANPeer(Peer):
    """SeqGAN or MaliGAN."""

    def __init__(self, setting: Setting, model: str = "SeqGAN") -> None:
        super().__init__(setting)
        c = self.config
        sizes = c.gen_embed_dim, c.gen_hidden_dim, c.vocab_size, c.max_seq_len, c.padding_idx
        self.generator, self.discriminator = self.model(f"{model}_G", *sizes), self.classifier(model)
        self.optimizer = Adam(self.generator.parameters(), lr=c.gen_lr)

    def discriminator_step(self) -> list[Work]:
        """Steps of its discriminator."""
        loader = self.data.DisDataIter(*self.tokens.split(len(self.tokens) // 2)).loader
        optimizer = Adam(self.discriminator.parameters(), lr=self.config.dis_lr)
        criterion, train = torch.nn.CrossEntropyLoss(), self.instructor.train_dis_epoch
        return [Work(lambda: train(self.instructor, self.discriminator, loader, criterion, optimizer), 1 / BATCHES)]

    def rollout(self, n: int) -> list[Work]:
        """One of its n roll-outs of all prefixes, scaled."""
        roll = self._modules["utils.rollout"].ROLLOUT(self.generator, gpu=self.config.CUDA)
        return [Work(lambda: roll.get_reward(self.batch, 1, self.discriminator), n)]

    def policy_step(self) -> list[Work]:
        """SeqGAN's own samples and update, without the roll-outs."""
        b, prepare = self.batch_size, self.data.GenDataIter.prepare
        rewards = torch.rand(b, self.config.max_seq_len, device=self.device)

        def run() -> None:
            inputs, targets = prepare(self.generator.sample(b, b), gpu=self.config.CUDA)
            self.instructor.optimize(self.optimizer, self.generator.batchPGLoss(inputs, targets, rewards))

        return [Work(run)]

    def maligan_step(self) -> list[Work]:
        """MaliGAN's generator step, with its 16 evaluations of the discriminator."""
        b, prepare = self.batch_size, self.data.GenDataIter.prepare
        reward = self._modules["instructor.oracle_data.maligan_instructor"].MaliGANInstructor.get_mali_reward
        holder = SimpleNamespace(dis=self.discriminator)

        def run() -> None:
            inputs, targets = prepare(self.generator.sample(b, b), gpu=self.config.CUDA)
            loss = self.generator.adv_loss(inputs, targets, reward(holder, targets))
            self.instructor.optimize(self.optimizer, loss)

        return [Work(run)]


class LeakGANPeer(Peer):
    """LeakGAN. Where it has gradients switched off, parameters are frozen: the counter of operations wants it."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        c = self.config
        sizes = c.gen_embed_dim, c.gen_hidden_dim, c.vocab_size, c.max_seq_len, c.padding_idx, c.goal_size, c.step_size
        self.generator, self.discriminator = self.model("LeakGAN_G", *sizes), self.classifier("LeakGAN")
        self.optimizers = [Adam(side, lr=c.gen_lr) for side in self.generator.split_params()]

    def mle(self) -> list[Work]:
        """A step of its pre-training."""
        return [
            Work(lambda: update_both(self.optimizers, self.generator.pretrain_loss(self.batch, self.discriminator)))
        ]

    def sampling(self, n: int) -> list[Work]:
        """One batch, scaled: it cannot draw more at a time."""
        b = self.batch_size
        return [Work(lambda: self.generator.sample(b, b, self.discriminator), n / b)]

    def rollout(self, n: int) -> list[Work]:
        """One of its n roll-outs of all prefixes, scaled."""
        roll = self._modules["utils.rollout"].ROLLOUT(self.generator, gpu=self.config.CUDA)

        def run() -> None:
            with frozen(self.generator):
                roll.get_reward_leakgan(self.batch, 1, self.discriminator, 0)

        return [Work(run, n)]

    def policy_step(self) -> list[Work]:
        """Own samples and the update, without the roll-outs."""
        b, c = self.batch_size, self.config
        rewards = torch.rand(b, c.max_seq_len // c.step_size)

        def run() -> None:
            with torch.no_grad(), frozen(self.generator):
                tokens = self.generator.sample(b, b, self.discriminator, train=True).to(self.device)
            update_both(self.optimizers, self.generator.adversarial_loss(tokens, rewards, self.discriminator))

        return [Work(run)]


class RelGANPeer(Peer):
    """RelGAN with its relational memory."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        c = self.config
        memory = c.mem_slots, c.num_heads, c.head_size
        sizes = c.gen_embed_dim, c.gen_hidden_dim, c.vocab_size, c.max_seq_len, c.padding_idx
        self.generator = self.model("RelGAN_G", *memory, *sizes)
        sizes = c.dis_embed_dim, c.max_seq_len, c.num_rep, c.vocab_size, c.padding_idx
        self.discriminator = self.model("RelGAN_D", *sizes)

    def adversarial_step(self, side: str) -> list[Work]:
        """A step of its "generator" or "discriminator"."""
        instructor = self._modules["instructor.oracle_data.relgan_instructor"].RelGANInstructor
        holder = SimpleNamespace(
            gen=self.generator,
            dis=self.discriminator,
            oracle_data=self.data.GenDataIter(self.tokens),
            gen_adv_opt=Adam(self.generator.parameters(), lr=self.config.gen_adv_lr),
            dis_opt=Adam(self.discriminator.parameters(), lr=self.config.dis_lr),
            optimize=instructor.optimize,
        )
        train = getattr(instructor, f"adv_train_{side}")
        return [Work(lambda: train(holder, 1))]
