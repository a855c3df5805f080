"""Command lines of the documents: the command line's own parser takes them, and claims, targets and kernels exist.

What a command does is not tried here: most need kernels, and some a lab.
"""

import fnmatch
import itertools
import re
import shlex

import pytest

from sysevent.checkout import ROOT, SUITES
from sysevent.contract import catalogue
from sysevent.images import tracks
from sysevent.prompt.command_line import parsers
from sysevent.prompt.verbs import VERBS
from sysevent.targets import spec

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
# In a block, or the whole of a code span that begins as in a block. Others can be the name of a verb and an option.
LINE = re.compile(r"^ {4,}(?:\$ )?(?:\./)?sysevent ([a-z]+\b[^\n]*)$", re.MULTILINE)
SPAN = re.compile(r"`\./sysevent ([a-z]+ [^`\n]*)`")
PYTEST = re.compile(r"^ {4,}(?:\.venv/bin/)?pytest ([^\n#]*)", re.MULTILINE)
# Words that stand for others in a text, such as DIR and GLOB, and parts that were left out.
PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b|…|\.\.\.|[<>|]|\bN\b")


def commands():
    """Yield the words of every command line of sysevent in the documents."""
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for line in [*LINE.findall(text), *SPAN.findall(text)]:
            words = None if PLACEHOLDER.search(line) else shlex.split(line, comments=True)
            if words and words[0] in VERBS:
                yield pytest.param(words, id=f"{path.name}-{' '.join(words)}")


COMMANDS = list(commands())


def parsed(words):
    """Return the parsed arguments of a verb, and the words for pytest. SystemExit if the parser refuses them."""
    verb, *rest = words
    at = rest.index("--") if "--" in rest else len(rest)
    own, for_pytest = rest[:at], rest[at + 1 :]
    parser, sub = parsers(verb)
    assert sub is not None
    args, unknown = sub.parse_known_args(own)
    if verb != "test" and unknown:
        parser.error(f"unknown: {unknown}")
    return args, [*unknown, *for_pytest]


def unknown_claims(expression):
    """Return the words of a -k expression that are in no path and no claim of suites/."""
    texts = [str(path.relative_to(SUITES)) for path in SUITES.glob("*/test_*.py")]
    texts += [f"{claim.name.partition('.')[2]}]" for claim in catalogue.load()]
    words = set(re.findall(r"[^\s()]+", expression)) - {"and", "or", "not"}
    return [word for word in sorted(words) if not any(word in text for text in texts)]


def unknown_tracks(kernels):
    """Return those of Debian's kernels that are neither a track nor the name or version of a package."""
    known = {track.name for track in tracks.load()}
    names = [name.removeprefix("debian:") for name in kernels if name.startswith("debian:")]
    return [name for name in names if name not in known and not re.search(r"^linux-|-\d+$", name)]


def test_there_are_commands():
    assert len(COMMANDS) > 80


@pytest.mark.parametrize("words", COMMANDS)
def test_command_line_is_accepted(words):
    args, for_pytest = parsed(words)
    for option, value in itertools.pairwise(for_pytest):
        if option == "-k":
            assert unknown_claims(value) == []
    kernels = [word.partition("=")[2] or word for word in words if "debian:" in word]
    assert unknown_tracks(kernels) == []
    if words[0] == "explain":
        known = [claim.name for claim in catalogue.load()]
        assert any(f".{name}".endswith(f".{args.claim}") for name in known)
    if not getattr(args, "targets", None):
        names = [one.name for one in spec.builtin()]
        given = getattr(args, "target", None) or []
        for glob in [given] if isinstance(given, str) else given:
            assert fnmatch.filter(names, glob), f"{glob}: no such target"


@pytest.mark.parametrize(
    ("line", "is_accepted"),
    [
        ("run --arch arm64 -- -k 'psci.off]'", True),
        ("run --arhc arm64", False),
        ("report a b --html f", True),
        ("results prune --newest 3", True),
        ("results prume", False),
        ("bisect run --arch arm64 --nothing", False),
    ],
)
def test_what_the_parser_refuses_is_noticed(line, is_accepted):
    if is_accepted:
        parsed(shlex.split(line))
        return
    with pytest.raises(SystemExit):
        parsed(shlex.split(line))


def test_a_wrong_name_of_a_claim_or_kernel_is_noticed():
    assert unknown_claims("psci.off] and not pcsi") == ["pcsi"]
    assert unknown_tracks(["debian:6.12", "debian:6.99", "debian:6.12.94-1"]) == ["6.99"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_paths_of_pytest_commands_exist(path):
    for line in PYTEST.findall(path.read_text(encoding="utf-8")):
        folders = [word for word in shlex.split(line) if word.startswith(("suites", "tests"))]
        assert [name for name in folders if not (ROOT / name.partition("::")[0]).exists()] == []
