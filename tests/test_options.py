"""The table of options: it is complete and consistent, and every option is declared from it."""

import argparse
import ast
import subprocess
import sys
from collections import Counter

import pytest

from sysevent import cli, options
from sysevent.bench import peers
from sysevent.checkout import ROOT
from sysevent.prompt.verbs import add_arguments
from sysevent.report.renderers import RENDERERS
from sysevent.settings import from_options

SOURCES = sorted((ROOT / "src" / "sysevent").rglob("*.py"))
FORMATS = tuple(f"--{name}" for name in options.FORMATS)
# The calls that declare options, by file: the feeders of the table, and --version, which is argparse's own action.
FEEDERS = {"options.py": 2, "plugin/options.py": 1, "prompt/command_line.py": 1}
SUBVERBS = {f"{name} {below}" for name, verb in cli.VERBS.items() for below in verb.verbs}


def parsers(parser):
    """A parser and all parsers of its sub-verbs."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from parsers(sub)


def declarations(source):
    """How many calls in a Python source declare an option or argument."""
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    names = [call.attr for call in calls if isinstance(call, ast.Attribute)]
    return sum(name in ("add_argument", "addoption", "addini") for name in names)


def test_options_are_declared_from_the_table_only():
    found = {}
    for path in SOURCES:
        count = declarations(path.read_text(encoding="utf-8"))
        if count:
            found[str(path.relative_to(ROOT / "src" / "sysevent"))] = count
    assert found == FEEDERS


def test_declaration_by_hand_is_noticed():
    assert declarations('parser.add_argument("--more")\ngroup.addoption("--more")') == 2


def test_one_meaning_of_a_flag_in_a_verb():
    count = Counter((option.flag, verb) for option in options.OPTIONS for verb in option.uses)
    assert [key for key, times in count.items() if times > 1] == []


def test_verbs_exist():
    used = {verb for option in options.OPTIONS for verb in option.uses}
    assert used <= {*cli.VERBS, *SUBVERBS, options.PYTEST}


@pytest.mark.parametrize("verb", cli.VERBS)
def test_parser_has_what_the_table_says(verb):
    """And each parser of a sub-verb its own options beside the common ones."""
    top = argparse.ArgumentParser()
    add_arguments(top, verb)
    found = {flag for parser in parsers(top) for action in parser._actions for flag in action.option_strings}
    named = {
        spelling
        for option in options.OPTIONS
        for use in option.uses
        if use.partition(" ")[0] == verb and not option.positional
        for spelling in option.spellings
    }
    assert found - {"-h", "--help"} == named


def test_every_format_has_what_makes_it():
    assert [row.name for row in RENDERERS] == list(options.FORMATS)


@pytest.mark.parametrize("verb", options.GROUPS)
def test_groups_are_complete(verb):
    """An option without a heading would stand apart in --help."""
    grouped = [flag for flags in options.GROUPS[verb].values() for flag in flags]
    assert sorted(grouped) == sorted(option.flag for option in options.of(verb) if not option.positional)


def test_run_takes_what_pytest_takes():
    """In the same way, so that it can be handed on. --export hands on the formats, whose names other plugins use."""
    run, plugin = options.of("run"), options.of(options.PYTEST)
    assert [option for option in run if option not in plugin] == [
        option for option in run if option.flag in (*FORMATS, "--jobs", "--install-deps", "--repeat")
    ]
    assert [option for option in run if option in plugin] == plugin
    assert all(option.many("run") == option.many(options.PYTEST) for option in plugin)


def test_names_of_other_tables():
    """The table is below them and cannot import them."""
    rows = {(option.flag, verb): option for option in options.OPTIONS for verb in option.uses}
    assert rows["--compare", "bench"].choices == tuple(peers.PEERS)
    keep = rows["--keep", "run"]
    assert all(choice in keep.help for choice in keep.choices)


@pytest.mark.parametrize("option", options.OPTIONS, ids=lambda option: option.flag)
def test_help_is_one_sentence(option):
    """Lower case or a name first, without a full stop; the default and "repeatable" are added by the feeder."""
    for text in (option.help, *(use.help for use in option.uses.values() if use.help)):
        assert text == text.strip().removesuffix(".")
        assert "(repeatable" not in text
    assert option.kind == "flag" or option.choices or option.metavar


# What cannot change a verdict. A new option is repeated, unless it is added here with its reason.
NOT_REPEATED = {
    "--export": "a report on all tests of the run",
    "--kcidb-origin": "the same",
    "--on-end": "the same, of the run as a whole",
    "--results": "a new directory each time",
    "--keep": "what becomes of guests after the verdict",
    "--keep-for": "the same",
}


def parsed(verb, words):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    options.feed(parser, verb)
    return vars(parser.parse_args(words))


def sample(option):
    """A value of an option, as text that its parser takes and the shell would not."""
    fallback = option.choices[-1] if option.choices else "-it's [*]"
    return {"number": "7", "arch": "riscv64", "origin": "my_lab"}.get(option.kind, fallback)


def given(option):
    value = sample(option)
    words = [option.flag] if option.kind == "flag" else [f"{option.flag}={value}"]
    return words * (2 if option.many("run") else 1)


@pytest.mark.parametrize("option", options.of(options.PYTEST), ids=lambda option: option.flag)
def test_every_option_is_repeated(option):
    """By the command that runs one test again: run takes it, hands it on to pytest, and that has the same value."""
    values = parsed(options.PYTEST, given(option))
    words = options.spelled(values, lambda _, value: value, again=True)
    if option.flag in NOT_REPEATED:
        assert words == []
        return
    handed_on = options.spelled(parsed("run", words), lambda _, value: value)
    assert parsed(options.PYTEST, handed_on) == values != parsed(options.PYTEST, [])


def test_what_is_not_repeated_exists():
    assert {option.flag for option in options.OPTIONS if not option.again} == set(NOT_REPEATED)


def test_paths_are_placed():
    """A word that begins with a dash stays a value, and paths are made what the caller wants."""
    values = {"kernel": ["Image"], "build": "linux", "floor": "-1", "strict_observed": True, "modules": None}
    place = "/here/{}".format
    assert options.spelled(values, lambda _, value: place(value)) == [
        "--kernel=/here/Image",
        "--build=/here/linux",
        "--floor=-1",
        "--strict-observed",
    ]


def test_table_is_cheap_to_import():
    """It is imported by every verb and by the plugin."""
    code = (
        "import sys; from sysevent import options; print('argparse' in sys.modules, 'pytest' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


@pytest.fixture
def plain(monkeypatch):
    """An environment without settings."""
    for name in ("MIRROR", "KEYRING", "OFFLINE", "FRESH", "LOCKS", "CACHE"):
        monkeypatch.delenv(f"SYSEVENT_{name}", raising=False)


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({}, "snapshots", False),
        ({"fresh": False}, "snapshots", True),
        ({"fresh": True}, "snapshots", False),
        ({"mirror": "http://m.example.org"}, "mirror", "http://m.example.org"),
        ({"offline": True}, "offline", True),
        ({"gdb": True}, "debug", True),
        ({"keep": "never", "keep_for": 60}, "keep", 0),
        ({"keep": "failed", "keep_for": 60}, "keep", 60),
        ({"keep": "always", "keep_for": 0}, "keep", 1),
    ],
    ids=str,
)
def test_settings(given, field, value, plain):
    """An option that a verb does not have counts as not given."""
    assert getattr(from_options(given), field) == value
