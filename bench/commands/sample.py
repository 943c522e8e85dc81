"""The command `sample`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.places import check_folder
from bench.run_settings import MOST_HEAT, MOST_SENTENCES
from bench.streams import shown
from bench.terminal import UserErrors, console

__all__ = ["sample_command"]


def sample_command(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    n: Annotated[int, typer.Option("-n", min=1, max=MOST_SENTENCES, help="Sentences.")] = 20,
    temperature: Annotated[float, typer.Option(help="Logits are divided by it.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    label: Annotated[
        str | None, typer.Option(help="Of a run on text with classes: the class of all sentences, as positive.")
    ] = None,
    words: Annotated[bool, typer.Option("--words", help="Words parted by blanks, as `score` reads them.")] = False,
    model: Annotated[
        str | None, typer.Option(help="Of a run of your own model: its file, my_gan.py:MyGAN. A record's is not run.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Likewise for a task of your own.")] = None,
) -> None:
    """Print sentences from a finished run."""
    from bench.api import load

    with UserErrors():
        if not 0 < temperature <= MOST_HEAT:
            raise ValueError(f"--temperature is above 0 and at most {MOST_HEAT:g}, got {temperature:g}")
        check_folder(run, "sample")
        trained = load(run, model=model, task=task)
        for sentence in trained.sample(n, temperature=temperature, seed=seed, label=label, words=words):
            console.print_document(shown(sentence) if console.is_terminal else sentence)
