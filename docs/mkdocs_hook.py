"""What mkdocs does besides reading docs/: three files of the root become pages, and links out of docs/ become text."""

from __future__ import annotations

import os.path
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_ROOT = Path(__file__).parent.parent
# The page that a file of the root becomes. A page called README.md would be the first one.
_PAGES = {"README.md": "readme.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_FILES = {page: name for name, page in _PAGES.items()}
_LINK = re.compile(r"(?<!!)\[([^]]*)\]\((?!https?:)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files of the root as pages."""
    for name, page in _PAGES.items():
        files.append(File.generated(config, page, content=(_ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the text of a page with links that work in the site."""
    folder = "" if page.file.src_path in _FILES else "docs"

    def rewritten(link: re.Match[str]) -> str:
        text, target, part = link.groups()
        path = os.path.normpath(f"{folder}/{target}" if folder else target)
        if path in _PAGES:
            return f"[{text}]({_PAGES[path]}{part or ''})"
        if path.startswith("docs/"):
            return f"[{text}]({path.removeprefix('docs/')}{part or ''})"
        # A file of the tree, which the site does not have. One that does not exist stays a link, which is an error.
        return f"`{text.strip('`')}`" if (_ROOT / path).exists() else link.group()

    return _LINK.sub(rewritten, markdown)
