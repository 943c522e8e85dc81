"""The command line: `python -m bench COMMAND`; `python -m bench -h` names the commands."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

__all__ = ["main"]


def _check_checkout() -> None:
    """In a checkout, another distribution's `metrics` in site-packages can win over ours: say so at once."""
    if __package__ != "bench":
        return  # installed as textgan_bench: nothing to mix up
    from importlib.util import find_spec
    from pathlib import Path

    root = Path(__file__).resolve().parent.parent
    for name in ("baselines", "metrics", "leaderboards"):
        spec = find_spec(name)
        found = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if found != root / name:
            sys.exit(
                f"`import {name}` finds {found}, not {root / name}: run from {root}, or uninstall the other {name!r}"
            )


def _load() -> Callable[[], object]:
    """The command with its arguments."""
    _check_checkout()
    from bench.cli import app, spread
    from bench.places import called_as

    return partial(app, spread(sys.argv[1:]), prog_name=called_as("bench"))


def main() -> None:
    """Entry point of `python -m bench` and of the console script."""
    from bench.interrupts import run_program

    run_program(_load)


if __name__ == "__main__":
    main()
