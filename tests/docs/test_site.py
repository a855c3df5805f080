"""The documentation as a site: it builds without a warning, links lead somewhere, nothing is loaded from elsewhere."""

import html.parser
import importlib.util
import os
import re
import subprocess
import sys
from urllib.parse import unquote, urlsplit

import pytest

from sysevent.checkout import ROOT

if any(importlib.util.find_spec(name) is None for name in ("mkdocs", "material")):
    pytest.skip("mkdocs-material is not installed: tox -e site", allow_module_level=True)

# Attributes by which a browser loads something, by element.
LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}


class Parsed(html.parser.HTMLParser):
    """What a page loads, where it links, and the anchors that it has."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.links, self.anchors = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if found.get(LOADED.get(tag)) and found.get("rel") != "canonical":
            self.loads.append(found[LOADED[tag]])
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Every page of the site, by its path."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Its links are from the root of a server that the site does not have.
    (folder / "404.html").unlink()
    return {path.resolve(): Parsed(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}


def test_every_document_is_a_page(pages):
    names = {path.stem for path in pages}
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} <= names
    assert {"readme", "contributing", "changelog"} <= names


def test_nothing_is_loaded_from_elsewhere(pages):
    elsewhere = {
        (path.name, address)
        for path, page in pages.items()
        for address in page.loads
        if urlsplit(address).scheme not in ("", "data") or urlsplit(address).netloc
    }
    assert elsewhere == set()


def test_every_link_leads_somewhere(pages):
    """Files, pages and anchors, in the HTML itself: also those that mkdocs does not look at."""
    broken = set()
    for path, page in pages.items():
        for address in [*page.loads, *page.links]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                broken.add((path.name, address))
            elif parts.fragment and target in pages:
                anchors = pages[target].anchors
                # The top of a page, which its own script adds.
                if unquote(parts.fragment) not in anchors | {"__skip"}:
                    broken.add((path.name, address))
    assert broken == set()


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]), ids=lambda p: p.name
)
def test_what_follows_in_a_list_is_indented_by_four(path):
    """GitHub takes two spaces for a second paragraph in a list, and six for code; mkdocs does not."""
    wrong, item, blank = [], False, False
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(" "):
            item = re.match(r"- |\d+\. ", line) is not None
        elif line and item and blank and (len(line) - len(line.lstrip())) % 4:
            wrong.append(line)
        blank = not line
    assert wrong == []
