"""Which classes a model is asked for, what it may not do with them, and sentences of one class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.common.interface import BaseConfig, LabelledSpec, Phase, SequenceSpec, TextGenerator
from bench.check.cases import Case, all_sentences
from bench.check.labels import LABELLED, check_labels
from bench.labels.data import LabelledText
from bench.labels.drawing import draw_class
from bench.labels.inputs import inputs_of
from bench.run.contract import ContractError
from bench.score.drawing import draw, likelihood_of, takes_labels
from bench.tasks.grammar_labels import GrammarLabels
from metrics.common.labels import LabelledInputs

NEGATIVE, POSITIVE = LABELLED.class_ids


class Told(TextGenerator):
    """Writes the label and one word."""

    def phases(self) -> list[Phase]:
        return []

    def sample(self, n: int, *, temperature: float = 1.0, labels: Tensor | None = None) -> Tensor:
        out = torch.zeros(n, self.spec.max_len, dtype=torch.int64)
        out[:, 0] = torch.randint(NEGATIVE, POSITIVE + 1, (n,)) if labels is None else labels
        out[:, 1] = 1
        return out

    def log_prob(self, tokens: Tensor) -> Tensor:
        return torch.full((len(tokens),), -3.0)

    def label_log_prob(self, tokens: Tensor) -> Tensor:
        return torch.full((len(tokens),), -1.0)


class Deaf(Told):
    """Does not heed the label."""

    def sample(self, n: int, *, temperature: float = 1.0, labels: Tensor | None = None) -> Tensor:
        return super().sample(n, labels=None if labels is None else labels.clone().fill_(NEGATIVE))


class Untold(TextGenerator):
    """Writes positive sentences, and now and then a negative one or one without a label."""

    def phases(self) -> list[Phase]:
        return []

    def sample(self, n: int, *, temperature: float = 1.0) -> Tensor:
        out = torch.ones(n, self.spec.max_len, dtype=torch.int64)
        out[:, 0] = torch.tensor([1, NEGATIVE, POSITIVE])[torch.tensor([0.1, 0.1, 0.8]).multinomial(n, True)]
        return out


def model(kind: type[TextGenerator], spec: SequenceSpec = LABELLED) -> Any:
    return kind(BaseConfig(), spec)


def test_each_class_is_asked_for_in_turn() -> None:
    assert draw(model(Told), 5, seed=0)[:, 0].tolist() == [NEGATIVE, POSITIVE, NEGATIVE, POSITIVE, NEGATIVE]
    first = draw(model(Told), 2_500, seed=0)[:, 0]
    assert (first == np.resize([NEGATIVE, POSITIVE], 2_500)).all(), "over the parts that are drawn at once, too"


def test_a_model_that_does_not_heed_its_label_is_told_so() -> None:
    with pytest.raises(ValueError, match=r"Deaf.sample\(labels=…\): each sentence must begin with its label; 2 of 4"):
        draw(model(Deaf), 4, seed=0)


def test_without_classes_nobody_is_told_one() -> None:
    plain = SequenceSpec(vocab_size=5, max_len=3, bos_id=0, pad_id=0, eos_id=0)
    assert not takes_labels(model(Told, plain))
    assert set(draw(model(Told, plain), 300, seed=0)[:, 0]) == {NEGATIVE, POSITIVE}
    assert not takes_labels(model(Untold))


def test_the_likelihood_of_a_label_is_known_where_a_label_can_be_told() -> None:
    rows = np.zeros((2, 3), np.int64)
    told = likelihood_of(model(Told), torch.device("cpu"))
    assert told is not None
    assert told.label_log_prob is not None
    assert (told(rows).tolist(), told.label_log_prob(rows).tolist()) == ([-3, -3], [-1, -1])
    plain = SequenceSpec(vocab_size=5, max_len=3, bos_id=0, pad_id=0, eos_id=0)
    of_plain = likelihood_of(model(Told, plain), torch.device("cpu"))
    assert of_plain is not None
    assert of_plain.label_log_prob is None


@pytest.mark.parametrize("kind", [Told, Untold])
def test_sentences_of_one_class(kind: type[TextGenerator]) -> None:
    rows = draw_class(model(kind), 30, "negative", seed=1)
    assert rows.shape == (30, 3)
    assert (rows[:, 0] == NEGATIVE).all()
    assert np.array_equal(rows, draw_class(model(kind), 30, "negative", seed=1))


def test_what_class_there_is_not() -> None:
    with pytest.raises(ValueError, match="no class 'postive'; did you mean 'positive'"):
        draw_class(model(Told), 3, "postive", seed=0)
    plain = SequenceSpec(vocab_size=5, max_len=3, bos_id=0, pad_id=0, eos_id=0)
    with pytest.raises(ValueError, match="this text has no classes"):
        draw_class(model(Told, plain), 3, "positive", seed=0)

    class Never(Untold):
        def sample(self, n: int, *, temperature: float = 1.0) -> Tensor:
            return torch.full((n, 3), POSITIVE)

    with pytest.raises(
        ValueError, match=r"Never cannot be told a class, and 0 of 150 sentences .* are of class negative"
    ):
        draw_class(model(Never), 3, "negative", seed=0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"classes": ("one",)}, "two or more different classes"),
        ({"classes": ("one", "one")}, "two or more different classes"),
        ({"vocab_size": 2}, "a vocabulary that ends with its 2 classes"),
        ({"max_len": 1}, "max_len >= 2"),
        ({"bos_id": 4}, "none of them a special token"),
    ],
)
def test_a_spec_that_cannot_be(wrong: dict[str, Any], said: str) -> None:
    right = {"vocab_size": 5, "max_len": 3, "bos_id": 0, "pad_id": 0, "eos_id": 0, "classes": ("a", "b")}
    assert LabelledSpec(**right).class_ids == range(3, 5)
    with pytest.raises(ValueError, match=said):
        LabelledSpec(**{**right, **wrong})


def test_the_label_is_asked_for_once_and_the_test_sentences_too() -> None:
    asked: list[tuple[str, int]] = []

    class Asked(Told):
        def log_prob(self, tokens: Tensor) -> Tensor:
            asked.append(("whole", len(tokens)))
            return torch.linspace(-3, -2, len(tokens))

        def label_log_prob(self, tokens: Tensor) -> Tensor:
            asked.append(("label", len(tokens)))
            return -tokens[:, 0].float()

    data = GrammarLabels(n_train=20, n_valid=10, n_test=40).load()
    assert isinstance(data, LabelledText)
    likelihood = likelihood_of(Asked(BaseConfig(), data.spec), torch.device("cpu"))
    inputs = inputs_of(data, data.references, likelihood)
    assert isinstance(inputs, LabelledInputs)
    assert inputs.model_label_log_prob is not None
    assert np.array_equal(inputs.model_label_log_prob(data.test), -data.test[:, 0])
    assert inputs.own_log_prob is not None
    own = inputs.own_log_prob(data.test)  # given the label, both classes in the shares of the samples
    assert np.allclose(own, inputs.references_log_prob + data.test[:, 0] + np.log(0.5))
    assert ("whole", 40) in asked
    assert sum(n for what, n in asked if what == "whole") == 40
    assert {n for what, n in asked if what == "label"} == {2}


def test_a_part_of_the_label_that_depends_on_the_words_is_refused() -> None:
    class Mixed(Told):
        """Its label's part holds some of the words."""

        def phases(self) -> list[Phase]:
            return [Phase("none", 1, lambda _: {"loss": torch.zeros(())})]

        def log_prob(self, tokens: Tensor) -> Tensor:
            return torch.full((len(tokens),), -math.log(len(all_sentences(LABELLED))))

        def label_log_prob(self, tokens: Tensor) -> Tensor:
            return self.log_prob(tokens) + 2 * tokens[:, 1]

    with pytest.raises(ContractError, match=r"label_log_prob is -\d\.\d+ to .* it is the log-probability of the label"):
        check_labels(Case(model=Mixed, config=BaseConfig(), spec=LABELLED))
