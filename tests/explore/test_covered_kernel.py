"""What is kept of the coverage of one kernel, and what is said of a kernel without it."""

import struct

import msgspec
import pytest
from coverages import BASE, ONE, POINTS, SEEN, covered

from sysevent import settings
from sysevent.decode.instrumented import Point
from sysevent.errors import ImageError, UsageError
from sysevent.explore.covered_kernel import CoveredKernel, require_kcov, require_vmlinux
from sysevent.model import Answer, Facts, KernelIdentity, Observation, Proof

FACTS = Facts("arm64", "6.12", {}, {}, identity=KernelIdentity("ab" * 20, {}, Proof.PROVEN, ""))


@pytest.fixture
def own(tmp_path):
    return msgspec.structs.replace(settings.from_environment(), cache=tmp_path)


def test_points_are_read_once_for_a_kernel(own, tmp_path):
    """Those of functions that are not the producers' are left out."""
    asked = []
    other = Point("arch/arm64/kvm/arm.c", 9, "kvm_arch_vcpu_create")

    def read(vmlinux, paths):
        asked.append(paths)
        return POINTS | {BASE + 99: other}

    for _ in range(2):
        found = CoveredKernel(own, "arm64", "ab" * 20, read).coverage(tmp_path / "vmlinux")
        assert found.points == POINTS
    assert len(asked) == 1


def test_what_was_reached_is_kept_for_the_next_exploration(own, tmp_path):
    def open_():
        return CoveredKernel(own, "arm64", "ab" * 20, lambda *_: POINTS)

    assert open_().kept() == []
    for offset in (4, 16):
        coverage = open_().coverage(tmp_path)
        coverage.take(ONE, covered(SEEN, offset))
        open_().keep(coverage)
    assert open_().kept() == [ONE]
    assert open_().coverage(tmp_path).before == {BASE + 4, BASE + 16}
    # Of another kernel nothing is known.
    assert CoveredKernel(own, "arm64", "cd" * 20, lambda *_: POINTS).kept() == []


def test_only_so_many_kernels_are_kept(own, tmp_path):
    for n in range(20):
        kernel = CoveredKernel(own, "arm64", f"{n:040x}", lambda *_: POINTS)
        kernel.keep(kernel.coverage(tmp_path))
    assert len(list((tmp_path / "explore" / "covered").iterdir())) == 16


def test_a_vmlinux_without_points_is_refused(own, tmp_path):
    def damaged(*_):
        raise ImageError("vmlinux has no debug information")

    with pytest.raises(UsageError, match="no debug information; it needs CONFIG_KCOV=y"):
        CoveredKernel(own, "arm64", "ab" * 20, damaged).coverage(tmp_path)
    with pytest.raises(UsageError, match="CONFIG_KVM=y"):
        CoveredKernel(own, "arm64", "ab" * 20, lambda *_: {}).coverage(tmp_path)


class Recording:
    """A kernel that answers the beginning of a recording with an errno."""

    def __init__(self, errno):
        self._answer = Answer(-1 if errno else 0, errno, b"")

    def observe(self, asked):
        return Observation(asked.name, "arm64", "arm64", {}, {"begin": self._answer}, {})


def test_a_kernel_without_kcov_is_a_usage_error():
    require_kcov(Recording(0), FACTS, "arm64-tcg")
    with pytest.raises(UsageError, match=r"Linux 6\.12 of arm64-tcg has no KCOV .*--build DIR"):
        require_kcov(Recording(2), FACTS, "arm64-tcg")


def elf_with(build_id):
    """An ELF file that has nothing but a note with a build ID."""
    note = struct.pack("<III4s", 4, len(build_id), 3, b"GNU\0") + build_id
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = ident + struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(note), len(note), 4) + note


def test_the_vmlinux_must_be_that_of_the_kernel_that_answers(tmp_path):
    path = tmp_path / "vmlinux"
    path.write_bytes(elf_with(b"\xab" * 20))
    assert require_vmlinux(path, FACTS, "arm64-tcg") == path
    path.write_bytes(elf_with(b"\xcd" * 20))
    with pytest.raises(UsageError, match=r"has the build ID cdcd.* the kernel that answers abab"):
        require_vmlinux(path, FACTS, "arm64-tcg")
    with pytest.raises(UsageError, match="no vmlinux of arm64-tcg"):
        require_vmlinux(None, FACTS, "arm64-tcg")
    unknown = msgspec.structs.replace(FACTS, identity=None)
    with pytest.raises(UsageError, match="that answers none"):
        require_vmlinux(path, unknown, "arm64-tcg")
