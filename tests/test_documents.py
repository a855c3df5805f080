"""The documents: links, paths, commands, options and names in them exist. tests/docs reads more.

tests/test_recipes.py reads docs/ci.
"""

import re
import shlex
from functools import cache

import pytest
from house.imports import LAYERS, LOWEST_LAYER

from sysevent import cli, options
from sysevent.arches import ARCHITECTURES
from sysevent.checkout import ROOT
from sysevent.contract import catalogue

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
# A path of this tree, up to a placeholder such as <arch>; then perhaps the name of a test.
PATH = re.compile(r"(?<![\w./~-])((?:suites|guests|images|src|tests|docs|\.ci)/[\w./-]*)(<)?(?:::(\w+))?")
# In a code span, or on a line of its own: from the word sysevent to the end of the command.
COMMAND = re.compile(r"(?:^ {4,}|`|\| |run )(?:\./)?sysevent ([a-z]+\b[^`|\n#]*)", re.MULTILINE)
OPTION_SPAN = re.compile(r"`(--[a-z][a-z-]*)")
CLAIM = re.compile(rf"^ +((?:{'|'.join(ARCHITECTURES)})\.\S+) +[·A-Z]", re.MULTILINE)

# Options in code spans that are those of other programs, or argparse's own.
FOREIGN = {"--basetemp", "--group", "--help", "--junitxml", "--log-file"}


@cache
def flags(verb):
    """The options of a verb and of all its sub-verbs."""
    found = {option.flag for option in options.OPTIONS for use in option.uses if use.split()[0] == verb}
    return found | ({"--NAME"} if verb == "report" else set())


def anchor(heading):
    """The part after # in a link to a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def broken_links(text, folder):
    for link, part in LINK.findall(text):
        target = folder / link if link else None
        if target and not target.exists():
            yield f"{link}: does not exist"
        elif part and part not in map(anchor, HEADING.findall(target.read_text() if target else text)):
            yield f"{link}#{part}: no such heading"


def wrong_paths(text):
    for path, placeholder, test in PATH.findall(text):
        # A sentence may end behind it.
        name = path.rpartition("/")[0] if placeholder else path.rstrip(".")
        if not (ROOT / name).exists():
            yield f"{name}: does not exist"
        elif test and f"def {test}(" not in (ROOT / name).read_text():
            yield f"{name}: has no {test}"


def wrong_commands(text):
    for command in COMMAND.findall(text):
        verb, *words = shlex.split(command)
        own = words[: words.index("--")] if "--" in words else words
        if verb not in cli.VERBS:
            yield f"sysevent {verb}: no such verb"
            continue
        for flag in (word.partition("=")[0] for word in own if word.startswith("--")):
            # `sysevent test` passes everything on to pytest.
            if verb != "test" and flag not in flags(verb):
                yield f"sysevent {verb} {flag}: no such option"


def wrong_options(text):
    known = set.union(*map(flags, (*cli.VERBS, options.PYTEST))) | FOREIGN
    return [f"{flag}: no such option" for flag in OPTION_SPAN.findall(text) if flag not in known]


def wrong_claims(text):
    known = {claim.name for claim in catalogue.load()}
    return [f"{name}: no such claim" for name in CLAIM.findall(text) if name not in known]


def problems(text, folder):
    return [
        *broken_links(text, folder),
        *wrong_paths(text),
        *wrong_commands(text),
        *wrong_options(text),
        *wrong_claims(text),
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_what_is_named_exists(path):
    assert problems(path.read_text(), path.parent) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see [it](docs/none.md)", ["docs/none.md: does not exist"] * 2),
        ("see [it](README.md#none)", ["README.md#none: no such heading"]),
        ("# A-b, c `d`\nsee [it](#a-b-c-d), [that](#none)", ["#none: no such heading"]),
        ("`suites/psci/none.py`, tests/.", ["suites/psci/none.py: does not exist"]),
        ("guests/none/<arch>.c, suites/psci/test_<name>.py", ["guests/none: does not exist"]),
        ("tests/test_documents.py::test_none[x]", ["tests/test_documents.py: has no test_none"]),
        ("    ./sysevent ruin", ["sysevent ruin: no such verb"]),
        ("    sysevent run --taget x -- --collect", ["sysevent run --taget: no such option"]),
        ("`sysevent layout diff --padding --none`", ["sysevent layout --none: no such option"]),
        ("    echo | sysevent shell x --gdb", ["sysevent shell --gdb: no such option"]),
        ("    git bisect run sysevent bisect run --gdb", ["sysevent bisect --gdb: no such option"]),
        ("with `--taget NAME` or `--target NAME`", ["--taget: no such option"]),
        ("    arm64.psci.of   PASS\n    arm64.psci.off  ·", ["arm64.psci.of: no such claim"]),
    ],
)
def test_what_does_not_exist_is_noticed(text, found):
    assert problems(text, ROOT) == found


def test_the_table_of_packages_is_the_list_of_layers():
    """In the same order; only __main__ is in the list alone."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text.partition("| package | contents |\n|---|---|\n")[2].partition("\n\n")[0]
    *rows, lowest = [
        [name.removesuffix(".py") for name in re.findall(r"`([^`]*)`", line.split("|")[1])]
        for line in table.splitlines()
    ]
    assert rows == [list(layer) for layer in LAYERS if layer != ("__main__",)]
    assert sorted(lowest) == sorted(LOWEST_LAYER)
