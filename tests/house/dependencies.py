"""What is imported is declared in pyproject.toml, and what is declared there is used."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from house.source import imports, python_files


def undeclared_imports(root: Path, modules: Mapping[str, str]) -> list[str]:
    """Imports that neither Python nor this tree has, and pyproject.toml does not declare.

    Modules are the names under which distributions are imported, where they differ. src and suites may use the
    dependencies and the extras, tests also the development group, and the launcher, which runs before anything is
    installed, only what comes with Python.
    """
    runtime, development = _declared(root)
    known = sys.stdlib_module_names | {"sysevent"}
    for_source = known | {modules.get(distribution, distribution) for distribution in runtime}
    for_tests = for_source | {modules.get(distribution, distribution) for distribution in development}
    # The folder is on sys.path: pytest's `pythonpath`.
    tests = root / "tests"
    for_tests |= {path.relative_to(tests).with_suffix("").parts[0] for path in python_files(root, "tests")}
    scopes = [(path, for_source) for path in python_files(root, "src", "suites")]
    scopes += [(path, for_tests) for path in python_files(root, "tests")]
    scopes += [(path, known) for path in [root / "sysevent"] if path.is_file()]
    return [
        f"{path.relative_to(root)}:{line}: {base} is not declared in pyproject.toml"
        for path, allowed in scopes
        for line, base, _ in imports(path)
        if not base.startswith(".") and base.partition(".")[0] not in allowed
    ]


def unused_dependencies(
    root: Path, modules: Mapping[str, str], programs: Mapping[str, tuple[str, str]]
) -> list[str]:
    """Dependencies that pyproject.toml declares and that are neither imported nor run as programs.

    Those of the development group may be imported by tests only, the others must be imported by src or suites.
    Programs are distributions with the file that runs them, and the words in it that do. An entry of modules or
    programs that is not declared any more is a problem, too.
    """
    runtime, development = _declared(root)
    by_source = _imported(root, "src", "suites")
    by_tests = by_source | _imported(root, "tests")
    problems = []
    for distribution in sorted(runtime | development):
        if distribution in programs:
            name, words = programs[distribution]
            if not (root / name).is_file() or words not in (root / name).read_text(encoding="utf-8"):
                problems.append(f"{name}: does not run {distribution}: no {words!r} in it")
        elif modules.get(distribution, distribution) not in (
            by_source if distribution in runtime else by_tests
        ):
            problems.append(f"pyproject.toml: {distribution} is declared, and neither imported nor run")
    stale = sorted((modules.keys() | programs.keys()) - runtime - development)
    return problems + [f"pyproject.toml: {name} is not declared: take it off the list" for name in stale]


def _imported(root: Path, *folders: str) -> set[str]:
    """The first names of all imports below these folders."""
    return {base.partition(".")[0] for path in python_files(root, *folders) for _, base, _ in imports(path)}


def _declared(root: Path) -> tuple[set[str], set[str]]:
    """Distributions that pyproject.toml names: for those who run the suite (with the extras), and for development."""
    found = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    project = found["project"]
    runtime = [*project.get("dependencies", ())]
    for extra in project.get("optional-dependencies", {}).values():
        runtime += extra
    groups = found.get("dependency-groups", {}).values()
    # A group can include another one, which is a table there.
    development = [line for group in groups for line in group if isinstance(line, str)]
    return _distributions(runtime), _distributions(development)


def _distributions(requirements: Iterable[str]) -> set[str]:
    """The names at the beginning of requirements such as "pytest>=9.1,<10"."""
    return {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in requirements}
