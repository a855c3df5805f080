"""Compiling by a Makefile of a few lines, what is kept of it, and the source that it is made from."""

import io
import lzma
import tarfile

import msgspec
import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.build.toolchain import Toolchain
from sysevent.cache import Cache
from sysevent.errors import BuildFailed, ImageError, NotApplicable, UsageError
from sysevent.images.debian import linux_source
from sysevent.images.debian.archive import Archive
from sysevent.model import KernelImage
from sysevent.peers import compilation, libc, programs, source
from sysevent.peers.compilation import Tools
from sysevent.peers.source import Source

ARM64 = ARCHITECTURES["arm64"]
# Copies the source of a program, with what it was made by; fails for a source with the word "error".
MAKEFILE = """\
$(OUTPUT)/%: %.c
\t@mkdir -p $(dir $@)
\t@! grep -n error $< /dev/null || { echo "$<:1:1: error: no"; exit 1; }
\t@{ cat $<; echo "$(ARCH) $(CROSS_COMPILE) $(LDFLAGS)"; cat ../../../../usr/include/kvm.h; } > $@
"""
FILES = {
    "Makefile": "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 117\nEXTRAVERSION =\n",
    "scripts/subarch.include": "",
    "tools/include/linux/x.h": "x",
    f"{programs.FOLDER}/Makefile": MAKEFILE,
    f"{programs.FOLDER}/aarch64/psci_test.c": "psci",
    f"{programs.FOLDER}/get-reg-list.c": "registers",
    "drivers/net/unneeded.c": "",
}


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def tree(tmp_path):
    return write(tmp_path / "linux", FILES)


@pytest.fixture
def tools(tmp_path):
    write(
        tmp_path,
        {"headers-1/include/kvm.h": "headers", "libc-1/lib/libc.a": "", "libc-1/include/stdio.h": ""},
    )
    compiler = Toolchain("gcc", "12.2.0", "arm-gcc", ("CROSS_COMPILE=arm-",))
    return Tools(compiler, tmp_path / "headers-1", tmp_path / "libc-1")


@pytest.fixture
def build(tmp_path, tree, tools, make):
    said = []

    def build(tools=tools, **more):
        del said[:]
        made = compilation.programs_of(
            Source(tree, "a tree"), ARM64, tools, Cache(tmp_path / "cache"), said.append, **more
        )
        return made, any("compiling" in line for line in said)

    return build


def test_programs(build, tmp_path):
    """Those that the source has, by its Makefile, statically, and with the headers of the same source."""
    compiled, _ = build(log=tmp_path / "logs/make.log")
    assert compiled.made.programs == ("psci_test", "get-reg-list")
    assert compiled.absent == ("hypercalls", "smccc_filter", "set_memory_region_test")
    packed = compiled.archive.read_bytes()
    assert b"peers/psci_test" in packed
    assert b"psciarm64 arm- -static" in packed
    assert b"headers" in packed
    assert len(packed) % 4 == 0
    assert (tmp_path / "logs/make.log").exists()


def test_nothing_is_written_to_the_source(build, tree):
    def state():
        return sorted((path, path.stat().st_mtime_ns) for path in tree.rglob("*"))

    before = state()
    build()
    assert state() == before


def test_it_is_kept(build):
    assert [build()[1] for _ in range(2)] == [True, False]


@pytest.mark.parametrize("change", ["program", "header", "headers", "library", "compiler", "archive"])
def test_what_makes_it_again(build, tree, tools, change):
    first, _ = build()
    if change == "program":
        write(tree, {f"{programs.FOLDER}/aarch64/psci_test.c": "other"})
    elif change == "header":
        write(tree, {"tools/include/linux/x.h": "y"})
    elif change == "archive":
        first.archive.write_bytes(b"damaged")
    elif change == "compiler":
        tools = msgspec.structs.replace(
            tools, compiler=msgspec.structs.replace(tools.compiler, version="13.1.0")
        )
    else:
        path = getattr(tools, change)
        other = path.with_name("other")
        path.rename(other)
        tools = msgspec.structs.replace(tools, **{change: other})
    second, compiled = build(tools)
    assert compiled
    assert second.made.programs == first.made.programs


def test_other_files_of_a_tree_do_not_matter(build, tree):
    build()
    write(tree, {"drivers/net/unneeded.c": "changed"})
    assert not build()[1]


def test_one_that_does_not_compile(build, tree):
    write(tree, {f"{programs.FOLDER}/get-reg-list.c": "an error"})
    compiled, _ = build()
    assert compiled.made.programs == ("psci_test",)
    assert compiled.made.failed == {"get-reg-list": "get-reg-list.c:1:1: error: no"}


def test_none_compiles(build, tree):
    write(
        tree,
        {f"{programs.FOLDER}/get-reg-list.c": "error", f"{programs.FOLDER}/aarch64/psci_test.c": "error"},
    )
    with pytest.raises(BuildFailed, match=r"no selftest could be compiled for arm64: .*error: no"):
        build()


def test_a_place_of_a_later_release_comes_first(tree):
    """A tree that has both, such as one with old files in it, is that of the later release."""
    write(tree, {f"{programs.FOLDER}/arm64/psci_test.c": ""})
    test = next(test for test in programs.of("arm64") if test.name == "psci_test")
    assert test.place(Source(tree, "").has) == "arm64/psci_test"


def kernel(spec, version=""):
    return KernelImage(spec, "arm64", "6.12.117", version, None, None)


def test_the_source_of_a_tree(tree, settings, progress):
    found = source.find(kernel(f"tree:{tree}"), None, ARM64, Archive(settings, progress))
    assert found == Source(tree, f"tree:{tree} (6.12.117)")


def test_a_source_that_is_named(tree, settings, progress):
    found = source.find(kernel("/boot/vmlinuz"), tree, ARM64, Archive(settings, progress))
    assert found.root == tree


def test_the_source_of_a_file_is_not_known(settings, progress):
    with pytest.raises(UsageError, match="--tree DIR"):
        source.find(kernel("/boot/vmlinuz"), None, ARM64, Archive(settings, progress))


def test_a_directory_without_programs(tmp_path, settings, progress):
    with pytest.raises(UsageError, match="no kernel tree with tools/testing/selftests/kvm"):
        source.find(kernel("x"), tmp_path, ARM64, Archive(settings, progress))


def package(make_deb, files, top="linux-source-6.12"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
        link = tarfile.TarInfo(f"{top}/tools/include/link.h")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return make_deb({"usr/src/linux-source-6.12.tar.xz": lzma.compress(out.getvalue())})


@pytest.fixture
def archive(mirror, settings, progress, make_deb):
    """Debian's archive, with two versions of a source in one suite."""
    versions = [
        ("linux-source-6.12", version, package(make_deb, {**FILES, "tools/include/version.h": version}))
        for version in ("6.12.107-1", "6.12.117-1")
    ]
    mirror.add("trixie", "amd64", versions)
    return Archive(settings, progress)


def test_a_source_of_debian(archive):
    """Of exactly the kernel's version; only what is needed, and no links."""
    found = source.find(kernel("debian:6.12", "6.12.107-1"), None, ARM64, archive)
    assert found.name == "linux-source 6.12.107-1"
    assert (found.root / "tools/include/version.h").read_text() == "6.12.107-1"
    assert found.has("aarch64/psci_test.c")
    assert not (found.root / "drivers").exists()
    assert not (found.root / "tools/include/link.h").exists()


def test_a_source_is_unpacked_once(archive, mirror, settings, progress):
    for _ in range(2):
        source.find(kernel("debian:6.12", "6.12.117-1"), None, ARM64, archive)
    assert mirror.request_count("6.12.117-1_amd64.deb") == 1
    offline = Archive(msgspec.structs.replace(settings, offline=True), progress)
    assert source.find(kernel("debian:6.12", "6.12.117-1"), None, ARM64, offline).has("get-reg-list.c")


def test_a_damaged_source_is_unpacked_again(archive):
    root = linux_source.unpacked("6.12.117-1", source.NEEDED, archive)
    (root / "Makefile").write_text("damaged")
    again = linux_source.unpacked("6.12.117-1", source.NEEDED, archive)
    assert (again / "Makefile").read_text() == FILES["Makefile"]


def test_no_source_of_that_version(archive):
    with pytest.raises(NotApplicable, match=r"no source of Linux 6.12.1-1 \(it has 6.12.107-1, 6.12.117-1\)"):
        linux_source.unpacked("6.12.1-1", source.NEEDED, archive)


def test_the_c_library(mirror, settings, progress, make_deb):
    """Bookworm's, for a cross compiler, of which no shared library is unpacked."""
    files = {
        f"usr/aarch64-linux-gnu/{name}": b"x" for name in ("lib/libc.a", "include/sys/x.h", "lib/libc.so.6")
    }
    mirror.add("bookworm", "amd64", [("libc6-dev-arm64-cross", "2.36", make_deb(files))])
    found = libc.unpacked(ARM64, Archive(settings, progress))
    assert sorted(str(path.relative_to(found)) for path in found.rglob("*") if path.is_file()) == [
        "include/sys/x.h",
        "lib/libc.a",
    ]
    offline = Archive(msgspec.structs.replace(settings, offline=True), progress)
    assert libc.unpacked(ARM64, offline) == found


def test_no_c_library(mirror, settings, progress):
    mirror.add("bookworm", "amd64", [])
    with pytest.raises(ImageError, match="no package libc6-dev-arm64-cross"):
        libc.unpacked(ARM64, Archive(settings, progress))
