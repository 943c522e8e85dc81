"""No step waits for the device, but where the length of sentences decides what there is to compute.

Steps run on tensors without data, on PyTorch's device `meta`: models take the ways they take on a GPU, and every
operation is seen before it happens. What needs a number on the host is found with the place that asked for it, and gets
an answer, so that the step goes on.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import baselines
from baselines.common.spec import SequenceSpec
from bench.config import build
from bench.registry import find

FIXED = SequenceSpec(vocab_size=20, max_len=6, bos_id=0, pad_id=None, eos_id=None)
ENDING = SequenceSpec(vocab_size=20, max_len=6, bos_id=1, pad_id=2, eos_id=3)
B = 4
SMALL: Mapping[str, Mapping[str, Any]] = {
    "mle": {},
    "transformer_mle": {},
    "masked_diffusion": {},
    "constant_reward": {"reward": "noise"},
    "seqgan": {"mle_steps": 1, "d_pretrain_steps": 1, "iterations": 1, "pool_batches": 1, "d_steps": 1, "rollouts": 2},
    "maligan": {"mle_steps": 1, "d_pretrain_steps": 1, "iterations": 3, "g_steps": 1, "d_steps": 1},
    "rankgan": {
        "g_batch_size": B,
        "mle_steps": 1,
        "d_pretrain_steps": 1,
        "iterations": 1,
        "pool_batches": 1,
        "d_steps": 1,
        "rollouts": 2,
    },
    "sentigan": {
        "mle_steps": 1,
        "d_pretrain_steps": 1,
        "iterations": 1,
        "pool_batches": 1,
        "d_steps": 1,
        "rollouts": 2,
    },
    "scheduled_sampling": {"epoch_steps": 1},
    "pg_bleu": {"mle_steps": 3, "reference_batches": 2, "g_steps": 1},
    "leakgan": {"d_pretrain_steps": 1, "mle_steps": 1, "d_steps": 1, "iterations": 2, "pool_batches": 1},
    "relgan": {"mle_steps": 1, "d_steps": 1, "iterations": 2},
    "wgan_gp": {"critic_steps": 1, "iterations": 2},
}
WAITS: Mapping[str, str] = {
    "common/fast/sampling.py:write_words": "sentences that have ended are not continued",
    "common/training/rollout.py:_prefixes": "how many prefixes go on is how many completions there are",
    "common/training/rollout.py:_complete": "completions that have ended are not continued",
    "common/training/penalties.py:slope_penalty": "as many pairs as a shuffled batch has sentences of the rarer kind",
}
"""Where a step may wait, and why."""
aten = torch.ops.aten


class Waits(TorchDispatchMode):
    """Collects `place: operation` of all that makes the host wait for the device, or the device for the host."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        if not any(x.device.type == "meta" for x in tensors):
            return func(*args, **kwargs)
        name = func.overloadpacket
        if name in (aten._unique2, aten.unique_dim, aten.masked_select):
            raise RuntimeError(f"{name} waits in {place()}, and nothing answers")
        if name in (aten._local_scalar_dense, aten.equal):
            return self._answer(name, B)
        if name is aten.nonzero:
            (mask,) = args
            return self._answer(name, mask.new_empty(mask.numel(), mask.dim(), dtype=torch.int64))
        if name in (aten.index, aten.index_put_, aten.index_put):
            masks = [x for x in args[1] if x is not None and x.dtype in (torch.bool, torch.uint8)]
            if masks and name is aten.index:
                rows = [x.new_empty(x.numel(), dtype=torch.int64) for x in masks for _ in range(x.dim())]
                return self._answer(name, func(args[0], rows))
            if masks and args[2].numel() > 1:  # one number is filled in where the mask is
                self._answer(name, None)
        if name is aten._to_copy and torch.device(kwargs.get("device") or "meta").type == "cpu":
            return self._answer(name, torch.full(args[0].shape, B, dtype=kwargs.get("dtype") or args[0].dtype))
        if name is aten.copy_ and (args[0].dim() == args[1].dim() == 0 or args[0].device != args[1].device):
            self._answer(name, None)  # x[2] = 1 copies a number from the host, x[2:] = 1 fills
        elif any(x.device.type == "cpu" and x.dim() for x in tensors):
            raise RuntimeError(f"{func} of tensors on two devices in {place()}")
        return func(*args, **kwargs)

    def _answer(self, name: Any, answer: Any) -> Any:
        self.found.append(f"{place()}: {name}")
        return answer


def place() -> str:
    """The innermost function of the models, as `common/networks/lstm.py:hidden`."""
    root = Path(baselines.__file__ or "").parent
    frames = [frame for frame in traceback.extract_stack() if Path(frame.filename).is_relative_to(root)]
    return f"{Path(frames[-1].filename).relative_to(root)}:{frames[-1].name}" if frames else "elsewhere"


def stream(spec: SequenceSpec) -> Iterator[Tensor]:
    while True:
        yield torch.empty(B, spec.max_len, dtype=torch.int64, device="meta")


def waits(model: str, spec: SequenceSpec, **settings: Any) -> set[str]:
    """The places where steps of all phases wait; one round each of the adversarial ones at least."""
    cls = find("models", model)
    values = {**cls.scales["smoke"], "batch_size": B, **SMALL[model], **settings}
    with torch.device("meta"):
        made = cls(build(cls.Config, values, model), spec)
    batches, mode = stream(spec), Waits()
    for phase in made.phases():
        assert phase.steps
        with mode:
            for _ in range(min(phase.steps, 4)):
                values = phase.step(batches)
        assert all(value.dim() == 0 for value in values.values())
    return {found.rpartition(":")[0] for found in mode.found}


@pytest.mark.parametrize(
    "ask",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).all()),
        lambda x: x[x > 0],
        lambda x: (x > 0).nonzero(),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: torch.equal(x, x),
        lambda x: x.copy_(torch.ones(3)),
        lambda x: x.__setitem__(1, 2.0),
        lambda x: x.__setitem__(x > 0, x),
    ],
)
def test_what_waits_is_found(ask: Callable[[Tensor], object]) -> None:
    with Waits() as mode:
        ask(torch.empty(3, device="meta"))
    assert len(mode.found) == 1


@pytest.mark.parametrize("ask", [Tensor.unique, lambda x: x.masked_select(x > 0)])
def test_what_no_step_needs_is_an_error(ask: Callable[[Tensor], object]) -> None:
    with pytest.raises(RuntimeError, match="waits in elsewhere"), Waits():
        ask(torch.empty(3, device="meta"))


def test_what_does_not_wait_is_not_found() -> None:
    x = torch.empty(3, device="meta")
    with Waits() as mode:
        x[1:] = 2.0
        x[x > 0] = 1.0
        x[torch.zeros(2, dtype=torch.int64, device="meta")] = x[:2]
        _ = x * torch.tensor(2.0) + x.sum()
        torch.tensor([1.0]).item()
    assert mode.found == []
    with pytest.raises(RuntimeError, match="on two devices"), mode:
        _ = x + torch.ones(3)


@pytest.mark.parametrize("model", SMALL)
def test_on_sentences_of_one_length_nothing_waits(model: str) -> None:
    assert waits(model, FIXED) == set()


ROLLOUTS = {
    "common/fast/sampling.py:write_words",
    "common/training/rollout.py:_prefixes",
    "common/training/rollout.py:_complete",
}
ENDS: Mapping[str, set[str]] = {
    "constant_reward": {"common/fast/sampling.py:write_words"},
    "seqgan": ROLLOUTS,
    "rankgan": ROLLOUTS,
    "sentigan": ROLLOUTS,
    "pg_bleu": ROLLOUTS,
    "maligan": {"common/fast/sampling.py:write_words"},
    "leakgan": {"common/fast/sampling.py:write_words"},
}


@pytest.mark.parametrize("model", SMALL)
def test_where_sentences_end_only_what_depends_on_it_waits(model: str) -> None:
    found = waits(model, ENDING)
    assert found == ENDS.get(model, set())
    assert found <= set(WAITS)


STABILISED = [
    ("mle", {"ema_decay": 0.9}),
    ("seqgan", {"d_norm": "spectral", "ema_decay": 0.9, "historical_averaging": 0.1, "label_smoothing": 0.1}),
    ("seqgan", {"feature_matching": 1.0, "d_norm": "weight"}),
    ("maligan", {"d_norm": "batch", "prefix": 0}),
    ("rankgan", {"d_norm": "spectral", "feature_matching": 1.0, "d_dropout": "always", "reward": "log_rank"}),
    ("sentigan", {"generators": 2, "penalised": "drawn", "label_smoothing": 0.1, "d_norm": "weight"}),
    ("leakgan", {"rank": "sorted", "cosine": "per_sample", "goals": "aligned", "rank_with_real": True}),
    ("leakgan", {"feature_matching": 1.0, "d_norm": "spectral"}),
    ("relgan", {"generator": "lstm", "gradient_penalty": 1.0, "loss": "hinge"}),
    ("relgan", {"weight_clip": 0.01, "d_norm": "batch", "padding": "word", "feature_matching": 1.0}),
    ("wgan_gp", {"d_norm": "spectral", "d_keep": 0.8, "historical_averaging": 0.1, "feature_matching": 1.0}),
]


@pytest.mark.parametrize(("model", "settings"), STABILISED)
def test_stabilisers_do_not_wait(model: str, settings: dict[str, Any]) -> None:
    assert waits(model, FIXED, **settings) == set()


def test_a_penalty_between_the_kinds_of_a_shuffled_batch_waits() -> None:
    found = waits("seqgan", FIXED, gradient_penalty=1.0)
    assert found == {"common/training/penalties.py:slope_penalty"}
    assert found <= set(WAITS)
