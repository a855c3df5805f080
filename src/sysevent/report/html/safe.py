"""Text from outside made safe for a page. No I/O."""

from __future__ import annotations

import json
from typing import Any

from sysevent.text import escape

# Characters of one text: a console that a guest has filled must not make a page of megabytes.
TEXT_MAX = 20_000


def clipped(text: str) -> str:
    """Return a text with each unprintable character spelled out, cut if it is too long."""
    if len(text) <= TEXT_MAX:
        return escape(text)
    return f"{escape(text[:TEXT_MAX])}\n({len(text) - TEXT_MAX} more characters: in run.jsonl)"


def script_json(value: Any) -> str:
    """Return JSON that can stand in a <script>: ASCII, without the characters that begin and end markup."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
