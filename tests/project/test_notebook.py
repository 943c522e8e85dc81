"""The notebook runs from its first cell to its last where nothing is prepared, and is kept without outputs."""

from __future__ import annotations

import ast
import json
import os

import pytest
from helpers import programs
from helpers.paths import ROOT

NOTEBOOK = ROOT / "docs" / "first-run.ipynb"


def code_cells() -> list[str]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def as_script(cells: list[str]) -> str:
    """The cells one below another; what Jupyter would show of each is printed after its number."""
    parts = []
    for number, cell in enumerate(cells):
        body = ast.parse(cell).body
        if body and isinstance(body[-1], ast.Expr) and not cell.rstrip().endswith(";"):
            body[-1] = ast.parse(f"print('cell {number}:', {ast.unparse(body[-1])})").body[0]
        parts.append(ast.unparse(ast.Module(body, [])))
    return "\n".join(parts)


def test_it_is_kept_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    ran = [cell for cell in cells if cell["cell_type"] == "code" and (cell["outputs"] or cell["execution_count"])]
    assert ran == []
    assert len({cell["id"] for cell in cells}) == len(cells)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Cell that shows something -> what it shows, by a run in an empty folder."""
    folder = tmp_path_factory.mktemp("notebook")
    script = folder / "first_run.py"
    script.write_text(as_script(code_cells()), encoding="utf-8")
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    process = programs.start(str(script), cwd=folder, env=environment)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert {path.name for path in folder.iterdir()} == {"first-run", "first_run.py"}
    parts = [text.partition(": ") for text in out.split("cell ")[1:]]
    return {code_cells()[int(number)]: text for number, _, text in parts}


def test_models_own_text_and_own_model_end_in_tables_and_sentences(shown: dict[str, str]) -> None:
    first, *_, last = shown.values()
    for name in ("mle", "seqgan", "real_text"):
        assert name in first
    assert "Places" in last
    assert len({line.split()[1] for line in last.splitlines()[1:]}) == 1, f"not one board:\n{last}"
    (own_text,) = [ast.literal_eval(text) for cell, text in shown.items() if "text_file" in cell]
    assert len(own_text) == 5
    words = {
        "the",
        "a",
        ".",
        "cat",
        "dog",
        "bird",
        "horse",
        "mouse",
        "goat",
        "sees",
        "hears",
        "likes",
        "follows",
        "finds",
    }
    assert {word for sentence in own_text for word in sentence.split()} <= words
