"""The manual page sysevent(1), in the macros of man(7): the verbs, and the options of each.

Rendered here, because converters take the help of argparse, where the kinds of values and the headings are lost.
"""

from __future__ import annotations

from collections.abc import Iterator

from sysevent import __version__
from sysevent.prompt import words
from sysevent.prompt.verbs import VERBS
from sysevent.prompt.words import Entry

_ABOUT = (
    "Runs guests on a kernel's KVM that power off, reset, suspend or crash, and checks every byte that a virtual "
    "machine monitor reads from kvm_run against what the kernel promises. Without options, sysevent run boots "
    "kernels of Debian for three architectures in QEMU, and prints a verdict for every claim."
)
_CODES = (
    ("0", "success; of run: at least one claim was judged, and none is FAIL, ERROR or MISS"),
    ("1", "success, and the answer is no; of run: a claim failed"),
    ("2", "the command line is wrong; of run: it was interrupted"),
    ("3", "something under or around the harness broke"),
    ("4", "of run and test: the command line is wrong"),
    ("5", "of run: nothing was judged"),
    ("125, 129", "of bisect: cannot tell, and stop"),
    ("130", "interrupted"),
)
_VARIABLES = (
    ("SYSEVENT_CACHE", "directory for downloads, builds and snapshots"),
    ("SYSEVENT_KEEP_RESULTS", "1 keeps the results of all runs"),
    ("SYSEVENT_MIRROR", "Debian mirror, as --mirror"),
)


def page() -> str:
    """Return the page as the source of roff."""
    return "\n".join([*_lines(), ""])


def _lines() -> Iterator[str]:
    yield f'.TH SYSEVENT 1 "" "sysevent {__version__}" "User Commands"'
    yield from (".SH NAME", "sysevent \\- " + _text("test what a VMM reads from kvm_run"))
    yield from (".SH SYNOPSIS", ".B sysevent", ".I VERB", "[options]")
    yield from (".br", ".B sysevent run", "[options] [\\-\\-", ".IR PYTEST\\ ARGS ]")
    yield from (".SH DESCRIPTION", _text(_ABOUT))
    yield ".SH VERBS"
    for path, line in words.paths():
        yield from (f".SS sysevent {path}", _text(_sentence(line)))
        for entry in words.entries(path)[1:]:
            yield from (".TP", _term(entry), _text(entry.help))
        epilog = VERBS[path.partition(" ")[0]].epilog
        if epilog:
            yield from (".PP", _text(_sentence(epilog)))
    for title, rows in (("EXIT STATUS", _CODES), ("ENVIRONMENT", _VARIABLES)):
        yield f".SH {title}"
        for name, text in rows:
            yield from (".TP", f".B {_text(name)}", _text(text))
    yield from (".SH SEE ALSO", _text("README.md and docs/ of the checkout; kvm_stat(1), qemu(1)"))


def _term(entry: Entry) -> str:
    """The line with an option's words in bold and its value in italics."""
    value = f"\\fI{_text(entry.metavar)}\\fR"
    if not entry.spellings:
        return f"[{value}]" if entry.optional else value
    spelled = ", ".join(f"\\fB{_text(word)}\\fR" for word in entry.spellings)
    return f"{spelled} {value}" if entry.metavar else spelled


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _text(text: str) -> str:
    """Text without a meaning for roff: of backslashes, hyphens, quotes, and a dot at the start of a line."""
    marked = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    plain = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in marked)
    return f"\\&{plain}" if plain.startswith(".") else plain
