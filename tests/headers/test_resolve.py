"""Headers of a track, a tree, and this machine: packages, directories, and signatures."""

import re
import shutil
from dataclasses import dataclass

import pytest
from faults import DAMAGE
from kernel_images import source_tree

from sysevent.arches import ARCHITECTURES, architecture
from sysevent.errors import BadSignature, BuildFailed, NotApplicable, NotCached, UsageError
from sysevent.headers import resolve
from sysevent.images.debian import deb
from sysevent.images.debian.package_index import Package
from sysevent.images.tracks import Track

SHARED = {
    "usr/include/linux/kvm.h": b"/* kvm */",
    "usr/lib/linux/uapi/x86/asm/kvm.h": b"/* x86 */",
    "usr/lib/linux/uapi/riscv/asm/kvm.h": b"/* riscv */",
    "usr/share/doc/linux-libc-dev/copyright": b"text",
}
OLD = {"usr/include/linux/kvm.h": b"/* kvm */", "usr/include/x86_64-linux-gnu/asm/kvm.h": b"/* x86 */"}
CROSS = {
    "usr/riscv64-linux-gnu/include/linux/kvm.h": b"/* kvm */",
    "usr/riscv64-linux-gnu/include/asm/kvm.h": b"/* riscv */",
}


@pytest.fixture
def bookworm(mirror, make_deb):
    """A suite of before 6.12: amd64 has a package of its own, and riscv64 a cross package."""
    mirror.add(
        "bookworm",
        "amd64",
        [
            ("linux-libc-dev", "6.1.9-1", make_deb(OLD)),
            ("linux-libc-dev", "6.1.176-1", make_deb(OLD | {"usr/include/linux/new.h": b""})),
            # Of another track.
            ("linux-libc-dev", "6.12.1-1", make_deb(OLD)),
            ("linux-libc-dev-riscv64-cross", "6.1.4-1cross1", make_deb(CROSS)),
        ],
    )
    return mirror


@pytest.fixture
def find(settings, progress):
    """find(spec, arch, **changes): resolve.find() with the test's settings."""

    def find(spec, arch, **changes):
        return resolve.find(spec, architecture(arch), settings, progress, **changes)

    return find


@pytest.mark.usefixtures("bookworm")
def test_the_newest_package_of_the_track(find, tmp_path):
    found = find("debian:6.1", "x86_64")
    assert (found.version, found.spec, found.arch) == ("6.1.176-1", "debian:6.1", "x86_64")
    with resolve.unpacked(found, tmp_path) as (asm, linux):
        assert (asm / "asm/kvm.h").read_bytes() == b"/* x86 */"
        assert (linux / "linux/new.h").exists()
    assert not linux.exists()
    assert find("6.1", "x86_64").key == found.key


@pytest.mark.usefixtures("bookworm")
def test_an_architecture_that_the_suite_lacks_has_a_cross_package(find, tmp_path):
    found = find("debian:6.1", "riscv64")
    assert found.version == "6.1.4-1cross1"
    with resolve.unpacked(found, tmp_path) as (both,):
        assert (both / "asm/kvm.h").read_bytes() == b"/* riscv */"
    with pytest.raises(NotApplicable, match=r"no headers of kernel 6\.1 for arm64"):
        find("debian:6.1", "arm64")


def test_the_mirror_is_asked_once(find, bookworm, settings, progress):
    for _ in range(3):
        find("debian:6.1", "x86_64")
        find("debian:6.1", "riscv64")
    assert bookworm.request_count("InRelease") == 1
    assert bookworm.request_count(".deb") == 2


def test_offline_without_a_cache(settings, progress):
    offline = type(settings)(
        **{key: getattr(settings, key) for key in settings.__slots__} | {"offline": True}
    )
    with pytest.raises(NotCached, match="offline"):
        resolve.find("debian:6.1", architecture("x86_64"), offline, progress)


def test_a_package_that_was_changed(find, bookworm):
    path = bookworm.find("linux-libc-dev_6.1.176-1_amd64.deb")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BadSignature):
        find("debian:6.1", "x86_64")


def test_one_package_for_all_architectures():
    """Since 6.12; no other index is fetched."""

    @dataclass
    class Archive:
        packages: tuple[Package, ...]

        def listing(self, suite, arch, *, by_hash):
            assert (arch, by_hash) == ("amd64", True)
            return self

    shared = Package("linux-libc-dev", "7.2.12-1", "pool/l/linux-libc-dev_7.2.12-1_all.deb", 1, "0" * 64)
    other = Package("linux-libc-dev", "7.3.4-1", "pool/l/linux-libc-dev_7.3.4-1_all.deb", 1, "1" * 64)
    track = Track("7.2", ("forky",), {})
    assert resolve._of_suite(None, track, Archive((other, shared))) == dict.fromkeys(ARCHITECTURES, shared)
    newest = Track("newest", ("forky",), {}, "highest")
    assert resolve._of_suite(None, newest, Archive((other, shared)))["arm64"] == other


def test_directories_of_the_shared_package(tmp_path, make_deb):
    (tmp_path / "p.deb").write_bytes(make_deb(SHARED))
    deb.extract(tmp_path / "p.deb", tmp_path / "root", re.compile(r"(\./)?usr/.*\.h"))
    asm, linux = resolve.include_directories(tmp_path / "root", "riscv64")
    assert (asm / "asm/kvm.h").read_bytes() == b"/* riscv */"
    assert linux == tmp_path / "root/usr/include"
    assert not (tmp_path / "root/usr/share").exists()
    with pytest.raises(NotApplicable, match="no KVM there"):
        resolve.include_directories(tmp_path / "root", "arm64")


def test_invalid_specs(find):
    for spec in ("debian:6.66", "nothing", "tree:/nowhere"):
        with pytest.raises(UsageError, match=r"debian:6\.12|no such directory"):
            find(spec, "x86_64")


def test_headers_of_this_machine(find, monkeypatch, tmp_path):
    monkeypatch.setattr(resolve, "INSTALLED", tmp_path)
    with pytest.raises(NotApplicable, match="install linux-libc-dev"):
        find("machine", "arm64")
    for name in ("linux/kvm.h", "aarch64-linux-gnu/asm/kvm.h"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "linux/version.h").write_text("#define LINUX_VERSION_CODE 396480\n")
    found = find("machine", "arm64")
    assert (found.version, found.root) == ("6.12.192", tmp_path)
    with resolve.unpacked(found, tmp_path) as directories:
        assert directories == (tmp_path / "aarch64-linux-gnu", tmp_path)


MAKEFILE = """VERSION = 6
PATCHLEVEL = 20
SUBLEVEL = 1
EXTRAVERSION = -rc2
headers_install:
	@test -z "$(O)" || test ! -f .config || { echo not clean >&2; exit 1; }
	@test ! -f broken || { echo it is broken >&2; exit 1; }
	@mkdir -p $(INSTALL_HDR_PATH)/include/linux $(INSTALL_HDR_PATH)/include/asm
	@cp include/uapi/linux/kvm.h $(INSTALL_HDR_PATH)/include/linux/
	@echo "/* $(ARCH) */" > $(INSTALL_HDR_PATH)/include/asm/kvm.h
	@echo once >> ../log
"""


@pytest.fixture
def linux(tmp_path):
    """A kernel tree with a header and a Makefile that exports it."""
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    root = source_tree(tmp_path / "linux")
    (root / "include/uapi/linux").mkdir(parents=True)
    (root / "include/uapi/linux/kvm.h").write_text("/* kvm */")
    (root / "Makefile").write_text(MAKEFILE)
    return root


@pytest.mark.parametrize("built", [False, True])
def test_a_tree_exports_its_headers(find, linux, tmp_path, built):
    """With O= if it is clean, without if it was built in place; again only after a change."""
    if built:
        (linux / ".config").touch()
    for _ in range(2):
        found = find(f"tree:{linux}", "arm64")
    assert found.version == "6.20.1-rc2"
    with resolve.unpacked(found, tmp_path) as (both,):
        assert (both / "asm/kvm.h").read_text() == "/* arm64 */\n"
    assert (tmp_path / "log").read_text() == "once\n"
    (linux / "include/uapi/linux/kvm.h").write_text("/* changed */")
    assert find(f"tree:{linux}", "arm64").key != found.key
    assert (tmp_path / "log").read_text() == "once\nonce\n"


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_exported_headers_are_exported_again(find, linux, tmp_path, damage):
    """The copy in the cache is then as before."""
    first = find(f"tree:{linux}", "arm64")
    DAMAGE[damage](first.root / "include/asm/kvm.h")
    assert find(f"tree:{linux}", "arm64") == first
    assert (tmp_path / "log").read_text() == "once\nonce\n"


def test_the_message_has_the_output_of_make(find, linux):
    (linux / "broken").touch()
    with pytest.raises(BuildFailed, match="it is broken"):
        find(f"tree:{linux}", "x86_64")


def test_exported_headers(find, tmp_path):
    """usr/include of a built tree, or a directory that was INSTALL_HDR_PATH."""
    for name in ("linux/kvm.h", "asm/kvm.h"):
        path = tmp_path / "usr/include" / name
        path.parent.mkdir(parents=True)
        path.write_text("#ifndef _ASM_X86_KVM_H\n")
    for spec in (f"tree:{tmp_path}", f"tree:{tmp_path / 'usr'}"):
        assert find(spec, "x86_64").root == tmp_path / "usr"
        with pytest.raises(NotApplicable, match="another architecture"):
            find(spec, "arm64")


@pytest.fixture
def built(linux, tmp_path):
    """The output directory of a build of the tree for arm64, as kbuild leaves it."""
    root = tmp_path / "out"
    (root / "include/config").mkdir(parents=True)
    (root / "source").symlink_to(linux)
    (root / "Makefile").write_text(f"# Automatically generated\ninclude {linux}/Makefile\n")
    (root / ".config").write_text("CONFIG_ARM64=y\n# CONFIG_X86 is not set\n")
    (root / "include/config/kernel.release").write_text("6.20.1-rc2-mine+\n")
    return root


def test_a_build_elsewhere_has_the_headers_of_its_source_tree(find, linux, built):
    """Found by the link, or by the Makefile if there is none; a change of the tree is seen."""
    first = find(f"tree:{built}", "arm64")
    assert (first.version, first.key) == ("6.20.1-rc2", find(f"tree:{linux}", "arm64").key)
    (built / "source").unlink()
    assert find(f"tree:{built}", "arm64") == first
    (linux / "include/uapi/linux/kvm.h").write_text("/* renumbered */")
    assert find(f"tree:{built}", "arm64").key != first.key


def test_a_build_below_its_source_tree(find, linux, built):
    """Both traces are relative then: `source -> ..`."""
    inside = linux / "out"
    built.rename(inside)
    (inside / "source").unlink()
    (inside / "Makefile").write_text("include ../Makefile\n")
    assert find(f"tree:{inside}", "arm64").version == "6.20.1-rc2"
    (inside / "Makefile").unlink()
    (inside / "source").symlink_to("..")
    assert find(f"tree:{inside}", "arm64").version == "6.20.1-rc2"


def test_a_build_whose_source_tree_is_gone(find, linux, built, tmp_path):
    """The message has the command that points to a moved tree; the link then counts, not the Makefile."""
    linux.rename(tmp_path / "moved")
    with pytest.raises(NotApplicable, match=rf"{linux}.*ln -sfn /path/to/linux {built}/source"):
        find(f"tree:{built}", "arm64")
    (built / "source").unlink()
    (built / "source").symlink_to("../moved")
    assert find(f"tree:{built}", "arm64").version == "6.20.1-rc2"
    # A loop of links, too, is a tree that is not there.
    (built / "source").unlink()
    (built / "source").symlink_to("source")
    with pytest.raises(NotApplicable, match="ln -sfn"):
        find(f"tree:{built}", "arm64")


@pytest.mark.parametrize("release", ["6.20.10", "6.20.1-rc20", "6.20.1", "7.0.0-rc2"])
def test_a_build_of_another_version_than_its_source_tree(find, built, release):
    (built / "include/config/kernel.release").write_text(f"{release}\n")
    with pytest.raises(NotApplicable, match=rf"built from version {release}.*6\.20\.1-rc2 now"):
        find(f"tree:{built}", "arm64")


def test_a_build_for_another_architecture(find, built):
    with pytest.raises(NotApplicable, match=r"another architecture than x86_64: CONFIG_X86=y"):
        find(f"tree:{built}", "x86_64")


def test_exported_headers_of_a_build_are_second(find, linux, built, tmp_path):
    """They can be older than the kernel, so the source tree's are used while it is there."""
    for name in ("linux/kvm.h", "asm/kvm.h"):
        (built / "usr/include" / name).parent.mkdir(parents=True, exist_ok=True)
        (built / "usr/include" / name).write_text("#define __ARM_KVM_H__\n")
    assert find(f"tree:{built}", "arm64").root != built / "usr"
    linux.rename(tmp_path / "moved")
    assert find(f"tree:{built}", "arm64").root == built / "usr"
