"""Help, version and completion: they are there for every command, and every example in the help can be given."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from helpers.paths import ROOT
from typer.testing import CliRunner

from bench.api import configs_of
from bench.cli import app, spread
from bench.config import parse_settings
from bench.environment import package_version
from leaderboards.__main__ import app as tables

PROGRAMS: dict[str, Any] = {"bench": app, "leaderboards": tables}
COMMANDS = [(program, name) for program, of in PROGRAMS.items() for name in typer.main.get_command(of).commands]  # type: ignore[attr-defined]
WITH_EXAMPLES = ["run", "suite", "reproduce", "score", "build"]


def said(program: str, *arguments: str) -> str:
    result = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).invoke(PROGRAMS[program], arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(("program", "name"), COMMANDS)
def test_h_is_help_for_every_command(program: str, name: str) -> None:
    assert said(program, name, "-h") == said(program, name, "--help")
    assert "-h" in said(program, name, "-h")


HEAVY = {"numpy", "scipy", "pandas", "matplotlib", "torch", "mlflow", "bench.config", "bench.record", "bench.task"}


def test_help_reads_no_command_and_that_of_a_command_nothing_heavy() -> None:
    code = f"""
import sys
import typer
from typer.testing import CliRunner
from bench.cli import app
from leaderboards.__main__ import app as tables

def told(program, *words):
    assert not CliRunner().invoke(program, [*words, "--help"]).exit_code
    return sorted({HEAVY!r} & sys.modules.keys())

for program, part in ((app, "bench.launch"), (tables, "leaderboards.repository")):
    assert not told(program)
    assert not [name for name in sys.modules if name.startswith(part)]
    for name in typer.main.get_command(program).commands:
        assert not (found := told(program, name)), (name, found)
    assert part in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_line_of_a_command_is_the_first_of_its_own_help(program: str) -> None:
    width = {"COLUMNS": "1000", "NO_COLOR": "1", "TERM": "dumb"}
    lines = CliRunner(env=width).invoke(PROGRAMS[program], ["--help"]).output.splitlines()
    for name in (name for of, name in COMMANDS if of == program):
        own = CliRunner(env=width).invoke(PROGRAMS[program], [name, "--help"]).output.splitlines()
        first = own[next(i for i, line in enumerate(own) if "Usage:" in line) + 2].strip()
        assert len(first) > 10
        assert [line.strip("│ ").removeprefix(name).strip() for line in lines if line.startswith(f"│ {name} ")] == [
            first
        ]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_tells_its_version_and_all_its_commands(program: str) -> None:
    assert said(program, "-h") == said(program, "--help")
    for name in (name for of, name in COMMANDS if of == program):
        assert name in said(program, "-h")
    told = said(program, "--version")
    assert told.startswith(f"textgan-bench {package_version('textgan-bench') or '(not installed)'}")
    assert re.search(r", Python 3\.\d+\.\d+\n$", told)
    if (ROOT / ".git").exists():
        assert re.search(r", commit [0-9a-f]{12}", told)


def examples() -> list[tuple[str, str]]:
    found = []
    for program, name in COMMANDS:
        if name in WITH_EXAMPLES:
            lines = re.findall(
                rf"python -m {program} ({name} .*\S)", said(program, name, "-h").partition("Examples:")[2]
            )
            assert len(lines) >= 3, name
            found += [(program, line) for line in lines]
    return found


@pytest.mark.parametrize(("program", "line"), examples())
def test_an_example_in_the_help_can_be_given(program: str, line: str) -> None:
    name, *words = spread(line.split()) if program == "bench" else line.split()
    command = typer.main.get_command(PROGRAMS[program]).commands[name]  # type: ignore[attr-defined]
    context = command.make_context(name, words)
    if name == "run" and "my_gan" not in line:
        asked = {key: context.params[key] for key in ("model", "task", "scale")}
        settings = parse_settings(context.params["settings"] or ())
        assert [
            config.resolve()
            for config in configs_of(**asked, settings=settings, seeds=[0], temperatures=[1.0], metrics=[])
        ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_a_completion_script_is_printed_for_both_programs(shell: str) -> None:
    told = said("bench", "completion", shell)
    for script in ("textgan-bench", "textgan-bench-leaderboards"):
        assert f"_{script.replace('-', '_').upper()}_COMPLETE" in told


def test_a_completion_script_is_put_where_bash_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    told = said("bench", "completion", "bash", "--install")
    assert "next shell" in told
    assert "textgan-bench" in (tmp_path / ".bashrc").read_text()
    for script in ("textgan-bench", "textgan-bench-leaderboards"):
        done = subprocess.run(["bash", "-n", tmp_path / ".bash_completions" / f"{script}.sh"], check=False)
        assert done.returncode == 0


@pytest.mark.parametrize(
    ("script", "typed", "expected"),
    [
        ("textgan-bench", "textgan-bench run wgan", {"wgan_gp"}),
        ("textgan-bench", "textgan-bench run mle gramm", {"grammar", "grammar_labels", "grammar_transfer"}),
        ("textgan-bench", "textgan-bench reproduce seqgan-oracle2", {"seqgan-oracle20"}),
        ("textgan-bench", "textgan-bench expl", {"explain-score"}),
        ("textgan-bench", "textgan-bench run mle grammar --sca", {"--scale"}),
        ("textgan-bench-leaderboards", "textgan-bench-leaderboards ver", {"verify"}),
    ],
)
def test_a_shell_is_told_how_a_word_goes_on(script: str, typed: str, expected: set[str]) -> None:
    module = "leaderboards" if script.endswith("leaderboards") else "bench"
    code = f"import sys; sys.argv = [{script!r}]; from {module}.__main__ import main; main()"
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    asked = {f"_{script.replace('-', '_').upper()}_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **words, **asked},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert set(done.stdout.split()) == expected, done.stderr
