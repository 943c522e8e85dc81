"""No step waits for the device, but where the length of sentences decides what there is to compute.

`bench/check/waits.py` finds the places; here stands where a step of ours may wait, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import baselines
from baselines.common.spec import SequenceSpec
from bench.check.cases import Case
from bench.check.waits import Place, Unanswered, Waits, waits_of
from bench.config import build
from bench.registry import find

ROOT = Path(baselines.__file__ or "").parent
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


def place(found: Place) -> str:
    """The innermost function of the models, as `common/networks/lstm.py:hidden`."""
    return f"{Path(found.file).relative_to(ROOT)}:{found.function}" if found.line else "elsewhere"


def waits(model: str, spec: SequenceSpec, **settings: Any) -> set[str]:
    """The places where steps of all phases wait; one round each of the adversarial ones at least."""
    cls = find("models", model)
    config = build(cls.Config, {**cls.scales["smoke"], "batch_size": B, **SMALL[model], **settings}, model)
    return {place(found) for found in waits_of(Case(model=cls, config=config, spec=spec), ROOT)}


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
    with Waits(ROOT) as mode:
        ask(torch.empty(3, device="meta"))
    assert len(mode.found) == 1


@pytest.mark.parametrize("ask", [Tensor.unique, lambda x: x.masked_select(x > 0)])
def test_what_no_step_needs_is_an_error(ask: Callable[[Tensor], object]) -> None:
    with pytest.raises(Unanswered, match="nothing answers"), Waits(ROOT):
        ask(torch.empty(3, device="meta"))


def test_what_does_not_wait_is_not_found() -> None:
    x = torch.empty(3, device="meta")
    with Waits(ROOT) as mode:
        x[1:] = 2.0
        x[x > 0] = 1.0
        x[torch.zeros(2, dtype=torch.int64, device="meta")] = x[:2]
        _ = x * torch.tensor(2.0) + x.sum()
        torch.tensor([1.0]).item()
    assert mode.found == []
    with pytest.raises(Unanswered, match="on two devices"), mode:
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
