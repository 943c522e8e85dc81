"""Checks of the sentences that a model draws: their number, shape and ids, and what temperature does to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.common.interface import HasLogProb
from bench.check.cases import Case, blank, made_up
from bench.run.contract import ContractError
from bench.score.drawing import draw

__all__ = ["check_samples", "check_temperature"]

_DRAWN = 1_000
_COLD, _HOT = 0.05, 5.0
_CLEARLY = 0.02
"""Nats by which words must vary less at the low temperature than at the high one."""


def check_samples(case: Case) -> str:
    """As many sentences as asked for: one, and numbers that are no multiple of a batch; int64 ids of the vocabulary."""
    model, spec = case.trained, case.spec
    for n in (1, 2, 50, case.config.batch_size + 1):
        draw(model, n, seed=3)  # raises in words
    with torch.no_grad():
        raw = model.sample(50)
    told = f"(n, {spec.max_len}) int64 in 0..{spec.vocab_size - 1} for every n"
    if spec.eos_id is None:
        return told
    if torch.equal(raw, blank(raw, spec)):
        return f"{told}; padding after the end token"
    return f"{told}; what it writes after the end token is blanked by the harness"


def check_temperature(case: Case) -> str:
    """A low temperature concentrates what is drawn, a high one spreads it; a model that has none refuses another."""
    try:
        cold, hot = (_variety(draw(case.trained, _DRAWN, seed=4, temperature=t)) for t in (_COLD, _HOT))
    except ValueError as error:
        if "temperature" not in str(error):
            raise
        return f"none, and says so: {error}"
    if cold > hot + _CLEARLY:
        raise ContractError(
            f"words vary more at temperature {_COLD} ({cold:.2f} nats) than at {_HOT} ({hot:.2f}): logits are divided "
            "by the temperature, not multiplied"
        )
    if cold > hot - _CLEARLY and not _is_even(case):
        raise ContractError(
            f"temperature {_COLD} and {_HOT} draw words that vary alike ({cold:.2f} and {hot:.2f} nats): divide the "
            "logits by `temperature`, or raise ValueError if the model has none and it is not 1"
        )
    return f"words vary by {cold:.2f} nats at {_COLD}, {hot:.2f} at {_HOT}"


def _is_even(case: Case) -> bool:
    """Whether its likelihood says so too: every word is equally likely, so a temperature changes nothing."""
    if not isinstance(case.trained, HasLogProb):
        return False
    log_prob: Callable[..., Tensor] = case.trained.log_prob
    sentences = torch.from_numpy(made_up(case.spec, 64))
    with torch.no_grad():
        found = [log_prob(sentences), *(log_prob(sentences, temperature=t) for t in (_COLD, _HOT))]
    return all(torch.equal(found[0], other) for other in found[1:])


def _variety(ids: NDArray[np.int64]) -> float:
    """Entropy of the words at a position, in nats, on average over positions."""
    shares = [np.unique(column, return_counts=True)[1] / len(column) for column in ids.T]
    return float(np.mean([-(share * np.log(share)).sum() for share in shares]))
