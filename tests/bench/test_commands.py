"""Every command that is printed or written can be copied into a shell and works, whatever the folders are called."""

from __future__ import annotations

import ast
import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import programs
from helpers.paths import ROOT, STUDY

from bench.places import command
from bench.record import read_record
from bench.suite import read_suite
from bench.text.escapes import shell_words
from bench.tracking.options import TrackerName, TrackingOptions
from leaderboards.command import reproduce

NAME = 'a b\'s "[x]" $HOME & ü'
"""Of a folder."""
SMALL = ("--set", "n_samples=60", "n_train=200", "n_valid=20", "n_test=60")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
ENVIRONMENT |= {"TEXTGAN_BENCH_DATA": str(STUDY)}
ENVIRONMENT.pop("MLFLOW_TRACKING_URI", None)


def output(program: str, *words: object, cwd: Path, code: int = 0) -> str:
    process = programs.start(program, *words, cwd=cwd, env=ENVIRONMENT)
    told = "".join(process.communicate(timeout=300))
    assert process.returncode == code, told
    return told


def commands(text: str) -> list[str]:
    """In backticks, or to the end of a line."""
    quoted = re.findall(r"`((?:iconv|gzip|tr|hf|pip|\S*python)\b[^`]*)`", text)
    return quoted + re.findall(r": ((?:\S*python -m|mlflow|textgan-bench) [^`\n]*)$", text, re.MULTILINE)


def words_of(line: str, cwd: Path) -> list[str]:
    """What a shell makes of a command."""
    return execute(f"printf '%s\\0' {line}", cwd).split("\0")[:-1]


def execute_ours(line: str, cwd: Path) -> str:
    """One of our commands, in the words that a shell makes of it, without loading all libraries anew."""
    python, m, program, *words = words_of(line, cwd)
    assert (Path(python).name, m) == ("python", "-m")
    return output(program, *words, cwd=cwd)


def execute(line: str, cwd: Path) -> str:
    done = subprocess.run(["bash", "-c", line], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def check_pages(line: str, cwd: Path) -> None:
    """MLflow takes the options, and finds the runs at the address; that its pages open is `test_mlflow_pages.py`'s."""
    import click
    from mlflow import MlflowClient
    from mlflow.cli import cli

    *_, m, module, name, option, uri = words_of(line, cwd)
    assert (m, module, option) == ("-m", "mlflow", "--backend-store-uri")
    pages = cli.get_command(click.Context(cli), name)
    assert pages is not None
    pages.make_context(name, [option, uri])
    client = MlflowClient(uri)
    (ours,) = [experiment for experiment in client.search_experiments() if experiment.name != "Default"]
    assert client.search_runs([ours.experiment_id])


def test_what_a_run_prints_at_its_end(tmp_path: Path) -> None:
    place = tmp_path / NAME
    place.mkdir()
    told = output("bench", "run", "ngram", "grammar", "--scale", "smoke", "--runs", NAME, *SMALL, cwd=tmp_path)
    pages, table = sorted(commands(told), key=lambda line: "build" in line)
    assert "mlflow ui --backend-store-uri" in pages
    assert "ngram" in execute(table, tmp_path)
    assert (place / "leaderboard" / "leaderboard.csv").is_file()
    check_pages(pages, tmp_path)

    (path,) = place.glob("grammar-ngram*/record.json")
    again = reproduce([read_record(path)], path)
    execute_ours(f"{again} --tracker none --runs again", tmp_path)
    (made,) = (tmp_path / "again").glob("grammar-ngram*/record.json")
    assert read_record(made).run_id == read_record(path).run_id

    samples = next(path.parent.glob("samples*.txt"))
    output("bench", "score", samples, "grammar", "--name", "-é[x] '\"", "--runs", NAME, cwd=tmp_path)
    (path,) = place.glob("grammar-samples*/record.json")
    execute_ours(reproduce([read_record(path)], path.relative_to(tmp_path)), tmp_path)
    (made,) = (tmp_path / "runs").glob("grammar-samples*/record.json")
    assert read_record(made).run_id == read_record(path).run_id


def test_what_is_said_where_mlflow_failed(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    damaged = tmp_path / NAME / "mlflow.db"
    damaged.write_text("this is no database")
    words = ("--scale", "smoke", "--runs", NAME, "--experiment", "mine, it's", *SMALL)
    told = output("bench", "run", "repeat_one", "grammar", *words, cwd=tmp_path)
    assert "mlflow ui" not in told
    (later,) = [line for line in commands(told) if " sync " in line]
    damaged.unlink()
    assert "1 run in" in execute_ours(later, tmp_path)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("http://127.0.0.1:5000", "at http://127.0.0.1:5000"),
        ("https://server/a b", "at https://server/a b"),
        ("databricks", "at databricks"),
        ("sqlite:////a b/x.db", "mlflow ui --backend-store-uri 'sqlite:////a b/x.db'"),
        ("postgresql+psycopg2://host/db", "mlflow ui --backend-store-uri postgresql+psycopg2://host/db"),
    ],
)
def test_a_server_has_its_own_pages(uri: str, told: str) -> None:
    hint = TrackingOptions(TrackerName.mlflow, uri, "mine").hint()
    assert hint.endswith(told)
    assert ("mlflow ui" in hint) == ("mlflow ui" in told)


@pytest.mark.parametrize("name", [f"{NAME}.txt", "-n.txt", "l\x1b[31m\u202e\x9b.txt", f"{NAME}.txt.gz"])
def test_how_a_file_is_converted(name: str, tmp_path: Path) -> None:
    text = "ein Löwe schläft\nder Hund läuft über die Straße\nschöne grüne Äpfel\n" * 30
    content = text.encode("latin-1")
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    told = output("bench", "score", f"./{name}", "--references", f"./{name}", cwd=tmp_path, code=2)
    (convert,) = commands(told)
    before = set(tmp_path.iterdir())
    execute(convert, tmp_path)
    (made,) = set(tmp_path.iterdir()) - before
    assert made.read_text(encoding="utf-8") == text


def test_a_preset_without_runs_names_the_command_that_scores_it() -> None:
    (preset,) = (ROOT / "bench/suites/paper").glob("texygen-image_coco.toml")
    with pytest.raises(ValueError, match="has no") as caught:
        read_suite(preset)
    (line,) = commands(str(caught.value))
    assert "texygen-image_coco" in execute_ours(f"{line} --list", ROOT)


@pytest.mark.skipif(not STUDY.is_dir(), reason="no published data")
def test_the_task_that_was_forgotten(tmp_path: Path) -> None:
    file = tmp_path / f"{NAME}.txt"
    file.write_text("a man rides a horse\n")
    told = output("bench", "score", file.name, cwd=tmp_path, code=2)
    assert "the task comes last" in told
    (line,) = commands(told)
    assert json.loads(execute_ours(f"{line} --metric unique --json", tmp_path))["files"][0]["name"] == file.name
    told = output("bench", "score", "image_coco", file.name, cwd=tmp_path, code=2)
    assert commands(told) == [line]


WORDS = ["", "a b", "it's", '"', "$HOME", "`ls`", "a\\b", "\x1b[31m", "a\nb", "\u202e", "\x9b'\\", "*", "-x", "é", "~"]


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_one_word_to_a_shell(word: str) -> None:
    line = shell_words(["printf", "%s|", "x", word])
    assert execute(line, ROOT) == f"x|{word}|"
    assert not set("\x1b\u202e\x9b") & set(line)
    assert shell_words([Path("-x")]) == "./-x"


def test_bytes_that_are_no_text_come_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"a\xff \x9bb")
    line = shell_words(["touch", Path(name)])
    line.encode()  # can be printed
    execute(line, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_python_that_is_named_is_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert command("bench", "list") == "python -m bench list"
    monkeypatch.setenv("PATH", "/nowhere")
    assert command("bench", "list") == f"{shell_words([sys.executable])} -m bench list"
    assert command("bench", "list", here=False) == "python -m bench list"


def test_no_command_is_written_out_elsewhere() -> None:
    """What stands in the code as a text could be a command that does not work here; docstrings are for its readers."""
    exempt = {
        "bench/reproduce/report.py",
        "bench/places.py",
        "bench/__main__.py",
    }  # a page without arguments; the names
    for path in (path for package in ("bench", "leaderboards", "metrics", "baselines") for path in code(package)):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                found = re.search(r"python -m|mlflow ui|textgan-bench (run|score|suite)", node.value)
                assert not found or path.relative_to(ROOT).as_posix() in exempt, f"{path}: {node.value}"


def code(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))
