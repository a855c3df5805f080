"""Builds the initramfs of a guest: its programs, and the kernel modules that it loads."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from sysevent.arches import Architecture
from sysevent.cache import Cache
from sysevent.digests import digest
from sysevent.errors import ImageError, NotCached, UsageError
from sysevent.images import compression
from sysevent.images.kernel import modules
from sysevent.images.kernel.modules import Module
from sysevent.images.rootfs import newc
from sysevent.model import KernelImage, Progress
from sysevent.settings import Settings

# Major and minor of /dev/console: Documentation/admin-guide/devices.txt.
_CONSOLE = (5, 1)
_MOUNT_POINTS = ("dev", "proc", "sys")
# Version of the cached files' format; part of their names.
_FORMAT = "2"


def build(
    kernel: KernelImage,
    arch: Architecture,
    files: Mapping[str, bytes],
    modules: Sequence[str],
    settings: Settings,
    progress: Progress,
) -> Path:
    """Return the path of an initramfs with these files, and with these modules and their dependencies.

    A module that the kernel does not have as a file counts as built in. Raises what kernel_modules() and pack() raise.
    """
    loaded = kernel_modules(kernel, arch, modules, settings, progress)
    return pack(files, loaded, Cache(settings.cache))


def pack(
    files: Mapping[str, bytes], loaded: Sequence[Module], cache: Cache, archives: Sequence[Path] = ()
) -> Path:
    """Return the path of an initramfs with these files and modules, and behind them what these archives hold.

    files is path in the guest -> content; all are executable. The modules are /modules/00-name.ko and so on, in
    the order in which they load. The archive is cached under the hash of its bytes, and is not compressed: a guest
    takes 10 ms per MB to unpack it either way. archives are sealed files of the cache, such as a kit's
    (kits/archive.py), which the kernel unpacks one after the other: without compression, because not every kernel knows
    gzip: those of images/kconfig/ would leave out the files.

    UsageError when two files have one path or a path is invalid, ImageError when an archive is damaged.
    """
    data = newc.archive(_entries(files, loaded)) + b"".join(_sealed(path, cache) for path in archives)
    path = cache.root / "initramfs" / f"{hashlib.sha256(data).hexdigest()}.cpio"
    if _contains(path, data):
        cache.touch(path)
    else:
        cache.write(path, data)
    return path


def _sealed(path: Path, cache: Cache) -> bytes:
    content = cache.content(path)
    if content is None:
        raise ImageError(
            f"{path} was damaged or removed while it was used: run the same command again, which makes it again"
        )
    if kind := compression.kind_of(content):
        content = compression.decompress(kind, content, str(path))
    # A cpio archive begins at a multiple of four bytes; init/initramfs.c skips the zeros.
    return content + bytes(-len(content) % 4)


def _contains(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def kernel_modules(
    kernel: KernelImage, arch: Architecture, wanted: Sequence[str], settings: Settings, progress: Progress
) -> tuple[Module, ...]:
    """Return the wanted modules of a kernel and their dependencies, decompressed, in load order.

    ImageError when one cannot be read or is for another kernel, UsageError when kernel.modules does not exist.
    """
    if kernel.modules is None or not wanted:
        return ()
    where = kernel.modules
    if where.is_dir():
        # A user's own build may change at any time, and a handful of modules is read quickly: not cached.
        found = modules.closure(wanted, modules.directory(where))
        modules.check(found, arch.elf_machine, kernel.release, str(where))
        return found
    if where != Cache(settings.cache).blob(where.name):
        raise UsageError(f"no modules in {where}: no such directory or package")
    return _from_package(kernel, where, arch, wanted, settings, progress)


def _from_package(
    kernel: KernelImage,
    package: Path,
    arch: Architecture,
    wanted: Sequence[str],
    settings: Settings,
    progress: Progress,
) -> tuple[Module, ...]:
    """Return modules out of a package. That takes seconds, so the result is cached."""
    names = sorted({modules.normal(name) for name in wanted}, key=[modules.normal(n) for n in wanted].index)
    key = hashlib.sha256("\0".join([_FORMAT, package.name, *names]).encode()).hexdigest()
    cache = Cache(settings.cache)
    path = cache.root / "modules" / f"{package.name[:16]}-{key[:32]}.bin"
    if (found := _cached_modules(path, cache)) is not None:
        return found
    what = f"modules of Linux {kernel.release} {arch.name}"
    with cache.lock(f"modules-{key[:32]}", what, progress):
        # Another process may have cached it in the meantime.
        if (found := _cached_modules(path, cache)) is not None:
            return found
        _require_intact(package, kernel, arch, settings, progress)
        progress(f"{what}: extracting {', '.join(names)} from the package")
        # Here: most runs find the modules in the cache.
        from sysevent.images.debian import deb

        with deb.modules(package, cache.scratch()) as files:
            found = modules.closure(names, files)
        modules.check(found, arch.elf_machine, kernel.release, str(package))
        cache.keep(path, msgspec.msgpack.encode(found))
        return found


def _cached_modules(path: Path, cache: Cache) -> tuple[Module, ...] | None:
    data = cache.content(path)
    return None if data is None else msgspec.msgpack.decode(data, type=tuple[Module, ...])


def _require_intact(
    package: Path, kernel: KernelImage, arch: Architecture, settings: Settings, progress: Progress
) -> None:
    """Fetch a package again if it is damaged or missing; NotCached if that is impossible offline."""
    with contextlib.suppress(OSError):
        if digest(package) == package.name:
            return
    # Here: most runs find the package as it was stored.
    from sysevent.images.kernel import resolve

    progress(f"{kernel.spec} {arch.name}: the package with its modules is damaged or missing in the cache")
    Cache(settings.cache).remove(package)
    again = resolve.find(kernel.spec, arch, settings, progress)
    if again.modules != package:
        raise ImageError(f"{kernel.spec} {arch.name} means another kernel by now: run the same command again")
    if not package.exists():
        raise NotCached(
            f"offline, and the package with the modules of {kernel.spec} is missing from the cache: run "
            f"`sysevent images fetch --kernel {kernel.spec} --arch {arch.name}` online"
        )


def _entries(files: Mapping[str, bytes], loaded: Sequence[Module]) -> list[newc.Entry]:
    programs = {path.strip("/"): data for path, data in files.items()}
    if len(programs) != len(files):
        raise UsageError(f"two files of a guest have the same path: {', '.join(sorted(files))}")
    contents = [newc.executable(path, data) for path, data in sorted(programs.items())]
    contents += [newc.plain(f"modules/{n:02}-{m.name}.ko", m.data) for n, m in enumerate(loaded)]
    parents = {str(p) for entry in contents for p in PurePosixPath(entry.path).parents} - {"."}
    # A directory must come before its content; sorted by name it does.
    directories = [newc.directory(path) for path in sorted(parents.union(_MOUNT_POINTS))]
    # The kernel opens /dev/console for init before anything is mounted (init/main.c, console_on_rootfs).
    return [*directories, newc.character_device("dev/console", *_CONSOLE), *contents]
