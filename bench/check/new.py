"""A file to begin a model with: `template.py`, in the parts that a kind of model needs, under a name of the user's."""

from __future__ import annotations

import ast
import importlib.util
import keyword
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from bench.places import check_folder

__all__ = ["KINDS", "Kind", "class_name", "rendered", "write_new"]

Kind = Literal["likelihood", "policy", "relaxed"]
"""How a gradient comes to the generator: by maximum likelihood alone, by rewards, or through relaxed words."""
KINDS: tuple[Kind, ...] = get_args(Kind)
_TEMPLATE = Path(__file__).with_name("template.py")
_CLASS = "MyGAN"
_ONLY, _END = "# only for ", "# end"


def rendered(name: str, kind: Kind) -> str:
    """The file of a model that is called `name`, a module's name."""
    text = "\n".join(_lines_of(kind)).rstrip() + "\n"
    text = re.sub(r"\n{4,}", "\n\n\n", text)
    return re.sub(rf"\b{_CLASS}\b", class_name(name), text)


def _lines_of(kind: Kind) -> Iterator[str]:
    """The template's lines, without the parts of other kinds."""
    kinds: list[str] = [kind]
    for line in _TEMPLATE.read_text(encoding="utf-8").rstrip("\n").split("\n"):
        if line.lstrip().startswith(_ONLY):
            kinds = line.strip().removeprefix(_ONLY).split(", ")
        elif line.strip() == _END:
            kinds = [kind]
        elif kind in kinds:
            yield line


def class_name(name: str) -> str:
    """`my_gan` -> `MyGAN`; never a name that the file has already."""
    words = [word for word in name.split("_") if word]
    made = "".join(re.sub("[Gg]an$", "GAN", word[0].upper() + word[1:]) for word in words)
    taken = {node.id for node in ast.walk(_tree()) if isinstance(node, ast.Name)}
    taken |= {node.name for node in ast.walk(_tree()) if isinstance(node, ast.ClassDef | ast.alias)}
    return f"{made}Model" if keyword.iskeyword(made) or made in taken - {_CLASS} else made


def _tree() -> ast.Module:
    return ast.parse(_TEMPLATE.read_text(encoding="utf-8"))


def write_new(name: str, kind: Kind) -> tuple[Path, str]:
    """Write `NAME.py` -> its path and the class in it. Raises ValueError for no name of a module, or one that is taken.

    Nothing is overwritten. The name may have a folder before it, which must be there.
    """
    path = Path(name)
    path = path if path.suffix == ".py" else path.with_name(f"{path.name}.py")
    module = path.stem
    if not module.isidentifier() or keyword.iskeyword(module) or not module.strip("_0123456789"):
        better = re.sub(r"\W+", "_", module).strip("_").lower()
        better = better if better.isidentifier() and not keyword.iskeyword(better) else f"my_{better or 'gan'}"
        raise ValueError(f"{module!r} is no name of a Python module: letters, digits and _, such as {better!r}")
    if module in sys.stdlib_module_names or _is_installed(module):
        raise ValueError(
            f"{module!r} is the name of a module that Python has already: take another, such as 'my_{module}'"
        )
    if path.parent != Path() and not path.parent.is_dir():
        check_folder(path.parent, "new")
        raise ValueError(f"there is no folder {str(path.parent)!r} in {Path.cwd()}: make it first")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(rendered(module, kind))
    except FileExistsError:
        raise ValueError(f"{str(path)!r} is there already, and nothing is overwritten: take another name") from None
    return path, class_name(module)


def _is_installed(module: str) -> bool:
    """Whether `import module` finds something outside the working folder, which the file would hide or be hidden by."""
    found = importlib.util.find_spec(module)
    return found is not None and (found.origin is None or Path(found.origin).parent.resolve() != Path.cwd())
