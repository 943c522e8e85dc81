"""The benchmark of training runs, counts what it should, and its plain peers are the same models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from typer import Typer
from typer.testing import CliRunner

from baselines.common.networks.cnn import FILTERS, CNNClassifier
from baselines.common.networks.lstm import LSTMLanguageModel
from baselines.common.spec import SequenceSpec
from baselines.leakgan import LeakGAN
from baselines.maligan import MaliGAN
from baselines.relgan import RelGAN
from baselines.seqgan import SeqGAN
from speed import training, whole_runs
from speed.cases import Case, Setting, Timing, Work
from speed.reference import textgan_pytorch
from speed.reference.lstm import PlainCNN, PlainLSTM, rollout

SPEC = SequenceSpec(vocab_size=30, max_len=7, bos_id=0, pad_id=None, eos_id=None)


def test_every_case_runs_and_is_in_the_table() -> None:
    app = Typer()
    app.command()(training.main)
    done = CliRunner().invoke(app, ["--quick"])
    assert done.exit_code == 0, done.output
    setting = Setting(torch.device("cpu"), quick=True)
    cases = training.all_cases(setting)
    assert len({(case.baseline, case.phase) for case in cases}) == len(cases) >= 7
    for case in cases:
        rows = [line for line in done.output.splitlines() if line.startswith(f"| {case.baseline} | {case.phase} |")]
        assert len(rows) >= 2, f"{case.baseline}, {case.phase} has no peer in the table"
        assert rows[0].split(" | ")[2] == "ours"


def test_only_chooses_and_unknown_is_an_error() -> None:
    app = Typer()
    app.command()(training.main)
    done = CliRunner().invoke(app, ["--quick", "--only", "mle, MLE", "--only", "maligan"])
    rows = [line for line in done.output.splitlines() if " | ours | " in line]
    assert [line.split(" | ")[0] for line in rows] == ["| mle", "| maligan"]
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

    case = Case("x", "y", lambda: {"ours": [Work(lambda: add("a"))], "peer": [
        Work(lambda: add("b"), 10), Work(lambda: add("b"), 30)]})  # fmt: skip
    ours, peer = training.measure(case, Setting(torch.device("cpu"), quick=True), turns=1, budget=1)
    assert calls == {"a": 3, "b": 6}  # once to count, once to know how long it takes, once timed
    assert ours.ratio is None
    assert peer.ratio == pytest.approx(peer.seconds / ours.seconds)


def same_generators() -> tuple[LSTMLanguageModel, PlainLSTM]:
    torch.manual_seed(0)
    ours = LSTMLanguageModel(SPEC, embedding_dim=5, hidden_dim=6).double()
    theirs = PlainLSTM(SPEC.vocab_size, SPEC.max_len, SPEC.bos_id, 5, 6).double()
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
    theirs = PlainCNN(SPEC.vocab_size, SPEC.max_len, 8, 0.75, FILTERS).double().eval()
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
    torch.testing.assert_close(rollout(theirs, score, tokens, 2), expected)


def test_a_folder_that_is_no_checkout_is_named() -> None:
    setting = Setting(torch.device("cpu"), textgan_pytorch=Path(__file__).parent)
    with pytest.raises(FileNotFoundError, match="no checkout of TextGAN-PyTorch"):
        textgan_pytorch.SeqGANPeer(setting)


def test_both_gradients_are_of_the_parameters_before_either_step() -> None:
    a, b = (torch.tensor(x, requires_grad=True) for x in (2.0, 3.0))
    optimizers = [torch.optim.SGD([a], lr=0.1), torch.optim.SGD([b], lr=0.1)]
    shared = a * a * b
    textgan_pytorch.update_both(optimizers, [shared + b, 2 * shared + a])
    assert a.item() == pytest.approx(2 - 0.1 * 2 * 2 * 3)
    assert b.item() == pytest.approx(3 - 0.1 * 2 * 2 * 2)


MODELS: dict[str, Any] = {model.__name__.lower(): model for model in (SeqGAN, MaliGAN, LeakGAN, RelGAN)}


@pytest.mark.parametrize("run", whole_runs.RUNS, ids=lambda run: run.name)
def test_whole_runs_count_the_steps_of_the_phases(run: whole_runs.Run) -> None:
    model = MODELS[run.name.split(",")[0]](run.config, SPEC)
    counts = whole_runs.counts(run)
    assert counts["MLE"] + counts["generator"] + counts["discriminator"] == sum(p.steps for p in model.phases())
    cases = {(case.baseline, case.phase) for case in training.all_cases(Setting(torch.device("cpu")))}
    assert cases.issuperset(run.cases.values())
    assert run.cases.keys() == counts.keys()


def test_whole_runs_draw_pools_and_evaluations() -> None:
    counts = {run.name: whole_runs.counts(run) for run in whole_runs.RUNS}
    assert counts["seqgan"] == {
        "MLE": 120 * 156,
        "sampling": pytest.approx((50 + 200 * 5) * 0.9984 + 120 // 5 + 200 // 5),
        "generator": 200,
        "discriminator": 50 * 936 + 200 * 5 * 936,
    }
    assert counts["leakgan"]["sampling"] == pytest.approx((10 * 5 + 90 * 5) * 0.9984 + 80 // 5 + 90 // 5)
    assert counts["relgan"]["sampling"] == 150 // 5 + 3_000 // 20  # no pools


def row(baseline: str, phase: str, contestant: str, seconds: float) -> Timing:
    return Timing(baseline, phase, contestant, seconds, seconds, seconds, 1, 1.0, None, None, None)


def test_whole_runs_are_counts_times_medians() -> None:
    cases = {run.name: run for run in whole_runs.RUNS}["seqgan"].cases
    counts = whole_runs.counts(whole_runs.RUNS[0])
    rows = [row(*case, name, s) for s, case in enumerate(cases.values(), 1) for name in ("ours", "plain")]
    rows += [row(*case, "TextGAN-PyTorch", 4.0 * s) for s, case in enumerate(cases.values(), 1)]
    ours, plain, textgan = whole_runs.computed(rows)
    assert ours.total * 3600 == pytest.approx(sum(s * counts[phase] for s, phase in enumerate(cases, 1)))
    assert [run.ratio for run in (ours, plain, textgan)] == [None, pytest.approx(1), pytest.approx(4)]
    assert [run.goal for run in (ours, plain, textgan)] == [None, None, 3.2]
    assert whole_runs.verdicts([ours, plain, textgan]) == [
        "met    whole run of seqgan, computed: 4.00 times faster than TextGAN-PyTorch (at least 3.2)"
    ]
    assert len(whole_runs.markdown([ours, plain, textgan]).splitlines()) == 4 + 3


def test_a_run_with_an_unmeasured_phase_is_not_computed() -> None:
    cases = list(whole_runs.RUNS[0].cases.values())
    rows = [row(*case, name, 1.0) for case in cases for name in ("ours", "plain")]
    assert [run.contestant for run in whole_runs.computed(rows[:-1])] == ["ours"]
    assert whole_runs.computed(rows[1:]) == []
    assert whole_runs.markdown([]) == ""
