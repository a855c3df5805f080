"""Debian's archive as seen from here: every file checked against a signature before it is used.

InRelease (signed) -> Packages.xz (size and SHA-256 in InRelease) -> .deb (size and SHA-256 in Packages).
"""

from __future__ import annotations

import functools
import hashlib
import lzma
import re
import time
import urllib.parse
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from sysevent.cache import Cache, digest
from sysevent.errors import BadSignature, NotCached, UsageError
from sysevent.images.debian import apt, keyring, package_index, release_file
from sysevent.images.download import Downloader, Expected
from sysevent.model import Progress
from sysevent.settings import Settings

FRESH = timedelta(hours=24).total_seconds()  # how long an index is believed without asking the mirror again
_RELEASE_LIMIT = 4 << 20  # bytes; the largest InRelease (sid) has 0.2 MB


class Seen(msgspec.Struct, frozen=True):
    """The last release file that was fetched of a suite."""

    inrelease: str  # hash of the blob
    mirror: str
    checked: float  # Unix time


class Suite(msgspec.Struct, frozen=True):
    """A release file with where it came from."""

    release: release_file.Release
    inrelease: str
    checked: float


class Listing(msgspec.Struct, frozen=True):
    """Packages of one suite and architecture, and the hash of the index they stand in."""

    sha256: str
    packages: tuple[package_index.Package, ...]


class Archive(msgspec.Struct, frozen=True, dict=True):
    """Access to one archive. `hint` is the command that would fetch what is missing offline."""

    settings: Settings
    progress: Progress
    hint: str = "sysevent images fetch"
    patience: int = 4  # attempts at a download

    @functools.cached_property
    def cache(self) -> Cache:
        """Where everything is kept."""
        return Cache(self.settings.cache)

    @functools.cached_property
    def mirror(self) -> str:
        """Base URL without a slash at its end."""
        if self.settings.mirror is None:
            return apt.mirror()
        if urllib.parse.urlsplit(self.settings.mirror).scheme not in ("http", "https"):
            raise UsageError(
                f"--mirror takes the URL of a Debian mirror (http or https), not {self.settings.mirror}"
            )
        return self.settings.mirror.rstrip("/")

    @functools.cached_property
    def keyring(self) -> keyring.Keyring:
        """Who may sign."""
        return keyring.load(self.settings)

    @functools.cached_property
    def downloader(self) -> Downloader:
        """The way to the mirror."""
        proxies = apt.proxies(urllib.parse.urlsplit(self.mirror).hostname or "")
        return Downloader(self.progress, proxies, self.patience)

    def suite(self, name: str, *, refresh: bool = False) -> Suite:
        """The release file of a suite: the cached one while it is fresh, or when offline.

        Raises Gone when the mirror has no such suite, NotCached, DownloadFailed, BadSignature.
        """
        path = self.cache.root / "suites" / f"{name}.json"
        seen = self.cache.read(path, Seen)
        if seen is not None and not refresh:
            fresh = time.time() - seen.checked < FRESH and seen.mirror == self._origin
            if (fresh or self.settings.offline) and (known := self._cached(name, seen)):
                return known
        if self.settings.offline:
            raise NotCached(
                f"offline, and the index of Debian {name} is not in the cache: run `{self.hint}` online"
            )
        url = f"{self.mirror}/dists/{name}/InRelease"
        signed = self.downloader.fetch(url, f"Debian {name}: index", _RELEASE_LIMIT)
        fetched = release_file.parse(self.keyring.content(signed, url), name, url)
        old = self._cached(name, seen) if seen is not None and seen.mirror == self._origin else None
        if old and old.release.date and fetched.date and fetched.date < old.release.date:
            self.progress(
                f"Debian {name}: the mirror went back to an index of {fetched.date:%Y-%m-%d}; keeping ours"
            )
            inrelease, fetched = old.inrelease, old.release
        else:
            inrelease = self.cache.keep(signed)
        if fetched.valid_until and fetched.valid_until < datetime.now(UTC):
            # Not refused: an old kernel is still one that Debian signed, and archived suites stay so.
            self.progress(
                f"Debian {name}: the mirror is behind, its index expired on {fetched.valid_until:%Y-%m-%d}"
            )
        now = time.time()
        self.cache.record(path, Seen(inrelease, self._origin, now))
        return Suite(fetched, inrelease, now)

    def listing(
        self,
        suite: Suite,
        debian_arch: str,
        *,
        by_hash: bool,
        wanted: re.Pattern[bytes] = package_index.KERNELS,
    ) -> Listing | None:
        """The wanted packages of a suite; None when it has no such architecture.

        The index is asked for by its hash, where it stays when the mirror moves on, or by its plain name.
        Raises Gone when it is not there.
        """
        entry = suite.release.index(debian_arch)
        if entry is None:
            return None
        path, expected = entry
        name = f"dists/{suite.release.suite}/{path}"
        url = f"{name.rpartition('/')[0]}/by-hash/SHA256/{expected.sha256}"
        label = f"Debian {suite.release.suite} {debian_arch}: package index"
        blob = self.blob(url if by_hash and suite.release.by_hash else name, expected, label)
        return Listing(expected.sha256, parse_index(blob, name, wanted))

    def blob(self, path: str, expected: Expected, label: str) -> Path:
        """The file with this hash, checked just now, from the cache or from path on the mirror.

        Raises Gone when the mirror does not have it, NotCached, DownloadFailed, BadSignature.
        """
        target = self.cache.blob(expected.sha256)
        if self._intact(target, expected, label):
            return target
        if self.settings.offline:
            raise NotCached(f"offline, and {label} is not in the cache: run `{self.hint}` online")
        with self.cache.lock(f"blob-{expected.sha256[:32]}", label, self.progress):
            if self._intact(target, expected, label):  # another process was faster
                return target
            part = self.cache.part(expected.sha256)
            self.downloader.fetch_to(f"{self.mirror}/{urllib.parse.quote(path)}", part, expected, label)
            return self.cache.adopt(part, expected.sha256)

    def deb(self, package: package_index.Package, label: str) -> Path:
        """A package's file, likewise."""
        return self.blob(package.filename, Expected(package.size, package.sha256), f"{label}: {package.name}")

    def _intact(self, blob: Path, expected: Expected, label: str) -> bool:
        """Whether a blob is there and still what it was when it was stored; a damaged one is removed."""
        if not blob.exists():
            return False
        if digest(blob) == expected.sha256:
            return True
        self.progress(f"{label}: damaged in the cache, throwing it away")
        blob.unlink(missing_ok=True)
        return False

    @property
    def _origin(self) -> str:
        return self.settings.mirror or ""

    def _cached(self, name: str, seen: Seen) -> Suite | None:
        blob = self.cache.blob(seen.inrelease)
        try:
            signed = blob.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(signed).hexdigest() != seen.inrelease:
            blob.unlink(missing_ok=True)
            return None
        try:
            content = self.keyring.content(signed, f"InRelease of {name} (cached)")
        except BadSignature:
            if self.settings.offline:
                raise
            return None  # another keyring than when it was stored: the mirror's file must stand up to it
        return Suite(release_file.parse(content, name, name), seen.inrelease, seen.checked)


def parse_index(
    blob: Path, name: str, wanted: re.Pattern[bytes] = package_index.KERNELS
) -> tuple[package_index.Package, ...]:
    """The wanted packages in a Packages.xz; BadSignature (naming name) when it is not one."""
    try:
        return package_index.parse(lzma.decompress(blob.read_bytes()), name, wanted)
    except (lzma.LZMAError, EOFError) as error:
        raise BadSignature(f"{name}: {error}") from None
