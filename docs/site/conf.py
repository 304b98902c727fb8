"""The documentation site: the repository's own pages, whose links work here as they do there.

    nox -s docs

The README is its first page; every page of docs/ is in it. Nothing of it is fetched from elsewhere when it is read.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import docutils.nodes
from sphinx.application import Sphinx
from sphinx.ext.graphviz import graphviz
from sphinx.transforms import SphinxTransform

ROOT = Path(__file__).resolve().parent.parent.parent
__version__ = re.findall(r'^__version__ = "(.+)"$', (ROOT / "uac_trio" / "__init__.py").read_text(), re.MULTILINE)[0]

project = "uac-trio"
version = release = __version__
copyright = "the uac-trio maintainers, Apache-2.0"

root_doc = "README"
include_patterns = [
    "README.md",
    "README.ru.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/*.md",
    "docs/ru/*.md",
    "benchmarks/*.md",
]
extensions = ["myst_parser", "sphinx.ext.graphviz"]
myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure"]  # Mermaid's diagrams are text to Pygments
graphviz_output_format = "svg"
highlight_language = "none"  # blocks without a language are dialplan, logs and tables

html_theme = "furo"
html_title = f"uac-trio {__version__}"
html_extra_path = ["index.html"]
html_show_sphinx = False
html_copy_source = False

# Pages in the order of the side bar; what is added to docs/ comes at the end of the first part.
CONTENTS = """

```{toctree}
:hidden:
:glob:
:caption: For administrators

docs/*
```

```{toctree}
:hidden:
:glob:
:caption: По-русски

README.ru
docs/ru/*
```

```{toctree}
:hidden:
:caption: Working on it

CONTRIBUTING
docs/architecture
docs/releasing
benchmarks/README
benchmarks/RESULTS
SECURITY
CHANGELOG
```
"""
DEVELOPERS = {"docs/architecture", "docs/releasing"}
STATE = re.compile(r"^ *(\[\*\]|\w+) --> (\[\*\]|\w+)(?:: (.+))?$")


def add_contents(app: Sphinx, docname: str, source: list[str]) -> None:
    """The side bar belongs to the site: the README does not show it elsewhere."""
    if docname != root_doc:
        return
    parts = CONTENTS
    if not any((ROOT / "docs" / "ru").glob("*.md")):
        parts = parts.replace("docs/ru/*\n", "")
    pages = [f"docs/{path.stem}" for path in sorted((ROOT / "docs").glob("*.md"))]
    source[0] += parts.replace("docs/*\n", "".join(f"{page}\n" for page in pages if page not in DEVELOPERS))


class StateDiagrams(SphinxTransform):
    """Mermaid's state diagrams, which code hosts draw, as pictures made by Graphviz. Without it they stay text."""

    default_priority = 500

    def apply(self, **_: object) -> None:
        if shutil.which("dot") is None:
            return
        for block in list(self.document.findall(docutils.nodes.literal_block)):
            if block.get("language") == "mermaid" and block.astext().startswith("stateDiagram"):
                picture = graphviz()
                picture["code"], picture["options"], picture["alt"] = drawn(block.astext()), {}, block.astext()
                block.replace_self(picture)


def drawn(diagram: str) -> str:
    """The same in Graphviz' language."""
    lines = ['digraph { bgcolor="white"; node [shape=box, style=rounded]; edge [fontsize=11]; node [fontsize=12];']
    for line in diagram.splitlines():
        if found := STATE.match(line):
            source, target, words = found.groups()
            ends = ("begin" if source == "[*]" else source, "end" if target == "[*]" else target)
            lines.append(f'"{ends[0]}" -> "{ends[1]}" [label="{words or ""}"];')
    lines.append('"begin", "end" [shape=circle, label="", width=0.15, style=filled, fillcolor=black];')
    return "\n".join([*lines, "}"])


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_contents)
    app.add_transform(StateDiagrams)
