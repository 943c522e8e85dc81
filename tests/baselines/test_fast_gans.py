"""LeakGAN, RelGAN and WGAN-GP: fast paths equal the plain implementations, on the same weights and noise."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.fast.kernels import product
from baselines.common.spec import SequenceSpec
from baselines.common.training.penalties import gradient_penalty
from baselines.leakgan import LeakGAN
from baselines.leakgan.features import prefix_features
from baselines.leakgan.rewards import agreement
from baselines.relgan import RelGAN
from baselines.wgan_gp import WGANGP
from speed.reference.leakgan import PlainLeakGAN
from speed.reference.relgan import PlainDiscriminator, PlainMemory
from speed.reference.wgan_gp import PlainCritic, critic_loss

SPEC = SequenceSpec(vocab_size=70, max_len=10, bos_id=0, pad_id=None, eos_id=None)
ENUMERABLE = SequenceSpec(vocab_size=5, max_len=3, bos_id=0, pad_id=None, eos_id=None)
ENUMERABLE_ENDING = SequenceSpec(vocab_size=5, max_len=3, bos_id=1, pad_id=2, eos_id=3)
on_each_device = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
in_each_precision = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


def close(ours: Tensor | None, plain: Tensor, what: str = "") -> None:
    """To 1e-5 of the largest entry in float32, to 1e-10 in float64."""
    tolerance = 1e-5 if plain.dtype == torch.float32 else 1e-10
    assert ours is not None, what
    assert (ours.shape, ours.dtype) == (plain.shape, plain.dtype)
    error, largest = (ours - plain).abs().max().item(), plain.abs().max().item()
    assert largest > 0, what
    assert error <= tolerance * largest, f"{what}: {error} of {largest}"


def words(spec: SequenceSpec, n: int, device: str) -> Tensor:
    return torch.randint(spec.vocab_size, (n, spec.max_len), generator=torch.Generator().manual_seed(1)).to(device)


def gradients(loss: Tensor, module: nn.Module) -> dict[str, Tensor]:
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(loss, list(named.values()), retain_graph=True, allow_unused=True)
    return {name: g for name, g in zip(named, found, strict=True) if g is not None}


def leakgan(spec: SequenceSpec, device: str, dtype: torch.dtype, **settings: Any) -> LeakGAN:
    torch.manual_seed(0)
    sizes = {"embedding_dim": 6, "hidden_dim": 6, "goal_dim": 3, "horizon": 4, "d_embedding_dim": 5}
    gan = LeakGAN(LeakGAN.Config(**{**sizes, "goals": "aligned", **settings}), spec)
    with torch.no_grad():
        gan.generator.worker.output.mul_(20)
        gan.generator.manager.lstm.get_parameter("weight_ih_l0").mul_(0.3)
    return gan.to(device, dtype)


def worker_table(output: Tensor, hidden_dim: int) -> tuple[Tensor, Tensor]:
    """Ours (V, (H + 1) k) -> weight (V k, H) and bias (V k,) of a linear layer."""
    table = output.unflatten(1, (hidden_dim + 1, -1)).transpose(1, 2)
    return table[..., :-1].flatten(0, 1), table[..., -1].flatten()


def plain_leakgan(gan: LeakGAN) -> PlainLeakGAN:
    d, g, c = gan.discriminator, gan.generator, gan.config
    plain = PlainLeakGAN(
        gan.spec, hidden_dim=c.hidden_dim, goal_dim=c.goal_dim, horizon=c.horizon, d_embedding_dim=c.d_embedding_dim
    ).to(d.output.weight)
    for name in ("embedding", "transform", "gate", "output"):
        getattr(plain.discriminator, name).load_state_dict(getattr(d, name).state_dict())
    weight, bias = worker_table(g.worker.output.detach(), c.hidden_dim)
    with torch.no_grad():
        for mine, w, b in zip(plain.discriminator.convolutions, d.filters, d.filter_biases, strict=True):
            mine.get_parameter("weight").copy_(w.transpose(1, 2)[:, None])
            mine.get_parameter("bias").copy_(b)
        plain.first_goal.copy_(g.manager.first_goals[0])
        plain.output.weight.copy_(weight)
        plain.output.bias.copy_(bias)
    for cell, lstm in ((plain.manager, g.manager.lstm), (plain.worker, g.worker.lstm)):
        cell.load_state_dict({name.removesuffix("_l0"): value for name, value in lstm.state_dict().items()})
    plain.goal.load_state_dict(g.manager.goal.state_dict())
    plain.embedding.load_state_dict(g.worker.embedding.state_dict())
    plain.project.load_state_dict(g.worker.project.state_dict())
    return plain


@on_each_device
def test_a_bias_may_have_strides(device: str) -> None:
    x, weight, table = torch.randn(9, 4), torch.randn(8, 5), torch.randn(8, 3)
    x, weight, bias = x.to(device), weight.to(device)[:, :4], table.to(device)[:, -1]
    close(product(x, weight, bias), x @ weight.t() + bias)
    close(product(x, weight, bias[:1].expand(8)), x @ weight.t() + bias[0])


@on_each_device
@in_each_precision
@pytest.mark.parametrize("horizon", [4, 3, 10])
def test_leakgan_pretraining(device: str, dtype: torch.dtype, horizon: int) -> None:
    """Features, likelihood, both losses and every gradient."""
    gan = leakgan(SPEC, device, dtype, horizon=horizon)
    plain, tokens = plain_leakgan(gan), words(SPEC, 7, device)
    _, log_p, features, _ = plain.walk(tokens, SPEC.max_len)
    close(prefix_features(gan.discriminator, tokens), features, "features")
    close(gan.log_prob(tokens), log_p.gather(2, tokens[:, :, None]).sum((1, 2)).detach(), "log p")
    nll, cosine_loss = plain.losses(tokens)
    read, goals, inside, begun = gan._read(tokens, all_features=False)
    ours_nll = gan.generator.weighted_nll(tokens, goals, inside / inside.sum())
    cosines = agreement(read, goals, horizon)
    ours_cosine = -(cosines * begun).sum() / begun.sum()
    close(ours_nll.detach()[None], nll.detach()[None], "nll")
    close(ours_cosine.detach()[None], cosine_loss.detach()[None], "cosine")

    mine, theirs = gradients(ours_nll, gan.generator.worker), gradients(nll, plain)
    weight, bias = worker_table(mine["output"], gan.config.hidden_dim)
    close(weight, theirs["output.weight"], "output.weight")
    close(bias, theirs["output.bias"], "output.bias")
    for name in ("weight_ih", "weight_hh", "bias_ih"):
        close(mine[f"lstm.{name}_l0"], theirs[f"worker.{name}"], f"worker {name}")
    close(mine["embedding.weight"], theirs["embedding.weight"], "embedding")
    close(mine["project.weight"], theirs["project.weight"], "project")
    mine, theirs = gradients(ours_cosine, gan.generator.manager), gradients(cosine_loss, plain)
    close(mine["first_goals"][0], theirs["first_goal"], "first goal")
    if horizon < SPEC.max_len:
        for name in ("weight_ih", "weight_hh", "bias_ih"):
            close(mine[f"lstm.{name}_l0"], theirs[f"manager.{name}"], f"manager {name}")
        close(mine["goal.weight"], theirs["goal.weight"], "goal")


@on_each_device
@pytest.mark.parametrize("horizon", [4, 10])
def test_leakgan_adversarial_losses(device: str, horizon: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the same samples with the same rewards."""
    gan = leakgan(SPEC, device, torch.float64, horizon=horizon, cosine="per_sample")
    plain, tokens = plain_leakgan(gan), words(SPEC, 7, device)
    rewards = torch.rand(7, len(plain.ends(tokens.device)), dtype=torch.float64, device=device)
    monkeypatch.setattr(gan, "_draw", lambda *_: tokens)
    monkeypatch.setattr(gan, "_rewards", lambda *_: (rewards, rewards))
    worker, manager = plain.adversarial_losses(tokens, rewards)
    found = gan.generator_step(iter([]), iteration=0)
    close(found["worker_loss"][None], worker.detach()[None], "worker")
    close(found["manager_loss"][None], manager.detach()[None], "manager")


@on_each_device
@pytest.mark.parametrize("spec", [ENUMERABLE, ENUMERABLE_ENDING], ids=["fixed", "ending"])
def test_leakgan_samples_have_the_distribution_of_the_model(device: str, spec: SequenceSpec) -> None:
    """All sentences enumerated; sharpened, so that the multiplier matters; more samples than are drawn at once."""
    gan = leakgan(spec, device, torch.float32, horizon=2, evaluation_temperature=1.5)
    rows = set()
    for row in itertools.product(range(spec.vocab_size), repeat=spec.max_len):
        stop = row.index(spec.eos_id) + 1 if spec.eos_id in row else len(row)
        rows.add(row[:stop] + (spec.pad_id or 0,) * (len(row) - stop))
    possible = torch.tensor(sorted(rows), device=device)
    p = gan.log_prob(possible).double().exp().cpu()
    assert p.sum().item() == pytest.approx(1, abs=1e-5)
    torch.manual_seed(0)
    samples = gan.sample(6_000)
    found = (samples[:, None] == possible[None]).all(2).sum(0).cpu()
    assert found.sum() == 6_000
    order = p.argsort(descending=True)
    likely = order[p[order] * 6_000 >= 5]
    observed = [*found[likely].tolist(), 6_000 - found[likely].sum().item()]
    expected = [*(p[likely] * 6_000).tolist(), (1 - p[likely].sum().item()) * 6_000]
    assert chisquare(observed, [e * 6_000 / sum(expected) for e in expected]).pvalue > 1e-3


def relgan(device: str, dtype: torch.dtype) -> RelGAN:
    torch.manual_seed(0)
    config = RelGAN.Config(embedding_dim=5, head_dim=8, filters=7, d_embedding_dim=6, representations=6, d_keep=1.0)
    gan = RelGAN(config, SPEC)
    with torch.no_grad():
        for parameter in gan.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return gan.to(device, dtype)


def plain_relgan(gan: RelGAN) -> tuple[PlainMemory, PlainDiscriminator]:
    g, d = gan.generator, gan.discriminator
    core: Any = g.core
    block = core.blocks[0]
    memory = PlainMemory(SPEC, embedding_dim=5, heads=2, head_dim=8).to(g.output.weight)
    memory.embedding.load_state_dict(g.embedding.state_dict())
    memory.output.load_state_dict(g.output.state_dict())
    for name in ("input", "input_gates", "memory_gates"):
        getattr(memory, name).load_state_dict(getattr(core, name).state_dict())
    memory.qkv.load_state_dict(block.qkv.state_dict())
    memory.mlp.load_state_dict(block.mlp.state_dict())
    judge = PlainDiscriminator(SPEC, embedding_dim=6, filters=7, hidden_dim=100, keep=1.0).to(g.output.weight)
    with torch.no_grad():
        for k, norm in enumerate((block.norm_qkv, block.norm_attended, block.norm_mixed)):
            memory.gains[k].copy_(norm.gain)
            memory.shifts[k].copy_(norm.bias)
        judge.embedding.copy_(d.embedding.weight)
        for k, (mine, weight) in enumerate(zip(judge.convolutions, d.filters, strict=True)):
            mine.get_parameter("weight").copy_(weight[:, None, :, None])
            mine.get_parameter("bias").copy_(d.filter_bias[7 * k : 7 * (k + 1)])
    for name in ("transform", "gate", "summary", "output"):
        getattr(judge, name).load_state_dict(getattr(d, name).state_dict())
    return memory, judge


@on_each_device
@in_each_precision
def test_relgan_steps(device: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pre-training and both adversarial steps: losses, and the gradients that the optimisers get."""
    gan, tokens = relgan(device, dtype), words(SPEC, 6, device)
    memory, judge = plain_relgan(gan)
    for optimizer in gan.optimizers.values():
        monkeypatch.setattr(optimizer, "step", lambda: None)
    monkeypatch.setattr("baselines.common.training.optimizer.nn.utils.clip_grad_norm_", lambda *_: None)
    noise = torch.rand(SPEC.max_len, 6, SPEC.vocab_size, generator=torch.Generator().manual_seed(2)).to(device, dtype)
    turns = itertools.cycle(noise)
    monkeypatch.setattr(torch, "rand_like", lambda _: next(turns).clone())

    nll = functional.cross_entropy(memory(tokens).flatten(0, 1), tokens.flatten())
    close(gan.mle_step(iter([tokens]))["nll"][None], nll.detach()[None])
    theirs = gradients(nll, memory)
    core: Any = gan.generator.core
    pairs = [
        (core.blocks[0].qkv.weight, "qkv.weight"),
        (core.blocks[0].mlp[2].weight, "mlp.2.weight"),
        (core.memory_gates.weight, "memory_gates.weight"),
        (core.input.weight, "input.weight"),
        (gan.generator.embedding.weight, "embedding.weight"),
        (gan.generator.output.weight, "output.weight"),
    ]
    for parameter, name in pairs:
        close(parameter.grad, theirs[name], name)

    generated, real = memory.relaxed(6, 1.5), functional.one_hot(tokens, SPEC.vocab_size).to(dtype)
    difference = judge(generated) - judge(real)
    loss = -functional.logsigmoid(difference).mean()
    close(gan.generator_step(tokens, 1.5)["g_loss"][None], loss.detach()[None])
    theirs = gradients(loss, memory)
    for parameter, name in pairs:
        close(parameter.grad, theirs[name], name)
    assert all(p.grad is None for p in gan.discriminator.parameters())

    loss = -functional.logsigmoid(-difference).mean()
    close(gan.discriminator_step(tokens, 1.5)["d_loss"][None], loss.detach()[None])
    theirs, d = gradients(loss, judge), gan.discriminator
    close(d.embedding.weight.grad, theirs["embedding"], "embedding")
    close(d.gate.weight.grad, theirs["gate.weight"], "gate")
    close(d.transform.weight.grad, theirs["transform.weight"], "transform")
    close(d.summary.weight.grad, theirs["summary.weight"], "summary")
    close(d.filter_bias.grad, torch.cat([theirs[f"convolutions.{k}.bias"] for k in range(4)]), "biases")
    for k, weight in enumerate(d.filters):
        close(weight.grad, theirs[f"convolutions.{k}.weight"][:, 0, :, 0], f"filters {k}")


def wgan_gp(device: str, dtype: torch.dtype, **settings: Any) -> WGANGP:
    torch.manual_seed(0)
    model = WGANGP(WGANGP.Config(dim=16, blocks=3, noise_dim=4, **settings), SPEC)
    with torch.no_grad():
        for name, parameter in model.critic.named_parameters():
            if name.endswith("bias") and parameter.requires_grad:
                parameter.normal_(std=0.3)  # else half of all units are on
    return model.to(device, dtype)


@on_each_device
@in_each_precision
@pytest.mark.parametrize("settings", [{}, {"d_keep": 0.7}, {"d_norm": "spectral"}, {"d_norm": "weight"}])
def test_penalty_as_one_backward_pass(device: str, dtype: torch.dtype, settings: dict[str, Any]) -> None:
    """Value and gradient are those of the second derivative, whatever stabilises the critic."""
    critic = wgan_gp(device, dtype, **settings).critic
    real, generated = torch.rand(2, 6, SPEC.max_len, SPEC.vocab_size, device=device, dtype=dtype)
    torch.manual_seed(3)
    plain = gradient_penalty(critic, real, generated)
    torch.manual_seed(3)
    ours = gradient_penalty(critic, real, generated, slope=critic.slope)
    close(ours.detach()[None], plain.detach()[None])
    mine, theirs = gradients(ours, critic), gradients(plain, critic)
    for name, gradient in mine.items():
        close(gradient, theirs[name], name)
    assert not any(theirs[name].any() for name in theirs.keys() - mine.keys())  # of biases


@on_each_device
@in_each_precision
def test_critic_step(device: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = wgan_gp(device, dtype), words(SPEC, 5, device)
    plain = PlainCritic(SPEC, 16, 3).to(device, dtype)
    plain.load_state_dict(model.critic.state_dict())
    monkeypatch.setattr(model.optimizers["critic"], "step", lambda: None)
    noise = torch.randn(5, 4, device=device, dtype=dtype)
    monkeypatch.setattr(model, "_noise", lambda _: noise)
    real = functional.one_hot(tokens, SPEC.vocab_size).to(dtype)
    torch.manual_seed(3)
    loss = critic_loss(plain, real, model.generator(noise).detach(), 10.0)
    torch.manual_seed(3)
    values = model.critic_step(tokens)
    close(values["critic_loss"][None], loss.detach()[None])
    theirs = gradients(loss, plain)
    for name, parameter in model.critic.named_parameters():
        if parameter.requires_grad:
            close(parameter.grad, theirs[name], name)
