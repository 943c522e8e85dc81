"""The wheel: one import name, imports rewritten, data files inside, equal from the checkout and from the sdist.

It runs where it is installed, apart from the checkout, with the libraries of these tests; `python -m tox -e package`
tries it in an environment where nothing is but what it asks for.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from helpers.paths import ROOT

from hatch_build import rewrite

PACKAGES = {"baselines", "bench", "leaderboards", "metrics"}
TOP = "textgan_bench"


def build(project: Path, target: Path, *kinds: str) -> None:
    """Build without an environment of its own, so without a network: hatchling is in the test environment."""
    command = [sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", str(target), str(project)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist of this checkout."""
    target = tmp_path_factory.mktemp("dist")
    build(ROOT, target, "--wheel", "--sdist")
    return target


@pytest.fixture(scope="module")
def wheel(dist: Path) -> dict[str, bytes]:
    """Name -> content."""
    with zipfile.ZipFile(only(dist, "*.whl")) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment with the wheel, where libraries are found in the one of these tests.

    No checkout is: of a folder of libraries that is added to the path, `.pth` files are not read.
    """
    pytest.importorskip("pip")
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    install = [*pip, "install", "--no-deps", "--no-index", "--no-compile", str(only(dist, "*.whl"))]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    place = sysconfig.get_path("purelib", "venv", {"base": str(home)})
    share = f"site.PREFIXES.append({sys.prefix!r})\nsys.path.append({sysconfig.get_path('purelib')!r})\n"
    Path(place, "sitecustomize.py").write_text(f"import site\nimport sys\n\n{share}")
    done = subprocess.run([*pip, "check"], capture_output=True, text=True, check=False)
    assert "textgan-bench" not in done.stdout, done.stdout
    return home / "bin"


APART = """
import importlib.util
import sys
found = [name for name in ("bench", "baselines", "metrics", "leaderboards") if importlib.util.find_spec(name)]
assert importlib.util.find_spec("textgan_bench")
assert not found, found
from textgan_bench import RunRecord, TextGenerator, run, score, table_frame
from textgan_bench.bench.__main__ import main

for words in COMMANDS:
    sys.argv = ["textgan-bench", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code, words
"""


@pytest.mark.skipif(sys.platform == "win32", reason="programs lie elsewhere")
def test_it_runs_where_it_is_installed(installed: Path, tmp_path: Path) -> None:
    """A model is begun, checked, trained and compared. What needs torch is done in one process, which loads it once."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = ["run", "--scale", "smoke", "--set", "n_samples=200", "--tracker", "none", "--runs", "runs"]
    commands = [
        ["new", "my_gan"],
        ["check", "my_gan.py:MyGAN"],
        [*run, "my_gan.py:MyGAN", "grammar"],
        [*run, "mle", "grammar"],
    ]
    for program, *words in (
        ("textgan-bench", "list"),
        ("python", "-c", f"COMMANDS = {commands}\n{APART}"),
        ("textgan-bench-leaderboards", "build", "runs"),
    ):
        command = [str(installed / program), *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"


def test_no_import_is_left_that_only_the_checkout_has(wheel: dict[str, bytes]) -> None:
    n_rewritten = 0
    for name, content in wheel.items():
        if not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(content, name)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            assert not {module.split(".")[0] for module in modules} & PACKAGES, f"{name}: {ast.unparse(node)}"
            n_rewritten += sum(module.startswith(f"{TOP}.") for module in modules)
    assert n_rewritten > 50


def test_nothing_starts_a_module_by_its_name_in_the_checkout() -> None:
    """`[sys.executable, "-m", "bench"]` and `import_module("bench.x")` do not work in a wheel; `__package__` does."""
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
            if not isinstance(node, ast.List | ast.Tuple | ast.Call):
                continue
            items = node.args if isinstance(node, ast.Call) else node.elts
            texts = [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]
            ours = any(text.split(".")[0] in PACKAGES for text in texts)
            imports = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module")
            assert not (ours and ("-m" in texts or imports)), f"{path}:{node.lineno}: {ast.unparse(node)}"


def test_all_files_of_the_packages_are_inside_below_one_name(wheel: dict[str, bytes]) -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *sorted(PACKAGES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    listed = {name for name in done.stdout.splitlines() if (ROOT / name).is_file()}
    expected = {
        f"{TOP}/{name}" for name in listed if not name.startswith(("leaderboards/results/", "leaderboards/boards/"))
    }
    packed = {name for name in wheel if ".dist-info/" not in name}
    assert packed == expected | {f"{TOP}/__init__.py", f"{TOP}/py.typed"}
    for part in ("bench/suites/", "leaderboards/published/", "metrics/bleu/README.md"):
        assert any(name.startswith(f"{TOP}/{part}") for name in packed), part


def test_a_wheel_from_the_sdist_is_the_same(dist: Path, wheel: dict[str, bytes], tmp_path: Path) -> None:
    with tarfile.open(only(dist, "*.tar.gz")) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    build(only(tmp_path / "source", "*"), tmp_path / "dist", "--wheel")
    with zipfile.ZipFile(only(tmp_path / "dist", "*.whl")) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == wheel


def test_an_editable_install_reads_the_checkout(tmp_path: Path) -> None:
    """It holds no copy of the code: a path, the public API, and the two modules that the console scripts call."""
    code = f"import hatchling.build as h; h.build_editable({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(only(tmp_path, "*.whl")) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" not in name}
    assert files.pop("_textgan_bench.pth") == str(ROOT)
    assert files[f"{TOP}/bench/__main__.py"].startswith("from bench.__main__ import main\n")
    assert {name for name, content in files.items() if content} == {
        f"{TOP}/__init__.py",
        f"{TOP}/bench/__main__.py",
        f"{TOP}/leaderboards/__main__.py",
    }


def test_the_build_refuses_an_import_that_a_wheel_cannot_have() -> None:
    source = b'"""\nfrom bench\n"""\nif True:\n    from  bench.task import Task  # from bench\nfrom benches import x\n'
    expected = source.replace(b"from  bench.task", b"from  textgan_bench.bench.task")
    assert rewrite(source, "a.py") == expected
    with pytest.raises(ValueError, match=r"a\.py:2: write `from … import …` instead of `import bench\.task`"):
        rewrite(b"import os\nimport os, bench.task\n", "a.py")
