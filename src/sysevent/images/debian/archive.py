"""Access to Debian's archive: every file is verified against a signature before it is used.

InRelease (signed) -> Packages.xz (size and SHA-256 in InRelease) -> .deb (size and SHA-256 in Packages).
"""

from __future__ import annotations

import functools
import hashlib
import re
import time
import urllib.parse
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from sysevent import option_values
from sysevent.cache import Cache
from sysevent.digests import digest
from sysevent.errors import BadSignature, ImageError, NotCached
from sysevent.images import compression
from sysevent.images.debian import keyring, own_mirror, package_index, release_file
from sysevent.images.debian.apt import shown
from sysevent.images.debian.apt_helper import AptHelper
from sysevent.images.debian.catalogue import Catalogue
from sysevent.images.debian.release_file import ReleaseFile
from sysevent.images.download import Downloader, Expected
from sysevent.model import Progress
from sysevent.settings import Settings

# Seconds for which an index is used without asking the mirror again.
FRESH = timedelta(hours=24).total_seconds()
# Bytes; the largest InRelease (sid) has 0.2 MB.
_RELEASE_LIMIT = 4 << 20


class LastFetch(msgspec.Struct, frozen=True):
    """When, and from where, a suite's release file was fetched last."""

    # Hash of the blob.
    inrelease: str
    # As the settings had it; "" for the mirror in this machine's apt configuration.
    mirror: str
    # Unix time.
    checked: float


class Suite(msgspec.Struct, frozen=True):
    """A suite's verified release file."""

    release_file: ReleaseFile
    # Hash of the blob.
    inrelease: str
    # Unix time at which the mirror was asked for it.
    checked: float


class Listing(msgspec.Struct, frozen=True):
    """Packages of one suite and architecture, and the hash of the index that lists them."""

    sha256: str
    packages: tuple[package_index.Package, ...]


class Archive(msgspec.Struct, frozen=True, dict=True):
    """Access to one archive, through the cache."""

    settings: Settings
    progress: Progress
    # The command that fetches a missing file, for messages of offline runs.
    hint: str = "sysevent images fetch"
    # Attempts at each download.
    attempts: int = 4

    @functools.cached_property
    def cache(self) -> Cache:
        """The cache of the settings."""
        return Cache(self.settings.cache)

    @property
    def mirror(self) -> str:
        """The mirror's base URL, without a slash at its end, and without a password."""
        return shown(self._with_password)

    @functools.cached_property
    def _with_password(self) -> str:
        """The mirror's base URL as it was given; UsageError for one that HTTP cannot fetch from."""
        if self.settings.mirror is None:
            return own_mirror.find(self.keyring, self.progress)
        return option_values.mirror(self.settings.mirror)

    @functools.cached_property
    def keyring(self) -> keyring.AnyKeyring:
        """The certificates that may sign release files; ImageError when there are none."""
        return keyring.load(self.settings)

    @functools.cached_property
    def downloader(self) -> Downloader | AptHelper:
        """The downloader for this mirror: with its proxies, or apt's own."""
        return own_mirror.downloader(self._with_password, self.progress, self.attempts)

    def suite(self, name: str, *, refresh: bool = False) -> Suite:
        """Return the release file of a suite: the cached one if it is fresh, or if the settings are offline.

        refresh: True asks the mirror even if the cached one is fresh.
        Raises Gone when the mirror has no such suite, NotCached, DownloadFailed, BadSignature.
        """
        path = self.cache.root / "suites" / f"{name}.json"
        last = self.cache.read(path, LastFetch)
        if last is not None and not refresh:
            fresh = time.time() - last.checked < FRESH and last.mirror == self._origin
            if (fresh or self.settings.offline) and (known := self._cached(name, last)):
                return known
        if self.settings.offline:
            raise NotCached(
                f"offline, and the index of Debian {name} is not in the cache: run `{self.hint}` online"
            )
        url = f"{self.mirror}/dists/{name}/InRelease"
        signed = self.downloader.fetch(url, f"Debian {name}: index", _RELEASE_LIMIT)
        fetched = release_file.parse(self.keyring.content(signed, url), name, url)
        old = self._cached(name, last) if last is not None and last.mirror == self._origin else None
        if old and old.release_file.date and fetched.date and fetched.date < old.release_file.date:
            self.progress(
                f"Debian {name}: the mirror went back to an index of {fetched.date:%Y-%m-%d}; keeping the cached one"
            )
            inrelease, fetched = old.inrelease, old.release_file
        else:
            inrelease = self.cache.store(signed)
        if fetched.valid_until and fetched.valid_until < datetime.now(UTC):
            # An expired index is used: Debian signed its kernels all the same, and archived suites stay expired.
            self.progress(
                f"Debian {name}: the mirror is out of date, its index expired on {fetched.valid_until:%Y-%m-%d}"
            )
        now = time.time()
        self.cache.record(path, LastFetch(inrelease, self._origin, now))
        return Suite(fetched, inrelease, now)

    def listing(
        self,
        suite: Suite,
        debian_arch: str,
        *,
        by_hash: bool,
        wanted: re.Pattern[bytes] = package_index.KERNELS,
    ) -> Listing | None:
        """Return the packages of a suite whose names match wanted; None if it has no such architecture.

        by_hash: True fetches the index under its hash, where mirrors keep older ones for a while; False under
        its plain name. Raises Gone when the mirror does not have it there, and otherwise what blob() raises.
        """
        blob = self.index(suite, debian_arch, by_hash=by_hash)
        if blob is None:
            return None
        return Listing(blob.name, parse_index(blob, _index_name(suite, debian_arch), wanted))

    def catalogue(self, suite: Suite, debian_arch: str, *, by_hash: bool) -> Catalogue | None:
        """Return all packages of a suite; None if it has no such architecture. Raises as listing() does."""
        blob = self.index(suite, debian_arch, by_hash=by_hash)
        name = _index_name(suite, debian_arch)
        return None if blob is None else Catalogue(_content_of_index(blob, name), name)

    def index(self, suite: Suite, debian_arch: str, *, by_hash: bool) -> Path | None:
        """Return the compressed package index of a suite, a file with its hash for a name; as listing()."""
        entry = suite.release_file.index(debian_arch)
        if entry is None:
            return None
        path, expected = entry
        name = f"dists/{suite.release_file.suite}/{path}"
        url = f"{name.rpartition('/')[0]}/by-hash/SHA256/{expected.sha256}"
        label = f"Debian {suite.release_file.suite} {debian_arch}: package index"
        return self.blob(url if by_hash and suite.release_file.by_hash else name, expected, label)

    def blob(self, path: str, expected: Expected, label: str) -> Path:
        """Return the file with this hash, verified again, from the cache or from path on the mirror.

        Raises Gone when the mirror does not have it, NotCached, DownloadFailed, BadSignature.
        """
        target = self.cache.blob(expected.sha256)
        if self._intact(target, expected, label):
            return target
        if self.settings.offline:
            raise NotCached(f"offline, and {label} is not in the cache: run `{self.hint}` online")
        with self.cache.lock(f"blob-{expected.sha256[:32]}", label, self.progress):
            # Another process may have fetched it in the meantime.
            if self._intact(target, expected, label):
                return target
            part = self.cache.part(expected.sha256)
            self.downloader.fetch_to(f"{self.mirror}/{urllib.parse.quote(path)}", part, expected, label)
            return self.cache.adopt(part, expected.sha256)

    def deb(self, package: package_index.Package, label: str) -> Path:
        """Return a package's file; raises what blob() raises."""
        return self.blob(package.filename, Expected(package.size, package.sha256), f"{label}: {package.name}")

    def _intact(self, blob: Path, expected: Expected, label: str) -> bool:
        """Return whether a blob exists and has its hash; a damaged one is removed."""
        if not blob.exists():
            return False
        if digest(blob) == expected.sha256:
            return True
        self.progress(f"{label}: damaged in the cache, removing it")
        self.cache.remove(blob)
        return False

    @property
    def _origin(self) -> str:
        return self.settings.mirror or ""

    def _cached(self, name: str, last: LastFetch) -> Suite | None:
        blob = self.cache.blob(last.inrelease)
        try:
            signed = blob.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(signed).hexdigest() != last.inrelease:
            self.cache.remove(blob)
            return None
        try:
            content = self.keyring.content(signed, f"InRelease of {name} (cached)")
        except BadSignature:
            if self.settings.offline:
                raise
            # The keyring has changed since it was stored: fetch the file again and verify that one.
            return None
        return Suite(release_file.parse(content, name, name), last.inrelease, last.checked)


def parse_index(
    blob: Path, name: str, wanted: re.Pattern[bytes] = package_index.KERNELS
) -> tuple[package_index.Package, ...]:
    """Return the packages in a Packages.xz whose names match wanted; BadSignature when it is damaged.

    name is the index's, for messages.
    """
    return package_index.parse(_content_of_index(blob, name), name, wanted)


def _content_of_index(blob: Path, name: str) -> bytes:
    try:
        return compression.decompress("xz", blob.read_bytes(), name)
    except ImageError as error:
        raise BadSignature(str(error)) from None


def _index_name(suite: Suite, debian_arch: str) -> str:
    return f"dists/{suite.release_file.suite}/main/binary-{debian_arch}/Packages.xz"
