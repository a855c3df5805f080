"""From os-release to the line that a person pastes."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.cli import system_packages
from sysevent.errors import ToolMissing, UsageError

QEMU = system_packages.qemu_keys(ARCHITECTURES)
BY_NAME = {manager.name: manager for manager in system_packages.MANAGERS}

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
    """Its ID or ID_LIKE wins over whatever else is installed."""
    every_program = [m.program for m in system_packages.MANAGERS]
    chosen = system_packages.choose(system_packages.distribution(os_release), every_program)
    assert chosen is not None
    assert chosen.name == manager


def test_closest_distribution_wins():
    """ID goes before ID_LIKE."""
    assert system_packages.distribution("ID_LIKE=debian\nID=fedora\n") == ("fedora", "debian")


@pytest.mark.parametrize(
    ("present", "manager"), [(["pacman"], "pacman"), (["apt-get", "dnf"], None), ([], None)], ids=str
)
def test_unknown_distribution(present, manager):
    """The only program that is there tells; two or none do not."""
    chosen = system_packages.choose(system_packages.distribution("ID=somethingelse\n"), present)
    assert (chosen.name if chosen else None) == manager


def test_broken_os_release_is_no_distribution():
    """Whatever stands there is not an error."""
    assert system_packages.distribution('# ID=debian\n\nnonsense\nID_LIKE=""\n') == ()


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
    """The reader picks theirs."""
    lines = system_packages.install_line(QEMU, None, root=True).splitlines()
    assert [line.split()[0] for line in lines] == [manager.name for manager in system_packages.MANAGERS]


def test_line_says_when_a_package_is_not_known():
    """Never a command without a package."""
    assert system_packages.install_line([system_packages.KEYRING], BY_NAME["zypper"], root=True).startswith(
        "(zypper has no"
    )


@pytest.mark.parametrize("manager", system_packages.MANAGERS, ids=lambda m: m.name)
def test_every_manager_has_every_qemu(manager):
    """A new architecture needs a name in each row."""
    assert set(QEMU) <= set(manager.packages)


def test_missing_qemu_looks_on_path(monkeypatch, tmp_path):
    """Only what is executable there counts."""
    (tmp_path / "qemu-system-riscv64").write_text("#!/bin/sh\n")
    (tmp_path / "qemu-system-riscv64").chmod(0o755)
    (tmp_path / "qemu-system-x86_64").write_text("not executable")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert system_packages.missing_qemu(ARCHITECTURES) == ("arm64", "x86_64")
    assert system_packages.missing_qemu(["riscv64"]) == ()


@pytest.mark.parametrize(
    ("root", "terminal", "start"),
    [(True, False, ("env",)), (False, True, ("sudo", "env")), (False, False, ("sudo", "-n", "env"))],
    ids=["root", "terminal", "no-terminal"],
)
def test_sudo_asks_only_at_a_terminal(root, terminal, start):
    """Elsewhere it must fail, not wait for a password."""
    command = system_packages.privileged(("apt-get", "update"), root=root, terminal=terminal)
    assert command[: len(start)] == start
    assert command[-2:] == ("apt-get", "update")
    assert "DEBIAN_FRONTEND=noninteractive" in command


@pytest.fixture
def fake_apt(monkeypatch, tmp_path):
    """A Debian machine whose apt-get writes down how it was called; returns a function that reads that."""
    calls = tmp_path / "calls"
    apt = tmp_path / "apt-get"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(system_packages, "this_machine", lambda: BY_NAME["apt"])
    monkeypatch.setattr("os.geteuid", lambda: 0)

    def script(body):
        apt.write_text(f'#!/bin/sh\necho "$DEBIAN_FRONTEND $*" >> {calls}\n{body}\n')
        apt.chmod(0o755)
        return lambda: calls.read_text().splitlines()

    return script


def test_install_refreshes_then_installs(fake_apt):
    """Without a question, and without recommended packages."""
    calls = fake_apt("exit 0")
    told = []
    system_packages.install(["qemu-x86"], told.append)
    update, install = calls()
    assert update == "noninteractive update"
    assert install.endswith("install -y --no-install-recommends qemu-system-x86")
    assert told == ["apt: refreshing the package lists", "apt: installing qemu-system-x86"]


def test_install_goes_on_after_a_failed_refresh(fake_apt):
    """A third party's source that is down is no reason to stop."""
    calls = fake_apt('case "$*" in update) exit 100;; esac')
    system_packages.install(["qemu-x86"], lambda line: None)
    assert len(calls()) == 2


def test_failed_install_shows_the_managers_words(fake_apt):
    """Its exit code, and what it printed."""
    fake_apt('case "$*" in update) ;; *) echo "E: Unable to locate package"; exit 100;; esac')
    with pytest.raises(ToolMissing, match=r"(?s)exit code 100.*E: Unable to locate package"):
        system_packages.install(["qemu-x86"], lambda line: None)


def test_install_on_an_unknown_machine_changes_nothing(monkeypatch):
    """It says what to do by hand."""
    monkeypatch.setattr(system_packages, "this_machine", lambda: None)
    monkeypatch.setattr(system_packages, "_run", lambda argv: pytest.fail(f"ran {argv}"))
    with pytest.raises(UsageError, match="by hand"):
        system_packages.install(["qemu-x86"], lambda line: None)
