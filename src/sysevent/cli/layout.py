"""sysevent layout: what KVM's headers mean in bytes. show, scan, diff."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from sysevent.arches import ABIS, ARCHITECTURES, Abi, abi, native, others
from sysevent.cli.run import say
from sysevent.decode.structs import Layout
from sysevent.errors import NotApplicable
from sysevent.headers import compiled, source
from sysevent.headers.compare import compare
from sysevent.headers.part import view
from sysevent.headers.scan import padding, scan
from sysevent.report import layout_text
from sysevent.report.drawing import Line, Look, StructView, draw
from sysevent.settings import Settings, from_environment

_STYLES = {
    Look.PLAIN: "",
    Look.SAME: "green",
    Look.OTHER: "bold red",
    Look.PADDING: "dim",
    Look.HEAD: "bold",
}
_SPEC = "debian:6.12 (or 6.12), tree:PATH, or machine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-verb each, with the options that all of them share."""
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument(
        "--abi",
        metavar="ABI",
        action="append",
        default=[],
        help=f"{', '.join(ABIS)} (repeatable; default: all of them, for show x86_64 and i386)",
    )
    common.add_argument("--json", action="store_true", help="for programs: everything, as JSON")
    common.add_argument("--mirror", metavar="URL", help="Debian mirror; by default this machine's")
    common.add_argument("--keyring", metavar="FILE", help="certificates that may sign Debian's release files")
    common.add_argument("--offline", action="store_true", help="use what is in the cache, never the network")
    verbs = parser.add_subparsers(dest="layout_verb", metavar="VERB", required=True)

    show = verbs.add_parser("show", help="draw a structure", parents=[common], allow_abbrev=False)
    show.add_argument(
        "struct",
        metavar="STRUCT",
        nargs="?",
        default="kvm_run.system_event",
        help="kvm_xen_exit, or a member that is a structure: kvm_run.system_event (the default)",
    )
    show.add_argument("--kernel", metavar="SPEC", default="debian:6.12", help=f"whose headers: {_SPEC}")

    find = verbs.add_parser("scan", help="structures that two ABIs lay out differently", parents=[common])
    find.add_argument("kernel", metavar="SPEC", nargs="*", default=["debian:6.12"], help=f"headers: {_SPEC}")
    find.add_argument("--padding", action="store_true", help="implicit padding, too")

    diff = verbs.add_parser("diff", help="what changed between two kernels", parents=[common])
    diff.add_argument("old", metavar="OLD", help=f"headers: {_SPEC}")
    diff.add_argument("new", metavar="NEW", help="likewise")


def run(args: argparse.Namespace) -> int:
    """Do what the sub-verb says."""
    settings = from_environment(mirror=args.mirror, keyring=args.keyring, offline=args.offline)
    return {"show": _show, "scan": _scan, "diff": _diff}[args.layout_verb](args, settings)


def _show(args: argparse.Namespace, settings: Settings) -> int:
    chosen = [abi(name) for name in args.abi or ("x86_64", "i386")]
    found = _layouts(args.kernel, chosen, settings)
    if not found:
        raise NotApplicable(f"{args.kernel} has no KVM headers for {', '.join(args.abi)}")
    views = {name: StructView(*view(layout, args.struct)) for name, layout in found.items()}
    if args.json:
        return _json({name: msgspec.to_builtins(drawn) for name, drawn in views.items()})
    _print([((f"{args.struct} in the headers of {args.kernel}", Look.HEAD),), *draw(views)])
    return 0


def _scan(args: argparse.Namespace, settings: Settings) -> int:
    """1 when a structure is read wrongly that src/sysevent/headers/translated.py does not know of."""
    chosen = [abi(name) for name in args.abi] or list(ABIS.values())
    report: list[layout_text.Scanned] = []
    for spec in args.kernel:
        for arch in ARCHITECTURES:
            foreign = [found for found in others(arch) if found in chosen]
            if not foreign:
                continue
            layouts = _layouts(spec, [native(arch), *foreign], settings)
            own = layouts.get(native(arch).name)
            if own is None:
                report += [layout_text.Scanned(spec, found, None, ()) for found in foreign]
                continue
            gaps = padding(own, {found.name: layouts[found.name] for found in foreign})
            report += [
                layout_text.Scanned(spec, found, scan(own, layouts[found.name], found), gaps)
                for found in foreign
            ]
    if args.json:
        _json([_scanned(entry) for entry in report])
    else:
        _print(layout_text.table(report) + layout_text.details(report, with_padding=args.padding))
    return 1 if any(entry.unknown for entry in report) else 0


def _scanned(entry: layout_text.Scanned) -> dict[str, Any]:
    """One scan for programs; how its ABI is compiled for is left out."""
    found = entry.userspace
    of = {"abi": {"name": found.name}, "arch": found.arch, "unreachable": found.unreachable}
    return {**msgspec.to_builtins(entry), "userspace": of}


def _diff(args: argparse.Namespace, settings: Settings) -> int:
    """1 when a binary built with the old headers would misread the new kernel, or has another number."""
    chosen = [abi(name) for name in args.abi] or list(ABIS.values())
    old, new = (_layouts(spec, chosen, settings) for spec in (args.old, args.new))
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


def _layouts(spec: str, chosen: list[Abi], settings: Settings) -> dict[str, Layout]:
    """The layout of each ABI; those whose architecture had no KVM in that kernel are told of and left out."""
    found: dict[str, Layout] = {}
    for arch in ARCHITECTURES.values():
        mine = [one for one in chosen if one.arch == arch.name]
        if not mine:
            continue
        try:
            found_headers = source.find(spec, arch, settings, say)
            found |= compiled.layouts(found_headers, mine, settings, say)
        except NotApplicable as error:
            say(f"{spec}, {arch.name}: {error}")
    return {one.name: found[one.name] for one in chosen if one.name in found}


def _json(value: Any) -> int:
    json.dump(value, sys.stdout, indent=1, sort_keys=False)
    print()
    return 0


def _print(lines: list[Line]) -> None:
    """Coloured on a terminal, plain where it is read by a program or a file."""
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        console.print(Text.assemble(*((piece, _STYLES[look]) for piece, look in line)))
