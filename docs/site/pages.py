"""Hook of MkDocs: pages whose sources lie outside `docs/`, and pages made of docstrings and records, at every build.

Nothing is written twice: a page of the site is a file of the repository, or made here from one. Links between files of
the repository become links between pages; a link to a file that has no page becomes its text.
"""

from __future__ import annotations

import ast
import dataclasses
import html
import inspect
import os
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from baselines.common.training import losses
from baselines.common.training.losses import LOSSES
from bench.places import RESULTS, ROOT
from bench.record import REAL_TEXT
from bench.registry import find, names, source_file
from bench.reproduce.presets import preset_names, read_preset
from bench.reproduce.report import of_model
from bench.reproduce.state import PresetState, read_found, state_of
from leaderboards.boards import build
from leaderboards.render.markdown import markdown_table
from leaderboards.schema import BASELINE, Boards
from leaderboards.tables.board import main_table
from leaderboards.words import names_of, page_names

sys.path.insert(0, str(Path(__file__).parent))
from equations import parts_of

COMPARED = "baselines/README.md"
"""The page that compares all models and holds what is known against each."""
WHOLE = {
    "README.md": "index.md",
    "LEADERBOARD.md": "leaderboard.md",
    "REPRODUCTION.md": "reproduction.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "speed/README.md": "speed.md",
    COMPARED: "models/compared.md",
}
"""File of the repository -> page of the site; the folders of boards, cards and models are added."""
LOSSES_PAGE = "models/losses.md"
"""Made of docstrings, as the pages of models are."""
_NOT_PUBLISHED = "Nobody published a number for it that a preset holds."
FOLDERS = ("boards", "models", "metrics")
"""What `boards/*` in the navigation stands for: each page of the folder that the navigation does not name."""

_LINK = re.compile(r"(!?)\[((?:`[^`]*`|\\.|[^\[\]\\`])*)\]\(([^()\s]+)\)")
_LINK_OR_CODE = re.compile(
    r"(^ *```.*?^ *``` *$|(?<!\\)!?\[(?:`[^`]*`|\\.|[^\[\]\\`])*\]\([^()\s]+\)|`[^`\n]+`)", re.MULTILINE | re.DOTALL
)
_PICTURE = re.compile(r'<picture><source [^>]*srcset="([^"]+)"><img src="([^"]+)" alt="([^"]*)"></picture>')
_CODE_SPAN = re.compile(r"(`[^`]+`)")
_BRACED = re.compile(r"(?<=[\w)\]|])([_^])(\{[^{}]*\})")
"""`x_{b,<t}`: what stands low or high in a sentence."""
_EQUATION = re.compile("\ue000(\\d+)\ue001")
"""Where the equation of a number stands in Markdown, which would read its signs and take its tags for a block."""
_ITEM = re.compile(r"(?m)^(?=\d+\. )")
"""The beginning of an item of a list, which ends an equation."""
_equations: list[str] = []
"""MathML, by number."""


@cache
def copied() -> dict[str, str]:
    """File of the repository -> page or picture of the site, of those that are taken as they are."""
    found = dict(WHOLE)
    found |= {f"leaderboards/boards/{p.name}": f"boards/{p.name}" for p in (ROOT / "leaderboards/boards").iterdir()}
    found |= {f"metrics/{name}/README.md": f"metrics/{name}.md" for name in names("metrics")}
    return found


@cache
def pages() -> dict[str, str]:
    """File of the repository -> where it stands in the site."""
    docs = {p.relative_to(ROOT).as_posix(): p.relative_to(ROOT / "docs").as_posix() for p in files_of_docs()}
    return docs | copied() | {_model_file(name): f"models/{name}.md" for name in names("models")}


def files_of_docs() -> Iterator[Path]:
    """What lies in `docs/` and is shown: not this folder."""
    inside = Path(__file__).parent
    return (p for p in (ROOT / "docs").rglob("*") if p.is_file() and inside not in p.parents)


def losses_page() -> str:
    """The adversarial losses, each with its two equations and where they come from."""
    lines = ["| loss | the discriminator minimises | the generator minimises |", "|---|---|---|"]
    for name, loss in LOSSES.items():
        told = [" ".join((inspect.getdoc(half) or "").split()) for half in (loss.discriminator, loss.generator)]
        cells = [_with_equations(text).replace("|", "\\|") for text in told]
        lines.append(f"| `{name}` | {cells[0]} | {cells[1]} |")
    blocks = [_with_equations(block) for block in (inspect.getdoc(losses) or "").split("\n\n")]
    return "\n\n".join(["# Adversarial losses", *blocks, "\n".join(lines)]) + "\n"


def _model_file(name: str) -> str:
    return source_file("models", name).relative_to(ROOT).as_posix()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of a folder in place of `folder/*` in the navigation."""
    config.nav = _expanded(config.nav, set(_named(config.nav)))
    return config


def _named(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for entry in nav.values() if isinstance(nav, dict) else nav:
            yield from _named(entry)


def _expanded(nav: Any, named: set[str]) -> Any:
    if isinstance(nav, dict):
        return {title: _expanded(entry, named) for title, entry in nav.items()}
    if not isinstance(nav, list):
        return nav
    found: list[Any] = []
    for entry in nav:
        folder, _, rest = entry.partition("/") if isinstance(entry, str) else ("", "", "")
        if rest == "*" and folder in FOLDERS:
            inside = sorted({p for p in pages().values() if p.startswith(f"{folder}/") and p.endswith(".md")} - named)
            found += [page if folder == "boards" else {PurePosixPath(page).stem: page} for page in inside]
        else:
            found.append(_expanded(entry, named))
    return found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies elsewhere, and a page for each model."""
    for source, page in copied().items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    boards = build([RESULTS])
    found = read_found([RESULTS])
    states = [state_of(read_preset(name), found) for name in preset_names()]
    for name in names("models"):
        text = model_page(name, boards, states)
        files.append(File.generated(config, f"models/{name}.md", content=text))
    files.append(File.generated(config, LOSSES_PAGE, content=losses_page()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links between files of the repository -> links between pages."""
    uri = page.file.src_uri
    if uri.startswith("models/"):  # made of a docstring and of what stands in the page that compares all
        return relinked(markdown, COMPARED)
    return relinked(markdown, next(source for source, target in pages().items() if target == uri))


def relinked(markdown: str, source: str) -> str:
    """The links of a file of the repository as the site has them. Raises PluginError for one that leads nowhere."""
    parts = re.split(_LINK_OR_CODE, _PICTURE.sub(_of_both_grounds, markdown))
    return "".join(_relinked(part, source) for part in parts)


def _of_both_grounds(picture: re.Match[str]) -> str:
    """A picture with a dark version, as GitHub shows it by the reader's settings -> as the site does by its own."""
    dark, light, alt = map(html.unescape, picture.groups())
    return f"![{alt}]({light}#only-light)\n![{alt}]({dark}#only-dark)"


def _relinked(part: str, source: str) -> str:
    link = _LINK.fullmatch(part)
    if link is None:
        return part
    picture, text, target = link.groups()
    if re.match(r"[a-z]+:", target) or target.startswith("#"):
        return part
    path, _, anchor = unquote(target).partition("#")
    name = os.path.normpath(PurePosixPath(source).parent / path)
    if name in pages():
        here = PurePosixPath(pages()[source]).parent
        there = quote(PurePosixPath(os.path.relpath(pages()[name], here)).as_posix())
        return f"{picture}[{text}]({there}{'#' + anchor if anchor else ''})"
    if not (ROOT / name).exists():
        raise PluginError(f"{source}: {target} is not there")
    return text if text.startswith("`") else f"{text} (`{name}`)"


def model_page(name: str, boards: Boards, states: Sequence[PresetState]) -> str:
    """What a model is, what is known against it, its numbers beside the published ones, its rows, its settings."""
    source = _model_file(name)
    documented = ast.get_docstring(ast.parse((ROOT / source).read_text(encoding="utf-8"))) or ""
    blocks = [f"# {name}", f"Source: `{source}`; `python -m bench show {name}` prints this head.", shown(documented)]
    if known := known_problems(name):
        blocks += ["## Known problems", known]
    blocks += ["## Published and ours", "\n".join(of_model(states, name)) or _NOT_PUBLISHED]
    blocks += ["## On the boards", *_rows(name, boards)]
    module = source.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".")
    blocks += ["## Settings", f"::: {module}.{find('models', name).__name__}.Config"]
    return "\n\n".join(blocks) + "\n"


def shown(docstring: str) -> str:
    """The docstring of a baseline as Markdown: its equations set as such, the rest word for word."""
    blocks, equations = [], False
    for block in docstring.split("\n\n"):
        if block.startswith("**"):
            equations = block.startswith("**Equations**")
        parts = re.split(_CODE_SPAN, block)
        written = _with_equations if equations else _text
        blocks.append("".join(p if p.startswith("`") else written(p) for p in parts))
    return "\n\n".join(blocks)


def _with_equations(text: str) -> str:
    """Markdown of words with equations between them; `on_page_content` puts these in."""
    found = []
    for is_equation, piece in (part for item in re.split(_ITEM, text) for part in parts_of(item)):
        if is_equation:
            _equations.append(piece)
            found.append(f"\ue000{len(_equations) - 1}\ue001")
        else:
            found.append(_plain(piece))
    return "".join(found)


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put equations where Markdown has left their places."""
    return _EQUATION.sub(lambda place: _equations[int(place[1])], content)


def _text(text: str) -> str:
    """Plain text with indices as Markdown that shows it; bold stays."""
    found, end = [], 0
    for match in _BRACED.finditer(text):
        tag = {"_": "sub", "^": "sup"}[match[1]]
        found += [_plain(text[end : match.start()]), f"<{tag}>{_plain(match[2].strip('{}'))}</{tag}>"]
        end = match.end()
    return "".join(found) + _plain(text[end:])


def _plain(text: str) -> str:
    return re.sub(r"(?<!\*)\*(?!\*)|_", r"\\\g<0>", html.escape(text, quote=False))


@cache
def _problems() -> dict[str, str]:
    """Model -> its entry among the known problems of the page that compares all."""
    text = (ROOT / COMPARED).read_text(encoding="utf-8").split("\n## Known problems\n")[1].split("\n## ")[0]
    entries = re.split(r"^- ", text, flags=re.MULTILINE)[1:]
    return {name: entry.strip() for entry in entries for name in re.findall(r"^\*\*`(\w+)`\*\*", entry)}


def known_problems(name: str) -> str:
    """What is known against a model; empty where nothing is written down."""
    return re.sub(r"^\*\*`\w+`\*\*: ", "", _problems().get(name, ""))


def _rows(name: str, boards: Boards) -> Iterator[str]:
    """Its rows on each board, between real text and the baseline."""
    titles, files = names_of(boards), page_names(boards)
    found = False
    for board in boards.boards:
        own = [row for row in board.rows if row.model == name]
        if own:
            found = True
            beside = [row for row in board.rows if row.model in {REAL_TEXT, BASELINE, name}]
            table, _ = main_table(dataclasses.replace(board, rows=beside), len(beside))
            yield f"**[{titles[board.number]}](../leaderboards/boards/{quote(files[board.number])}.md)**"
            yield markdown_table(table)
    yield "Marks: [how to read the boards](../leaderboards/boards/legend.md)." if found else "No record is kept yet."
