"""The benchmark of training runs, counts what it should, and its plain peers are the same models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from typer import Typer
from typer.testing import CliRunner

from baselines.common.cnn import FILTERS, CNNClassifier
from baselines.common.lstm import LSTMLanguageModel
from baselines.common.spec import SequenceSpec
from benchmarks import plain, textgan_pytorch, training

SPEC = SequenceSpec(vocab_size=30, max_len=7, bos_id=0, pad_id=None, eos_id=None)


def test_every_case_runs_and_is_in_the_table() -> None:
    app = Typer()
    app.command()(training.main)
    done = CliRunner().invoke(app, ["--quick"])
    assert done.exit_code == 0, done.output
    setting = training.Setting(torch.device("cpu"), quick=True)
    cases = training.all_cases(setting)
    assert len({(case.baseline, case.phase) for case in cases}) == len(cases) >= 7
    for case in cases:
        rows = [line for line in done.output.splitlines() if line.startswith(f"| {case.baseline} | {case.phase} |")]
        assert len(rows) >= 2, f"{case.baseline}, {case.phase} has no peer in the table"
        assert rows[0].split(" | ")[2] == "ours"


def test_only_chooses_and_unknown_is_an_error() -> None:
    app = Typer()
    app.command()(training.main)
    done = CliRunner().invoke(app, ["--quick", "--only", "mle, MLE"])
    assert "seqgan" not in done.output
    assert CliRunner().invoke(app, ["--quick", "--only", "no such case"]).exit_code == 2


def test_operations_are_counted() -> None:
    a, b = torch.randn(3, 5), torch.randn(5, 7)
    assert training.counted_flops(lambda: a @ b) == 2 * 3 * 5 * 7
    lstm = torch.nn.LSTM(5, 4, batch_first=True)
    words = torch.randn(2, 6, 5)
    assert training.counted_flops(lambda: lstm(words)) == 2 * 2 * 6 * 16 * (5 + 4)
    assert training.counted_flops(lambda: lstm(words)[0].sum().backward()) == 3 * 2 * 2 * 6 * 16 * (5 + 4)


def test_turns_are_summed_over_the_parts() -> None:
    calls = {"a": 0, "b": 0}

    def add(name: str) -> None:
        calls[name] += 1
        torch.randn(1000).sort()

    case = training.Case("x", "y", lambda: {"ours": [training.Work(lambda: add("a"))], "peer": [
        training.Work(lambda: add("b"), 10), training.Work(lambda: add("b"), 30)]})  # fmt: skip
    ours, peer = training.measure(case, training.Setting(torch.device("cpu"), quick=True), turns=1, budget=1)
    assert calls == {"a": 3, "b": 6}  # once to count, once to know how long it takes, once timed
    assert ours.ratio is None
    assert peer.ratio == pytest.approx(peer.seconds / ours.seconds)


def same_generators() -> tuple[LSTMLanguageModel, plain.PlainLSTM]:
    torch.manual_seed(0)
    ours = LSTMLanguageModel(SPEC, embedding_dim=5, hidden_dim=6).double()
    theirs = plain.PlainLSTM(SPEC.vocab_size, SPEC.max_len, SPEC.bos_id, 5, 6).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def test_plain_language_model_is_ours() -> None:
    ours, theirs = same_generators()
    tokens = torch.randint(30, (9, 7))
    loss = functional.cross_entropy(theirs(tokens).flatten(0, 1), tokens.flatten())
    torch.testing.assert_close(ours.mean_nll(tokens), loss, rtol=1e-10, atol=0)


def test_plain_completions_keep_the_prefix() -> None:
    _, theirs = same_generators()
    tokens = torch.randint(30, (9, 7))
    done = theirs.complete(tokens, 3)
    assert torch.equal(done[:, :3], tokens[:, :3])
    assert not torch.equal(done[:, 3:], tokens[:, 3:])


def test_plain_discriminator_is_ours() -> None:
    torch.manual_seed(0)
    ours = CNNClassifier(SPEC, embedding_dim=8).double()
    theirs = plain.PlainCNN(SPEC.vocab_size, SPEC.max_len, 8, 0.75, FILTERS).double().eval()
    copied = dict(ours.state_dict())
    for i in range(len(ours.filters)):
        copied[f"convolutions.{i}.weight"] = copied.pop(f"filters.{i}").transpose(1, 2)[:, None]
        copied[f"convolutions.{i}.bias"] = copied.pop(f"filter_biases.{i}")
    theirs.load_state_dict(copied)
    tokens = torch.randint(30, (9, 7))
    torch.testing.assert_close(ours(tokens, dropout=False), theirs(tokens), rtol=1e-10, atol=1e-12)


def test_plain_rollout_rewards_each_token_of_its_own_sentence() -> None:
    _, theirs = same_generators()
    with torch.no_grad():
        theirs.output.weight.mul_(1e6)  # always the most likely word
    tokens = torch.randint(30, (4, 7))

    def score(sentences: Tensor) -> Tensor:
        return (sentences * torch.arange(1.0, 8.0)).sum(1).sin()

    expected = torch.stack([score(theirs.complete(tokens, given)) for given in range(1, 8)], 1)
    torch.testing.assert_close(plain.rollout(theirs, score, tokens, 2), expected)


def test_a_folder_that_is_no_checkout_is_named() -> None:
    setting = training.Setting(torch.device("cpu"), textgan_pytorch=Path(__file__).parent)
    with pytest.raises(FileNotFoundError, match="no checkout of TextGAN-PyTorch"):
        textgan_pytorch.Peer(setting)
