"""The command `completion`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from bench.places import SCRIPTS
from bench.terminal import UserErrors, console

__all__ = ["completion_command"]

_Shell = Literal["bash", "zsh", "fish", "powershell"]


def completion_command(
    shell: Annotated[_Shell, typer.Argument(help="The shell that is to complete.")],
    to_install: Annotated[
        bool, typer.Option("--install", help="Put it where the shell reads it, in place of printing it.")
    ] = False,
) -> None:
    """Print the script by which a shell completes commands, options and names of `textgan-bench`.

    That command is the same as `python -m bench`, which no shell completes.
    """
    from typer._completion_shared import get_completion_script, install

    with UserErrors():
        for script in SCRIPTS.values():
            variable = f"_{script.replace('-', '_').upper()}_COMPLETE"
            if to_install:
                _, path = install(shell=shell, prog_name=script, complete_var=variable)
                console.print(f"{script}: {path}")
            else:
                console.print_document(get_completion_script(prog_name=script, complete_var=variable, shell=shell))
        if to_install:
            console.print("It is there in the next shell that you start.")
