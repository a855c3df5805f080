"""From os-release to the line that a person pastes."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.doctor import package_managers, system_packages
from sysevent.doctor.system_packages import Installer
from sysevent.errors import ToolMissing, UsageError

QEMU = system_packages.qemu_keys(ARCHITECTURES)
BY_NAME = {manager.name: manager for manager in package_managers.MANAGERS}

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n'
UBUNTU = "NAME=Ubuntu\nID=ubuntu\nID_LIKE=debian\n"
MINT = "ID=linuxmint\nID_LIKE='ubuntu debian'\n"
ROCKY = 'ID="rocky"\nID_LIKE="rhel centos fedora"\n'
MANJARO = "ID=manjaro\nID_LIKE=arch\n"
TUMBLEWEED = 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n'
LEAP_ALONE = 'ID="opensuse-leap"\n'
ALPINE = "ID=alpine\n"


@pytest.mark.parametrize(
    ("os_release", "manager"),
    [
        pytest.param(DEBIAN, "apt", id="debian"),
        pytest.param(UBUNTU, "apt", id="ubuntu"),
        pytest.param(MINT, "apt", id="mint"),
        pytest.param("ID=fedora\n", "dnf", id="fedora"),
        pytest.param(ROCKY, "dnf", id="rocky"),
        pytest.param(MANJARO, "pacman", id="manjaro"),
        pytest.param(TUMBLEWEED, "zypper", id="tumbleweed"),
        pytest.param(LEAP_ALONE, "zypper", id="leap"),
        pytest.param(ALPINE, "apk", id="alpine"),
    ],
)
def test_distribution_decides_the_manager(os_release, manager):
    """Its ID or ID_LIKE wins over all programs that are installed."""
    every_program = [m.program for m in package_managers.MANAGERS]
    chosen = package_managers.choose(package_managers.distribution(os_release), every_program)
    assert chosen is not None
    assert chosen.name == manager


def test_closest_distribution_wins():
    """ID goes before ID_LIKE."""
    assert package_managers.distribution("ID_LIKE=debian\nID=fedora\n") == ("fedora", "debian")


@pytest.mark.parametrize(
    ("present", "manager"), [(["pacman"], "pacman"), (["apt-get", "dnf"], None), ([], None)], ids=str
)
def test_unknown_distribution(present, manager):
    """The only program on PATH decides; two or none do not."""
    chosen = package_managers.choose(package_managers.distribution("ID=somethingelse\n"), present)
    assert (chosen.name if chosen else None) == manager


def test_broken_os_release_has_no_distribution():
    """Invalid lines are ignored."""
    assert package_managers.distribution('# ID=debian\n\nnonsense\nID_LIKE=""\n') == ()


@pytest.mark.parametrize(
    ("manager", "line"),
    [
        (
            "apt",
            "sudo apt-get update && sudo apt-get install --no-install-recommends "
            "qemu-system-arm qemu-system-riscv64 qemu-system-x86",
        ),
        ("dnf", "sudo dnf install qemu-system-aarch64-core qemu-system-riscv-core qemu-system-x86-core"),
        (
            "pacman",
            "sudo pacman -S --needed "
            "qemu-system-aarch64 qemu-system-riscv qemu-system-riscv-firmware qemu-system-x86",
        ),
        ("zypper", "sudo zypper install --no-recommends qemu-arm qemu-extra qemu-x86"),
        ("apk", "sudo apk add --update-cache qemu-system-aarch64 qemu-system-riscv64 qemu-system-x86_64"),
    ],
)
def test_line_to_paste(manager, line):
    """With sudo before each command for a user, without it for root."""
    assert system_packages.install_line(QEMU, BY_NAME[manager], root=False) == line
    assert system_packages.install_line(QEMU, BY_NAME[manager], root=True) == line.replace("sudo ", "")


def test_line_names_only_what_is_asked_for():
    """One architecture needs one package."""
    assert (
        system_packages.install_line(["qemu-x86"], BY_NAME["dnf"], root=True)
        == "dnf install qemu-system-x86-core"
    )


def test_line_without_a_known_manager_is_one_for_each():
    """The user picks the right one."""
    lines = system_packages.install_line(QEMU, None, root=True).splitlines()
    assert [line.split()[0] for line in lines] == [manager.name for manager in package_managers.MANAGERS]


def test_line_says_when_a_package_is_not_known():
    """Never a command without a package."""
    assert system_packages.install_line([package_managers.KEYRING], BY_NAME["zypper"], root=True).startswith(
        "(zypper has no"
    )


@pytest.mark.parametrize("manager", package_managers.MANAGERS, ids=lambda m: m.name)
def test_every_manager_has_every_qemu(manager):
    """A new architecture needs a name in each row."""
    assert set(QEMU) <= set(manager.packages)


@pytest.mark.parametrize(
    ("machine", "names"),
    [
        ("x86_64", ("gcc-aarch64-linux-gnu", "gcc-riscv64-linux-gnu", "gcc-x86-64-linux-gnu")),
        ("aarch64", ("gcc-aarch64-linux-gnu", "gcc-riscv64-linux-gnu", "gcc-x86-64-linux-gnu")),
        # Debian 13 has no cross gcc there, and LLVM is named once.
        ("riscv64", ("clang", "lld", "llvm", "gcc-riscv64-linux-gnu")),
    ],
)
def test_cross_compilers_of_a_machine(machine, names):
    """What apt has depends on the architecture of the machine."""
    keys = [f"gcc-{name}" for name in ARCHITECTURES]
    assert system_packages.package_names(BY_NAME["apt"], keys, machine) == names


def test_missing_qemu_looks_on_path(monkeypatch, tmp_path):
    """Only what is executable there counts."""
    (tmp_path / "qemu-system-riscv64").write_text("#!/bin/sh\n")
    (tmp_path / "qemu-system-riscv64").chmod(0o755)
    (tmp_path / "qemu-system-x86_64").write_text("not executable")
    monkeypatch.setenv("PATH", str(tmp_path))
    installer = Installer(None, root=True)
    assert installer.missing_qemu(ARCHITECTURES) == ("arm64", "x86_64")
    assert installer.missing_qemu(["riscv64"]) == ()


@pytest.fixture
def no_proxies(monkeypatch):
    """A machine without a proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("root", "terminal", "start"),
    [(True, False, ("env",)), (False, True, ("sudo", "env")), (False, False, ("sudo", "-n", "env"))],
    ids=["root", "terminal", "no-terminal"],
)
@pytest.mark.usefixtures("no_proxies")
def test_sudo_asks_only_at_a_terminal(root, terminal, start):
    """Without a terminal it must fail, not wait for a password."""
    command = system_packages.privileged(("apt-get", "update"), root=root, terminal=terminal)
    assert command[: len(start)] == start
    assert command[-2:] == ("apt-get", "update")
    assert "DEBIAN_FRONTEND=noninteractive" in command


@pytest.mark.usefixtures("no_proxies")
def test_sudo_keeps_the_proxies(monkeypatch):
    """By name, since values can have passwords, and only those that are set; root has them anyway."""
    assert system_packages.privileged((), root=False, terminal=True)[:2] == ("sudo", "env")
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.test:3128")
    monkeypatch.setenv("no_proxy", "localhost")
    command = system_packages.privileged((), root=False, terminal=False)
    assert command[:4] == ("sudo", "-n", "--preserve-env=https_proxy,no_proxy", "env")
    assert "secret" not in " ".join(command)
    assert system_packages.privileged((), root=True, terminal=False)[0] == "env"


@pytest.fixture
def debian(monkeypatch, tmp_path):
    """debian(body): the installer of a Debian machine whose apt-get runs body, and a function that reads its calls."""
    calls = tmp_path / "calls"
    apt = tmp_path / "apt-get"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def make(body):
        apt.write_text(f'#!/bin/sh\necho "$DEBIAN_FRONTEND $*" >> {calls}\n{body}\n')
        apt.chmod(0o755)
        return Installer(BY_NAME["apt"], root=True), lambda: calls.read_text().splitlines()

    return make


def test_install_refreshes_then_installs(debian):
    """Without a question, and without recommended packages."""
    installer, calls = debian("exit 0")
    lines = []
    installer.install(["qemu-x86"], lines.append)
    update, install = calls()
    assert update == "noninteractive update"
    assert install.endswith("install -y --no-install-recommends qemu-system-x86")
    assert lines == ["apt: refreshing the package lists", "apt: installing qemu-system-x86"]


def test_install_goes_on_after_a_failed_refresh(debian):
    """A third party's source that is down does not matter."""
    installer, calls = debian('case "$*" in update) exit 100;; esac')
    installer.install(["qemu-x86"], lambda line: None)
    assert len(calls()) == 2


def test_failed_install_shows_the_managers_output(debian):
    """And its exit code."""
    installer, _ = debian('case "$*" in update) ;; *) echo "E: Unable to locate package"; exit 100;; esac')
    with pytest.raises(ToolMissing, match=r"(?s)exit code 100.*E: Unable to locate package"):
        installer.install(["qemu-x86"], lambda line: None)


def test_install_on_an_unknown_machine_changes_nothing():
    """The message says what to do by hand."""
    with pytest.raises(UsageError, match="by hand"):
        Installer(None, root=True).install(["qemu-x86"], pytest.fail)
