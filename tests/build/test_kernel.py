"""Building a kernel tree, with a shell script instead of make."""

import re
import shutil
import time

import pytest
from kernel_images import elf, note

from sysevent.arches import ARCHITECTURES
from sysevent.build import kernel, toolchain
from sysevent.build.kernel import KernelBuilder
from sysevent.build.toolchain import Toolchain
from sysevent.errors import DiskFull, KernelNotBuilt, ToolMissing, UsageError

ID = bytes(range(20))
GCC = Toolchain("gcc", "12.2.0", "aarch64-linux-gnu-gcc", ("CROSS_COMPILE=aarch64-linux-gnu-",))

# Runs the file "build" of the tree; rejects the configuration lines in its file "refuses".
MAKE = r"""#!/bin/sh
for word; do
    case $word in O=*) out=${word#O=} ;; KCONFIG_ALLCONFIG=*) fragment=${word#*=} ;; esac
    goal=$word
done
tree=$2
case $goal in
allnoconfig) grep -vxFf "$tree/refuses" "$fragment" >"$out/.config" ;;
headers) mkdir -p "$out/usr/include/linux"; cp "$tree/kvm.h" "$out/usr/include/linux/" ;;
*) env >"$out/environment"; echo "$@" >"$out/arguments"; cp "$tree/vmlinux" "$out/"; out="$out" sh "$tree/build" ;;
esac
"""


@pytest.fixture
def tree(tmp_path):
    """A directory with the files that MAKE uses."""
    path = tmp_path / "linux"
    path.mkdir()
    (path / "refuses").write_text("CONFIG_PANIC_ON_OOPS=y\n")
    (path / "build").write_text("echo '  CC      lib/error.o'\n")
    (path / "kvm.h").write_text("/* one */\n")
    (path / "vmlinux").write_bytes(elf(note(ID), arch="arm64"))
    return path


@pytest.fixture
def builder(tmp_path, monkeypatch):
    """A builder whose make is MAKE."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "make").write_text(MAKE)
    (folder / "make").chmod(0o755)
    for name in ("sh", "env", "grep", "mkdir", "cp", "setpriv", "sleep", "echo"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("CROSS_COMPILE", "other-")
    monkeypatch.setenv("KCONFIG_ALLCONFIG", "/nonexistent")
    monkeypatch.setattr(kernel, "toolchains", lambda arch: [GCC])
    return KernelBuilder(
        ARCHITECTURES["arm64"],
        tmp_path / "build",
        lambda line: None,
        build_id=lambda path: (ID.hex(), ""),
        jobs=3,
    )


def test_builds(builder, tree, tmp_path):
    """Outside the tree, in a directory for the compiler, without the user's variables for kernel builds."""
    built = builder.build(tree, tmp_path / "logs" / "build.log")
    output = tmp_path / "build" / "arm64-gcc-12.2.0"
    assert built.spec == f"tree:{output}"
    assert built.notes == ("not honoured: CONFIG_PANIC_ON_OOPS",)
    assert set(built.seconds) == {"configure", "build"}
    words = (output / "arguments").read_text().split()
    assert {"-j3", "ARCH=arm64", "LOCALVERSION=", "CC=aarch64-linux-gnu-gcc", "Image"} <= set(words)
    environment = (output / "environment").read_text()
    assert "other-" not in environment
    assert "/nonexistent" not in environment
    assert "LC_ALL=C" in environment
    assert "KBUILD_BUILD_VERSION=no-commit" in environment


def test_the_boot_image_must_hold_the_kernel_that_was_linked(builder, tree, tmp_path):
    """An old one in it would be judged in the new one's name."""
    builder._build_id = lambda path: ("77" * 20, "")
    with pytest.raises(KernelNotBuilt) as caught:
        builder.build(tree, tmp_path / "log")
    words = str(caught.value)
    assert (
        f"arch/arm64/boot/Image does not hold the kernel that was built: its build ID is {'77' * 20}" in words
    )
    assert f"that of vmlinux is {ID.hex()}; remove {tmp_path}/build/arm64-gcc-12.2.0" in words


@pytest.mark.parametrize(
    ("vmlinux", "image", "words"),
    [
        (elf(note(ID)), ("", "packed with LZO"), "not proven .*: packed with LZO"),
        (elf(b""), (ID.hex(), ""), "not proven .*: vmlinux has no build ID"),
        (b"", (ID.hex(), ""), "not proven .*: vmlinux has no build ID"),
    ],
)
def test_a_build_without_build_ids(vmlinux, image, words, builder, tree, tmp_path):
    """A note of the step says so."""
    (tree / "vmlinux").write_bytes(vmlinux)
    builder._build_id = lambda path: image
    assert re.search(words, builder.build(tree, tmp_path / "log").notes[-1])


def test_configuration_that_stays(builder, tree, tmp_path):
    """Only sources have changed since the last build: the configuration is not made again."""
    builder.build(tree, tmp_path / "log")
    (tree / "refuses").write_text("CONFIG_KVM=y\n")
    built = builder.build(tree, tmp_path / "log", configured=True)
    assert "allnoconfig" not in (tmp_path / "log").read_text()
    assert built.notes[1:] == ()


def test_a_configuration_that_would_be_the_same_is_kept(builder, tree, tmp_path):
    """With its remark, until something has changed that decides it, or the build failed before the compiler."""
    output = tmp_path / "build" / "arm64-gcc-12.2.0"

    def configures():
        assert builder.build(tree, tmp_path / "log").notes == ("not honoured: CONFIG_PANIC_ON_OOPS",)
        return "allnoconfig" in (tmp_path / "log").read_text()

    assert configures()
    # make has written no list of the files that it read.
    assert configures()
    (output / "include" / "config").mkdir(parents=True)
    (output / "include" / "config" / "auto.conf.cmd").write_text(
        "deps_config := \\\n\tKconfig \\\n\tlib/Kconfig\n"
    )
    assert configures()
    assert not configures()
    (tree / "Kconfig").write_text("config KVM\n")
    assert configures()
    assert not configures()
    (output / ".config").write_text("")
    assert configures()
    for message, again in (("psci.c:9: error: no", False), ("Restart config... aborted", True)):
        (tree / "build").write_text(f"echo '{message}'; exit 2\n")
        with pytest.raises(KernelNotBuilt):
            builder.build(tree, tmp_path / "log")
        (tree / "build").write_text("")
        assert configures() is again


def test_fallback(builder, tree, tmp_path):
    """A fallback is requested only after a required line was not honoured."""
    (tree / "refuses").write_text("CONFIG_KVM=y\n")
    with pytest.raises(KernelNotBuilt, match="does not accept CONFIG_KVM=y"):
        builder.build(tree, tmp_path / "log")
    asked = tmp_path / "build" / "arm64-gcc-12.2.0" / "sysevent.config"
    assert "CONFIG_NET=y" in asked.read_text()
    (tree / "refuses").write_text("CONFIG_NOTHING=y\n")
    assert builder.build(tree, tmp_path / "log").notes == ()
    assert "CONFIG_NET=y" not in asked.read_text()


@pytest.mark.parametrize(
    ("output", "error", "words"),
    [
        pytest.param(
            "kernel/fork.c:9:3: error: expected ';'",
            KernelNotBuilt,
            "building Image failed: kernel/fork.c:9:3: error: expected ';'",
            id="compiler",
        ),
        pytest.param("as: x.o: No space left on device", DiskFull, "no space left", id="full disk"),
        pytest.param(
            "*** The source tree is not clean, please run", UsageError, "make mrproper", id="in place"
        ),
        pytest.param("Killed", KernelNotBuilt, "Killed", id="killed"),
    ],
)
def test_failure(output, error, words, builder, tree, tmp_path):
    """The output decides which error it is; a file called error.o is not one."""
    (tree / "build").write_text(f"echo '  CC  lib/error.o'; echo \"{output}\" >&2; exit 2\n")
    with pytest.raises(error, match=words.replace("(", r"\(")):
        builder.build(tree, tmp_path / "log")


def test_paths_in_messages_are_relative_to_the_tree(builder, tree, tmp_path):
    (tree / "build").write_text(f"echo '{tree}/virt/kvm/kvm_main.c:1:1: error: no' >&2; exit 2\n")
    with pytest.raises(KernelNotBuilt, match=r"failed: virt/kvm/kvm_main.c:1:1: error: no"):
        builder.build(tree, tmp_path / "log")


def test_compile_errors_are_shown_once_with_their_source():
    """Each with the lines below it, without make's own and without what repeats; what make says, if there are none."""
    output = """  CC      arch/arm64/kvm/psci.o
arch/arm64/kvm/psci.c: In function 'kvm_psci_call':
arch/arm64/kvm/psci.c:9:3: error: expected ';' before 'x'
    9 |   int x
      |        ^
kvm.h:2:1: error: unknown type
kvm.h:2:1: error: unknown type
make[4]: *** [scripts/Makefile.build:229: psci.o] Error 1
""".splitlines()
    assert kernel.diagnostics(output) == [*output[2:6]]
    assert kernel.diagnostics(output[-1:]) == output[-1:]
    assert kernel.diagnostics(output[:1]) == []


def test_interrupted_build_ends_its_children(builder, tree, tmp_path, monkeypatch):
    """No process continues to write into the build directory."""
    mark = tmp_path / "mark"
    (tree / "build").write_text(f"sleep 1; echo >{mark}\n")
    monkeypatch.setattr(kernel, "_PROGRESS_INTERVAL", 0.1)

    def interrupt(line):
        raise KeyboardInterrupt

    builder._progress = interrupt
    with pytest.raises(KeyboardInterrupt):
        builder.build(tree, tmp_path / "log")
    time.sleep(1.2)
    assert not mark.exists()


def test_what_watches_a_build_can_end_it(builder, tree, tmp_path, monkeypatch):
    """It is called while make runs, whether or not there is progress to show."""
    mark, called = tmp_path / "mark", []
    (tree / "build").write_text(f"sleep 1; echo >{mark}\n")
    monkeypatch.setattr(kernel, "_WATCH_INTERVAL", 0.01)

    def refuse():
        called.append(time.monotonic())
        if len(called) == 3:
            raise UsageError("-k x selects no test")

    builder._watch = refuse
    with pytest.raises(UsageError, match="selects no test"):
        builder.build(tree, tmp_path / "log")
    time.sleep(1.2)
    assert not mark.exists()


def test_headers(builder, tree, tmp_path):
    """A header that does not exist any more is removed, although the tree's make does not do it."""
    found = builder.headers(tree, tmp_path / "log")
    # No gcc is installed in this test.
    assert "ziglang cc headers" in (tmp_path / "log").read_text()
    stale = found / "linux" / "gone.h"
    stale.write_text("")
    builder.headers(tree, tmp_path / "log")
    assert [path.name for path in (found / "linux").iterdir()] == ["kvm.h"]


def test_oldest_compiler_that_a_tree_accepts(tree):
    """The tree's script decides: the next toolchain is used, or the message says why there is none."""
    (tree / "scripts").mkdir()
    (tree / "scripts" / "min-tool-version.sh").write_text(
        "case $1 in gcc) echo 14.1.0 ;; *) echo 17.0.1 ;; esac\n"
    )
    arch = ARCHITECTURES["arm64"]
    llvm = Toolchain("llvm", "19.1.0", "clang", ("LLVM=1",))
    assert toolchain.first_accepted(tree, arch, [GCC, llvm]) is llvm
    with pytest.raises(ToolMissing, match=r"gcc-12\.2\.0 is older than the 14\.1\.0"):
        toolchain.first_accepted(tree, arch, [GCC])
    with pytest.raises(ToolMissing, match="no compiler for arm64 is installed"):
        toolchain.first_accepted(tree, arch, [])


def test_users_choice_of_compiler(monkeypatch, tmp_path):
    """CROSS_COMPILE and LLVM have their meaning for the kernel, and no other toolchain is considered."""
    for name in ("mine-gcc", "mine-ld"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'mine-gcc (Distribution 13.2.0-1) 13.2.0'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("LLVM", raising=False)
    monkeypatch.setenv("CROSS_COMPILE", "mine-")
    found = toolchain.toolchains(ARCHITECTURES["riscv64"])
    assert [(one.name, one.compiler) for one in found] == [("gcc-13.2.0", "mine-gcc")]
    monkeypatch.setenv("LLVM", f"{tmp_path}/none/")
    assert toolchain.toolchains(ARCHITECTURES["riscv64"]) == []
