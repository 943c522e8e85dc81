"""The project's LSTM as a judge of text, and the settings of metrics on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from bench.cli import app
from bench.config import RunConfig, assign, build_metrics, parse_settings
from bench.language_model import fit_lstm
from bench.score.scoring import metric_inputs
from metrics.common.tokens import Tokens
from metrics.lm_score.metric import LmScore
from metrics.reverse_lm_score.metric import ReverseLmScore

ORDERED = [["a", "b", "c", "d"][:n] for n in (2, 3, 4) for _ in range(40)]
SHUFFLED = [["d", "c", "b", "a"][-n:] for n in (2, 3, 4) for _ in range(40)]


@pytest.fixture(scope="module")
def texts() -> tuple[Tokens, Tokens, Tokens]:
    numbering: dict[str, int] = {}
    return tuple(Tokens.from_words(t, numbering) for t in (ORDERED, SHUFFLED, [["a", "zebra"], []]))  # type: ignore[return-value]


def test_the_lstm_knows_its_text_from_another_and_disturbs_nothing(texts: tuple[Tokens, Tokens, Tokens]) -> None:
    ordered, shuffled, strange = texts
    before = torch.get_rng_state()
    nats = fit_lstm(ordered, ordered)
    assert torch.equal(torch.get_rng_state(), before)
    assert nats(ordered).mean() < 2.0  # log 3 for the length is all there is to guess
    assert nats(ordered).mean() > np.log(3) - 0.2
    assert nats(shuffled).mean() > 5 * nats(ordered).mean()
    assert np.isfinite(nats(strange)).all()
    assert np.array_equal(fit_lstm(ordered, ordered)(shuffled), nats(shuffled))
    with pytest.raises(ValueError, match="at least 4 sentences"):
        fit_lstm(ordered.select(np.arange(3)), ordered)


def test_its_probabilities_sum_to_one(texts: tuple[Tokens, Tokens, Tokens]) -> None:
    """Nearly: over all sentences of up to six words, when no sentence of the text has more than four."""
    ordered, _, _ = texts
    nats = fit_lstm(ordered, ordered)
    words = [int(word) for word in np.unique(ordered.flat)] + [10**6]  # and any other word
    sentences: list[list[int]] = [[]]
    mass = 0.0
    for _ in range(7):  # every sentence of up to 6 words
        flat = np.array([word for sentence in sentences for word in sentence], np.int64)
        offsets = np.concatenate([[0], np.cumsum([len(sentence) for sentence in sentences])])
        mass += float(np.exp(-nats(Tokens(flat, offsets.astype(np.int64)))).sum())
        sentences = [[*sentence, word] for sentence in sentences for word in words]
    assert 0.97 < mass < 1.0 + 1e-4


def test_scores_by_the_lstm(texts: tuple[Tokens, Tokens, Tokens]) -> None:
    from bench.config import build
    from bench.registry import find

    task = build(find("tasks", "grammar"), {"n_train": 200, "n_valid": 50, "n_test": 200}, "grammar")
    data = task.load()
    inputs = metric_inputs(data, data.training)
    forward, backward = LmScore(model="lstm"), ReverseLmScore(model="lstm")
    assert forward.missing(inputs) is None
    values = {**forward.compute(inputs), **backward.compute(inputs)}
    assert 1.5 < values["lm_score"] < np.log(97)
    assert 1.5 < values["reverse_lm_score"] < np.log(97)
    assert backward.estimates(inputs)["reverse_lm_score"].standard_error is None
    assert "|model:lstm|" in forward.signature(inputs)
    alone = type(inputs)(samples=inputs.samples, references=inputs.references)
    assert "needs the harness" in (forward.missing(alone) or "")


def test_a_metric_is_set_by_its_name(tmp_path: Path) -> None:
    values = parse_settings(["lm_score.order=3", "lr=0.5", "lm_score.corpus=training"])
    config = assign(values, {"model": "mle", "task": "grammar", "scale": "smoke"})
    assert config["metric_settings"] == {"lm_score": {"order": 3, "corpus": "training"}}
    assert config["model_settings"] == {"lr": 0.5}
    changed = RunConfig.model_validate(config)
    plain = changed.model_copy(update={"metric_settings": {}}).resolve()
    changed = changed.resolve()
    assert plain.config_hash != changed.config_hash
    with pytest.raises(KeyError, match="lm_score has no setting 'ordr'; did you mean 'order'"):
        build_metrics(("lm_score",), {"lm_score": {"ordr": 3}})
    with pytest.raises(KeyError, match="chrf is set, but is not among the metrics"):
        build_metrics(("lm_score",), {"chrf": {}})
    samples, references = tmp_path / "samples.txt", tmp_path / "references.txt"
    for path, sentences in ((samples, SHUFFLED), (references, ORDERED)):
        path.write_text("".join(" ".join(sentence) + "\n" for sentence in sentences))
    arguments = ["--references", str(references), "--metric", "lm_score", "--json", "--set", "lm_score.model=lstm"]
    done = CliRunner().invoke(app, ["score", str(samples), *arguments])
    assert done.exit_code == 0, done.output
    (scored,) = json.loads(done.stdout)["files"]
    assert "model:lstm" in json.dumps(scored)
