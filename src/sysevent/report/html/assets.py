"""Templates, style and script of pages, and the policy that keeps a page from loading anything else."""

from __future__ import annotations

import base64
import functools
import hashlib
import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sysevent.report.html.safe import clipped, script_json

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = Path(__file__).parent / "templates"


def fill(
    template: str, values: dict[str, Any], *, data: Any, styles: Sequence[str], scripts: Sequence[str]
) -> str:
    """Return the page that a template makes of values.

    data: what the script reads, as JSON. styles, scripts: names of files in the folder of the templates, in order.
    """
    style, script = ("\n".join(map(_read, names)) for names in (styles, scripts))
    # From files of this package, and JSON without markup.
    parts = {"style": _Html(style), "script": _Html(script), "data": _Html(script_json(data))}
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    return _environment().get_template(template).render({**values, **parts, "policy": _Html(policy)})


class _Html(str):
    """Text that is HTML: templates do not escape it."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


@functools.cache
def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Return the source expression of Content-Security-Policy that allows exactly this text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@functools.cache
def _environment() -> Environment:
    # Only when a page is made: importing it takes as long as all of this package.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )


def _finalize(value: Any) -> Any:
    """Return a value as it stands on the page: text without unprintable characters, markup and ends of lines."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return _Html(html.escape(clipped(value)).replace("\n", "&#10;"))
    return value
