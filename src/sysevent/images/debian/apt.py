"""Asks this machine's apt for what its configuration means: the Debian mirrors that it uses, and the proxies to them.

apt itself reads sources.list(5), apt.conf(5) and apt_auth.conf(5). Nothing here needs root or the network.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from sysevent.errors import ImageError
from sysevent.text import one_line

ETC = Path("/etc/apt")
# In no directory of PATH.
HELPER = "/usr/lib/apt/apt-helper"
_NAME_ONE = "name one with --mirror URL or SYSEVENT_MIRROR"
# Suites of Debian's main archive, by codename and by role.
_CODENAMES = {"buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid", "rc-buggy"}
_ROLES = {"oldoldstable", "oldstable", "stable", "testing", "unstable", "experimental"}
_POCKETS = re.compile(r"-(updates|proposed-updates|backports|backports-sloppy)$")
# A line of `apt-get update --print-uris`: a URI in quotes, and the name of the file in apt's directory of lists.
_INDEX = re.compile(r"^'.*' ([^/\s]+_Packages) ", re.MULTILINE)
# Between records and fields of what apt prints: no URI contains them.
_RECORD, _FIELD = "\x1e", "\x1f"
# "http://user:password@host/"; printed without the password.
_PASSWORD = re.compile(r"//[^/@\s]*@")
# Seconds for one program of apt; 0.1 is usual, and 2.5 in an emulated machine that does nothing else.
_PATIENCE = 120
# Settings with which apt's downloads differ from those of a plain HTTP client.
_OWN_TLS = re.compile(
    r'^Acquire::https(?:::[^\s":]+)*::(?:CAInfo|CAPath|SslCert|SslKey|Verify-\w+)\b', re.M | re.I
)
_ADDRESSES = re.compile(r'^Acquire::ForceIPv[46] "(?:1|yes|true|with|on|enable)";', re.M | re.I)
_DETECTED = re.compile(r'^Acquire::(?:https?::)?Proxy-?Auto-?Detect(?:::\S+)? "[^"]', re.M | re.I)

Ask = Callable[[Sequence[str]], tuple[str, str]]
"""Runs a program of apt, and returns what it printed and its complaints."""


class NoDebianSource(ImageError):
    """This machine's apt works and has no mirror of Debian, or there is no apt, as on another distribution."""


class Source(msgspec.Struct, frozen=True):
    """A place from which apt takes packages: the base URI, without a slash at its end, and a suite."""

    uri: str
    suite: str

    @property
    def scheme(self) -> str:
        """How apt fetches from it: "http", "mirror+file", "cdrom"."""
        return self.uri.partition(":")[0]


def shown(text: str) -> str:
    """Return a text for a terminal, with the names of users and the passwords in its URLs left out."""
    return _PASSWORD.sub("//", text)


def ask(words: Sequence[str]) -> tuple[str, str]:
    """Return what a program of apt prints, and its complaints; ImageError if it is not installed or hangs."""
    try:
        ran = subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
        )
    except OSError:
        raise NoDebianSource(
            f"{words[0]} is not installed, so no Debian mirror near this machine is known: {_NAME_ONE}, or install "
            "debootstrap, which proposes one, as --install-deps does"
        ) from None
    except subprocess.TimeoutExpired:
        raise ImageError(f"`{' '.join(words[:2])}` did not end within {_PATIENCE} s: {_NAME_ONE}") from None
    return ran.stdout, ran.stderr


def sources(etc: Path = ETC, ask: Ask = ask) -> tuple[tuple[Source, ...], str]:
    """Return where apt takes packages of a component "main" from, in its order, and apt's complaints.

    etc: the directory of its configuration. ImageError if apt is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="sysevent-apt-") as lists:
        options = ["-o", f"Dir::State::lists={lists}", "-o", "Acquire::Languages=none"]
        if etc != ETC:
            options += ["-o", f"Dir::Etc={etc}"]
        printed, complaints = ask(["apt-get", "update", "--print-uris", *options])
        # The second command tells more, and in apt's order, but leaves out indices that were not fetched yet.
        for name in _INDEX.findall(printed):
            Path(lists, name).touch()
        fields = ("$(REPO_URI)", "$(RELEASE)", "$(COMPONENT)")
        shape = _RECORD + _FIELD.join(fields) + _FIELD
        printed, more = ask(["apt-get", "indextargets", *options, "--format", shape, "Created-By: Packages"])
    found = []
    for record in printed.split(_RECORD)[1:]:
        uri, suite, component, *_ = record.split(_FIELD) + [""] * 3
        if component == "main":
            # apt has decoded it.
            found.append(Source(uri.rstrip("/").replace(" ", "%20"), suite.rstrip("/")))
    said = [line[3:] for line in (complaints + more).splitlines() if line.startswith("E: ")]
    return tuple(dict.fromkeys(found)), "; ".join(dict.fromkeys(said))


def mirrors(etc: Path = ETC, ask: Ask = ask) -> tuple[Source, ...]:
    """Return the mirrors of Debian's main archive that apt uses, each once, with one of their suites.

    Others publish under suites of the same name: the signature of their release files shows which are Debian's.
    NoDebianSource when there is none, ImageError when there may be one that apt cannot read.
    """
    found, complaints = sources(etc, ask)
    usable: dict[str, Source] = {}
    for source in found:
        if _is_main_archive(source) and source.scheme != "cdrom":
            usable.setdefault(source.uri, source)
    if usable:
        return tuple(usable.values())
    known = ", ".join(dict.fromkeys(shown(source.uri) for source in found)) or "none"
    said = f"; apt says: {one_line(complaints)[:300]}" if complaints else ""
    kind = ImageError if complaints else NoDebianSource
    raise kind(
        f"no Debian mirror is configured in {etc} (this machine may not run Debian; its sources: {known}{said}): "
        f"{_NAME_ONE}"
    )


def _is_main_archive(source: Source) -> bool:
    try:
        url = urllib.parse.urlsplit(source.uri)
        host = url.hostname or ""
    except ValueError:
        # Of a cdrom, which has brackets in its name.
        return False
    if "security" in url.path or "security" in host:
        return False
    return _POCKETS.sub("", source.suite) in _CODENAMES | _ROLES


def _dump(ask: Ask) -> str:
    """Return apt's whole configuration as it prints it; "" without apt."""
    try:
        return ask(["apt-config", "dump"])[0]
    except ImageError:
        return ""


def only_apt_reaches(url: str, ask: Ask = ask) -> bool:
    """Return whether apt has settings for a URL that a plain HTTP client does not.

    These are passwords, certificates, proxies of another protocol than HTTP (SOCKS), and one family of addresses only.
    Whether its password files have an entry is not read out of them, only whether they name the host.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return True
    dump = _dump(ask)
    if (parts.scheme == "https" and _OWN_TLS.search(dump)) or _ADDRESSES.search(dump):
        return True
    # Those of the environment are for all programs: urllib reads them itself.
    proxy = parse_proxies(dump, parts.hostname or "", {}).get(parts.scheme, "")
    if proxy and not proxy.lower().startswith("http://") and "://" in proxy:
        return True
    return any((parts.hostname or "") in _text(path) for path in _password_files(ask))


def _password_files(ask: Ask) -> list[Path]:
    try:
        names = ask(["apt-config", "shell", "file", "Dir::Etc::netrc/f", "parts", "Dir::Etc::netrcparts/d"])[
            0
        ]
    except ImageError:
        return []
    values = dict(re.findall(r"^(\w+)='(.*)'$", names, re.MULTILINE))
    parts = Path(values.get("parts") or "/nonexistent")
    inside = sorted(parts.glob("*.conf")) if os.access(parts, os.R_OK | os.X_OK) else []
    return [*([Path(values["file"])] if values.get("file") else []), *inside]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        # Usually readable for root only; apt could not use it either.
        return ""


def proxies(url: str, ask: Ask = ask) -> Mapping[str, str]:
    """Return the proxies for a mirror, by scheme; as in apt, its own settings win over the environment."""
    # Imported here: it imports http.client and ssl.
    import urllib.request

    dump = _dump(ask)
    found = parse_proxies(dump, urllib.parse.urlsplit(url).hostname or "", urllib.request.getproxies())
    if _DETECTED.search(dump):
        # A program of the administrator decides, and apt-helper asks it.
        said, _ = ask([HELPER, "auto-detect-proxy", url])
        match = re.search(r"^Using proxy '([^']*)'", said, re.MULTILINE)
        if match and match[1]:
            return {**found, url.partition(":")[0]: match[1]}
    return found


def parse_proxies(dump: str, host: str, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the proxies in the output of `apt-config dump`, else those of the environment, by scheme.

    "DIRECT" means no proxy, and a line for this host wins over the general one (apt-transport-http(1)).
    """
    settings = {
        name.lower(): value
        for name, value in re.findall(
            r'^(Acquire::https?::Proxy(?:::[^\s"]+)?) "([^"]*)";$', dump, re.MULTILINE | re.IGNORECASE
        )
    }
    result = dict(environment)
    plain, secure = (
        settings.get(f"acquire::{scheme}::proxy::{host.lower()}") or settings.get(f"acquire::{scheme}::proxy")
        for scheme in ("http", "https")
    )
    for scheme, proxy in (("http", plain), ("https", secure or plain)):
        if proxy == "DIRECT":
            result.pop(scheme, None)
        elif proxy:
            result[scheme] = proxy
    return result
