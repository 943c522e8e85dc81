"""The rules of the house that a program can check: who imports whom, what an import may do, limits, papers."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from helpers.paths import ROOT

EDGES = {  # package -> what of ours it may import: whole packages, or modules with their parts
    "metrics": {"metrics"},
    "baselines": {"baselines"},
    "bench": {"bench", "baselines", "metrics"},
    "leaderboards": {
        "leaderboards",
        "metrics.common.base",
        "metrics.common.signature",
        *(
            f"bench.{name}"
            for name in (
                *("interrupts", "places", "published", "record", "registry", "run_folder", "run_settings", "seeds"),
                *("attack.table", "hand_in", "streams", "terminal", "text.escapes"),
            )
        ),
    },
}
ALSO = {  # what scores again and what trains again, inside functions
    "leaderboards/repository/rescore.py": {"bench", "metrics"},
    "leaderboards/repository/retrain.py": {"bench"},
}
NOT_IMPORTED_BY_US = {"psutil", "tabulate"}  # MLflow needs it for system metrics, pandas for Markdown
MAX_FUNCTION = 60
MAX_FILE = {"baselines": 350}  # a baseline is read from top to bottom
MAX_OTHER_FILE = 600
# Modules that must be usable for scoring and for tables on a machine without torch, and never start mlflow.
LIGHT = [
    "bench.task",
    "bench.record",
    "bench.registry",
    "baselines.common.spec",
    *(f"metrics.{path.parent.name}.metric" for path in ROOT.glob("metrics/*/metric.py")),
    *(f"bench.tasks.{path.stem}" for path in ROOT.glob("bench/tasks/*.py") if path.stem != "__init__"),
    *(
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in ROOT.glob("leaderboards/**/*.py")
        if path.stem != "__init__"
    ),
]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), str(path))


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def imported(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Every absolute module that a file names; `from a import b` gives `a.b`, which is a module or a name in one."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when a module is imported: everything outside functions and `if __name__ == "__main__"`."""
    for child in ast.iter_child_nodes(node):
        is_main = isinstance(child, ast.If) and "__name__" in ast.dump(child.test)
        if not is_main and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from at_import(child)


def below(module: str, allowed: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


@pytest.mark.parametrize("package", EDGES)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    assert files(package)
    for path in files(package):
        allowed = EDGES[package] | ALSO.get(path.relative_to(ROOT).as_posix(), set())
        for node, module in imported(path):
            if module.split(".")[0] in EDGES:
                assert below(module, allowed), f"{where(path, node)}: {package} must not import {module}"
                assert isinstance(node, ast.ImportFrom), (
                    f"{where(path, node)}: write `from … import …`, wheels rewrite it"
                )
        relative = [n for n in ast.walk(tree(path)) if isinstance(n, ast.ImportFrom) and n.level]
        assert not relative, f"{where(path, relative[0])}: relative import; write the whole name"


@pytest.mark.parametrize("name", ALSO)
def test_what_may_import_more_does_so_inside_functions_only(name: str) -> None:
    package = name.split("/")[0]
    now = [
        node
        for node in at_import(tree(ROOT / name))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in EDGES
    ]
    for_types = {
        node
        for block in at_import(tree(ROOT / name))
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
    }
    assert now
    assert all(node in for_types or below(f"{node.module}", EDGES[package]) for node in now)


def names_of(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", line)[0].lower() for line in requirements}


@pytest.mark.parametrize("part", ["product", "tests"])
def test_every_import_is_a_declared_dependency(part: str) -> None:
    """The standard library, ours, or a distribution in pyproject.toml: nothing that happens to be installed."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = pyproject["project"]
    declared = names_of(
        [*project["dependencies"], *(x for group in project["optional-dependencies"].values() for x in group)]
    )
    declared |= names_of(pyproject["dependency-groups"]["test"]) if part == "tests" else set()
    own = {*EDGES, "helpers", "speed", "hatch_build", "textgan_bench"}
    providers_of = importlib.metadata.packages_distributions()
    used: set[str] = set()
    for path in files(*(EDGES if part == "product" else ["tests"])):
        for node, module in imported(path):
            top = module.split(".")[0]
            if top not in own and top not in sys.stdlib_module_names:
                providers = {name.lower().replace("_", "-") for name in providers_of.get(top, [top])}
                assert providers & declared, (
                    f"{where(path, node)}: {top} is not among the dependencies in pyproject.toml"
                )
                used |= providers
    if part == "product":
        idle = names_of(project["dependencies"]) - used - NOT_IMPORTED_BY_US
        assert not idle, f"pyproject.toml requires what nothing imports: {sorted(idle)}"


@pytest.mark.parametrize(
    "path",
    [*files(*EDGES, "speed", "tests"), ROOT / "hatch_build.py", ROOT / "textgan_bench.py"],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_files_and_functions_are_short(path: Path) -> None:
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    limit = MAX_FILE.get(path.relative_to(ROOT).parts[0], MAX_OTHER_FILE)
    assert n_lines <= limit, f"{n_lines} lines; at most {limit}"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= MAX_FUNCTION, (
                f"{where(path, node)}: {node.name} has {length} lines; at most {MAX_FUNCTION}"
            )


BASELINES = [
    *ROOT.glob("baselines/[!_]*.py"),
    *(set(ROOT.glob("baselines/*/__init__.py")) - {ROOT / "baselines/common/__init__.py"}),
]


@pytest.mark.parametrize("path", sorted(BASELINES), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_baseline_names_its_paper_and_numbers_its_equations(path: Path) -> None:
    docstring = ast.get_docstring(tree(path)) or ""
    assert "Paper" in docstring, "the docstring names no **Paper**"
    assert re.search(r"\(1\)|^1\. ", docstring, re.MULTILINE), "the docstring has no numbered equation"


def test_imports_change_nothing() -> None:
    """No environment write, thread count, seed, warning filter or log handler at import time."""
    acts = re.compile(
        r"os\.(putenv|unsetenv|chdir|environ\.(update|setdefault|pop|clear))|warnings\.(filterwarnings|simplefilter)"
        r"|torch\.(set_\w+|manual_seed)|(np|numpy)\.(random\.seed|seterr)|random\.seed|logging\.basicConfig|signal\.signal"
    )
    for path in files(*EDGES):
        for node in at_import(tree(path)):
            if isinstance(node, ast.Call):
                assert not acts.fullmatch(ast.unparse(node.func)), f"{where(path, node)}: {ast.unparse(node)} at import"
            if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
                assert ast.unparse(node.value) != "os.environ", f"{where(path, node)}: writes to os.environ at import"


def loaded(statements: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after the statements."""
    code = f"import sys\n{statements}\nprint(*{{name.split('.')[0] for name in sys.modules}}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("package", ["bench", "baselines", "metrics", "leaderboards"])
def test_light_modules_load_no_torch_and_no_mlflow(package: str) -> None:
    modules = [name for name in LIGHT if name.split(".")[0] == package]
    assert modules
    check = "assert not {'torch', 'mlflow', 'transformers'} & set(sys.modules), name"
    loaded(f"import importlib\nfor name in {modules}:\n    importlib.import_module(name)\n    {check}")


def test_the_light_check_can_fail() -> None:
    assert "torch" in loaded("from baselines.common import interface")


@pytest.mark.parametrize("program", ["bench", "leaderboards"])
def test_help_loads_no_model(program: str) -> None:
    modules = loaded(f"""
import runpy
sys.argv = [{program!r}, "--help"]
try:
    runpy.run_module({program!r}, run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code, end.code
""")
    assert program in modules
    assert not {"torch", "mlflow", "evaluate", "transformers"} & modules


def test_no_path_of_one_machine_is_written_down() -> None:
    places = re.compile(r"(?<![\w.~])/(?:work|tmp|opt|root|home|Users)/")
    data = [path for folder in EDGES for ext in ("toml", "md", "csv") for path in (ROOT / folder).rglob(f"*.{ext}")]
    top = [path for path in ROOT.iterdir() if path.suffix in (".md", ".toml", ".ini", ".txt", ".cff")]
    for path in [*files(*EDGES, "speed"), *data, *top, ROOT / "hatch_build.py", ROOT / ".ci" / "run"]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not places.search(line), (
                f"{path.relative_to(ROOT)}:{number}: names a place of one machine: {line.strip()}"
            )
