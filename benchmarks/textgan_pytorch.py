"""Phases of a checkout of williamSYSU/TextGAN-PyTorch, called as its instructors call them.

It is imported from the path that is given and is no part of this repository. Its results are not compared, because it
mixes the rewards of roll-outs up (utils/rollout.py:139) and scores with dropout; the amount of work is SeqGAN's, but
for one matrix in the discriminator's highway instead of two.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.training import Setting, Work

__all__ = ["Peer"]

_PACKAGES = ("config", "instructor", "metrics", "models", "utils")
BATCHES = 4
"""Batches in one call of its loops over a data loader."""


def _import(path: Path) -> dict[str, Any]:
    """Its modules, by their names. Modules of ours with the same names are put back."""
    if not (path / "models" / "SeqGAN_G.py").is_file():
        raise FileNotFoundError(f"{path} is no checkout of TextGAN-PyTorch: it has no models/SeqGAN_G.py")
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in _PACKAGES}
    kept_path = list(sys.path)
    # Its `metrics` is a namespace, so ours would win from anywhere on the path.
    sys.path[:] = [str(path), *(place for place in kept_path if not (Path(place or ".") / "baselines").is_dir())]
    names = ["config", "models.SeqGAN_G", "models.SeqGAN_D", "models.MaliGAN_G", "models.MaliGAN_D", "utils.rollout"]
    names += ["utils.data_loader", "instructor.oracle_data.instructor", "instructor.oracle_data.maligan_instructor"]
    try:
        return {name: importlib.import_module(name) for name in names}
    finally:
        sys.path[:] = kept_path
        for name in [name for name in sys.modules if name.split(".")[0] in _PACKAGES]:
            del sys.modules[name]
        sys.modules.update(kept)


class Peer:
    """Its generator and discriminator of SeqGAN or MaliGAN, with its optimisers, in its default sizes."""

    def __init__(self, setting: Setting, model: str = "SeqGAN") -> None:
        assert setting.textgan_pytorch is not None
        self._modules = _import(setting.textgan_pytorch)
        c = self.config = self._modules["config"]
        c.CUDA, c.if_real_data, c.cuda = setting.device.type == "cuda", False, setting.device.type == "cuda"
        generator = getattr(self._modules[f"models.{model}_G"], f"{model}_G")
        discriminator = getattr(self._modules[f"models.{model}_D"], f"{model}_D")
        sizes = c.gen_embed_dim, c.gen_hidden_dim, c.vocab_size, c.max_seq_len, c.padding_idx
        self.generator = generator(*sizes, gpu=c.CUDA).to(setting.device)
        self.discriminator = discriminator(c.dis_embed_dim, c.vocab_size, c.padding_idx, gpu=c.CUDA).to(setting.device)
        self.instructor = self._modules["instructor.oracle_data.instructor"].BasicInstructor
        self.g_optimizer = torch.optim.Adam(self.generator.parameters(), lr=c.gen_lr)
        self.d_optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=c.dis_lr)
        self.tokens = torch.randint(c.vocab_size, (BATCHES * c.batch_size, c.max_seq_len))

    def mle(self) -> list[Work]:
        """Steps of its pre-training."""
        loader = self._modules["utils.data_loader"].GenDataIter(self.tokens).loader
        criterion = torch.nn.NLLLoss()
        train = self.instructor.train_gen_epoch
        return [Work(lambda: train(self.instructor, self.generator, loader, criterion, self.g_optimizer), 1 / BATCHES)]

    def sampling(self, n: int) -> list[Work]:
        """One batch, scaled."""
        b = self.config.batch_size
        return [Work(lambda: self.generator.sample(b, b), n / b)]

    def discriminator_step(self) -> list[Work]:
        """Steps of its discriminator."""
        half = self.tokens.split(len(self.tokens) // 2)
        loader = self._modules["utils.data_loader"].DisDataIter(*half).loader
        criterion, train = torch.nn.CrossEntropyLoss(), self.instructor.train_dis_epoch
        run = lambda: train(self.instructor, self.discriminator, loader, criterion, self.d_optimizer)  # noqa: E731
        return [Work(run, 1 / BATCHES)]

    def rollout(self) -> list[Work]:
        """One of its 16 roll-outs of all prefixes."""
        roll = self._modules["utils.rollout"].ROLLOUT(self.generator, gpu=self.config.CUDA)
        sentences = self.tokens[: self.config.batch_size].to(next(self.generator.parameters()).device)
        return [Work(lambda: roll.get_reward(sentences, 1, self.discriminator), self.config.rollout_num)]

    def policy_step(self) -> list[Work]:
        """SeqGAN's own samples and update, without the roll-outs."""
        b, prepare = self.config.batch_size, self._modules["utils.data_loader"].GenDataIter.prepare
        rewards = torch.rand(b, self.config.max_seq_len, device=next(self.generator.parameters()).device)

        def run() -> None:
            inputs, targets = prepare(self.generator.sample(b, b), gpu=self.config.CUDA)
            self.instructor.optimize(self.g_optimizer, self.generator.batchPGLoss(inputs, targets, rewards))

        return [Work(run)]

    def maligan_step(self) -> list[Work]:
        """MaliGAN's generator step, with its 16 evaluations of the discriminator."""
        b, prepare = self.config.batch_size, self._modules["utils.data_loader"].GenDataIter.prepare
        reward = self._modules["instructor.oracle_data.maligan_instructor"].MaliGANInstructor.get_mali_reward
        holder = type("Holder", (), {"dis": self.discriminator})()

        def run() -> None:
            inputs, targets = prepare(self.generator.sample(b, b), gpu=self.config.CUDA)
            loss = self.generator.adv_loss(inputs, targets, reward(holder, targets))
            self.instructor.optimize(self.g_optimizer, loss)

        return [Work(run)]
