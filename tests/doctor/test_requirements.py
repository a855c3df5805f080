"""Which QEMU a selection needs, and what happens if it is missing."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.build import toolchain
from sysevent.doctor import package_managers, requirements, system_packages
from sysevent.doctor.system_packages import Installer
from sysevent.errors import ToolMissing, UsageError

ALL = ("arm64", "riscv64", "x86_64")


@pytest.mark.parametrize(
    ("targets", "archs", "needed"),
    [
        ([], [], ALL),
        ([], ["x86_64", "arm64"], ("arm64", "x86_64")),
        (["riscv64-tcg"], [], ("riscv64",)),
        (["*-tcg"], [], ALL),
        (["*64-tcg"], ["x86_64"], ("x86_64",)),
        (["local"], [], ()),
        (["rpi5.lab"], [], ()),
        (["arm64-tcg", "local"], [], ("arm64",)),
    ],
    ids=str,
)
def test_selection_decides_which_qemu_is_needed(targets, archs, needed):
    """A target that is not QEMU's needs none."""
    assert requirements.needed_architectures(targets, archs) == needed


class FakeInstaller(Installer):
    """A Debian machine without the QEMU of some architectures; its installation brings some of them."""

    def __init__(self, *missing, brings=()):
        super().__init__(package_managers.MANAGERS[0], root=True)
        self.missing = set(missing)
        self.brings = set(brings)
        self.asked = []

    def missing_qemu(self, archs):
        return tuple(name for name in archs if name in self.missing)

    def install(self, keys, progress):
        self.asked.append(keys)
        self.missing -= self.brings


def ensure(archs, installer, *, install=False, explicit=False):
    """The lines that the user is shown."""
    lines = []
    requirements.ensure_qemu(archs, lines.append, install=install, explicit=explicit, installer=installer)
    return lines


def test_complete_machine_prints_nothing():
    """Nor is anything installed."""
    installer = FakeInstaller()
    assert ensure(ALL, installer) == []
    assert ensure(ALL, installer, install=True) == []
    assert installer.asked == []


def test_missing_part_is_noted_and_the_rest_runs():
    """If the user selected nothing."""
    (line,) = ensure(ALL, FakeInstaller("riscv64"))
    assert "qemu-system-riscv64" in line
    assert "apt-get install" in line
    assert "--install-deps" in line
    assert "qemu-system-arm" not in line


def test_missing_part_of_a_selection_is_refused():
    """A selection that cannot run is the user's to change."""
    with pytest.raises(UsageError, match=r"(?s)qemu-system-riscv64.*apt-get install.*--install-deps"):
        ensure(ALL, FakeInstaller("riscv64"), explicit=True)


def test_everything_missing_is_refused():
    """No target is left to run on."""
    with pytest.raises(UsageError, match="qemu-system-arm qemu-system-riscv64 qemu-system-x86"):
        ensure(ALL, FakeInstaller(*ALL))


def test_selection_without_tcg_needs_no_qemu():
    """--target local runs on a machine without any."""
    assert ensure((), FakeInstaller(*ALL), explicit=True) == []


def test_install_deps_installs_only_what_is_missing():
    """Afterwards PATH is searched again."""
    installer = FakeInstaller("x86_64", brings=["x86_64"])
    assert ensure(ALL, installer, install=True) == []
    assert installer.asked == [("qemu-x86",)]


def test_installation_without_effect_is_an_error():
    """The message has the PATH that was searched."""
    with pytest.raises(ToolMissing, match="not on PATH"):
        ensure(ALL, FakeInstaller("x86_64"), install=True)


@pytest.fixture
def programs(monkeypatch, tmp_path):
    """programs(*names): PATH has only these programs, which do nothing; the package manager is apt."""
    monkeypatch.setattr(requirements.system_packages, "this_machine", FakeInstaller)
    for name in ("LLVM", "CROSS_COMPILE"):
        monkeypatch.delenv(name, raising=False)

    def only(*names):
        for name in names:
            (tmp_path / name).write_text("#!/bin/sh\necho 12.2.0\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return only


# Also for a machine that is itself of that architecture.
BUILDS = ("git", "make", "bc", "flex", "bison", "gcc", "ld", "aarch64-linux-gnu-gcc", "aarch64-linux-gnu-ld")


def test_a_kernel_build_names_exactly_what_is_missing(programs):
    """And the packages of that alone."""
    arm64 = ARCHITECTURES["arm64"]
    programs(*BUILDS)
    requirements.ensure_kernel_build(arm64)
    with pytest.raises(UsageError) as caught:
        requirements.ensure_kernel_build(arm64, ("rsync",))
    assert str(caught.value) == (
        "kernels for arm64 cannot be built: rsync is not installed; install with\n"
        "    apt-get update && apt-get install --no-install-recommends rsync"
    )


def test_headers_need_git_and_make_only(programs):
    """The tree's own programs are compiled with zig if gcc is missing."""
    programs("git")
    with pytest.raises(
        UsageError, match=r"cannot be exported: make is not installed; install with\n.*recommends make$"
    ):
        requirements.ensure_header_export()
    programs("make")
    requirements.ensure_header_export()


@pytest.mark.parametrize("manager", package_managers.MANAGERS, ids=lambda m: m.name)
def test_every_manager_has_what_builds_kernels(manager):
    """A key without a package would be left out of the line."""
    keys = {"git", "make", "bc", "flex", "bison", "gcc", "rsync", "libelf", *(f"gcc-{name}" for name in ALL)}
    assert keys <= set(manager.packages)


@pytest.mark.parametrize("manager", package_managers.MANAGERS, ids=lambda manager: manager.name)
def test_zstd_has_the_same_name_everywhere(manager):
    """Its package."""
    assert system_packages.package_names(manager, ("zstd",)) == ("zstd",)


@pytest.mark.parametrize("error", [None, ToolMissing("no root\nat all"), UsageError("no manager")])
def test_zstd_is_installed_if_it_can_be(error):
    """A run that needs none does not end because of it."""
    installed, said = [], []

    class Installer:
        def install(self, keys, progress):
            installed.append(keys)
            if error:
                raise error

    requirements.install_unpackers(said.append, Installer(), lambda: False)
    assert not installed
    requirements.install_unpackers(said.append, Installer(), lambda: True)
    assert installed == [("zstd",)]
    assert ["zstd cannot be unpacked: no" in line and "\n" not in line for line in said] == [True] * bool(
        error
    )


def test_the_compiler_of_the_machine_itself(programs):
    """It is gcc: a machine has no cross compiler for itself."""
    programs("git", "make", "bc", "flex", "bison")
    own, other = ARCHITECTURES["riscv64"], ARCHITECTURES["arm64"]
    assert [name for name in toolchain.missing_programs(own, (), "riscv64") if "gcc" in name] == ["gcc"]
    assert "gcc-arm64" in toolchain.missing_programs(other, (), "riscv64")
