"""The site of these pages: `make docs`. It needs no network and no result."""

import os
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]

from draw import draw  # noqa: E402

from siamla import __version__  # noqa: E402

draw(HERE / "_made")

project = "siamla"
author = "siamla contributors"
copyright = author
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "_made"]

myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings have shapes and units; types spell out whole unions
default_role = "code"  # docstrings have `code` as Markdown has it
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "siamla"
html_theme_options = {"navigation_with_keys": True}

linkcheck_timeout = 20
linkcheck_anchors = False

# pages of the site whose text stands elsewhere in the repository
ELSEWHERE = {
    "contributing": ROOT / "CONTRIBUTING.md",
    "changes": ROOT / "CHANGELOG.md",
    "model_card": ROOT / "siamla/released/README.md",
}
PAGES = {path: HERE / f"{name}.md" for name, path in ELSEWHERE.items()}
LINK = re.compile(r"\[([^][]*)\]\(([^)#:\s]+)(#[^)\s]*)?\)")


def page(app: Any, name: str, source: list[str]) -> None:
    """The text of a page, with its links as they are from this folder; folders are no links."""
    origin = ELSEWHERE.get(name, HERE / f"{name}.md")

    def link(found: re.Match[str]) -> str:
        text, target, anchor = found[1], (origin.parent / found[2]).resolve(), found[3] or ""
        if target.is_dir():
            return text
        return f"[{text}]({os.path.relpath(PAGES.get(target, target), HERE)}{anchor})"

    text = origin.read_text(encoding="utf-8") if name in ELSEWHERE else source[0]
    source[0] = LINK.sub(link, text)


def docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text with `code` and lists; here they become what Sphinx reads."""
    done: list[str] = []
    for line in lines:
        item = re.match(r" *- ", line)
        if item and done and re.match(rf" {{{item.end() - 2}}}[^ -]", done[-1]):
            done.append("")
        pieces = line.split("`")
        pieces[::2] = [re.sub(r"([|*])|_(?= |$)", r"\\\g<0>", piece) for piece in pieces[::2]]
        done.append("`".join(pieces))
    lines[:] = done


def hidden(app: Any, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Fields of named tuples, of which Python says their number alone; the class says the rest."""
    return True if (thing.__doc__ or "").startswith("Alias for field") else None


def setup(app: Any) -> None:
    app.connect("autodoc-skip-member", hidden)
    app.connect("source-read", page)
    app.connect("autodoc-process-docstring", docstring, priority=400)
