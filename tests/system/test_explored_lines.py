"""sysevent explore --coverage on a kernel with KCOV, which is built for it: the lines of the producers are reached.

It runs if SYSEVENT_TEST_LINUX names a kernel's source. Without a build nothing here could be seen: no kernel of a
distribution has KCOV. tests/vmm/test_cover.py is about the VMM's part, with a file in the place of the kernel's.
"""

import os

import pytest

from sysevent import cli
from sysevent.arches import ARCHITECTURES
from sysevent.report import records, run_log

pytest.importorskip("hypothesis", reason="Hypothesis is not installed: pip install 'sysevent[explore]'")

# A function of each that the sequences reach.
REACHED = {
    "arm64": ("arch/arm64/kvm/psci.c", "kvm_psci_call"),
    "riscv64": ("arch/riscv/kvm/vcpu_sbi.c", "kvm_riscv_vcpu_sbi_ecall"),
    "x86_64": ("arch/x86/kvm/x86.c", "vcpu_enter_guest"),
}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_lines_are_reached(arch, tmp_path):
    """More than half of them by the sequences that are asked first, and the tracefile has the same numbers."""
    tree = os.environ.get("SYSEVENT_TEST_LINUX")
    if not tree:
        pytest.skip("SYSEVENT_TEST_LINUX names no source of a kernel")
    words = ["explore", "--build", tree, "--arch", arch, "--coverage", "--max-examples", "120"]
    out = tmp_path / "out"
    assert cli.main([*words, "--budget", "120", "--results", str(out)]) == 0
    (found,) = (one for one in run_log.read(run_log.path_in(out)) if isinstance(one, records.Coverage))
    path, function = REACHED[arch]
    assert function not in found.files[path].unreached
    reached = sum(one.reached for one in found.files.values())
    assert reached > sum(one.lines for one in found.files.values()) / 2
    assert found.cut == 0
    traced = (out / f"{arch}-tcg.info").read_text()
    assert f"\nSF:{os.path.realpath(tree)}/{path}\n" in traced
    hit = sum(int(line.partition(":")[2]) for line in traced.splitlines() if line.startswith("LH:"))
    assert hit == reached
