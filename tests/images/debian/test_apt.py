"""What apt says of its own configuration. The configurations are read by the apt of this machine."""

import shutil

import pytest

from sysevent.errors import ImageError
from sysevent.images.debian import apt

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt is not installed")

DEB822 = """\
# See sources.list(5)
Types: deb deb-src
# a comment in the middle of a paragraph
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""

EMBEDDED_KEY = """\
Types: deb
URIs: http://mirror.example/debian
Suites: trixie
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBGPL0BUBEADmW5NdOOHwPIJlgPu6JDcKw/NZJPR8lsD3K87ZM18gzyQZJD+w
 -----END PGP PUBLIC KEY BLOCK-----
"""


@pytest.fixture
def etc(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def uris(etc):
    return [source.uri for source in apt.mirrors(etc)]


@needs_apt
@pytest.mark.parametrize("text", [DEB822, EMBEDDED_KEY], ids=["key file", "embedded key"])
def test_deb822(etc, text):
    (etc / "sources.list.d/debian.sources").write_text(text)
    assert uris(etc) == ["http://mirror.example/debian"]


@needs_apt
def test_one_line(etc):
    """In apt's order; neither sources of source code, nor disks, nor other archives of Debian."""
    (etc / "sources.list").write_text(
        "# deb http://commented.example/debian trixie main\n"
        "deb-src http://source.example/debian trixie main\n"
        "deb cdrom:[Debian GNU/Linux 13 _Trixie_ - Official amd64]/ trixie main\n"
        "deb mirror+file:/etc/apt/mirrors.list trixie main\n"
        "deb http://mirror.example/debian-security trixie-security main\n"
        "deb http://security.mirror.example/ trixie main\n"
        "deb http://flat.example/ ./\n"
        "deb http://only.example/debian trixie contrib\n"
        "deb http://vendor.example/ cloud-sdk-bookworm main\n"
        "deb [arch=amd64 check-valid-until=no] http://snapshot.example/debian/20250101T000000Z trixie main # ours\n"
        "deb file:/srv/mirror/debian trixie contrib main\n"
        "deb http://me:secret@[::1]:81/debian sid main non-free\n"
        "deb http://mirror.example/a%20b/debian trixie main\n"
    )
    assert uris(etc) == [
        "mirror+file:/etc/apt/mirrors.list",
        "http://snapshot.example/debian/20250101T000000Z",
        "file:/srv/mirror/debian",
        "http://me:secret@[::1]:81/debian",
        "http://mirror.example/a%20b/debian",
    ]


@needs_apt
@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "sources.list",
            "deb http://mirror.example/ubuntu noble main",
            "its sources: http://mirror.example/ubuntu",
        ),
        (
            "sources.list",
            "deb http://me:secret@mirror.example/ubuntu noble main",
            r"http://mirror\.example/ubuntu\)",
        ),
        ("sources.list", "deb cdrom:[Debian 13]/ trixie main", "cdrom:"),
        ("sources.list", "deb unknown+http://mirror.example/debian trixie main", "apt says: .*unknown.http"),
        ("sources.list", "deb nonsense", "apt says: Malformed entry 1"),
        (
            "sources.list.d/debian.sources",
            "Enabled: no\n" + DEB822.split("\n", 1)[1].split("\n\n")[0],
            "none",
        ),
        ("sources.list.d/debian.sources.bak", DEB822, "its sources: none"),
        ("sources.list.d/debian.list.disabled", "deb http://mirror.example/debian sid main", "none"),
    ],
)
def test_no_mirror(etc, name, text, words):
    """The message shows what apt has instead, without passwords, and what to do."""
    (etc / name).write_text(text)
    with pytest.raises(ImageError, match=words) as caught:
        apt.mirrors(etc)
    assert str(caught.value).endswith("name one with --mirror URL or SYSEVENT_MIRROR")


def test_without_apt():
    """As on Fedora."""
    with pytest.raises(ImageError, match=r"is not installed.*name one with --mirror URL or SYSEVENT_MIRROR"):
        apt.ask(["no-such-program-of-apt"])


def test_proxies():
    dump = (
        'Acquire::http "";\nAcquire::http::Proxy "http://proxy.example:3142";\n'
        'Acquire::http::Proxy::mirror.example "DIRECT";\nacquire::https::proxy "http://tls.example:1";\n'
    )
    assert apt.parse_proxies(dump, "other.example", {"http": "http://env.example", "no": "x"}) == {
        "http": "http://proxy.example:3142",
        "https": "http://tls.example:1",
        "no": "x",
    }
    assert "http" not in apt.parse_proxies(dump, "mirror.example", {"http": "http://env.example"})
    assert apt.parse_proxies("", "mirror.example", {"http": "http://env.example"}) == {
        "http": "http://env.example"
    }


@pytest.mark.parametrize("name", ["Proxy-Auto-Detect", "ProxyAutoDetect"])
def test_a_proxy_that_a_program_detects(name):
    """apt-helper asks it."""
    url = "http://mirror.example/debian"
    answers = {
        "apt-config": f'Acquire::http::{name} "/usr/local/bin/detect";\n',
        "/usr/lib/apt/apt-helper": f"Using proxy 'http://found.example:3142' for URL '{url}'\n",
    }
    assert apt.proxies(url, lambda words: (answers[words[0]], ""))["http"] == "http://found.example:3142"


@pytest.mark.parametrize(
    ("url", "dump", "alone"),
    [
        ("http://mirror.example/debian", "", False),
        ("https://mirror.example/debian", "", False),
        ("https://mirror.example/debian", 'Acquire::https::CAInfo "/etc/ca.pem";\n', True),
        ("https://mirror.example/debian", 'Acquire::https::mirror.example::SslCert "/etc/c.pem";\n', True),
        ("http://mirror.example/debian", 'Acquire::https::CAInfo "/etc/ca.pem";\n', False),
        ("http://mirror.example/debian", 'Acquire::http::Proxy "socks5h://localhost:9050";\n', True),
        ("https://mirror.example/debian", 'Acquire::http::Proxy "https://proxy.example";\n', True),
        ("http://mirror.example/debian", 'Acquire::http::Proxy "http://proxy.example:1";\n', False),
        ("http://mirror.example/debian", 'Acquire::http::Proxy "proxy.example:1";\n', False),
        (
            "http://mirror.example/debian",
            'Acquire::http::Proxy "socks5h://x";\nAcquire::http::Proxy::mirror.example "DIRECT";\n',
            False,
        ),
        ("http://mirror.example/debian", 'Acquire::ForceIPv4 "true";\n', True),
        ("http://mirror.example/debian", 'Acquire::ForceIPv4 "false";\n', False),
        ("http://secret.example/debian", "", True),
        ("file:/srv/debian", "", True),
        ("tor+http://mirror.example/debian", "", True),
    ],
)
def test_what_only_apt_reaches(tmp_path, url, dump, alone):
    """Passwords, certificates, and other protocols than HTTP, also of proxies."""
    (tmp_path / "auth.conf.d").mkdir()
    (tmp_path / "auth.conf.d/lab.conf").write_text("machine secret.example/debian login me password x\n")
    shell = f"file='{tmp_path}/auth.conf'\nparts='{tmp_path}/auth.conf.d/'\n"
    assert apt.only_apt_reaches(url, lambda words: (dump if "dump" in words else shell, "")) is alone
