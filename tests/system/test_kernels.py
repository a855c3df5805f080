"""The guest of VMMs that load a kernel, and these VMMs: kvmtool from a tree, and a program that stands for crosvm.

crosvm, cloud-hypervisor and Firecracker have no source that is verified here, so no test runs them.
"""

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from sysevent.arches import ARCHITECTURES, architecture
from sysevent.build import programs
from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitEvidence
from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.errors import GuestLost
from sysevent.hosts.openers import opener
from sysevent.images.rootfs import vmm_guest
from sysevent.model import Status
from sysevent.process import die_with_parent
from sysevent.targets import spec as targets

TREE = "SYSEVENT_TEST_KVMTOOL"
# Seconds for a guest of this machine's QEMU.
PATIENCE = 60


def silent(*_):
    pass


# What a guest prints that is reset.
AGAIN = ["m0000000000000001", "m0000000000000002", "e0000000000000002"]
# By architecture: QEMU's machine, the UART there, and what resets it: a call, and on x86-64 a triple fault.
RESETS = {
    "arm64": (("-M", "virt", "-cpu", "max"), 0x900_0001, (0x8400_0009,)),
    "riscv64": (("-M", "virt"), 0x1000_0000, (1, 0, 0, 0, 0, 0x5352_5354)),
    "x86_64": (("-M", "pc"), 0x3F8, (3,)),
}


def reported(process, wanted):
    """The lines that the guest prints, up to the one with this beginning."""
    found = []
    for line in process.stdout:
        text = line.decode("ascii", "replace").strip()
        if text[:1] in ("m", "r", "g", "e") and len(text) == 17:
            found.append(text)
            if text.startswith(wanted):
                break
    return found


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("form", ["image", "kernel"])
def test_a_kernel_runs(here, tmp_path, arch, form):
    """Each form of it starts as Linux does, without KVM, and finds its UART and its call on the command line."""
    qemu = ARCHITECTURES[arch].qemu
    if shutil.which(qemu) is None:
        pytest.skip(f"{qemu} is not installed")
    machine, uart, numbers = RESETS[arch]
    path = tmp_path / form
    path.write_bytes(vmm_guest.kernels(ARCHITECTURES[arch], here)[form])
    line = "quiet sysevent=" + ",".join(f"{number:016x}" for number in (uart, *numbers)) + " x=y"
    command = [qemu, *machine, "-m", "128", "-nodefaults", "-display", "none", "-serial", "stdio"]
    command += ["-kernel", str(path), "-append", line]
    with subprocess.Popen(
        die_with_parent(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        deadline = threading.Timer(PATIENCE, process.kill)
        deadline.start()
        try:
            assert reported(process, "e") == AGAIN
        finally:
            deadline.cancel()
            process.kill()


def asker_of(vmm, arch, here, folder):
    (spec,) = [one for one in targets.builtin() if one.name == f"{arch}-tcg"]
    return Asker(spec, opener(spec, here, None, vmm), here, folder, Listeners(silent, silent, silent))


@pytest.fixture
def stands_for_crosvm(here, tmp_path):
    """stands_for_crosvm(*flags): the value of --vmm with the program that stands for crosvm, for arm64."""
    source = Path(__file__).parent / "fake_vmm.c"

    def build(*flags):
        abi = architecture("arm64").abis[0]
        sources = [source, programs.VMM / "runtime.c"]
        made = programs._compile("fake-vmm", abi, ("-s", f"-I{programs.VMM}", *flags), sources, (), here)
        path = tmp_path / "crosvm"
        path.write_bytes(made.content)
        return f"crosvm={path}"

    return build


def test_a_program_of_a_user(bootable, here, tmp_path, stands_for_crosvm):
    """It is started in a guest with crosvm's arguments; what it prints and how it ends is what is judged."""
    bootable("arm64")
    asker = asker_of(stands_for_crosvm(), "arm64", here, tmp_path)
    try:
        for name in ("off", "reset", "suspend"):
            claim = catalogue.load().claim(f"arm64.vmm.crosvm.psci.{name}")
            verdict = claim.judge(ExitEvidence(asker.facts(), asker.observe(claim.asks)))
            assert verdict.status is Status.PASS, verdict.reason
    finally:
        asker.close()


def test_a_program_that_is_something_else(bootable, here, tmp_path, stands_for_crosvm):
    """Nothing is judged of a program that does not say that it is crosvm."""
    bootable("arm64")
    asker = asker_of(stands_for_crosvm('-DVERSION="lkvm 1"'), "arm64", here, tmp_path)
    try:
        claim = catalogue.load().claim("arm64.vmm.crosvm.psci.off")
        evidence = ExitEvidence(asker.facts(), asker.observe(claim.asks))
        with pytest.raises(GuestLost, match=r"another one.* it printed 'lkvm 1'"):
            claim.judge(evidence)
    finally:
        asker.close()


@pytest.mark.parametrize(
    "name",
    [
        "arm64.vmm.kvmtool.psci.reset",
        "riscv64.vmm.kvmtool.srst.reserved",
        "x86_64.vmm.kvmtool.triple_fault.unpaged",
    ],
)
def test_kvmtool(bootable, here, tmp_path, name):
    """Built from a tree, it runs its guest in ours."""
    tree = os.environ.get(TREE)
    if not tree:
        pytest.skip(f"{TREE} names no source of kvmtool: git clone will/kvmtool from git.kernel.org")
    claim = catalogue.load().claim(name)
    bootable(claim.arch)
    asker = asker_of(f"kvmtool={Path(tree).absolute()}", claim.arch, here, tmp_path)
    try:
        verdict = claim.judge(ExitEvidence(asker.facts(), asker.observe(claim.asks)))
        assert verdict.status is Status.PASS, verdict.reason
    finally:
        asker.close()
