"""The Debian mirror that this machine's apt uses, and how files are downloaded from a mirror."""

from __future__ import annotations

import base64
import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from sysevent.errors import ImageError, copy_of
from sysevent.images.debian import apt, mirror_list
from sysevent.images.debian.apt import shown
from sysevent.images.debian.apt_helper import AptHelper
from sysevent.images.debian.keyring import AnyKeyring
from sysevent.images.download import Downloader
from sysevent.model import Progress

# Bytes of a release file (the largest, of sid, has 0.2 MB), and of a list of mirrors.
_LIMIT = 4 << 20

Fetch = Callable[[str], bytes]
"""Returns the content of a small file at a URL; ImageError when it cannot be obtained."""


# Where packages of other distributions have the mirror that Debian proposes: python-apt (on every Ubuntu), debootstrap.
_PROPOSALS = (
    (
        "usr/share/python-apt/templates/Debian.info",
        re.compile(r"^BaseURI: (https?://\S+/debian)/?$", re.MULTILINE),
    ),
    ("usr/sbin/debootstrap", re.compile(r'^DEF_MIRROR="(https?://[^"]+?)/?"$', re.MULTILINE)),
)

# Proposals that progress was given: each architecture asks again.
_said: set[tuple[str, Path]] = set()


def proposed(root: Path = Path("/")) -> tuple[str, Path] | None:
    """Return the mirror that a package of this machine proposes for Debian, and the file; None without one."""
    for name, pattern in _PROPOSALS:
        try:
            found = pattern.search((root / name).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
        if found:
            return found[1], root / name
    return None


def configured(etc: Path = apt.ETC, root: Path = Path("/")) -> str:
    """Return apt's first Debian mirror, or the one that is proposed, and where it comes from; raises ImageError."""
    try:
        return f"{shown(apt.mirrors(etc)[0].uri)} (from apt's configuration)"
    except apt.NoDebianSource:
        if found := proposed(root):
            return f"{found[0]} (from {found[1]})"
        raise


def find(
    keyring: AnyKeyring,
    progress: Progress,
    etc: Path = apt.ETC,
    fetch: Fetch | None = None,
    ask: apt.Ask = apt.ask,
    root: Path = Path("/"),
) -> str:
    """Return the base URL of the Debian mirror that this machine's apt uses, without a slash at its end.

    If several could be, it is the first that has a release file signed by a key of the keyring: third parties publish
    under suites of the same name. If none answers, it is the first. Where apt has none, as on Ubuntu and Fedora, it is
    the one that a package below root proposes, with a line to progress. ImageError when there is none.
    """

    def download(url: str) -> bytes:
        return downloader(url, progress, 1).fetch(shown(url), f"{shown(url)}: asking", _LIMIT)

    get = fetch or download
    try:
        candidates = apt.mirrors(etc, ask)
    except apt.NoDebianSource:
        if (found := proposed(root)) is None:
            raise
        if found not in _said:
            _said.add(found)
            progress(
                f"no Debian mirror is configured here: using {found[0]}, from {found[1]} (--mirror names another)"
            )
        return found[0]
    bases: list[str] = []
    refused: list[ImageError] = []
    for source in candidates:
        base = source.uri
        try:
            if mirror_list.is_list(base):
                base = mirror_list.first(base, etc, lambda url: get(url).decode("utf-8", "replace"))
            bases.append(base)
            if len(candidates) == 1:
                return base
            url = f"{base}/dists/{source.suite}/InRelease"
            keyring.content(get(url), url)
        except ImageError as error:
            refused.append(error)
            continue
        return base
    if bases:
        return bases[0]
    raise copy_of(refused[0])


def downloader(mirror: str, progress: Progress, attempts: int) -> Downloader | AptHelper:
    """Return what downloads from a mirror: with the proxies for it, or apt's own programs if only they reach it.

    mirror: its URL, perhaps with a password. The URLs of its files are those without it.
    """
    authorization = _authorization(mirror)
    if not authorization and apt.only_apt_reaches(mirror):
        return AptHelper(progress)
    return Downloader(progress, apt.proxies(shown(mirror)), attempts, authorization)


def _authorization(url: str) -> str:
    """Return the header for the user name and the password in a URL (RFC 7617); "" if it has none."""
    named, at, _ = urllib.parse.urlsplit(url).netloc.rpartition("@")
    return f"Basic {base64.b64encode(urllib.parse.unquote(named).encode()).decode()}" if at else ""
