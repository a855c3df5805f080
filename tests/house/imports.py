"""Which room of src/sysevent may import which: the layers, no cycles, and what claims may use."""

from __future__ import annotations

import graphlib
from collections.abc import Mapping, Set
from pathlib import Path

from house.source import imports, python_files

# The rooms of src/sysevent, from the top to the ground floor. Imports point down this list only: a room may use
# every room of a later row, and none of its own row or of an earlier one. Packages and modules are rooms alike.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    # One verb a file.
    ("cli",),
    # What pytest sees.
    ("plugin",),
    # What drives many runs.
    ("bisect", "bench", "explore", "sensitivity", "interactive"),
    # What this machine has for all of that.
    ("doctor",),
    # Records, and what is rendered from them.
    ("report",),
    # Claims and their judge.
    ("contract",),
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
    ("arches",),
)

# Modules that every room may use. They may use each other, without cycles.
GROUND_FLOOR = frozenset(
    (
        "cache",
        "checkout",
        "errors",
        "model",
        "process",
        "pytest_process",
        "settings",
        "text",
        "wire",
    )
)

# The rooms that claims in suites/ are made of.
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
    """Imports of src/sysevent that do not point down LAYERS, and rooms that are not in it.

    Relative imports are problems as well: the line does not show which room they mean. Allowed are pairs of a module
    and the module that it may import all the same.
    """
    rank = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}
    rank |= dict.fromkeys(GROUND_FLOOR, len(LAYERS))
    problems, unused = [], set(allowed)
    for module, uses in _uses(root).items():
        room = _room(module)
        if room and room not in rank:
            problems.append(f"src: {module}: room {room!r} is not in LAYERS (tests/house/imports.py)")
            continue
        for where, target in uses:
            if target.startswith("."):
                problems.append(f"{where}: relative import")
            elif not _points_down(room, _room(target), rank):
                if (module, target) not in allowed:
                    problems.append(f"{where}: {module} must not import {target}, which is not below it")
                unused.discard((module, target))
    stale = [f"src: {a} does not import {b} any more: take it off the list" for a, b in sorted(unused)]
    return problems + stale


def _room(module: str) -> str:
    """The room of a module of this project; "" for the package itself and for modules of others."""
    top, _, rest = module.partition(".")
    return rest.partition(".")[0] if top == "sysevent" else ""


def _points_down(room: str, other: str, rank: Mapping[str, int]) -> bool:
    """True if a room may import another one. A room that is not ranked is reported by itself, not by its users."""
    if other == room or other not in rank:
        return True
    if not room:
        # The package itself is imported before all of its modules, and imports none.
        return False
    return rank[room] < rank[other] or (room in GROUND_FLOOR and other in GROUND_FLOOR)


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
    """Imports of suites/ from rooms that are not for claims, and of src/ from suites/ or tests/."""
    problems = []
    for path in python_files(root, "suites"):
        for line, base, names in imports(path):
            rooms = names if base == "sysevent" else [room] if (room := _room(base)) else []
            problems += [
                f"{path.relative_to(root)}:{line}: suites must not import sysevent.{room}"
                for room in rooms
                if room not in CLAIMS_MAY_IMPORT
            ]
    for module, uses in _uses(root).items():
        problems += [
            f"{where}: {module} must not import {target}"
            for where, target in uses
            if target.split(".")[0] in ("suites", "tests")
        ]
    return problems
