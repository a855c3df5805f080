"""Kits out of Debian's packages."""

import gzip

import msgspec
import pytest
from debian_mirror import build_deb
from elf_programs import elf_program
from faults import DAMAGE

from sysevent.arches import architecture
from sysevent.cache import Cache
from sysevent.errors import BadSignature, DownloadFailed, ImageError, NotApplicable, NotCached
from sysevent.images.debian.archive import Archive
from sysevent.images.rootfs.kits import packages as kits

ARM64 = architecture("arm64")
FOLDER = "lib/aarch64-linux-gnu"


def paths(kit):
    """The files of a kit's archive, by their names in it."""
    data, found, at = gzip.decompress(kit.archive.read_bytes()), [], 0
    while True:
        mode, size, length = (int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in (1, 6, 11))
        name = data[at + 110 : at + 109 + length].decode()
        if name == "TRAILER!!!":
            return found
        if mode >> 12 == 8:
            found.append((name, mode & 0o777))
        at = ((at + 110 + length + 3) // 4 * 4 + size + 3) // 4 * 4


def test_what_is_in_a_kit(qemu, recipe, archive):
    """The program, its interpreter, its libraries, and its data, which alone is not executable; no other file."""
    kit = kits.kit(recipe, ARM64, archive)
    assert paths(kit) == [
        (f"{FOLDER}/libc.so.6", 0o755),
        (f"{FOLDER}/libfoo-1.so.0", 0o755),
        (f"{FOLDER}/libodd.so.9", 0o755),
        ("lib/ld-linux-aarch64.so.1", 0o755),
        ("usr/bin/qemu-system-aarch64", 0o755),
        ("usr/share/qemu/rom.bin", 0o644),
    ]
    assert (kit.name, kit.arch, kit.version) == ("qemu-10", "arm64", "1:10.0.2+ds-1")
    assert (kit.program, kit.libraries) == ("/usr/bin/qemu-system-aarch64", 4)
    assert kit.packages == (
        *("libc6 2.41", "libfoo-1-0t64 1.2", "qemu-data 10", "qemu-system-arm 1:10.0.2+ds-1"),
        "strange 9",
    )
    assert (kit.size, kit.compressed) == (
        len(gzip.decompress(kit.archive.read_bytes())),
        kit.archive.stat().st_size,
    )


def test_packages_that_are_needed_are_fetched(qemu, recipe, archive):
    """Those with the usual name of a library first; others only while a library is missing, the nearest first."""
    kits.kit(recipe, ARM64, archive)
    assert qemu.request_count("libunused1_1_arm64.deb") == 0
    assert qemu.request_count("strange_9_arm64.deb") == 1


def test_a_second_time_from_the_cache(qemu, recipe, archive, settings, progress):
    """Offline as well."""
    first = kits.kit(recipe, ARM64, archive)
    asked = len(qemu.log)
    assert kits.kit(recipe, ARM64, archive) == first
    offline = Archive(msgspec.structs.replace(settings, offline=True), progress)
    assert kits.kit(recipe, ARM64, offline) == first
    assert len(qemu.log) == asked


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_archive_is_made_again(qemu, recipe, archive, damage):
    first = kits.kit(recipe, ARM64, archive)
    DAMAGE[damage](first.archive)
    again = kits.kit(recipe, ARM64, archive)
    assert again.digest == first.digest
    assert Cache(archive.settings.cache).is_intact(again.archive)


def test_another_package_is_another_kit(qemu, recipe, archive, packages, settings, progress):
    """After a day, when the mirror is asked again, and has another version of a library."""
    first = kits.kit(recipe, ARM64, archive)
    library = build_deb({f"{FOLDER}/libfoo-1.so.0": elf_program(["libc.so.6"]) + b"new"})
    packages[1] = ("libfoo-1-0t64", "1.3", library, "Provides: libfoo-1-0 (= 1.3)")
    qemu.add("trixie", "arm64", packages)
    for path in (settings.cache / "suites").glob("*.json"):
        path.unlink()
    for note in (settings.cache / "kits").glob("qemu-10-arm64.json"):
        note.unlink()
    second = kits.kit(recipe, ARM64, Archive(settings, progress))
    assert "libfoo-1-0t64 1.3" in second.packages
    assert first.archive != second.archive


def test_another_rule_is_another_kit(qemu, recipe, archive):
    first = kits.kit(recipe, ARM64, archive)
    second = kits.kit(msgspec.structs.replace(recipe, data={"arm64": {}}), ARM64, archive)
    assert first.archive != second.archive
    assert "qemu-data 10" not in second.packages


def test_offline_without_the_kit(recipe, settings, progress):
    """The message has the command that fetches it."""
    archive = Archive(msgspec.structs.replace(settings, offline=True), progress, "sysevent images fetch X")
    with pytest.raises(NotCached, match="sysevent images fetch X"):
        kits.kit(recipe, ARM64, archive)


def test_a_dead_mirror_does_not_cost_the_kit(qemu, recipe, archive, settings, progress, monkeypatch):
    """The one at hand is used, with a line."""
    first = kits.kit(recipe, ARM64, archive)
    monkeypatch.setattr(kits, "FRESH", -1)
    monkeypatch.setattr(Archive, "suite", lambda *_, **__: (_ for _ in ()).throw(DownloadFailed("dead")))
    assert kits.kit(recipe, ARM64, Archive(settings, progress)) == first
    assert "using the kit at hand" in progress.text


def test_a_suite_that_is_not_on_the_mirror(qemu, recipe, archive):
    """Not a property of Debian: another mirror may have it, and the message says so."""
    old = msgspec.structs.replace(recipe, suites=("bullseye",))
    with pytest.raises(
        DownloadFailed, match=r"no qemu-10 for arm64: bullseye is not on the mirror .*--mirror"
    ):
        kits.kit(old, ARM64, archive)


def test_a_mirror_that_is_being_updated(qemu, recipe, archive):
    """Its index is not the one that its release file names: nothing is known of the suite."""
    for path in list(qemu.root.rglob("*")):
        if path.name == "Packages.xz" or path.parent.name == "SHA256":
            path.write_bytes(path.read_bytes() + b"longer")
    with pytest.raises(DownloadFailed, match=r"trixie is not on the mirror"):
        kits.kit(recipe, ARM64, archive)


def test_a_later_suite_has_it(qemu, recipe, archive):
    assert kits.kit(msgspec.structs.replace(recipe, suites=("bullseye", "trixie")), ARM64, archive)


@pytest.mark.parametrize(
    ("change", "arch", "words"),
    [
        ({"version": "11."}, "arm64", r"trixie has qemu-system-arm 1:10\.0\.2\+ds-1"),
        ({"packages": {"arm64": ("absent",)}}, "arm64", "trixie has no absent for arm64"),
        ({}, "riscv64", "trixie has no riscv64"),
    ],
)
def test_what_debian_does_not_have(qemu, recipe, archive, change, arch, words):
    with pytest.raises(NotApplicable, match=f"no qemu-10 for {arch}: {words}"):
        kits.kit(msgspec.structs.replace(recipe, **change), architecture(arch), archive)


def test_a_library_in_no_package(mirror, recipe, archive, packages):
    """The message names it, the file that needs it, and what the suite lacks."""
    broken = build_deb({"usr/bin/qemu-system-aarch64": elf_program(["libgone.so.3"])})
    packages[0] = ("qemu-system-arm", "10", broken, "Depends: libgone3, libc6, qemu-data")
    mirror.add("trixie", "arm64", packages)
    with pytest.raises(ImageError, match=r"aarch64 needs libgone\.so\.3.*which has no libgone3"):
        kits.kit(recipe, ARM64, archive)


def test_a_package_without_the_program(mirror, recipe, archive, packages):
    packages[0] = ("qemu-system-arm", "10", build_deb({"usr/bin/other": b""}), "Depends: libc6")
    mirror.add("trixie", "arm64", packages)
    with pytest.raises(ImageError, match="holds no usr/bin/qemu-system-aarch64"):
        kits.kit(recipe, ARM64, archive)


def test_data_that_moved(mirror, recipe, archive, packages):
    packages[-1] = ("qemu-data", "11", build_deb({"usr/share/qemu/other.bin": b""}))
    mirror.add("trixie", "arm64", packages)
    with pytest.raises(ImageError, match=r"holds no usr/share/qemu/rom\.bin"):
        kits.kit(recipe, ARM64, archive)


def test_a_package_that_is_not_as_signed(qemu, recipe, archive):
    path = qemu.find("libc6_2.41_arm64.deb")
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(BadSignature, match="SHA-256"):
        kits.kit(recipe, ARM64, archive)


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libpixman-1.so.0", "libpixman-1-0"),
        ("libc.so.6", "libc6"),
        ("libgcc_s.so.1", "libgcc-s1"),
        ("libSDL2-2.0.so.0", "libsdl2-2.0-0"),
        ("libfuse3.so.4", "libfuse3-4"),
        ("libopcodes-2.44.so", "libopcodes2.44"),
        ("odd", "odd"),
    ],
)
def test_names_of_packages(library, package):
    assert kits.package_name(library) == package


@pytest.mark.parametrize(
    ("version", "shown"), [("1:10.0.2+ds-2", "10.0.2."), ("5.2-1", "5.2."), ("1:11.0~rc1", "11.0.")]
)
def test_upstream_versions(version, shown):
    assert kits.upstream(version) == shown
