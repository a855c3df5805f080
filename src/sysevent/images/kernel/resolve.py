"""Finds the kernel that a user names with --kernel: a file that QEMU boots, and its modules."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from sysevent.arches import ARCHITECTURES, Architecture
from sysevent.cache import Cache
from sysevent.errors import ImageError, UsageError, WrongArchitecture
from sysevent.images import tracks
from sysevent.images.debian.archive import Archive
from sysevent.images.debian.track_resolution import Resolution, resolve
from sysevent.images.download import Gone
from sysevent.images.kernel import bootfile, user_package
from sysevent.images.kernel.bootfile import FILE_MAX
from sysevent.images.kernel.mistakes import require_file, require_tree
from sysevent.images.tracks import Track
from sysevent.model import KernelImage, Progress
from sysevent.reading import read_file, read_start
from sysevent.settings import Settings


def find(
    spec: str,
    arch: Architecture,
    settings: Settings,
    progress: Progress,
    modules: Path | None = None,
    *,
    refresh: bool = False,
) -> KernelImage:
    """Return the kernel that spec names for an architecture, as files on this machine.

    spec is `debian:TRACK`, `debian:VERSION` (of a package, such as 6.12.94-1), `debian:PACKAGE` (its name),
    `tree:PATH` (a built kernel tree), or the path of an image, of a .deb, or of an unpacked package. Debian's kernels
    are downloaded when needed; their modules stay in the package, and KernelImage.modules is that package's file.
    modules is the directory of --modules, for a tree or an image.
    refresh: True asks the mirror what a track means even if it was asked within a day.

    Raises UsageError for an invalid spec, NotApplicable when Debian has no such kernel for the architecture,
    and ImageError or a subclass otherwise.
    """
    kind, colon, rest = spec.partition(":")
    if colon and kind == "debian":
        if modules is not None:
            raise UsageError(f"{spec} has its own modules: --modules goes with the path of a kernel image")
        known = tracks.load()
        # With a hyphen it is the whole version of a package, or its name.
        if "-" in rest and all(rest != track.name for track in known):
            return _published(rest, arch, settings, progress)
        return _debian(tracks.track(rest, known), arch, settings, progress, refresh=refresh)
    if modules is not None and not modules.is_dir():
        raise UsageError(f"--modules {modules}: no such directory")
    if colon and kind == "tree":
        return _tree(spec, Path(rest).expanduser(), arch, settings, modules)
    path = Path(spec).expanduser()
    require_file(spec, path)
    if path.is_dir():
        image = user_package.image(path, spec)
        return _file(spec, image, arch, settings, modules or user_package.modules(path, image), "")
    if user_package.is_deb(read_start(path, 8, FILE_MAX)):
        return _deb(spec, path, arch, settings, modules)
    return _file(spec, path, arch, settings, modules, "")


def _deb(spec: str, path: Path, arch: Architecture, settings: Settings, modules: Path | None) -> KernelImage:
    # Here: few runs name a package.
    from sysevent.images.debian import deb

    cache = Cache(settings.cache)
    package = user_package.stored(path, cache)
    image = cache.root / "unwrapped" / f"package-{package.name[:16]}" / "Image"
    if not cache.intact_hash(image):
        _store(image, deb.kernel_image(path), arch, cache)
    cache.touch(image)
    if modules is None and deb.has_modules(package):
        modules = package
    return _file(spec, image, arch, settings, modules, "", f"the kernel in {path}")


def _debian(
    track: Track, arch: Architecture, settings: Settings, progress: Progress, *, refresh: bool
) -> KernelImage:
    archive = Archive(settings, progress, f"sysevent images fetch --kernel {track.spec} --arch {arch.name}")
    resolution = resolve(track, arch, archive, refresh=refresh)
    try:
        return obtain(resolution, track, arch, archive)
    except Gone as error:
        # The mirror removed the package after it was asked for its index: there is a newer one.
        progress(f"{track.spec} {arch.name}: {error}; fetching the index again")
        return obtain(resolve(track, arch, archive, refresh=True), track, arch, archive)


def _published(wanted: str, arch: Architecture, settings: Settings, progress: Progress) -> KernelImage:
    """Return a kernel by the name or by the version of its package."""
    # Here: few runs name a version.
    from sysevent.images.debian import published

    archive = Archive(settings, progress)
    if wanted.startswith("linux-"):
        one = published.named(wanted, arch, archive)
    else:
        one = published.choose(published.all_kernels(arch, archive), wanted)
    track = Track(wanted, (one.suite,), {arch.name: (one.kernel.image.name,)})
    resolution = Resolution(
        track=wanted,
        arch=arch.name,
        rule=track.rule,
        mirror=settings.mirror or "",
        keyring=str(settings.keyring or ""),
        suite=one.suite,
        kernel=one.kernel,
        inrelease=one.inrelease,
        index=one.index,
        checked=0.0,
    )
    return obtain(resolution, track, arch, archive)


def obtain(resolution: Resolution, track: Track, arch: Architecture, archive: Archive) -> KernelImage:
    """Return the kernel of a resolution, downloaded and unpacked unless the cache has it.

    Raises Gone when the mirror has removed a package, and otherwise what Archive.deb() raises.
    """
    kernel, cache = resolution.kernel, archive.cache
    label = f"{track.spec} {arch.name}"
    image = image_path(kernel.release, kernel.image.sha256, cache)
    if not (sha256 := cache.intact_hash(image)):
        with cache.lock(f"kernel-{kernel.image.sha256[:32]}", label, archive.progress):
            if not (sha256 := cache.intact_hash(image)):
                # Here: most runs find the kernel in the cache.
                from sysevent.images.debian import deb

                package = archive.deb(kernel.image, label)
                archive.progress(f"{label}: unpacking Linux {kernel.release}")
                sha256 = _store(image, deb.kernel_image(package), arch, cache)
    modules = cache.blob(kernel.modules.sha256)
    # Offline, modules that were taken out of it before may do: see images/rootfs/initramfs.py.
    if not modules.exists() and not archive.settings.offline:
        archive.deb(kernel.modules, label)
    return KernelImage(track.spec, arch.name, kernel.release, kernel.image.version, image, modules, sha256)


def image_path(release: str, sha256: str, cache: Cache) -> Path:
    """Return the cache's path of the image from the package with this hash; the release is for people."""
    return cache.root / "kernels" / f"{release}-{sha256[:16]}" / "vmlinuz"


def _store(image: Path, data: bytes, arch: Architecture, cache: Cache) -> str:
    """Write a kernel image, decompressed if it can be, to the cache, and return its SHA-256."""
    found = bootfile.inspect(data, f"the kernel in {image.parent.name}")
    _check_arch(found, arch, image.parent.name)
    data = found.unwrapped or data
    cache.seal(image, data)
    return hashlib.sha256(data).hexdigest()


def _tree(spec: str, tree: Path, arch: Architecture, settings: Settings, modules: Path | None) -> KernelImage:
    require_tree(spec, tree)
    image = tree / arch.boot_image
    if not image.exists():
        images = (other.boot_image for other in ARCHITECTURES.values() if other is not arch)
        others = [built for built in images if (tree / built).exists()]
        if others:
            raise WrongArchitecture(
                f"{spec} was built for another architecture: it has {others[0]}, not {image.name}"
            )
        raise ImageError(f"{spec} is not built for {arch.name}: {arch.boot_image} is missing; run make there")
    try:
        release = (tree / "include" / "config" / "kernel.release").read_text(encoding="utf-8").strip()
    except OSError:
        release = ""
    if modules is None and (tree / "modules.order").exists():
        modules = tree
    return _file(spec, image, arch, settings, modules, release)


def _file(
    spec: str,
    path: Path,
    arch: Architecture,
    settings: Settings,
    modules: Path | None,
    release: str,
    name: str = "",
) -> KernelImage:
    """Return the kernel in a file. name: what messages call it; "": its path."""
    try:
        data = read_file(path, FILE_MAX)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from None
    found = bootfile.inspect(data, name or str(path))
    _check_arch(found, arch, name or str(path))
    image, sha256 = path.resolve(), hashlib.sha256(data).hexdigest()
    if found.unwrapped is not None:
        # QEMU before 8.2 cannot read zboot, and for riscv64 no version reads gzip: give it the plain image.
        cache = Cache(settings.cache)
        plain = cache.root / "unwrapped" / f"{found.release or 'image'}-{sha256[:16]}" / "Image"
        # Without a place to write to, boot_kernel() of vmlinux.py decompresses it for this run.
        with contextlib.suppress(ImageError):
            sha256 = cache.intact_hash(plain) or _store(plain, found.unwrapped, arch, cache)
            image = plain
            # prune() goes by the time of last use.
            cache.touch(image)
    return KernelImage(spec, arch.name, found.release or release, "", image, modules, sha256)


def _check_arch(found: bootfile.BootFile, arch: Architecture, name: str) -> None:
    if found.arch != arch.name:
        raise WrongArchitecture(f"{name} is a kernel for {found.arch} ({found.kind}), not for {arch.name}")
