"""Each rule of the source tree, on a small tree that breaks it."""

import re

import pytest

from house import dependencies, imports, raises, text

PROJECT = """\
[project]
dependencies = ["msgspec>=0.22", "pytest>=9"]
[dependency-groups]
dev = ["rich>=1"]
"""

ARCHES = "src/sysevent/arches.py"

# A small tree that keeps all rules.
TREE = {
    "pyproject.toml": PROJECT,
    "sysevent": '"""Launcher."""\nimport os\n',
    "src/sysevent/__init__.py": '"""Package."""\n',
    "src/sysevent/errors.py": '"""Errors."""\n',
    ARCHES: '"""Rows."""\nfrom sysevent import errors\n',
    "src/sysevent/qemu/__init__.py": '"""QEMU."""\nimport msgspec\nfrom sysevent.arches import x\n',
    "src/sysevent/cli/__init__.py": '"""Verbs."""\nfrom sysevent.qemu import argv\n',
    "src/sysevent/cli/run.py": '"""A verb."""\nfrom sysevent.cli import main\n',
    "suites/test_one.py": '"""Claims."""\nimport pytest\nfrom sysevent.arches import x\n',
    "tests/fakes.py": '"""Fakes."""\nimport rich\n',
    "tests/test_one.py": '"""Tests."""\nimport fakes\nfrom sysevent import cli\n',
    "tests/data/long.py": '"""Data."""\n' * 301,
}


@pytest.fixture
def tree(tmp_path):
    """tree(name, text): the root of TREE with that file added or replaced; tree(): of TREE itself."""

    def write(name="README.md", content=""):
        for path, lines in (TREE | {name: content}).items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(lines)
        return tmp_path

    return write


def rules(root):
    """All problems of a tree, without any exceptions."""
    return [
        *imports.upward_imports(root),
        *imports.import_cycles(root),
        *imports.foreign_imports(root),
        *dependencies.undeclared_imports(root, {}),
        *dependencies.unused_dependencies(root, {}, {}),
        *text.long_files(root, {}),
        *text.places(root),
        *text.docstrings(root),
        *text.hard_words(root, {}),
        *raises.stored_exceptions(root),
    ]


def test_a_tree_without_problems(tree):
    assert rules(tree()) == []


DOC = '"""Text."""\n'
HOME, REGISTRY = "/".join(("", "home", "jane", "linux")), ".".join(("pypi", "org"))


@pytest.mark.parametrize(
    ("name", "content", "problems"),
    [
        (
            "src/sysevent/qemu/argv.py",
            f"{DOC}from sysevent.cli.run import main\n",
            [
                "src/sysevent/qemu/argv.py:2: sysevent.qemu.argv must not import sysevent.cli.run, "
                "which is not below it",
                "src: modules import each other: sysevent.cli > sysevent.qemu.argv > sysevent.cli.run > sysevent.cli",
            ],
        ),
        (
            "src/sysevent/images.py",
            f"{DOC}def f():\n    from sysevent import cli\n",
            [
                "src/sysevent/images.py:3: sysevent.images must not import sysevent.cli, which is not below it",
            ],
        ),
        (
            "src/sysevent/images.py",
            f"{DOC}import importlib\nimportlib.import_module(f'sysevent.plugin.{{x}}')\n",
            [
                "src/sysevent/images.py:3: sysevent.images must not import sysevent.plugin, which is not below it"
            ],
        ),
        (
            "src/sysevent/bench.py",
            f"{DOC}import sysevent.bisect.step\n",
            [
                "src/sysevent/bench.py:2: sysevent.bench must not import sysevent.bisect.step, "
                "which is not below it",
            ],
        ),
        (
            "src/sysevent/errors.py",
            f"{DOC}from sysevent.arches import x\n",
            [
                "src/sysevent/errors.py:2: sysevent.errors must not import sysevent.arches, which is not below it",
                "src: modules import each other: sysevent.arches > sysevent.errors > sysevent.arches",
            ],
        ),
        (
            "src/sysevent/__init__.py",
            f"{DOC}from sysevent.errors import x\n",
            ["src/sysevent/__init__.py:2: sysevent must not import sysevent.errors, which is not below it"],
        ),
        (
            "src/sysevent/cli/stop.py",
            f"{DOC}from .run import main\n",
            ["src/sysevent/cli/stop.py:2: relative import"],
        ),
        (
            "src/sysevent/attic.py",
            DOC,
            ["src: sysevent.attic: package 'attic' is not in LAYERS (tests/house/imports.py)"],
        ),
        (
            "suites/test_one.py",
            f"{DOC}from sysevent import errors, hosts\nimport pytest, sysevent.engine.asker\n",
            [
                "suites/test_one.py:2: suites must not import sysevent.hosts",
                "suites/test_one.py:3: suites must not import sysevent.engine",
            ],
        ),
        (
            "src/sysevent/images.py",
            f"{DOC}from suites.psci import CLAIMS\n",
            [
                "src/sysevent/images.py:2: sysevent.images must not import suites.psci",
                "src/sysevent/images.py:2: suites.psci is not declared in pyproject.toml",
            ],
        ),
        (
            "src/sysevent/images.py",
            f"{DOC}import fakes, rich\n",
            [
                "src/sysevent/images.py:2: fakes is not declared in pyproject.toml",
                "src/sysevent/images.py:2: rich is not declared in pyproject.toml",
            ],
        ),
        (
            "tests/test_two.py",
            f"{DOC}def test():\n    import cryptography.x509\n",
            ["tests/test_two.py:3: cryptography.x509 is not declared in pyproject.toml"],
        ),
        ("sysevent", "import pytest\n", ["sysevent:1: pytest is not declared in pyproject.toml"]),
        (
            "tests/fakes.py",
            DOC,
            ["pyproject.toml: rich is declared, and neither imported nor run"],
        ),
        (
            "src/sysevent/qemu/__init__.py",
            DOC,
            ["pyproject.toml: msgspec is declared, and neither imported nor run"],
        ),
        ("guests/vmm/main.c", "\n" * 301, ["guests/vmm/main.c: 301 lines, 300 are allowed"]),
        ("docs/one.md", f"\nsee {HOME}\n", [f"docs/one.md:2: path of one machine: {HOME[:10]}"]),
        (
            "requirements.lock",
            f"--index-url https://{REGISTRY}/simple\n",
            [f"requirements.lock:1: host of a package registry: {REGISTRY}"],
        ),
        ("src/sysevent/images.py", "", ["src/sysevent/images.py: no docstring"]),
        (
            "src/sysevent/images.py",
            '"""Images\n\nSentence.\n"""\n',
            ["src/sysevent/images.py: the docstring's first paragraph ends without a period"],
        ),
        (
            "src/sysevent/images.py",
            f'{DOC}Nobody = 1\n# For whoever reads.\nx = """\nAnew"""\n',
            ["src/sysevent/images.py:3: 'whoever'", "src/sysevent/images.py:5: 'Anew'"],
        ),
        ("tests/test_two.py", f"{DOC}# Nobody.\n", ["tests/test_two.py:2: 'Nobody'"]),
        (
            "src/sysevent/images.py",
            f"{DOC}def f(self, n):\n    found = self.a[n]\n    raise found\n    raise self.b\n    raise self.c[n]\n"
            "    raise E(n)\n    raise m.E\n    raise n\n",
            [
                f"src/sysevent/images.py:{line}: raises a stored exception: raise errors.copy_of() of it"
                for line in (4, 5, 6)
            ],
        ),
        ("guests/vmm/main.c", "\n/* for whoever */\n", ["guests/vmm/main.c:2: 'whoever'"]),
    ],
    ids=lambda value: value if isinstance(value, str) and "\n" not in value else "",
)
def test_a_broken_rule(tree, name, content, problems):
    """The rules give these problems, and no other ones."""
    assert rules(tree(name, content)) == problems


def test_exceptions(tree):
    """What is allowed is not a problem, and what is allowed in vain is one."""
    upward = ("sysevent.arches", "sysevent.cli.run")
    root = tree(ARCHES, f"{DOC}import sysevent.cli.run\n# anew, anew\n" + "\n" * 300)
    assert imports.upward_imports(root, {upward}) == []
    assert text.long_files(root, {ARCHES: 303}) == []
    assert text.long_files(root, {ARCHES: 302}) != []
    assert text.hard_words(root, {ARCHES: 2}) == []
    assert len(text.hard_words(root, {ARCHES: 1})) == 2
    root = tree(ARCHES, DOC)
    assert imports.upward_imports(root, {upward}) == [
        "src: sysevent.arches does not import sysevent.cli.run any more: take it off the list"
    ]
    assert text.long_files(root, {ARCHES: 303, "gone.py": 400}) == [
        "gone.py: 300 lines or fewer: take it off the list",
        f"{ARCHES}: 300 lines or fewer: take it off the list",
    ]
    assert text.hard_words(root, {ARCHES: 2}) == [f"{ARCHES}: has none of these words: take it off the list"]


def test_layers_without_files(tree):
    """A package of the layers may be a folder or a module; one that is neither is a problem."""
    found = imports.absent_packages(tree())
    assert (
        "src: doctor is in the layers (tests/house/imports.py), and does not exist: take it off the list"
        in found
    )
    assert not [line for line in found if re.match("src: (arches|cli|qemu|errors) ", line)]


def test_programs(tree):
    """A dependency that is run counts as used while the file that runs it says so."""
    root = tree("tox.ini", "commands = rich check\n")
    (root / "tests" / "fakes.py").write_text(DOC)
    programs = {"rich": ("tox.ini", "rich check")}
    assert dependencies.unused_dependencies(root, {}, programs) == []
    assert dependencies.unused_dependencies(root, {"gone": "x"}, {"rich": ("tox.ini", "rich lint")}) == [
        "tox.ini: does not run rich: no 'rich lint' in it",
        "pyproject.toml: gone is not declared: take it off the list",
    ]
