"""Metrics of rewritten sentences against sacreBLEU itself, by hand, and where they have nothing to say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from bench.score.scoring import score
from metrics.common.aligned_bleu import sentence_bleu
from metrics.common.base import MetricInputs
from metrics.common.labels import Judge
from metrics.common.rewriting import Answers, shared_ngrams
from metrics.common.tokens import Tokens
from metrics.exact_match import ExactMatch
from metrics.input_bleu import InputBleu
from metrics.reference_bleu import ReferenceBleu
from metrics.target_nll import TargetNll
from metrics.transfer import Transfer
from metrics.transfer.metric import content

WORDS = ["the", "soup", "was", "good", "bad", "and", "not", "very", "today", "here", "we", "like", "hate", "it", "."]
N = 60


def sentences(seed: int, longest: int = 9) -> list[str]:
    random = np.random.RandomState(seed)
    return [" ".join(random.choice(WORDS, random.randint(1, longest))) for _ in range(N)]


NUMBERING: dict[str, int] = {}


def tokens(lines: list[str]) -> Tokens:
    return Tokens.from_words([line.split() for line in lines], NUMBERING)


SAMPLES, ASKED, PEOPLE = sentences(0), sentences(1), [sentences(seed) for seed in (2, 3, 4)]
WANTED = np.arange(N) % 2


def said(text: Tokens) -> np.ndarray:
    """A tie where a sentence has no third word."""
    return np.where(text.lengths[:, None] < 3, 0.5, np.stack([text.lengths % 2, 1 - text.lengths % 2], axis=1))


def answers(**changes: object) -> Answers:
    given = {"sets": [tokens(one) for one in PEOPLE], "judge": Judge(name="odd", posteriors=said)} | changes
    return Answers.of(tokens(ASKED), WANTED, ("negative", "positive"), **given)  # type: ignore[arg-type]


def inputs(samples: list[str] = SAMPLES, **changes: object) -> MetricInputs:
    return MetricInputs(samples=tokens(samples), references=answers(**changes), words=list(NUMBERING))


def by_sacrebleu(samples: list[str], streams: list[list[str]]) -> float:
    rows = [[i for i in range(N) if WANTED[i] == k] for k in (0, 1)]
    bleu = BLEU(tokenize="none", force=True)
    scores = [bleu.corpus_score([samples[i] for i in r], [[s[i] for i in r] for s in streams]).score for r in rows]
    return float(np.mean(scores)) / 100


def test_bleu_is_sacrebleus_in_each_direction() -> None:
    found = ReferenceBleu().compute(inputs())
    assert found["reference_bleu"] == pytest.approx(by_sacrebleu(SAMPLES, PEOPLE), abs=1e-12)
    assert found["reference_bleu_first"] == pytest.approx(by_sacrebleu(SAMPLES, PEOPLE[:1]), abs=1e-12)
    others = [by_sacrebleu(SAMPLES, [PEOPLE[r] for r in pair]) for pair in ((1, 2), (0, 2), (0, 1))]
    assert found["reference_bleu_others"] == pytest.approx(np.mean(others), abs=1e-12)
    assert InputBleu().compute(inputs())["input_bleu"] == pytest.approx(by_sacrebleu(SAMPLES, [ASKED]), abs=1e-12)
    single = BLEU(tokenize="none", effective_order=True)
    each = [single.sentence_score(a, [p[i] for p in PEOPLE]).score / 100 for i, a in enumerate(SAMPLES)]
    assert sentence_bleu(tokens(SAMPLES), [tokens(p) for p in PEOPLE]) == pytest.approx(each, abs=1e-12)


def test_people_are_compared_with_the_others_alone() -> None:
    scores, skipped = score([ReferenceBleu()], inputs(PEOPLE[1]))
    expected = by_sacrebleu(PEOPLE[1], [PEOPLE[0], PEOPLE[2]])
    assert scores["reference_bleu_others"].value == pytest.approx(expected, abs=1e-12)
    assert set(skipped) == {"reference_bleu"}
    assert "reference_bleu_first" in scores
    scores, skipped = score([ReferenceBleu()], inputs(PEOPLE[0]))
    assert (set(scores), set(skipped)) == ({"reference_bleu_others"}, {"reference_bleu", "reference_bleu_first"})
    scores, skipped = score([ReferenceBleu()], inputs(sets=[tokens(PEOPLE[0])]))
    assert set(scores) == {"reference_bleu"}
    assert skipped["reference_bleu_others"] == "there is one set of references"


def test_class_and_content_by_sentence() -> None:
    given = inputs()
    chrf = CHRF()
    kept = np.array([chrf.sentence_score(a, [b]).score / 100 for a, b in zip(SAMPLES, ASKED, strict=True)])
    assert content(given) == pytest.approx(kept, abs=1e-12)
    lengths = np.array([len(line.split()) for line in SAMPLES])
    reached = np.where(lengths < 3, 0.5, (lengths % 2 == 0) == (WANTED == 1))
    found = Transfer().compute(given)
    assert found["transfer_accuracy"] == pytest.approx(reached.mean())
    assert found["transfer_joint"] == pytest.approx(np.sqrt(reached * kept).mean())
    copied = Transfer().compute(inputs(ASKED))
    assert copied["transfer_content"] == 1
    nobody = Judge(name="none", posteriors=lambda text: np.zeros((len(text), 2)))
    assert Transfer().compute(inputs(judge=nobody))["transfer_accuracy"] == 0


def test_exact_match_and_a_model_of_the_class() -> None:
    half = [a if i % 4 else p for i, (a, p) in enumerate(zip(SAMPLES, PEOPLE[0], strict=True))]
    equal = np.mean([a == p for a, p in zip(half, PEOPLE[0], strict=True)])
    found = ExactMatch().compute(inputs(half, sets=[tokens(PEOPLE[0])], right=True))
    assert found["exact_match"] == equal >= 0.25
    own = [["we like it ."] * 20, ["we hate it ."] * 20]
    texts = [tokens(one) for one in own]
    right, wrong = (
        TargetNll().compute(inputs([own[k][0] for k in side], class_text=texts))["target_nll"]
        for side in (WANTED, 1 - WANTED)
    )
    assert right < wrong


def test_what_has_no_score_says_why() -> None:
    every = [Transfer(), ReferenceBleu(), InputBleu(), TargetNll(), ExactMatch()]
    plain = MetricInputs(samples=tokens(SAMPLES), references=tokens(ASKED), words=list(NUMBERING))
    scores, skipped = score(every, plain)
    assert not scores
    assert all(reason.endswith("and the class that each is to have") for reason in skipped.values())
    _, skipped = score(every, inputs(SAMPLES[1:]))
    assert "59 sentences, 60 inputs" in skipped["transfer"]
    _, skipped = score(every, inputs(judge=None))
    assert skipped["transfer"] == "transfer needs a judge of classes"
    assert skipped["target_nll"] == "target_nll needs real text of each class"
    assert skipped["exact_match"] == "exact_match needs a task in which one answer is right and no other"
    _, skipped = score([ReferenceBleu(), ExactMatch(), InputBleu()], inputs(sets=[]))
    assert set(skipped) == {"reference_bleu", "exact_match"}


def test_texts_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="60 inputs and 59 answers"):
        answers(sets=[tokens(SAMPLES[1:])])
    with pytest.raises(ValueError, match="wanted classes are 0 to 0, got 0 to 1"):
        Answers.of(tokens(ASKED), WANTED, ("only",))
    with pytest.raises(ValueError, match="2 classes have 1 texts"):
        answers(class_text=[tokens(SAMPLES)])


def test_empty_sentences_have_scores() -> None:
    empty = [""] * N
    found, skipped = score([Transfer(), ReferenceBleu(), InputBleu()], inputs(empty))
    assert not skipped
    assert found["transfer_content"].value == found["reference_bleu"].value == found["input_bleu"].value == 0
    shared = shared_ngrams(tokens(empty), [tokens(ASKED)], 2)
    assert dataclasses.astuple(shared)[0].sum() == 0
