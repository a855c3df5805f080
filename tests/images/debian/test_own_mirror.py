"""The mirror that this machine's apt uses: apt is asked for real, and the mirrors are on loopback."""

import tempfile
from pathlib import Path

import pytest

from sysevent.errors import DownloadFailed, ImageError
from sysevent.images.debian import apt, keyring, mirror_list, own_mirror
from sysevent.images.debian.apt_helper import AptHelper
from sysevent.images.debian.archive import Archive
from sysevent.images.download import Downloader, Expected, Gone

# The originals: fixtures replace them for other tests.
PROXIES, ONLY_APT = apt.proxies, apt.only_apt_reaches
needs_apt = pytest.mark.skipif(not Path(apt.HELPER).exists(), reason="apt is not installed")

CLOUD_IMAGE = """\
Types: deb deb-src
URIs: mirror+file:///etc/apt/mirrors/debian.list
Suites: bookworm bookworm-updates bookworm-backports
Components: main

Types: deb deb-src
URIs: mirror+file:///etc/apt/mirrors/debian-security.list
Suites: bookworm-security
Components: main
"""


@pytest.fixture
def etc(tmp_path):
    """The directory of a configuration of apt."""
    for name in ("etc/sources.list.d", "etc/mirrors", "etc/auth.conf.d"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path / "etc"


@pytest.fixture
def found(etc, settings, progress):
    """found(): the mirror in etc."""
    return lambda: own_mirror.find(keyring.load(settings), progress, etc)


@needs_apt
def test_cloud_image(etc, found):
    """The list that mirror+file names is read, and its first usable line is taken."""
    (etc / "sources.list.d/debian.sources").write_text(CLOUD_IMAGE)
    (etc / "mirrors/debian.list").write_text(
        "# ours\n\nftp://mirror.example/debian\nhttp://mirror.example/debian\nhttp://other.example/debian\n"
    )
    (etc / "mirrors/debian-security.list").write_text("http://mirror.example/debian-security\n")
    assert found() == "http://mirror.example/debian"


@needs_apt
@pytest.mark.parametrize("text", [None, "# nothing\n", "http://mirror.example/debian type:index\n"])
def test_list_that_cannot_be_used(etc, found, text):
    (etc / "sources.list.d/debian.sources").write_text(CLOUD_IMAGE)
    if text is not None:
        (etc / "mirrors/debian.list").write_text(text)
    with pytest.raises(ImageError, match=r"apt's list of mirrors .*debian\.list"):
        found()


@needs_apt
def test_configuration_that_apt_refuses(etc, found):
    """It may have a mirror of Debian: none that is proposed elsewhere is used instead."""
    (etc / "sources.list").write_text("deb nonsense\n")
    with pytest.raises(ImageError, match="apt says: Malformed entry 1"):
        found()


@needs_apt
def test_list_of_a_server(etc, found, mirror):
    mirror.write("list.txt", b"http://mirror.example/debian\n")
    (etc / "sources.list").write_text(f"deb {mirror.url.replace('http', 'mirror')}/list.txt trixie main\n")
    assert found() == "http://mirror.example/debian"


def test_lines_of_a_list():
    text = (
        "http://last.example/debian/\nhttps://second.example/debian\tpriority:2\n"
        "http://arm.example/debian arch:arm64\nhttp://first.example/debian\tpriority:1\ntor+http://x.example/\n"
    )
    assert mirror_list.parse(text) == (
        "http://first.example/debian",
        "https://second.example/debian",
        "http://last.example/debian",
    )
    with pytest.raises(ImageError, match="over ftp"):
        mirror_list.first("mirror+ftp://mirror.example/list", apt.ETC, str)


@needs_apt
def test_the_signature_tells_debian_from_others(etc, found, mirror):
    """A vendor publishes under a name of Debian, and signs with its own key."""
    mirror.add("trixie", "arm64", [])
    mirror.write("vendor/dists/trixie/InRelease", b"not signed by Debian")
    (etc / "sources.list").write_text(
        f"deb {mirror.url}/absent trixie main\ndeb {mirror.url}/vendor trixie main\ndeb {mirror.url} trixie main\n"
    )
    assert found() == mirror.url


@needs_apt
def test_several_that_do_not_answer(etc, found):
    """The first one: its error says what to do."""
    (etc / "sources.list").write_text(
        "deb http://127.0.0.1:1/debian trixie main\ndeb http://127.0.0.1:2/debian trixie main\n"
    )
    assert found() == "http://127.0.0.1:1/debian"


@needs_apt
@pytest.mark.parametrize("scheme", ["file", "copy"])
def test_mirror_on_a_disk(etc, found, mirror, progress, tmp_path, scheme):
    mirror.add("trixie", "arm64", [("linux-image-6.12.1", "6.12.1-1", b"package")])
    (etc / "sources.list").write_text(f"deb {scheme}:{mirror.root} trixie main\n")
    base = found()
    fetcher = AptHelper(progress)
    assert b"Codename: trixie" in fetcher.fetch(f"{base}/dists/trixie/InRelease", "index", 1 << 20)
    with pytest.raises(Gone, match="sid"):
        fetcher.fetch(f"{base}/dists/sid/InRelease", "index", 1 << 20)
    with pytest.raises(DownloadFailed, match="longer than the 3 bytes"):
        fetcher.fetch(f"{base}/dists/trixie/InRelease", "index", 3)
    part = tmp_path / "part"
    sha256 = "1a1a4aad5b3ff4c1e4e8c0ea4d8a2a1c3c9a3c1f9d4f3b1dbd2b3cb1ab2a9d2a"
    with pytest.raises(ImageError, match="does not have the SHA-256"):
        fetcher.fetch_to(
            f"{base}/{mirror.find('.deb').relative_to(mirror.root)}", part, Expected(7, sha256), "x"
        )
    assert not part.exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "usr/share/python-apt/templates/Debian.info",
            "Suite: bookworm/updates\nBaseURI: https://security.example/\n\nBaseURI: http://mirror.example/debian/\n",
        ),
        ("usr/sbin/debootstrap", '#!/bin/sh\nDEF_MIRROR="http://mirror.example/debian"\n'),
    ],
    ids=["python-apt", "debootstrap"],
)
def test_another_distribution(tmp_path, settings, progress, name, text):
    """As Ubuntu and Fedora: a package there proposes a mirror of Debian, and a line says so."""
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(text)

    def without_apt(words):
        raise apt.NoDebianSource("apt-get is not installed")

    found = own_mirror.find(keyring.load(settings), progress, ask=without_apt, root=tmp_path)
    assert found == "http://mirror.example/debian"
    assert progress == [
        f"no Debian mirror is configured here: using {found}, from {tmp_path / name} (--mirror names another)"
    ]
    with pytest.raises(ImageError, match="apt-get is not installed"):
        own_mirror.find(keyring.load(settings), progress, ask=without_apt, root=tmp_path / "none")


def _ask_for_password(handler, data):
    # "me:secret"
    good = handler.headers.get("Authorization") == "Basic bWU6c2VjcmV0"
    handler.answer(200 if good else 401, data if good else b"")


@needs_apt
def test_password_in_auth_conf(etc, mirror, settings, progress, monkeypatch):
    """apt's own programs use its password file."""
    monkeypatch.setattr(apt, "only_apt_reaches", ONLY_APT)
    (etc / "conf").write_text(f'Dir::Etc "{etc}";\nAcquire::http::Proxy "DIRECT";\n')
    monkeypatch.setenv("APT_CONFIG", str(etc / "conf"))
    mirror.add("trixie", "arm64", [])
    mirror.faults["InRelease"] = _ask_for_password
    assert isinstance(own_mirror.downloader(mirror.url, progress, 1), Downloader)
    (etc / "auth.conf.d/lab.conf").write_text(f"machine {mirror.url} login me password secret\n")
    assert Archive(settings, progress).suite("trixie").release_file.suite == "trixie"
    (etc / "auth.conf.d/lab.conf").write_text(f"machine {mirror.url} login me password wrong\n")
    with pytest.raises(DownloadFailed, match="401"):
        Archive(settings, progress).suite("trixie", refresh=True)


def test_password_in_the_url(mirror, settings, progress):
    """It is sent to the mirror, and is in no message."""
    mirror.add("trixie", "arm64", [])
    mirror.faults["InRelease"] = _ask_for_password
    for password, works in (("secret", True), ("wrong", False)):
        url = mirror.url.replace("//", f"//me:{password}@")
        archive = Archive(type(settings)(settings.cache, url, settings.keyring, offline=False), progress)
        if works:
            archive.suite("trixie")
            continue
        with pytest.raises(DownloadFailed, match="401") as caught:
            archive.suite("trixie")
        assert password not in str(caught.value)
    assert "secret" not in progress.text


@needs_apt
def test_proxy_of_apt(etc, monkeypatch):
    """What apt's own configuration says, including a program that detects it."""
    # apt runs it as another user, who may not enter the directories of a test.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        detect = Path(folder, "detect")
        detect.write_text("#!/bin/sh\necho http://found.example:3142\n")
        for path in (detect, detect.parent):
            path.chmod(0o755)
        monkeypatch.setenv("APT_CONFIG", str(etc / "conf"))
        for line, proxy in (
            ('Acquire::http::Proxy "http://proxy.example:1";', "http://proxy.example:1"),
            (f'Acquire::http::Proxy-Auto-Detect "{detect}";', "http://found.example:3142"),
        ):
            (etc / "conf").write_text(f'Dir::Etc "{etc}";\n{line}\n')
            assert PROXIES("http://mirror.example/debian")["http"] == proxy
