"""What this machine's apt already knows: a Debian mirror near it, and the proxy to it.

Formats: sources.list(5), apt.conf(5).
"""

from __future__ import annotations

import re
import subprocess
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from sysevent.errors import ImageError

# Suites of Debian's main archive, by codename and by role.
_CODENAMES = {"buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid", "rc-buggy"}
_ROLES = {"oldoldstable", "oldstable", "stable", "testing", "unstable", "experimental"}
_POCKETS = re.compile(r"-(updates|proposed-updates|backports|backports-sloppy)$")


class Source(msgspec.Struct, frozen=True):
    """One place that apt fetches packages from."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str


def sources(etc: Path) -> Iterator[Source]:
    """The enabled binary sources below /etc/apt, in the order in which apt reads them."""
    directory = etc / "sources.list.d"
    paths = [etc / "sources.list"]
    if directory.is_dir():
        paths += sorted(p for p in directory.iterdir() if re.fullmatch(r"[\w.-]+\.(list|sources)", p.name))
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # not there, or not for us to read: apt itself would tell
        yield from parse_deb822(text) if path.suffix == ".sources" else parse_list(text)


def parse_list(text: str) -> Iterator[Source]:
    """One-line style: `deb [option=value ...] uri suite component ...`."""
    for line in text.splitlines():
        line = line.split("#", 1)[0].strip()
        match = re.fullmatch(r"deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+\S+)*)", line)
        if not match:
            continue
        options, uri, suite, components = match.groups()
        pairs = dict(word.partition("=")[::2] for word in (options or "").split())
        if pairs.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        yield Source(uri, suite, tuple(components.split()), pairs.get("signed-by", ""))


def parse_deb822(text: str) -> Iterator[Source]:
    """Paragraph style: Types, URIs, Suites, Components, Enabled, Signed-By."""
    from debian import deb822  # here: slow to import, and only needed when a mirror is looked for

    for fields in deb822.Deb822.iter_paragraphs(text, use_apt_pkg=False):
        enabled = fields.get("Enabled", "yes").strip().lower() not in (
            "no",
            "false",
            "without",
            "off",
            "disable",
            "0",
        )
        if not enabled or "deb" not in fields.get("Types", "").split():
            continue
        for uri in fields.get("URIs", "").split():
            for suite in fields.get("Suites", "").split():
                components = tuple(fields.get("Components", "").split())
                yield Source(uri, suite, components, fields.get("Signed-By", ""))


def mirror(etc: Path = Path("/etc/apt")) -> str:
    """Base URL of the Debian mirror that this machine uses; ImageError when it has none.

    Third parties publish under suites of the same name; they sign with other keys, and so do not count.
    Sources by other ways than HTTP (cdrom:, file:, mirror+file:) are passed over.
    """
    found = [source for source in sources(etc) if _is_main_archive(source)]
    for source in sorted(
        found, key=lambda s: "debian-archive" not in s.signed_by
    ):  # stable: apt's order otherwise
        return source.uri.rstrip("/")
    raise ImageError(
        f"no Debian mirror is configured in {etc} (this machine may not run Debian): "
        "name one with --mirror URL or SYSEVENT_MIRROR"
    )


def _is_main_archive(source: Source) -> bool:
    url = urllib.parse.urlsplit(source.uri)
    if url.scheme not in ("http", "https") or "security" in url.path or "security" in (url.hostname or ""):
        return False
    if source.signed_by and "debian-archive" not in source.signed_by:
        return False
    return "main" in source.components and _POCKETS.sub("", source.suite) in _CODENAMES | _ROLES


def proxies(host: str) -> Mapping[str, str]:
    """The proxies to use for a mirror's host: apt's own, which go before the environment's, as apt has it."""
    try:
        run = subprocess.run(
            ["apt-config", "dump", "Acquire"], capture_output=True, text=True, timeout=20, check=False
        )
        text = run.stdout if run.returncode == 0 else ""
    except (OSError, subprocess.TimeoutExpired):
        text = ""
    import urllib.request  # here: it brings http.client and ssl along

    return parse_proxies(text, host, urllib.request.getproxies())


def parse_proxies(dump: str, host: str, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Read `apt-config dump`; "DIRECT" means none, a host's own line wins (apt-transport-http(1))."""
    said = dict(re.findall(r'^(Acquire::https?::Proxy(?:::[^\s"]+)?) "([^"]*)";$', dump, re.MULTILINE))
    result = dict(environment)
    plain = said.get(f"Acquire::http::Proxy::{host}") or said.get("Acquire::http::Proxy")
    secure = said.get(f"Acquire::https::Proxy::{host}") or said.get("Acquire::https::Proxy") or plain
    for scheme, proxy in (("http", plain), ("https", secure)):
        if proxy == "DIRECT":
            result.pop(scheme, None)
        elif proxy:
            result[scheme] = proxy
    return result
