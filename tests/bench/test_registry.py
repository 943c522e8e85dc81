"""Names that other distributions bring, and users' files.

A distribution is a package in a folder of its own on the path, as `pip install` leaves it.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from helpers import programs
from helpers.paths import TOY

from bench.record import read_record
from bench.registry import find

SOURCE = Path(TOY.partition(":")[0]).read_text(encoding="utf-8")


def installed(site: Path, name: str, entry_points: str) -> None:
    """The distribution `name` with one module, `name`.py, which holds ToyGAN."""
    site.mkdir(exist_ok=True)
    (site / f"{name}.py").write_text(SOURCE, encoding="utf-8")
    about = site / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(entry_points, encoding="utf-8")


def bench(site: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200", "NO_COLOR": "1"}
    process = programs.start("bench", *arguments, env=environment)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.wait(), out, err)


def test_a_model_of_an_installed_package_is_run_by_its_name(tmp_path: Path) -> None:
    installed(tmp_path / "site", "gans", "[textgan_bench.models]\ntiny_gan = gans:ToyGAN\n")
    runs = ("--runs", tmp_path / "runs", "--tracker", "none", "--scale", "smoke", "--set", "n_samples=50")
    done = bench(tmp_path / "site", "run", "tiny_gan", "oracle_lstm", *runs, "--set", "mle_steps=3")
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "runs").glob("*tiny_gan*/record.json")
    record = read_record(path)
    assert (record.model, record.status) == ("tiny_gan", "completed")
    assert bench(tmp_path / "site", "list", "models").stdout.count("  tiny_gan  ") == 1


def test_it_takes_no_name_of_ours_and_must_be_a_model(tmp_path: Path) -> None:
    site = tmp_path / "site"
    installed(site, "gans", "[textgan_bench.models]\nmle = gans:ToyGAN\ntiny = gans:ToyGAN\nwords = gans:Phase\n")
    installed(site, "more_gans", "[textgan_bench.models]\ntiny = more_gans:ToyGAN\n")
    ours, twice, other = (bench(site, "show", name) for name in ("mle", "tiny", "words"))
    assert ours.returncode == 0, ours.stderr
    assert "Maximum likelihood: the LSTM language model" in ours.stdout
    assert twice.returncode == 2
    assert "several installed models: gans:ToyGAN, more_gans:ToyGAN; uninstall all but one" in twice.stderr
    assert other.returncode == 2
    assert "words (gans:Phase) is not a TextGenerator" in other.stderr


def test_a_mistake_that_was_typed_after_it_was_loaded_is_told_in_words(tmp_path: Path) -> None:
    file = tmp_path / "typed_gan.py"
    file.write_text(SOURCE)
    assert find("models", f"{file}:ToyGAN").__name__ == "ToyGAN"
    file.write_text(f"{SOURCE}\nx = (\n")
    with pytest.raises(ValueError, match=r"typed_gan.py, line \d+: .*SyntaxError"):
        find("models", f"{file}:ToyGAN")
    file.write_text(SOURCE)
    assert find("models", f"{file}:ToyGAN").__name__ == "ToyGAN"


def test_files_of_one_name_are_two_models(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.py").write_text(f"{SOURCE}\n# {name}\n")
    found = [find("models", f"{tmp_path / name / 'model.py'}:ToyGAN") for name in ("one", "two", "one")]
    assert found[0] is found[2]
    assert found[0] is not found[1]
    with pytest.raises(KeyError, match=r"name one, .*model.py:ToyGAN"):
        find("models", f"{tmp_path / 'one' / 'model.py'}:")
