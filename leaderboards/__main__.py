"""`python -m leaderboards build RUNS…`: records in, tables out. Needs no torch and no tracker."""

from __future__ import annotations

import signal
from functools import partial

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what is imported below begins nothing (see `run_program`)

from bench.interrupts import run_program
from bench.places import called_as
from bench.streams import Command, program

__all__ = ["app", "main"]

app = program(
    __package__,
    "Comparison tables from run records.",
    {
        "build": Command(
            "cli:build_command",
            (
                "build runs",
                "build runs leaderboards/results --html page --plots",
                "build runs --out tables --latex",
            ),
        ),
        "show": Command("cli:show_command", ("show seqgan leaderboards/results", "show 3cee05838229 runs")),
        "export": Command("cli:export_command"),
        "pack": Command("repository.cli:pack_command", ('pack runs --out bundle.zip --trained-by "Ada Lovelace"',)),
        "add": Command("repository.cli:add_command"),
        "verify": Command("repository.cli:verify_command"),
        "extend": Command("repository.cli:extend_command", ("extend --metric lm_score_known --metric prdc",)),
        "upgrade": Command("repository.cli:upgrade_command"),
        "published": Command("repository.cli:published_command"),
    },
)


def main() -> None:
    """Entry point of `python -m leaderboards` and of the console script."""
    run_program(lambda: partial(app, prog_name=called_as("leaderboards")))


if __name__ == "__main__":
    main()
