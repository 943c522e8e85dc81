"""`python -m bench check`: ours keep the contract, and a mistake is told with what would be right."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
from helpers.commands import call_bench

from bench.check.checks import NAMES, Result, check_model
from bench.check.new import KINDS, Kind, rendered
from bench.registry import find, names
from bench.task import TextData


@functools.cache
def grammar() -> TextData:
    return find("tasks", "grammar")().load()


ON_THREE_WORDS = ("samples", "kinds of sentences", "parameters", "seed", "resume", "evaluation", "temperature")
ON_THREE_WORDS += ("log_prob", "after the end", "log_prob and sample", "log_prob at a temperature")
"""Checks that `tests/baselines/test_contract.py` does with every model, there with all steps."""
REWRITERS = ("cycle_gan", "cross_aligned")
"""`tests/baselines/test_no_waiting.py` has all trained models but these."""
WHOLE = ("seqgan", "mle", "masked_diffusion", "wgan_gp", "copy_train", "repeat_one", "uniform", "ngram")
"""One of each sort: adversarial, with a likelihood, with a bound, with neither, and the controls that train nothing."""


@pytest.mark.parametrize("name", names("models"))
def test_every_model_of_ours_passes(name: str) -> None:
    elsewhere = ON_THREE_WORDS if name in REWRITERS else (*ON_THREE_WORDS, "no waiting")
    asked = [check for check in NAMES if name in WHOLE or check not in elsewhere]
    results = list(check_model(name, {}, "smoke", grammar(), asked))
    assert [result.check for result in results] == asked
    assert [result for result in results if result.status == "failed"] == []
    skipped = {result.check for result in results if result.status == "skipped"}
    expected = set()
    if not hasattr(find("models", name), "log_prob"):
        expected |= {check for check in NAMES if check.startswith("log_prob")} | {"after the end"}
    if name in (
        *("copy_train", "repeat_one", "uniform", "ngram", "shuffled_labels", "one_label"),
        *("copy_input", "nearest_other"),
    ):
        expected |= {"parameters", "no waiting"}
    assert skipped == expected & set(asked)


def write(folder: Path, module: str, kind: Kind, *changes: str) -> str:
    """The file that `new` writes, with changes: old, new, old, new."""
    text = rendered("my_gan", kind)
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in text, old
        text = text.replace(old, new)
    (folder / f"{module}.py").write_text(text)
    return f"{folder / module}.py:MyGAN"


def failed(model: str, *only: str) -> list[Result]:
    return [r for r in check_model(model, {}, "smoke", grammar(), only) if r.status == "failed"]


RETURNED = 'return {"nll": self.update("mle", -self.log_prob(next(batches)).mean())}'
NLL = 'self.update("mle", -self.log_prob(next(batches)).mean())'
OUTPUT = "        self.output = nn.Linear(config.hidden_dim, spec.vocab_size)\n"
PHASE = 'Phase("mle", self.config.mle_steps, self.mle_step)'
BLANKED = "return self.blank(torch.cat(drawn, 1))"
SUMMED = "words.masked_fill(self.after_end(tokens), 0.0).sum(1)"
INIT = "        generator = list(self.parameters())\n"
STEP = '        """Maximise equation 1 on real sentences, (B, T) ids."""\n'
HOT = "(self.output(hidden[:, -1]) / temperature)"
DREW = '*, temperature: float = 1.0) -> Tensor:\n        """Draw'
FIXED = "        if self.spec.eos_id is None:\n            return torch.zeros_like(tokens, dtype=torch.bool)\n"
ADAM = "        self.optimizers[name].zero_grad()\n        loss.backward()\n        self.optimizers[name].step()\n"
DRAWN = "        state, drawn = None, []\n"
LOSS = "        return loss.detach()\n"
FIRST = "        super().__init__(config, spec)  # first: it keeps config and spec, and makes self.optimizers\n"
MISTAKES: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
    # what the file and the class show
    ("class", ("import torch\n", "import torhc\n"), ("`import torhc`", "did you mean 'torch'?")),
    ("class", ("class MyGAN(", "clas MyGAN("), ("SyntaxError", "clas MyGAN")),
    ("class", ("def sample(", "def smple("), ("MyGAN lacks the method sample",)),
    ("class", (f", {DREW}", DREW.partition("1.0")[2]), ("is called as",)),
    ("class", ("class MyGAN(TextGenerator)", "class MyGAN(nn.Module)"), ("must extend it",)),
    ("class", ("    @dataclass(frozen=True, kw_only=True)\n", ""), ("is no setting", "@dataclass(frozen=True")),
    # settings
    ("settings", ("mle_steps: PositiveInt = 1_500", "mle_steps: PositiveInt = 0"), ("mle_steps", "its default")),
    ("settings", ("lr: PositiveFloat = 5e-3", "lr: PositiveFloat = 'low'"), ("lr takes", "its default")),
    ("settings", ("lr: PositiveFloat = 5e-3", "lr: PositiveFloat"), ("the setting lr has no default",)),
    ("settings", ("lr: PositiveFloat = 5e-3", "lr: dict[str, float] = 'a'"), ("lr takes a table", "its default")),
    ("settings", ("lr: PositiveFloat = 5e-3", "lr: torch.device = torch.device('cpu')"), ("lr has the type device",)),
    ("class", ("lr: PositiveFloat = 5e-3", "lr = 5e-3"), ("lr is no setting, because it has no type", "float = 0.005")),
    ("class", (DREW, f"labels: Tensor, {DREW[3:]}"), ("labels needs the default None",)),
    ("settings", ('"mle_steps": 40', '"mle_step": 40'), ("scale smoke", "did you mean 'mle_steps'?")),
    ("settings", ('"smoke": {', '"tiny": {'), ("scales has 'tiny'",)),
    # phases and steps
    ("phases", (FIRST, ""), ("must begin with super().__init__(config, spec)",)),
    ("phases", (f"{PHASE},", ""), ("an empty list",)),
    ("phases", (PHASE, '("mle", 40, self.mle_step)'), ("phases()[0] is a tuple",)),
    ("phases", (PHASE, 'Phase("mle", 40, self.mle_step(None))'), ("must name the steps and do none",)),
    (
        "phases",
        ("        return [\n", "        self.output.bias.data.add_(1)\n        return [\n"),
        ("it changed output.bias",),
    ),
    ("steps", (RETURNED, f'return {{"nll": {NLL}.item()}}'), ("leave out .item()",)),
    ("steps", (RETURNED, f"return float({NLL})"), ("it returned a float",)),
    ("steps", (RETURNED, NLL), ("it returned None: is `return` missing?",)),
    ("steps", (RETURNED, f"{NLL}\n        return {{}}"), ("nothing to log",)),
    ("steps", ("return loss.detach()", "return loss"), ("still has its graph", "detach()")),
    ("steps", ("return loss.detach()", "return (loss * torch.inf).detach()"), ("its 'nll' is inf", "diverges")),
    ("steps", (NLL, "self.updat()"), ('`return {"nll": self.updat()}`', "no attribute 'updat'")),
    # sentences
    ("samples", (BLANKED, "return torch.cat(drawn, 1)[:, :-1]"), ("must return int64 (1, 16)", "(1, 15)")),
    ("samples", (BLANKED, "return torch.cat(drawn, 1).float()"), ("must return int64", "float32")),
    ("samples", (BLANKED, "return torch.cat(drawn, 1) + 1"), ("ids must be in 0..95",)),
    ("samples", (BLANKED, "return torch.cat(drawn, 1)[:32]"), ("must return int64 (50, 16)", "(32, 16)")),
    ("samples", (BLANKED, "return torch.cat(drawn, 1).tolist()"), ("got list",)),
    ("samples", ("torch.full((n, 1)", "torch.full((64, 1)"), ("must return int64 (1, 16)",)),
    ("kinds of sentences", (FIXED, ""), ("of one length (eos_id and pad_id are None)", "AttributeError")),
    ("temperature", (HOT, "self.output(hidden[:, -1])"), ("vary alike", "divide the logits")),
    ("temperature", (HOT, "(self.output(hidden[:, -1]) * temperature)"), ("not multiplied",)),
    # the likelihood
    ("log_prob", (SUMMED, SUMMED.replace("sum", "mean")), ("it is the mean over the words: sum them",)),
    ("log_prob", (f"return {SUMMED}", f"return -{SUMMED}"), ("it is the negative",)),
    ("log_prob", (f"return {SUMMED}", f"return {SUMMED}.exp()"), ("it is the probability",)),
    ("log_prob", (f"return {SUMMED}", f"return {SUMMED} / 0.6931471805599453"), ("it is in bits",)),
    ("log_prob", (f"return {SUMMED}", f"return {SUMMED}.mean()"), ("a number each", "got shape ()")),
    ("log_prob", ("log_softmax(2)", "log_softmax(1)"), ("not 1", "log_softmax of the logits")),
    ("after the end", (SUMMED, "words.sum(1)"), ("words after the end token change log_prob", "mask")),
    (
        "log_prob and sample",
        ("(1, 0), value=self.spec.bos_id)", "(1, 0), value=self.spec.vocab_size - 1)"),
        ("does not draw what log_prob says",),
    ),
    (
        "log_prob at a temperature",
        (
            "(self.output(self.gru(self.embedding(before))[0]) / temperature)",
            "self.output(self.gru(self.embedding(before))[0])",
        ),
        ("at temperature 0.6",),
    ),
    # training
    ("parameters", (INIT, f"{INIT}        self.idle = nn.Linear(2, 2)\n"), ("idle.weight, idle.bias had no gradient",)),
    (
        "parameters",
        ("torch.optim.Adam(generator, lr=config.lr)", "torch.optim.Adam(generator[:-1], lr=config.lr)"),
        ("output.bias had a gradient and never changed", "no optimizer has it"),
    ),
    (
        "seed",
        (STEP, f"{STEP}        import random\n        self.output.bias.data[0] += random.random()\n"),
        ("two trainings of one seed differ", "numpy"),
    ),
    ("seed", (FIRST, f"{FIRST}        torch.manual_seed(0)\n"), ("torch's generators were seeded", "one run")),
    ("seed", (STEP, f"{STEP}        torch.manual_seed(0)\n"), ("torch's generators were seeded", "one run")),
    ("samples", (DRAWN, f"{DRAWN}        torch.manual_seed(0)\n"), ("torch's generators were seeded", "one run")),
    (
        "resume",
        ('self.optimizers["mle"]', "self.adam", ADAM, ADAM.replace("optimizers[name]", "adam")),
        ("self.adam is an optimizer that no checkpoint holds", 'self.optimizers["adam"]'),
    ),
    (
        "resume",
        (
            INIT,
            f"{INIT}        self.count = 0\n",
            STEP,
            f"{STEP}        self.count += 1\n        self.output.bias.data[0] += self.count\n",
        ),
        ("steps change self.count", 'register_buffer("count"'),
    ),
    (
        "evaluation",
        (DRAWN, f"{DRAWN}        self.output.bias.data[0] += 0.1\n"),
        ("a training with evaluations between its steps",),
    ),
    (
        "evaluation",
        (
            "        before = functional.pad",
            "        torch.rand(1)\n        before = functional.pad",
            STEP,
            f"{STEP}        self.output.bias.data[0] += torch.rand(())\n",
        ),
        ("log_prob may draw no random numbers",),
    ),
    # the device
    (
        "no waiting",
        (LOSS, f"        if loss.isnan():\n            raise ValueError(name)\n{LOSS}"),
        ("`if loss.isnan():`", "a number is read"),
    ),
    (
        "no waiting",
        (STEP, f"{STEP}        print(float(self.output.bias.sum()))\n"),
        ("waits for the device", "a number is read"),
    ),
    (
        "no waiting",
        (
            OUTPUT,
            f"{OUTPUT}        layer = nn.TransformerEncoderLayer(config.hidden_dim, 2, batch_first=True)\n"
            "        self.block = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)\n",
            STEP,
            f"{STEP}        seen = self.embedding(next(batches))\n"
            "        mask = torch.ones(seen.shape[1], seen.shape[1], dtype=torch.bool, device=seen.device).triu(1)\n"
            "        self.block(seen, mask=mask)\n",
        ),
        ("`self.block(seen, mask=mask)`", "inside the library that it calls (transformer.py: ", "`is_causal=True`"),
    ),
    (
        "no waiting",
        (", device=self.output.weight.device)", ")", RETURNED, f"{NLL}\n        self.sample(2)\n        {RETURNED}"),
        ("tensors on two devices", "device=tokens.device"),
    ),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_a_mistake_is_told(number: int, tmp_path: Path) -> None:
    check, changes, expected = MISTAKES[number]
    found = failed(write(tmp_path, f"wrong_{number}", "likelihood", *changes), check)
    assert [result.check for result in found] == [check], found
    for part in expected:
        assert part in found[0].told, found[0].told
    if check in ("class", "steps", "kinds of sentences", "no waiting"):
        assert f"wrong_{number}" in found[0].told, found[0].told


def test_layers_of_fixed_sizes_are_tried_on_the_task_alone(tmp_path: Path) -> None:
    window = OUTPUT
    model = write(
        tmp_path, "windows", "likelihood",
        window, f"{window}        self.conv = nn.Conv1d(config.hidden_dim, config.hidden_dim, 5)\n",
        STEP, f"{STEP}        self.conv(self.embedding(next(batches)).transpose(1, 2))\n",
        INIT, f"        self.conv.requires_grad_(False)\n{INIT}",
    )  # fmt: skip
    results = {result.check: result for result in check_model(model, {}, "smoke", grammar())}
    assert [r for r in results.values() if r.status == "failed"] == []
    assert results["resume"].status == "passed"
    assert results["log_prob"].status == "skipped"
    assert "Kernel size" in results["log_prob"].told


def test_a_model_without_likelihood_or_temperature_passes(tmp_path: Path) -> None:
    refuses = "        if temperature != 1:\n            raise ValueError('it has no temperature')\n"
    drawn = '        """Draw n sentences -> (n, T) int64."""\n'
    model = write(tmp_path, "implicit", "policy", "log_prob", "likelihood", drawn, f"{drawn}{refuses}")
    results = {result.check: result for result in check_model(model, {}, "smoke", grammar())}
    assert [r for r in results.values() if r.status == "failed"] == []
    assert results["log_prob"].status == "skipped"
    assert results["temperature"].told == "none, and says so: it has no temperature"


def said(*arguments: str, code: int) -> str:
    return call_bench("check", *arguments, code=code).output


@pytest.mark.parametrize("kind", KINDS)
def test_what_new_writes_passes_every_check(kind: Kind, tmp_path: Path) -> None:
    found = said(write(tmp_path, f"good_{kind}", kind), code=0)
    lines = [line for line in found.splitlines() if line[:1] in "✓✗–"]
    assert len([line for line in lines if line.startswith("✓")]) == len(NAMES)
    assert f"run {tmp_path}/good_{kind}.py:MyGAN grammar" in found


def test_the_command_says_what_failed_and_ends_with_1(tmp_path: Path) -> None:
    model = write(tmp_path, "bad", "likelihood", PHASE, '("mle", 40, self.mle_step)')
    found = said(model, code=1)
    assert "✗ phases" in found
    assert "– steps" in found
    assert "not tried before 'phases' is right" in found
    assert "1 check failed: phases" in found
    document = json.loads(said(model, "--json", code=1))
    assert not document["passed"]
    assert [each["check"] for each in document["checks"]] == list(NAMES)
    assert {each["check"]: each["status"] for each in document["checks"]}["class"] == "passed"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("{folder}/nowhere.py:MyGAN", "no file"),
        ("{folder}/there.py:MyGun", "did you mean 'MyGAN'?"),
        ("seqgn", "did you mean 'seqgan'?"),
        ("{folder}", "no "),
    ],
)
def test_a_wrong_name_is_told(model: str, expected: str, tmp_path: Path) -> None:
    write(tmp_path, "there", "likelihood")
    found = said(model.format(folder=tmp_path), code=1)
    assert "✗ class" in found
    assert expected in found


def test_a_wrong_task_or_setting_is_told(tmp_path: Path) -> None:
    model = write(tmp_path, "right", "likelihood")
    assert "did you mean 'grammar'?" in said(model, "--task", "grammer", code=2)
    assert "did you mean 'hidden_dim'?" in said(model, "--set", "hidden_dims=3", code=1)
