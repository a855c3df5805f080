"""Which package of src/sysevent may import which: the layers, no cycles, and what claims may use."""

from __future__ import annotations

import graphlib
from collections.abc import Mapping, Set
from pathlib import Path

from house.source import imports, python_files

# The packages of src/sysevent, one layer a row, from the top to the bottom. Imports point down this list only: a
# package may use every package of a later row, and none of its own row or of an earlier one. A module beside the
# packages, such as options.py, counts as one.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    # One verb a file.
    ("cli",),
    # The command line before a verb runs.
    ("prompt",),
    # What pytest sees.
    ("plugin",),
    # What drives many runs.
    ("bisect", "bench", "explore", "sensitivity", "interactive"),
    # Test programs of others in the same guests.
    ("peers",),
    # What this machine has for all of that.
    ("doctor",),
    # Records, and what is rendered from them.
    ("report",),
    # Claims and their judge.
    ("contract",),
    # The contract as a model that can be executed.
    ("conformance",),
    # Conversations with guests.
    ("engine",),
    # Steps to bytes, bytes to observations.
    ("scenario",),
    # What KVM's headers mean to each ABI.
    ("headers",),
    ("hosts",),
    ("images",),
    ("targets",),
    ("build",),
    ("qemu",),
    # Bytes to events.
    ("decode",),
    # Numbers.
    ("abi",),
    # The command line, as data. Its help names the architectures.
    ("options",),
    ("option_values",),
    ("option_table",),
    ("arches",),
)

# The lowest layer: modules that every package may use. They may use each other, without cycles.
LOWEST_LAYER = frozenset(
    (
        "cache",
        "capped_log",
        "digests",
        "digests_ahead",
        "checkout",
        "errors",
        "interrupts",
        "framing",
        "model",
        "nearest",
        "process",
        "pytest_process",
        "reading",
        "remembered",
        "settings",
        "standard_streams",
        "text",
        "tool_paths",
        "tracebacks",
        "wire",
    )
)

# The packages that claims in suites/ are made of.
CLAIMS_MAY_IMPORT = frozenset(("abi", "arches", "contract", "decode", "errors", "model", "scenario"))


def _module(root: Path, path: Path) -> str:
    """The dotted name of a file below root: sysevent.qemu for sysevent/qemu/__init__.py."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _uses(root: Path) -> dict[str, list[tuple[str, str]]]:
    """The modules of this project that each module below src imports: (path:line, module). The nearest name counts."""
    source = root / "src"
    paths = {_module(source, path): path for path in python_files(root, "src")}
    found: dict[str, list[tuple[str, str]]] = {}
    for module, path in paths.items():
        uses = found[module] = []
        for line, base, names in imports(path):
            where = f"{path.relative_to(root)}:{line}"
            # `from package import x` may mean a module or a name in the package.
            for target in [f"{base}.{name}" for name in names] or [base]:
                uses.append((where, target if target in paths else base))
    return found


def upward_imports(root: Path, allowed: Set[tuple[str, str]] = frozenset()) -> list[str]:
    """Imports of src/sysevent that do not point down LAYERS, and packages that are not in it.

    Relative imports are problems as well: the line does not show which package they mean. Allowed are pairs of a module
    and the module that it may import all the same.
    """
    rank = {package: number for number, layer in enumerate(LAYERS) for package in layer}
    rank |= dict.fromkeys(LOWEST_LAYER, len(LAYERS))
    problems, unused = [], set(allowed)
    for module, uses in _uses(root).items():
        package = _package(module)
        if package and package not in rank:
            problems.append(f"src: {module}: package {package!r} is not in LAYERS (tests/house/imports.py)")
            continue
        for where, target in uses:
            if target.startswith("."):
                problems.append(f"{where}: relative import")
            elif not _points_down(package, _package(target), rank):
                if (module, target) not in allowed:
                    problems.append(f"{where}: {module} must not import {target}, which is not below it")
                unused.discard((module, target))
    stale = [f"src: {a} does not import {b} any more: take it off the list" for a, b in sorted(unused)]
    return problems + stale


def absent_packages(root: Path) -> list[str]:
    """Packages of LAYERS and modules of LOWEST_LAYER that src/sysevent does not have."""
    source = root / "src" / "sysevent"
    return [
        f"src: {name} is in the layers (tests/house/imports.py), and does not exist: take it off the list"
        for name in (*(name for layer in LAYERS for name in layer), *sorted(LOWEST_LAYER))
        if not (source / name / "__init__.py").is_file() and not (source / f"{name}.py").is_file()
    ]


def _package(module: str) -> str:
    """The package of a module of this project; "" for `sysevent` itself and for modules of others."""
    top, _, rest = module.partition(".")
    return rest.partition(".")[0] if top == "sysevent" else ""


def _points_down(package: str, other: str, rank: Mapping[str, int]) -> bool:
    """True if a package may import another one. One without a rank is reported by itself, not by its users."""
    if other == package or other not in rank:
        return True
    if not package:
        # `sysevent` itself is imported before all of its modules, and imports none.
        return False
    return rank[package] < rank[other] or (package in LOWEST_LAYER and other in LOWEST_LAYER)


def import_cycles(root: Path) -> list[str]:
    """A cycle of modules below src, of which each imports the next one; none if there is no cycle."""
    graph = {
        module: {target for _, target in uses if target != module} for module, uses in _uses(root).items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        # The sorter knows who is imported by whom: read backwards, each imports the next.
        return [f"src: modules import each other: {' > '.join(reversed(error.args[1]))}"]
    return []


def foreign_imports(root: Path) -> list[str]:
    """Imports of suites/ from packages that are not for claims, and of src/ from suites/ or tests/."""
    problems = []
    for path in python_files(root, "suites"):
        for line, base, names in imports(path):
            packages = names if base == "sysevent" else [package] if (package := _package(base)) else []
            problems += [
                f"{path.relative_to(root)}:{line}: suites must not import sysevent.{package}"
                for package in packages
                if package not in CLAIMS_MAY_IMPORT
            ]
    for module, uses in _uses(root).items():
        problems += [
            f"{where}: {module} must not import {target}"
            for where, target in uses
            if target.split(".")[0] in ("suites", "tests")
        ]
    return problems
