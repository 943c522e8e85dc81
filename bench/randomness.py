"""Where randomness comes from: one number per purpose, derived by SHA-256, so that no use disturbs another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["derive", "isolated", "random_state", "restore_random_state", "seed_everything"]


def derive(seed: int, *purpose: str | int) -> int:
    """A seed of 63 bits for one purpose of a run: `derive(0, "samples", 1200)`. Seed 0 is as good as any other."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seed_everything(seed: int) -> None:
    """Seed torch's global generators, of the CPU and of every GPU: the only ones a model may use."""
    torch.manual_seed(seed)


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Inside: torch's generators start from `seed`. Afterwards they are as if nothing had been drawn."""
    before = random_state()
    seed_everything(seed)
    try:
        yield
    finally:
        restore_random_state(before)


def random_state() -> dict[str, Tensor]:
    """The state of torch's global generators, of the CPU and of the GPU in use, as a checkpoint can hold it."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def restore_random_state(states: Mapping[str, Tensor]) -> None:
    """Undo of `random_state`; the GPU now in use may be another one."""
    torch.set_rng_state(states["cpu"].cpu())
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"].cpu())
