"""Natural mistakes of a model's author, each told with its place and what would be right, before anything is set up."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from helpers.commands import call_bench

from baselines.common.interface import BaseConfig, Phase, TextGenerator
from bench.config import RunConfig
from bench.run.contract import ContractError, built, check_values, steps_of
from bench.run.runner import run

GOOD = """from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from textgan_bench import BaseConfig, Phase, PositiveInt, TextGenerator


class Mine(TextGenerator):
    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        steps: PositiveInt = 5

    def __init__(self, config, spec):
        super().__init__(config, spec)
        self.logits = nn.Parameter(torch.zeros(spec.vocab_size))

    def phases(self):
        return [Phase("mle", self.config.steps, self.step)]

    def step(self, batches):
        loss = -self.logits.log_softmax(0)[next(batches)].mean()
        return {"loss": loss.detach()}

    def sample(self, n, *, temperature=1.0):
        weights = (self.logits.detach() / temperature).softmax(0)
        return torch.multinomial(weights, n * self.spec.max_len, replacement=True).view(n, -1)
"""
PHASES = 'return [Phase("mle", self.config.steps, self.step)]'
RETURN = 'return {"loss": loss.detach()}'
LOGGED = 'a step returns what is to be logged, as {"loss": loss.detach()}; '


def write(folder: Path, old: str, new: str, module: str) -> str:
    """The good file with one mistake -> its name, `my_0.py:Mine`. Each has a module of its own, as imports are kept."""
    assert old in GOOD
    path = folder / f"{module}.py"
    path.write_text(GOOD.replace(old, new))
    return f"{path}:Mine"


def said(model: str, runs: Path) -> str:
    """What the command prints, which has begun nothing."""
    begun = time.monotonic()
    result = call_bench("run", model, "grammar", "--scale", "smoke", "--runs", runs, "--tracker", "none", code=2)
    assert time.monotonic() < begun + 60
    assert not runs.exists(), "something was set up"
    return " ".join(result.output.split())


DRAWN = ".view(n, -1)\n"

MISTAKES = [
    # what is drawn, and how likely it is
    (DRAWN, ".view(n, -1)[:, :5]\n", "line 27: Mine.sample(2) must return int64 (2, ", "got torch.int64 (2, 5)"),
    (DRAWN, ".view(n, -1).float()\n", "Mine.sample(2) must return int64", "got torch.float32"),
    (DRAWN, ".view(n, -1) + 900\n", "Mine.sample(2): ids must be in 0.."),
    (
        DRAWN,
        DRAWN + "\n    def log_prob(self, tokens):\n        return self.logits.log_softmax(0)[tokens]\n",
        "line 31: Mine.log_prob of 2 sentences must return a tensor of shape (2,), a number for each, got a Tensor",
    ),
    # what a step returns
    (RETURN, 'return {"loss": loss.item()}', "line 23: phase 'mle': " + LOGGED, "'loss' is a float: leave out .item()"),
    (RETURN, "return loss.item()", "line 23: phase 'mle': " + LOGGED, "it returned a float"),
    (RETURN, "return 3", LOGGED, "it returned an int"),
    (RETURN, "return loss", LOGGED, "it returned a Tensor of shape ()"),
    (RETURN, "return [loss]", LOGGED, "it returned a list"),
    (RETURN, "pass", LOGGED, "it returned None: is `return` missing?"),
    (RETURN, 'return {"loss": loss.detach().expand(3)}', LOGGED, "of shape (3,): a 0-d tensor is needed"),
    (RETURN, 'return {"n": 1}', LOGGED, "its 'n' is an int: write torch.tensor(…)"),
    (RETURN, 'return {"loss": "low"}', LOGGED, "its 'loss' is a str: a 0-d tensor is needed"),
    (RETURN, 'return {"loss": None}', LOGGED, "its 'loss' is None"),
    (RETURN, "return {0: loss.detach()}", LOGGED, "its name 0 is an int: a name is text"),
    # phases
    (PHASES, "return []", "line 20: phases() returns a list", "an empty list, so that nothing would be trained"),
    (PHASES, "pass", "line 20: phases() returns a list, as [Phase(", "got None"),
    (PHASES, 'return Phase("mle", 5, self.step)', "line 20: phases() returns a list", "got a Phase"),
    (PHASES, 'return [("mle", 5, self.step)]', "phases()[0] is a tuple, not a Phase", 'as [Phase("mle", self.config'),
    (PHASES, 'return {"mle": self.step}', "phases() returns a list", "got a dict"),
    (PHASES, 'yield Phase("mle", 5, self.step)', "phases() returns a list", "got a generator"),
    (PHASES, 'return [Phase("mle", 5, self.step)] * 2', "two phases are named 'mle'", "line 20"),
    (PHASES, 'return [Phase("mle", -1, self.step)]', "phases()[0].steps is -1", "a whole number from 0 on"),
    (PHASES, 'return [Phase("mle", 5.0, self.step)]', "phases()[0].steps is 5.0", "a whole number"),
    (PHASES, 'return [Phase("a/b", 5, self.step)]', "is named 'a/b'", "names files too"),
    (PHASES, 'return [Phase("pre:train", 5, self.step)]', "is named 'pre:train'", "at most 60 letters"),
    (PHASES, 'return [Phase("mle\u200b", 5, self.step)]', "is named 'mle", "at most 60 letters"),
    (PHASES, 'return [Phase("p" * 61, 5, self.step)]', "is named 'ppp", "at most 60 letters"),
    (PHASES, 'return [Phase("a", 5, self.step), Phase("A", 5, self.step)]', "two phases are named 'a', capitals apart"),
    (PHASES, 'return [Phase("mle", 5, {})]', "phases()[0].step is a dict", "do not call it"),
    (PHASES, 'return [Phase("mle", 5, self.step(None))]', "phases() must name the steps and do none", "TypeError"),
    (PHASES, 'return [Phase("mle", 5, self.stepp)]', "it raised AttributeError", "no attribute 'stepp'"),
    ("def step(self, batches)", "def step(self)", "line 23: the step of phase 'mle'", "def step(self, batches)"),
    # __init__
    (
        "super().__init__(config, spec)",
        "super().__init__(config, spec); torch.manual_seed(0)",
        "line 16: torch's generators were seeded (torch.manual_seed)",
        "so that all seeds would be one run",
    ),
    (
        "super().__init__(config, spec)",
        "pass",
        "line 16: __init__ of Mine must begin with",
        "super().__init__(config, spec)",
    ),
    ("super().__init__(config, spec)", "super().__init__()", "line 16", "super().__init__(config, spec)"),
    ("super().__init__(config, spec)", "nn.Module.__init__(self)", "line 16", "super().__init__(config, spec)"),
    ("def __init__(self, config, spec)", "def __init__(self)", "line 16", "`def __init__(self, config, spec)`"),
    # the class
    ("def sample(", "def smple(", "line 11: Mine lacks the method sample", "every TextGenerator has"),
    ("def phases(", "def phase(", "line 11: Mine lacks the method phases", "every TextGenerator has"),
    ("*, temperature=1.0", "", "line 27: Mine.sample is called as", "def sample(self, n, *, temperature=1.0)"),
    ("class Config(BaseConfig)", "class Config", "Mine.Config must extend BaseConfig", "line 12"),
    ("    @dataclass(frozen=True, kw_only=True)\n", "", "steps is no setting", "@dataclass(frozen=True, kw_only=True)"),
    ("class Mine(TextGenerator)", "class Mine(nn.Module)", "Mine is not a TextGenerator", "must extend it"),
    # the file
    ("import torch\n", "import torhc\n", "line 5: `import torhc`: ModuleNotFoundError", "did you mean 'torch'?"),
    ("import torch\n", "import nosuchthing_at_all\n", "No module named 'nosuchthing_at_all'", "`pip install`"),
    ("PositiveInt, ", "PositivInt, ", "line 8: `from textgan_bench import", "PositivInt"),
    ("class Mine", "clas Mine", "line 11: `clas Mine(TextGenerator):`: SyntaxError", "invalid syntax"),
    ("def step(self, batches):", "def step(self, batches)", "line 23: `def step(self, batches)`", "SyntaxError"),
    ("        loss = -", "      loss = -", "IndentationError", "line 25"),
    ("class Mine", "foo()\n\n\nclass Mine", "line 11: `foo()`: NameError", "'foo' is not defined"),
    (
        "import torch\n",
        "import torch\nimport bench.nosuch\n",
        "No module named 'bench.nosuch'",
        "from textgan_bench import",
    ),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(number: int, tmp_path: Path) -> None:
    old, new, *expected = MISTAKES[number]
    model = write(tmp_path, old, new, f"mistake_{number}")
    found = said(model, tmp_path / "runs")
    assert f"mistake_{number}" in found
    for part in expected:
        assert part in found


def test_the_good_file_runs(tmp_path: Path) -> None:
    values = {"model": write(tmp_path, "5", "4", "good"), "task": "grammar", "scale": "smoke", "n_samples": 20}
    resolved = RunConfig.model_validate({**values, "metrics": ["unique"]}).resolve()
    assert steps_of(resolved, resolved.task.load()) == {"mle": 4}
    assert run(resolved, tmp_path / "runs").status == "completed"


def test_a_file_with_several_models_says_how_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "several.py"
    path.write_text(GOOD + "\n\nclass Other(Mine):\n    pass\n")
    assert f"found Mine, Other: name one, {path}:Mine" in said(str(path), tmp_path / "runs")


def test_a_later_phase_is_met_in_the_run_and_recorded_in_the_same_words(tmp_path: Path) -> None:
    two = '[Phase("mle", 2, self.step), Phase("gan", 2, self.late)]'
    text = GOOD.replace(PHASES, f"return {two}") + "\n    def late(self, batches):\n        return 0.5\n"
    (tmp_path / "late.py").write_text(text)
    values = {"model": f"{tmp_path / 'late.py'}:Mine", "task": "grammar", "scale": "smoke", "n_samples": 20}
    record = run(RunConfig.model_validate({**values, "metrics": ["unique"]}).resolve(), tmp_path / "runs")
    assert record.status == "failed"
    assert record.error is not None
    assert record.error.startswith("ContractError: late.py, line 31: phase 'gan': a step returns what is to be logged")
    assert [phase.steps for phase in record.phases] == [2, 0]


def test_a_model_that_cannot_be_sampled_yet_is_trained(tmp_path: Path) -> None:
    model = write(
        tmp_path,
        "        weights = (self",
        "        assert self.logits.abs().sum() > 9\n        weights = (self",
        "yet",
    )
    values = {"model": model, "task": "grammar", "scale": "smoke", "n_samples": 20, "metrics": ["unique"]}
    resolved = RunConfig.model_validate(values).resolve()
    assert steps_of(resolved, resolved.task.load()) == {"mle": 5}
    assert run(resolved, tmp_path / "runs").error == "AssertionError: "


def test_an_error_of_the_model_itself_is_left_to_its_run(tmp_path: Path) -> None:
    """It is a result: recorded, with its traceback, and it costs other runs nothing."""
    model = write(tmp_path, RETURN, "raise RuntimeError('broken')", "broken")
    values = {"model": model, "task": "grammar", "scale": "smoke", "n_samples": 20, "metrics": ["unique"]}
    resolved = RunConfig.model_validate(values).resolve()
    assert steps_of(resolved, resolved.task.load()) == {"mle": 5}
    assert run(resolved, tmp_path / "runs").error == "RuntimeError: broken"


def test_what_a_step_returns_is_looked_at_without_reading_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading would wait for the device at every step."""
    for reading in ("item", "tolist", "__float__", "__bool__", "cpu", "numpy"):
        monkeypatch.setattr(torch.Tensor, reading, lambda *_: pytest.fail("read"))
    check_values({"loss": torch.zeros(())}, Phase("mle", 1, lambda batches: {}))


def test_building_draws_the_same_numbers_as_a_call() -> None:
    class Random(TextGenerator):
        def __init__(self, config: BaseConfig, spec: object) -> None:
            super().__init__(config, spec)  # type: ignore[arg-type]
            self.weight = torch.nn.Parameter(torch.randn(3))

        phases = sample = None  # type: ignore[assignment]

    torch.manual_seed(0)
    called = Random(BaseConfig(), None)
    torch.manual_seed(0)
    made = built(Random, BaseConfig(), None)  # type: ignore[arg-type]
    assert torch.equal(called.weight, made.weight)  # type: ignore[arg-type]
    assert issubclass(ContractError, ValueError)
