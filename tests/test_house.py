"""This source tree keeps its rules; tests/house/test_rules.py shows each of them broken."""

from house import dependencies, imports, raises, text

from sysevent.checkout import ROOT

# Imports that point up all the same. This list can only shrink.
UPWARD: frozenset[tuple[str, str]] = frozenset()

# Longer files than the rule allows, with the lines that they have. This list can only shrink.
LONG: dict[str, int] = {}

# Hard words by file: the rule names them, and its tests break it. This list can only shrink.
HARD: dict[str, int] = {"tests/house/text.py": 4, "tests/house/test_rules.py": 10}

# Distributions whose module has another name.
MODULES = {
    "kcidb-io": "kcidb_io",
    "pyelftools": "elftools",
    "pytest-xdist": "xdist",
    "python-debian": "debian",
    "tree-sitter": "tree_sitter",
    "tree-sitter-c": "tree_sitter_c",
}

# Distributions that are not imported but run: the file that does, and the words there.
PROGRAMS = {
    # `python -m ziglang cc` compiles VMMs and payloads.
    "ziglang": ("src/sysevent/build/compiler.py", '"ziglang",'),
    "labgrid": ("src/sysevent/targets/leases/client.py", "labgrid-client"),
    # `sysevent bench --compare` starts vng and tuxrun.
    "virtme-ng": ("src/sysevent/bench/peers.py", '"vng"'),
    "tuxrun": ("src/sysevent/bench/peers.py", '"tuxrun"'),
    "clang-format": ("tox.ini", "clang-format --dry-run"),
    "mypy": ("tox.ini", "commands = mypy"),
    "reuse": ("tox.ini", "reuse lint"),
    "ruff": ("tox.ini", "ruff check"),
    "tox": (".ci/run", "tox/bin/tox"),
    "mkdocs": ("tests/docs/test_site.py", '"mkdocs", "build"'),
    "mkdocs-material": ("mkdocs.yml", "name: material"),
}


def test_imports_point_down():
    assert imports.upward_imports(ROOT, UPWARD) == []


def test_every_package_of_the_layers_exists():
    assert imports.absent_packages(ROOT) == []


def test_modules_do_not_import_each_other():
    assert imports.import_cycles(ROOT) == []


def test_suites_and_the_engine_are_apart():
    """Claims use few packages, and src uses neither claims nor tests."""
    assert imports.foreign_imports(ROOT) == []


def test_imports_are_declared():
    assert dependencies.undeclared_imports(ROOT, MODULES) == []


def test_dependencies_are_used():
    assert dependencies.unused_dependencies(ROOT, MODULES, PROGRAMS) == []


def test_files_are_short():
    assert text.long_files(ROOT, LONG) == []


def test_no_developer_s_paths_and_no_registry_s_hosts():
    assert text.places(ROOT) == []


def test_modules_have_docstrings():
    assert text.docstrings(ROOT) == []


def test_no_hard_words():
    assert text.hard_words(ROOT, HARD) == []


def test_no_stored_exception_is_raised():
    assert raises.stored_exceptions(ROOT) == []
