"""Reads this machine's apt configuration: a Debian mirror near it, and the proxy to it.

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
# Values of Enabled that apt takes for false: StringToBool, apt-pkg/contrib/strutl.cc.
_DISABLED = frozenset({"no", "false", "without", "off", "disable", "0"})


class Source(msgspec.Struct, frozen=True):
    """One package source of apt: a URI and a suite."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str


def sources(etc: Path) -> Iterator[Source]:
    """Yield the enabled sources of binary packages below etc (/etc/apt), in the order in which apt reads them."""
    directory = etc / "sources.list.d"
    paths = [etc / "sources.list"]
    if directory.is_dir():
        paths += sorted(p for p in directory.iterdir() if re.fullmatch(r"[\w.-]+\.(list|sources)", p.name))
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            # A file that is missing or unreadable is left to apt, which reports it.
            continue
        yield from parse_deb822(text) if path.suffix == ".sources" else parse_list(text)


def parse_list(text: str) -> Iterator[Source]:
    """Yield the enabled sources of a file in one-line style: `deb [option=value ...] uri suite component ...`."""
    for line in text.splitlines():
        line = line.split("#", 1)[0].strip()
        match = re.fullmatch(r"deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+\S+)*)", line)
        if not match:
            continue
        options, uri, suite, components = match.groups()
        pairs = dict(word.partition("=")[::2] for word in (options or "").split())
        if pairs.get("enabled", "yes").lower() in _DISABLED:
            continue
        yield Source(uri, suite, tuple(components.split()), pairs.get("signed-by", ""))


def parse_deb822(text: str) -> Iterator[Source]:
    """Yield the enabled sources of a file in deb822 style: Types, URIs, Suites, Components, Enabled, Signed-By."""
    # Imported here: slow, and only needed when no mirror is set.
    from debian import deb822

    # As lines: a text of one line would be taken for the name of a file.
    for fields in deb822.Deb822.iter_paragraphs(text.split("\n"), use_apt_pkg=False):
        if (
            fields.get("Enabled", "yes").strip().lower() in _DISABLED
            or "deb" not in fields.get("Types", "").split()
        ):
            continue
        for uri in fields.get("URIs", "").split():
            for suite in fields.get("Suites", "").split():
                components = tuple(fields.get("Components", "").split())
                yield Source(uri, suite, components, fields.get("Signed-By", ""))


def mirror(etc: Path = Path("/etc/apt")) -> str:
    """Return the base URL of the Debian mirror that this machine uses, without a slash at its end.

    Third parties publish under suites of the same name, but sign with other keys: they are ignored, and so are
    sources other than HTTP (cdrom:, file:, mirror+file:). ImageError when none is left.
    """
    found = [source for source in sources(etc) if _is_main_archive(source)]
    # The sort is stable: among sources that say they are signed by Debian, the first one of apt wins.
    for source in sorted(found, key=lambda s: "debian-archive" not in s.signed_by):
        return source.uri.rstrip("/")
    raise ImageError(
        f"no Debian mirror is configured in {etc} (this machine may not run Debian): "
        "name one with --mirror URL or SYSEVENT_MIRROR"
    )


def _is_main_archive(source: Source) -> bool:
    try:
        url = urllib.parse.urlsplit(source.uri)
    except ValueError:
        # Not a URL: left to apt, which reports it.
        return False
    if url.scheme not in ("http", "https") or "security" in url.path or "security" in (url.hostname or ""):
        return False
    if source.signed_by and "debian-archive" not in source.signed_by:
        return False
    return "main" in source.components and _POCKETS.sub("", source.suite) in _CODENAMES | _ROLES


def proxies(host: str) -> Mapping[str, str]:
    """Return the proxies for a mirror's host, by scheme; as in apt, its own settings win over the environment."""
    try:
        run = subprocess.run(
            ["apt-config", "dump", "Acquire"], capture_output=True, text=True, timeout=20, check=False
        )
        text = run.stdout if run.returncode == 0 else ""
    except (OSError, subprocess.TimeoutExpired):
        text = ""
    # Imported here: it imports http.client and ssl.
    import urllib.request

    return parse_proxies(text, host, urllib.request.getproxies())


def parse_proxies(dump: str, host: str, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the proxies in the output of `apt-config dump`, else those of the environment, by scheme.

    "DIRECT" means no proxy, and a line for this host wins over the general one (apt-transport-http(1)).
    """
    settings = dict(re.findall(r'^(Acquire::https?::Proxy(?:::[^\s"]+)?) "([^"]*)";$', dump, re.MULTILINE))
    result = dict(environment)
    plain = settings.get(f"Acquire::http::Proxy::{host}") or settings.get("Acquire::http::Proxy")
    secure = settings.get(f"Acquire::https::Proxy::{host}") or settings.get("Acquire::https::Proxy") or plain
    for scheme, proxy in (("http", plain), ("https", secure)):
        if proxy == "DIRECT":
            result.pop(scheme, None)
        elif proxy:
            result[scheme] = proxy
    return result
