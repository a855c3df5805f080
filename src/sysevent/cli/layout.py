"""sysevent layout: what KVM's headers mean in bytes. show, scan, diff."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from sysevent.arches import ABIS, ARCHITECTURES, Abi, Architecture, abi, native, others
from sysevent.cli import say
from sysevent.decode.structs import Layout
from sysevent.errors import BuildFailed, NotApplicable, copy_of
from sysevent.headers import compiled, resolve
from sysevent.headers.compare import compare
from sysevent.headers.lookup import lookup
from sysevent.headers.scan import padding, scan
from sysevent.report import layout_text
from sysevent.report.drawing import Line, Look, StructView, draw
from sysevent.settings import Settings, from_options
from sysevent.text import escape, first_line

_STYLES = {
    Look.PLAIN: "",
    Look.SAME: "green",
    Look.OTHER: "bold red",
    Look.PADDING: "dim",
    Look.HEAD: "bold",
}


def compile_layouts(
    spec: str, arch: Architecture, userspaces: Sequence[Abi], settings: Settings
) -> dict[str, Layout]:
    """The layout of each ABI by its name, compiled from a kernel's headers; NotApplicable if it has none for arch."""
    headers = resolve.find(spec, arch, settings, say)
    return compiled.layouts(headers, userspaces, settings, say)


Compile = Callable[[str, Architecture, Sequence[Abi], Settings], dict[str, Layout]]
"""What gives layouts: compile_layouts, or a fake with recorded ones."""
Layouts = Callable[[str, Sequence[Abi]], dict[str, Layout]]
"""The same without architecture and settings: for the ABIs of several architectures."""


def run(args: argparse.Namespace, compile_: Compile = compile_layouts) -> int:
    """Run the sub-verb; its exit code."""
    settings = from_options(vars(args))
    failed: list[BuildFailed] = []

    def layouts(spec: str, chosen: Sequence[Abi]) -> dict[str, Layout]:
        return _layouts(spec, chosen, settings, compile_, failed)

    code = {"show": _show, "scan": _scan, "diff": _diff}[args.layout_verb](args, layouts)
    return code or (1 if failed else 0)


def _show(args: argparse.Namespace, layouts: Layouts) -> int:
    chosen = [abi(name) for name in args.abi or ("x86_64", "i386")]
    found = layouts(args.kernel, chosen)
    if not found:
        raise NotApplicable(f"{args.kernel} has no KVM headers for {', '.join(args.abi)}")
    views = {name: StructView(*lookup(layout, args.struct)) for name, layout in found.items()}
    if args.json:
        return _json({name: msgspec.to_builtins(drawn) for name, drawn in views.items()})
    _print([((f"{args.struct} in the headers of {args.kernel}", Look.HEAD),), *draw(views)])
    return 0


def _scan(args: argparse.Namespace, layouts: Layouts) -> int:
    """1 if a structure is misread that src/sysevent/headers/compat.py does not list, else 0."""
    chosen = [abi(name) for name in args.abi] or list(ABIS.values())
    report: list[layout_text.Scanned] = []
    for spec in args.kernel:
        for arch in ARCHITECTURES:
            foreign = [found for found in others(arch) if found in chosen]
            if not foreign:
                continue
            known = layouts(spec, [native(arch), *foreign])
            own = known.get(native(arch).name)
            # One whose headers do not compile has been printed.
            foreign = [found for found in foreign if own is None or found.name in known]
            if own is None:
                report += [layout_text.Scanned(spec, found, None, ()) for found in foreign]
                continue
            gaps = padding(own, {found.name: known[found.name] for found in foreign})
            report += [
                layout_text.Scanned(spec, found, scan(own, known[found.name], found), gaps)
                for found in foreign
            ]
    if args.json:
        _json([_scanned(entry) for entry in report])
    else:
        _print(layout_text.table(report) + layout_text.details(report, with_padding=args.padding))
    return 1 if any(entry.unknown for entry in report) else 0


def _scanned(entry: layout_text.Scanned) -> dict[str, Any]:
    """One scan as data, without how its ABI is compiled for."""
    found = entry.userspace
    of = {"abi": {"name": found.name}, "arch": found.arch, "unreachable": found.unreachable}
    return {**msgspec.to_builtins(entry), "userspace": of}


def _diff(args: argparse.Namespace, layouts: Layouts) -> int:
    """1 if a binary built with the old headers would misread the new kernel or use another number, else 0."""
    chosen = [abi(name) for name in args.abi] or list(ABIS.values())
    old, new = (layouts(spec, chosen) for spec in (args.old, args.new))
    both = [found for found in chosen if found.name in old and found.name in new]
    if not both:
        raise NotApplicable(f"{args.old} and {args.new} have no KVM headers for {' or '.join(args.abi)}")
    compared = {found.name: compare(old[found.name], new[found.name], found) for found in both}
    if args.json:
        _json({name: msgspec.to_builtins(comparison) for name, comparison in compared.items()})
    else:
        lines: list[Line] = []
        for found in both:
            lines += layout_text.changes(args.old, args.new, found, compared[found.name])
        _print(lines)
    return 1 if any(one.breaks for one in compared.values()) else 0


def _layouts(
    spec: str,
    chosen: Sequence[Abi],
    settings: Settings,
    compile_: Compile,
    failed: list[BuildFailed],
) -> dict[str, Layout]:
    """The layout of each ABI, without those whose architecture had no KVM in that kernel, which are printed.

    An ABI for which the headers do not compile is left out, too: its error is printed, and appended to failed.
    BuildFailed if there is no other.
    """
    found: dict[str, Layout] = {}
    for arch in ARCHITECTURES.values():
        mine = [one for one in chosen if one.arch == arch.name]
        if not mine:
            continue
        try:
            found |= compile_(spec, arch, mine, settings)
        except NotApplicable as error:
            say(f"{spec}, {arch.name}: {error}")
        except BuildFailed:
            # One by one, because one of them must not take the others along.
            for one in mine:
                try:
                    found |= compile_(spec, arch, [one], settings)
                except BuildFailed as error:
                    failed.append(error)
                    say(f"{spec}, {one.name}: {first_line(str(error))}")
    if failed and not found:
        raise copy_of(failed[0])
    return {one.name: found[one.name] for one in chosen if one.name in found}


def _json(value: Any) -> int:
    json.dump(value, sys.stdout, indent=1, sort_keys=False)
    print()
    return 0


def _print(lines: list[Line]) -> None:
    """Print lines, in colour on a terminal and plain into a pipe or file."""
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        console.print(Text.assemble(*((escape(piece), _STYLES[look]) for piece, look in line)))
