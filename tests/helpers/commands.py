"""The two programs, called in this process."""

from __future__ import annotations

from collections.abc import Sequence

from click.testing import Result
from typer import Typer
from typer.testing import CliRunner

from bench.cli import app, spread
from leaderboards.__main__ import app as leaderboards_app

__all__ = ["call_bench", "call_leaderboards"]


def call_bench(*words: object, code: int = 0) -> Result:
    """`python -m bench words…`, which ends with `code` and lets no error out."""
    return _called(app, spread([*map(str, words)]), code)


def call_leaderboards(*words: object, code: int = 0) -> Result:
    """`python -m leaderboards words…`, likewise."""
    return _called(leaderboards_app, [*map(str, words)], code)


def _called(program: Typer, words: Sequence[str], code: int) -> Result:
    result = CliRunner().invoke(program, words)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result
