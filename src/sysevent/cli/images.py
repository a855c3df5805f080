"""sysevent images: the kernels that guests boot, and the VMMs for them. list, fetch, verify, prune."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sysevent.arches import ARCHITECTURES, CHANNEL_MODULES, Architecture, architecture
from sysevent.cache import Cache
from sysevent.cli import show
from sysevent.errors import ImageError, NotApplicable, UsageError, copy_of
from sysevent.hosts.qemu.snapshots import Snapshots
from sysevent.images import inventory, tracks
from sysevent.images.debian import keyring
from sysevent.images.kernel import resolve
from sysevent.images.rootfs import initramfs, kits
from sysevent.images.tracks import Track
from sysevent.model import Progress
from sysevent.settings import Settings, from_options
from sysevent.text import escape as as_text
from sysevent.text import printable

# Matches a line of progress that the next one replaces.
_BYTES_SO_FAR = re.compile(r"[\d.]+ of [\d.]+ MB$")


def run(args: argparse.Namespace) -> int:
    """Run the sub-verb; its exit code."""
    return _VERBS[args.images_verb](args, from_options(vars(args)))


def _list(args: argparse.Namespace, settings: Settings) -> int:
    lines = [("kernel", "arch", "state", "version", "suite", "size", "asked")]
    for row in inventory.track_states(_tracks(args), _archs(args), settings):
        size = f"{row.size / 1e6:.0f} MB" if row.size else ""
        if row.state == "none":
            lines.append((row.track.spec, row.arch, "-", "not in Debian", "", "", ""))
        else:
            lines.append((row.track.spec, row.arch, row.state, row.version, row.suite, size, _ago(row.age)))
    for kit in [] if args.kernel else kits.all_stored(Cache(settings.cache)):
        if not args.arch or kit.arch in args.arch:
            size = f"{kit.compressed / 1e6:.0f} MB"
            lines.append((kit.name, kit.arch, "cached", kit.version, kit.origin, size, ""))
    console = Console()
    if console.is_terminal:
        table = Table(*lines[0], box=None, padding=(0, 1, 0, 0), header_style="bold")
        for line in lines[1:]:
            table.add_row(*(escape(printable(word)) for word in line), style="dim" if line[2] == "-" else "")
        console.print(table)
        return 0
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        show("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())
    return 0


def _fetch(args: argparse.Namespace, settings: Settings) -> int:
    if settings.keyring is not None:
        # One line, instead of one for each kernel whose index must be verified.
        keyring.load(settings)
    if wanted := kits.wanted(args.vmm or (), args.kvmtool):
        if args.kernel:
            raise UsageError("images fetch takes --kernel, or --vmm and --kvmtool, and not both")
        for spec in wanted:
            _fetch_kit(spec, args, settings)
        return 0
    return _fetch_kernels(args, settings)


def _fetch_kernels(args: argparse.Namespace, settings: Settings) -> int:
    chosen = [(track, arch) for track in _tracks(args) for arch in _archs(args)]
    failed: list[ImageError] = []
    for track, arch in chosen:
        refresh = args.refresh or (not settings.offline and inventory.lacks_files(track, arch, settings))
        try:
            with _progress() as progress:
                kernel = resolve.find(track.spec, arch, settings, progress, refresh=refresh)
                # As a run asks for them, so that they are cached under the same name.
                modules = [*CHANNEL_MODULES, *arch.kvm_modules]
                initramfs.kernel_modules(kernel, arch, modules, settings, progress)
        except NotApplicable:
            if args.kernel and args.arch:
                raise
            # Without --kernel or --arch, what does not exist is not meant.
            continue
        except ImageError as error:
            # The other kernels can still be fetched.
            if len(chosen) == 1:
                raise
            print(as_text(f"{track.spec} {arch.name}: {error}"), file=sys.stderr)
            failed.append(error)
        else:
            show(f"{track.spec} {arch.name}: Linux {kernel.release} ({kernel.version})")
    if failed:
        raise ImageError(
            f"{len(failed)} of {len(chosen)} kernels could not be fetched; the first: {failed[0]}"
        )
    return 0


def _fetch_kit(spec: str, args: argparse.Namespace, settings: Settings) -> None:
    """Make the kits of a VMM. That it cannot be had for an architecture is an error if it is so for all."""
    refused: list[NotApplicable] = []
    for arch in _archs(args):
        try:
            with _progress() as progress:
                kit = kits.kit(spec, arch, settings, progress)
        except NotApplicable as error:
            refused.append(error)
        else:
            sizes = f"{kit.size / 1e6:.0f} MB, compressed {kit.compressed / 1e6:.0f} MB"
            show(f"{kit.name} {kit.arch}: {kit.version}, {kit.libraries} libraries, {sizes}")
    if len(refused) == len(_archs(args)):
        raise copy_of(refused[0])
    for reason in dict.fromkeys(map(str, refused)):
        print(as_text(reason), file=sys.stderr)


def _verify(args: argparse.Namespace, settings: Settings) -> int:
    with _progress(brief=True) as progress:
        damaged = Snapshots(settings.cache).discard_damaged(progress)
        found = [inventory.Damage(path, inventory.DAMAGED, removed=not path.exists()) for path in damaged]
        found += inventory.verify(settings, progress)
    for damage in found:
        fate = "removed; it is made or fetched again when it is needed" if damage.removed else "kept"
        show(f"{damage.path}: {damage.problem} ({fate})")
    if not found:
        show(f"every file in {settings.cache} is as signed")
    return 1 if found else 0


def _prune(args: argparse.Namespace, settings: Settings) -> int:
    if args.arch or args.kernel:
        raise UsageError(
            "prune removes what no track refers to any more: it takes neither --arch nor --kernel"
        )
    pruned = inventory.prune(settings, list(ARCHITECTURES.values()))
    snapshots, size = Snapshots(settings.cache).prune(unused=inventory.UNUSED)
    print(f"removed {pruned.files + snapshots} files, {(pruned.size + size) / 1e6:.0f} MB")
    return 0


_VERBS: dict[str, Callable[[argparse.Namespace, Settings], int]] = {
    "list": _list,
    "fetch": _fetch,
    "verify": _verify,
    "prune": _prune,
}


def _tracks(args: argparse.Namespace) -> Sequence[Track]:
    return [row for row in tracks.load() if not args.kernel or row.spec in args.kernel]


def _archs(args: argparse.Namespace) -> Sequence[Architecture]:
    return [architecture(name) for name in args.arch] or list(ARCHITECTURES.values())


def _ago(age: float | None) -> str:
    if age is None:
        return ""
    for seconds, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if age >= 2 * seconds:
            return f"{age // seconds:.0f} {unit} ago"
    return "just now"


@contextlib.contextmanager
def _progress(*, brief: bool = False) -> Iterator[Progress]:
    """Where progress goes: one changing line on a terminal, else lines on stderr.

    On a terminal every line but a count of bytes stays visible. brief: none stays, and stderr gets none.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield (
            (lambda line: None) if brief else (lambda line: print(as_text(line), file=sys.stderr, flush=True))
        )
        return
    with console.status("") as status:

        def tell(line: str) -> None:
            if not brief and not _BYTES_SO_FAR.search(line):
                console.print(escape(as_text(line)), style="dim", highlight=False)
            status.update(escape(as_text(line)))

        yield tell
