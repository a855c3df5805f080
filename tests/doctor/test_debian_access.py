"""A machine whose apt knows no Debian, or that has no apt, gets the keyring and a mirror with --install-deps."""

import msgspec
import pytest

from sysevent.doctor import debian_access, package_managers, system_packages
from sysevent.doctor.package_managers import KEYRING, MANAGERS, MIRROR
from sysevent.errors import ImageError, ToolMissing, UsageError
from sysevent.images.debian import own_mirror
from sysevent.settings import from_environment

SETTINGS = msgspec.structs.replace(from_environment(), mirror=None, keyring=None, offline=False)


def nowhere():
    raise ImageError("no Debian mirror")


@pytest.fixture
def lacking(tmp_path):
    """lacking(keyring, mirror, **settings): what is missing on a machine that has these."""

    def of(keyring, mirror, **settings):
        here = tmp_path / "keyring.gpg"
        if keyring:
            here.touch()
        found = msgspec.structs.replace(SETTINGS, **settings)
        return debian_access.lacking(
            found, [tmp_path / "other", here], (lambda: "here") if mirror else nowhere
        )

    return of


def test_debian(lacking):
    assert lacking(keyring=True, mirror=True) == ()


def test_another_distribution(lacking, tmp_path):
    """Also one of both; what the user gives is not installed."""
    assert lacking(keyring=False, mirror=False) == (KEYRING, MIRROR)
    given = {"keyring": tmp_path / "mine"}
    found = msgspec.structs.replace(SETTINGS, **given)
    assert debian_access.lacking(found, [], nowhere) == (MIRROR,)
    found = msgspec.structs.replace(SETTINGS, mirror="https://mirror.invalid/debian")
    assert debian_access.lacking(found, [], nowhere) == (KEYRING,)


def test_offline(lacking):
    assert lacking(keyring=False, mirror=False, offline=True) == ()


class Installer:
    def __init__(self, error=None):
        self.asked, self._error = [], error

    def install(self, keys, progress):
        self.asked.append(keys)
        if self._error:
            raise self._error


def test_installation():
    """Nothing to install is no call; a manager without the packages is no error, one that fails is."""
    installer = Installer()
    debian_access.install((), print, installer)
    assert installer.asked == []
    debian_access.install((KEYRING, MIRROR), print, installer)
    assert installer.asked == [(KEYRING, MIRROR)]
    debian_access.install((KEYRING,), print, Installer(UsageError("no such package")))
    with pytest.raises(ToolMissing):
        debian_access.install((KEYRING,), print, Installer(ToolMissing("apt-get failed")))


def test_managers_have_both():
    """Or neither."""
    for manager in MANAGERS:
        assert (KEYRING in manager.packages) == (MIRROR in manager.packages), manager.name


def test_fedora(tmp_path, monkeypatch):
    """From os-release to the mirror, by a dnf that installs what Fedora's packages have."""
    keyring, script = (
        tmp_path / "usr/share/keyrings/debian-archive-keyring.gpg",
        tmp_path / "usr/sbin/debootstrap",
    )
    for path in (keyring, script):
        path.parent.mkdir(parents=True)
    dnf = tmp_path / "bin" / "dnf"
    dnf.parent.mkdir()
    dnf.write_text(
        f"""#!/bin/sh
[ "$*" = "install -y --setopt=install_weak_deps=False debian-keyring debootstrap" ] || exit 1
touch {keyring}
echo 'DEF_MIRROR="https://mirror.invalid/debian"' > {script}
"""
    )
    dnf.chmod(0o755)
    monkeypatch.setenv("PATH", f"{dnf.parent}:/usr/bin:/bin")
    os_release = 'NAME="Fedora Linux"\nVERSION="44 (Server Edition)"\nID=fedora\nVARIANT_ID=server\n'
    manager = package_managers.choose(package_managers.distribution(os_release), ["dnf"])

    def mirror():
        if (found := own_mirror.proposed(tmp_path)) is None:
            raise ImageError("none")
        return found[0]

    lacking = debian_access.lacking(SETTINGS, [keyring], mirror)
    debian_access.install(lacking, print, system_packages.Installer(manager, root=True))
    assert debian_access.lacking(SETTINGS, [keyring], mirror) == ()
    assert mirror() == "https://mirror.invalid/debian"
