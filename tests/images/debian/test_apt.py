"""The mirror and the proxies in apt's configuration."""

import pytest

from sysevent.errors import ImageError
from sysevent.images.debian import apt

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


@pytest.fixture
def etc(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_deb822(etc):
    (etc / "sources.list.d/debian.sources").write_text(DEB822)
    assert apt.mirror(etc) == "http://mirror.example/debian"


def test_one_line_with_options(etc):
    (etc / "sources.list").write_text(
        "# deb http://commented.example/debian trixie main\n"
        "deb-src http://source.example/debian trixie main\n"
        "deb cdrom:[Debian 13]/ trixie main\n"
        "deb mirror+file:/etc/apt/mirrors.list trixie main\n"
        "deb http://mirror.example/debian-security trixie-security main\n"
        "deb http://security.mirror.example/ trixie main\n"
        "deb http://mirror.example/security trixie main\n"
        "deb [ arch=amd64 enabled=no ] http://off.example/debian trixie main\n"
        "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.pgp] "
        "https://mirror.example/debian trixie main non-free # ours\n"
    )
    assert apt.mirror(etc) == "https://mirror.example/debian"


@pytest.mark.parametrize(
    "line",
    [
        "deb [signed-by=/k/vendor.gpg] http://vendor.example/debian/12/prod bookworm main",
        "deb http://vendor.example/linux/debian bookworm stable",
        "deb http://mirror.example/ubuntu noble main",
        "deb http://vendor.example/ cloud-sdk-bookworm main",
        "deb http://mirror.example/security trixie main",
        "deb http://security.mirror.example/debian trixie main",
    ],
)
def test_sources_other_than_debians_main_archive(etc, line):
    (etc / "sources.list").write_text(line)
    with pytest.raises(ImageError, match=r"--mirror URL or SYSEVENT_MIRROR"):
        apt.mirror(etc)


def test_disabled_paragraph(etc):
    (etc / "sources.list.d/debian.sources").write_text("Enabled: no\n" + DEB822.split("\n", 1)[1])
    with pytest.raises(ImageError):
        apt.mirror(etc)


def test_files_that_apt_ignores_are_ignored(etc):
    (etc / "sources.list.d/debian.sources.bak").write_text(DEB822)
    (etc / "sources.list.d/debian.list.disabled").write_text("deb http://mirror.example/debian sid main")
    with pytest.raises(ImageError):
        apt.mirror(etc)


def test_a_source_signed_by_debian_is_preferred(etc):
    (etc / "sources.list").write_text("deb http://unclear.example/debian bookworm main\n")
    (etc / "sources.list.d/debian.sources").write_text(DEB822)
    assert apt.mirror(etc) == "http://mirror.example/debian"


def test_proxies():
    dump = (
        'Acquire::http "";\nAcquire::http::Proxy "http://proxy.example:3142";\n'
        'Acquire::http::Proxy::mirror.example "DIRECT";\nAcquire::https::Proxy "http://tls.example:1";\n'
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


def test_a_file_of_one_line_is_not_the_name_of_another(tmp_path):
    other = tmp_path / "other"
    other.write_text("Types: deb\nURIs: http://x\nSuites: s\n")
    assert list(apt.parse_deb822(str(other))) == []
    assert list(apt.parse_deb822("x" * 5000)) == []
