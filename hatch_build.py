"""Build hook: four import packages in the checkout become one, `textgan_bench`, in a wheel.

In the checkout `bench`, `baselines`, `metrics` and `leaderboards` lie at the top, so that a reader meets them at once.
All four names are taken on PyPI, so a wheel nests them below `textgan_bench` and rewrites each `from bench…` line to
`from textgan_bench.bench…`. An editable install reads the checkout as it is; there the names that the console scripts
call, `textgan_bench.bench.__main__` and its like, are one-line modules that hand on to the checkout.
"""

from __future__ import annotations

import ast
import re
import tempfile
from pathlib import Path
from typing import Any

import pathspec
from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TOP = "textgan_bench"
FACE = "textgan_bench.py"
"""The public Python API: a module in the checkout, the face of the one package in a wheel."""
PACKAGES = ("baselines", "bench", "leaderboards", "metrics")
LEFT_OUT = ("__pycache__/", ".*", "/leaderboards/results/", "/leaderboards/boards/")
_FROM = re.compile(rf"from[ \t]+(?=(?:{'|'.join(PACKAGES)})\b)")


class NestPackages(BuildHookInterface[BuilderConfig]):
    """Called by hatchling for the wheel target only (`tool.hatch.build.targets.wheel.hooks.custom`)."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the tree that the wheel ships into a temporary folder and hand that to hatchling."""
        self._folder = tempfile.TemporaryDirectory()
        tree = Path(self._folder.name) / TOP
        if version == "editable":
            write_doors(tree, self.metadata.core.scripts)
            (tree / "__init__.py").write_bytes((Path(self.root) / FACE).read_bytes())
            build_data["force_include_editable"] = {str(tree): TOP}
        else:
            nest(Path(self.root), tree, self.build_config.load_vcs_exclusion_patterns())
            build_data["force_include"] = {str(tree): TOP}

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the temporary folder."""
        self._folder.cleanup()


def nest(root: Path, tree: Path, ignored: list[str]) -> None:
    """Copy the packages below `tree`, data files too, without what git ignores; rewrite the imports of ours."""
    skip = pathspec.GitIgnoreSpec.from_lines([*ignored, *LEFT_OUT])
    for package in PACKAGES:
        for source in sorted((root / package).rglob("*")):
            name = source.relative_to(root)
            if source.is_dir() or skip.match_file(name.as_posix()):
                continue
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            content = source.read_bytes()
            target.write_bytes(rewrite(content, str(name)) if source.suffix == ".py" else content)
    (tree / "__init__.py").write_bytes(rewrite((root / FACE).read_bytes(), FACE))
    (tree / "py.typed").touch()


def rewrite(source: bytes, name: str) -> bytes:
    """Each `from bench… import` of a module -> `from textgan_bench.bench… import`; text and comments stay.

    Raises ValueError at `import bench…`: the name that it binds does not exist in a wheel.
    """
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source, name)):
        if isinstance(node, ast.Import) and (bad := [a.name for a in node.names if a.name.split(".")[0] in PACKAGES]):
            raise ValueError(f"{name}:{node.lineno}: write `from … import …` instead of `import {bad[0]}`")
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] in PACKAGES:
            line, column = lines[node.lineno - 1], node.col_offset  # ast counts columns in bytes, as we do
            statement = line[column:].decode()
            if not _FROM.match(statement):
                raise ValueError(f"{name}:{node.lineno}: write `from {node.module} import …` on one line")
            lines[node.lineno - 1] = line[:column] + _FROM.sub(rf"\g<0>{TOP}.", statement, count=1).encode()
    return b"".join(lines)


def write_doors(tree: Path, scripts: dict[str, str]) -> None:
    """For each console script `textgan_bench.a.b:main` a module of that name which takes `main` from `a.b`."""
    for entry in scripts.values():
        module, _, function = entry.partition(":")
        _, *parts = module.split(".")
        door = tree.joinpath(*parts).with_suffix(".py")
        door.parent.mkdir(parents=True, exist_ok=True)
        for folder in (tree, *(tree.joinpath(*parts[:i]) for i in range(1, len(parts)))):
            (folder / "__init__.py").touch()
        door.write_text(f"from {'.'.join(parts)} import {function}\n\n__all__ = [{function!r}]\n")
