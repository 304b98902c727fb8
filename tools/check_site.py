"""Looks at the site that "nox -s docs" built: no link leads nowhere, and nothing is fetched from elsewhere.

python -m tools.check_site build/site
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LINKS = {"a": "href", "area": "href"}
PARTS = {"img": "src", "script": "src", "link": "href", "object": "data", "iframe": "src", "source": "src"}
MADE_BY_SCRIPT = {"search.html", "genindex.html"}
"""Pages of the generator, whose anchors a script makes."""


class Page(HTMLParser):
    """The links of a page, what it loads, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.links, self.parts, self.anchors = path, [""] * 0, [""] * 0, {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if anchor := values.get("id") or (values.get("name") if tag == "a" else None):
            self.anchors.add(anchor)
        if tag in LINKS and (link := values.get(LINKS[tag])):
            self.links.append(link)
        if tag in PARTS and (part := values.get(PARTS[tag])):
            self.parts.append(part)


def faults(site: Path) -> Iterator[str]:
    """One sentence for each link that leads nowhere and each part that comes from another host."""
    site = site.resolve()
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        name = path.relative_to(site)
        yield from (f"{name} loads {part}: from another host" for part in page.parts if urlsplit(part).netloc)
        for link in page.links + page.parts:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            known = pages.get(target)
            if not target.exists():
                yield f"{name} links to {link}: there is no such file"
            elif known and target.name not in MADE_BY_SCRIPT and unquote(url.fragment) not in known.anchors:
                yield f"{name} links to {link}: the page has no such heading"


def main() -> None:
    site = Path(sys.argv[1])
    found = list(faults(site))
    for fault in found:
        print(fault)
    print(f"{len(list(site.rglob('*.html')))} pages, {len(found)} faults")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
