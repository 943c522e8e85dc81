"""Checks on sentences with labels: a model learns them, and begins with the label that it is told, if it can be."""

from __future__ import annotations

import dataclasses
from typing import cast

import torch
from scipy.stats import chisquare
from torch import Tensor

from baselines.common.interface import HasLabelLogProb, HasLabels, HasLogProb, LabelledSpec, Rewriter
from bench.check.cases import Case, all_sentences, blank, made_up
from bench.randomness import isolated
from bench.rewriting.drawing import rewrite
from bench.run.contract import ContractError
from bench.score.drawing import draw, takes_labels

__all__ = ["LABELLED", "check_labels"]

LABELLED = LabelledSpec(vocab_size=5, max_len=3, bos_id=0, pad_id=0, eos_id=0, classes=("negative", "positive"))
"""So few words that all sentences can be listed: the end, two words and two labels."""
_LONG = dataclasses.replace(LABELLED, max_len=20)
"""Longer than a model's own units of work: blocks, horizons, windows."""
_DRAWN = 2_000
_EXACT = 1e-4
_UNLIKELY = 1e-4


def check_labels(case: Case) -> str:
    """Told a class or not, it draws sentences; a likelihood given the class is that of the sentences drawn for it."""
    model, spec = case.trained, case.spec
    assert isinstance(spec, LabelledSpec)
    if isinstance(model, Rewriter):
        inputs = made_up(spec, 50)
        rewrite(model, inputs, (inputs[:, 0] - spec.class_ids[0] + 1) % len(spec.classes), seed=3)  # raises in words
        return "rewrites: each answer begins with the label that is wanted"
    draw(model, 50, seed=3)  # raises in words, where a label is not heeded
    with torch.no_grad():
        model.sample(3)  # without labels it is the `sample` of any model
    if not takes_labels(model):
        return "it cannot be told a class (`sample` takes no labels): its sentences are grouped by the labels it writes"
    if not (isinstance(model, HasLogProb) and isinstance(model, HasLabelLogProb)):
        return "begins with the label that it is told; it has no likelihood of what follows"
    sentences = all_sentences(spec)
    for name, label in zip(spec.classes, spec.class_ids, strict=True):
        of_class = sentences[sentences[:, 0] == label]
        with torch.no_grad():
            label_alone = model.label_log_prob(of_class).double()
            given = model.log_prob(of_class).double() - label_alone
        _check_of_label_alone(label_alone, name)
        if not abs(given.exp().sum().item() - 1) <= _EXACT:
            raise ContractError(
                f"log_prob - label_log_prob of all {len(of_class)} sentences of class {name} is no distribution: the "
                f"probabilities sum to {given.exp().sum().item():.4g}; label_log_prob is the part of log_prob that is "
                "the first word's"
            )
        _check_drawn(case, label, of_class, given.exp())
    _check_long(case)
    return "begins with the label that it is told, and writes what it gives probability after it"


def _check_of_label_alone(found: Tensor, name: str) -> None:
    """Raises ContractError where sentences (N,) of a class have more than one probability of their label."""
    low, high = found.min().item(), found.max().item()
    if not (high - low <= _EXACT and high <= _EXACT):
        raise ContractError(
            f"label_log_prob is {low:.4g} to {high:.4g} for sentences of class {name}: it is the log-probability "
            "of the label alone, so it is one number, at most 0, for all sentences that begin with this label"
        )


def _check_long(case: Case) -> None:
    """Raises ContractError where, in long sentences, a label or what follows it has no probability."""
    model = dataclasses.replace(case, spec=_LONG, train=None, most=1).trained
    assert isinstance(model, HasLogProb)
    assert isinstance(model, HasLabelLogProb)
    sentences = torch.from_numpy(made_up(_LONG, 40))
    with torch.no_grad():
        label_alone = model.label_log_prob(sentences).double()
        given = model.log_prob(sentences).double() - label_alone
    for name, label in zip(_LONG.classes, _LONG.class_ids, strict=True):
        _check_of_label_alone(label_alone[sentences[:, 0] == label], name)
    if not given.max().item() <= _EXACT:
        raise ContractError(
            f"log_prob - label_log_prob is {given.max().item():.4g} for a sentence of {_LONG.max_len} words: the "
            "logarithm of a probability is at most 0, and label_log_prob is a part of log_prob"
        )


def _check_drawn(case: Case, label: int, sentences: Tensor, probability: Tensor) -> None:
    """Raises ContractError where sentences of a class are not drawn as often as they are probable."""
    with torch.no_grad(), isolated(11):
        told = cast("HasLabels", case.trained)
        drawn = blank(told.sample(_DRAWN, labels=torch.full((_DRAWN,), label)), case.spec)
    _, counts = torch.cat([sentences, drawn]).unique(dim=0, return_counts=True)
    _, order = sentences.unique(dim=0, return_inverse=True)
    expected = torch.zeros(len(counts), dtype=torch.float64)
    if len(counts) != len(sentences):
        raise ContractError("sample(labels=…) writes sentences that cannot be written")
    expected[order] = probability * _DRAWN
    often = expected > 5
    observed = torch.cat([(counts - 1)[often], (counts - 1)[~often].sum()[None]]).double()
    wanted = torch.cat([expected[often], expected[~often].sum()[None]])
    if wanted[-1] < 1:
        observed, wanted = observed[:-1], wanted[:-1] * (observed[:-1].sum() / wanted[:-1].sum())
    if len(wanted) > 1 and chisquare(observed, wanted * (observed.sum() / wanted.sum())).pvalue < _UNLIKELY:
        raise ContractError(
            "what sample(labels=…) writes is not distributed as log_prob - label_log_prob says: the label is the first "
            "word of the sentence, and the model goes on from there"
        )
