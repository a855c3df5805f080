"""The source of a Debian kernel: the package linux-source-X.Y of exactly its version, of which a part is unpacked.

The package has one file, the source as a compressed tar (1.5 GB unpacked). Reading it takes 13 to 17 s.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sysevent.arches import ARCHITECTURES
from sysevent.errors import ImageError, NotApplicable, copy_of
from sysevent.images import compression, tracks
from sysevent.images.debian import deb, track_resolution
from sysevent.images.debian.archive import Archive
from sysevent.images.debian.package_index import Package
from sysevent.images.download import Gone, LengthMismatch

# Of the packages that hold a source; "linux-source" itself is empty, and depends on one.
_WANTED = re.compile(rb"^Package: linux-source-[0-9.]+$", re.MULTILINE)
_TAR = re.compile(r"(?:\./)?usr/src/linux-source-[0-9.]+\.tar\.xz")
# Bytes of the tar, and of one file of it that is unpacked. 7.2 has 1.7 GB; the largest generated header has 20 MB.
_SOURCE_MAX, _FILE_MAX = 8 << 30, 64 << 20
# The index that lists packages for all architectures, as every one does.
_ANY = "x86_64"


def unpacked(version: str, wanted: re.Pattern[str], archive: Archive) -> Path:
    """Return the directory with what is wanted of the source of a package's version, such as 6.12.117-1.

    wanted: matches the paths in the source, without the directory at its top. Only regular files are unpacked.
    NotApplicable when Debian has no source of that version any more; raises what the archive raises.
    """
    cache = archive.cache
    rule = hashlib.sha256(wanted.pattern.encode()).hexdigest()[:16]
    folder = cache.root / "sources" / f"{version.replace('~', '-')}-{rule}"
    if cache.is_intact(folder):
        cache.touch(folder)
        return folder
    label = f"source of Linux {version}"
    with cache.lock(f"source-{folder.name}", label, archive.progress):
        if not cache.is_intact(folder):
            blob = archive.deb(_package(version, archive), label)
            archive.progress(f"{label}: unpacking what is needed of it")
            _unpack(blob, folder, wanted)
            cache.seal_folder(folder)
            # 150 MB that nothing needs any more.
            cache.remove(blob)
    return folder


def _package(version: str, archive: Archive) -> Package:
    """Return the package of the source of a version, from the suites that the tracks name."""
    note = archive.cache.root / "sources" / f"{version}.json"
    if known := archive.cache.read(note, Package):
        return known
    gone: list[ImageError] = []
    found: list[Package] = []
    for name in _suites(version):
        try:
            _, listed = track_resolution.fetch_listing(
                name, ARCHITECTURES[_ANY], archive, refresh=False, wanted=_WANTED
            )
        except (Gone, LengthMismatch) as error:
            gone.append(error)
            continue
        found += listed.packages if listed else ()
        for package in found:
            if package.version == version:
                archive.cache.record(note, package)
                return package
    if not found and gone:
        raise copy_of(gone[0])
    versions = ", ".join(dict.fromkeys(package.version for package in found)) or "none"
    raise NotApplicable(
        f"Debian has no source of Linux {version} (it has {versions}): give a kernel tree with --tree DIR"
    )


def _suites(version: str) -> Sequence[str]:
    """Return the suites of all tracks, those of the track of this version first."""
    known = sorted(tracks.load(), key=lambda track: not version.startswith(f"{track.series}."))
    return list(dict.fromkeys(suite for track in known for suite in track.suites))


def _unpack(package: Path, folder: Path, wanted: re.Pattern[str]) -> None:
    """Unpack the source in a package into a folder, which is there with all of it, or not at all."""
    what = f"the source in {package}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".source-") as draft:
            with (
                deb.opened(package, _TAR) as packed,
                compression.Inflater("xz", packed, what, _SOURCE_MAX) as plain,
                tarfile.open(fileobj=plain, mode="r|", bufsize=1 << 18) as files,
            ):
                for member in files:
                    name = member.name.removeprefix("./").partition("/")[2]
                    if member.isreg() and wanted.fullmatch(name) and ".." not in name.split("/"):
                        _extract(files, member, Path(draft) / "source" / name)
            shutil.rmtree(folder, ignore_errors=True)
            (Path(draft) / "source").replace(folder)
    except tarfile.TarError as error:
        raise ImageError(f"{what} is damaged: {error}") from None
    except OSError as error:
        raise ImageError(f"{what} cannot be unpacked to {folder.parent}: {error.strerror or error}") from None


def _extract(files: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    file = files.extractfile(member)
    if member.size > _FILE_MAX or file is None:
        raise ImageError(f"{member.name} has {member.size} bytes; at most {_FILE_MAX} are unpacked")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(file.read())
    target.chmod(0o755 if member.mode & 0o100 else 0o644)
