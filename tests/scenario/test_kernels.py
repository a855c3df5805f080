"""How VMMs that run a kernel are called."""

import json

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.images.rootfs import vmm_guest
from sysevent.images.rootfs.kits import given
from sysevent.scenario import kernels
from sysevent.scenario.kernels import TWICE, UARTS, VMMS, kernel
from sysevent.scenario.vmms import REPORTED


def steps(vmm, arch="arm64", *numbers, **how):
    return kernel(vmm, arch, f"vmm.{vmm}.test", *numbers, **how).steps


def test_the_guest_stands_where_it_is_looked_for():
    assert f"/{vmm_guest.IMAGE_PATH}" == kernels.IMAGE
    assert f"/{vmm_guest.KERNEL_PATH}" == kernels.KERNEL


@pytest.mark.parametrize("name", ["crosvm", "cloud-hypervisor", "firecracker"])
def test_the_program_of_a_user_stands_where_it_is_looked_for(name):
    version, run, _ = steps(name.replace("-", "_"))
    assert version.arguments[0] == run.arguments[0] == f"/{given.guest_path(name)}"


@pytest.mark.parametrize(("vmm", "arch"), [(vmm, arch) for arch in UARTS for vmm in UARTS[arch]])
def test_the_command_line_of_the_guest(vmm, arch):
    """It has the UART and the numbers, with 16 digits each, in the command or in what the VMM reads."""
    _, run, end = steps(vmm, arch, 0x84000009, 2**64 - 1)
    uart = f"{UARTS[arch][vmm]:016x}"
    line = f"sysevent={uart},0000000084000009,ffffffffffffffff"
    assert line in run.arguments or line in run.input.decode()
    assert (run.until, run.leave, end.arguments) == (REPORTED, True, ())


def test_firecracker_reads_its_configuration():
    """Firecracker reads its configuration from standard input; on arm64 it has a UART only with a console."""
    _, run, _ = steps("firecracker", "arm64", 1)
    found = json.loads(run.input)
    assert found["boot-source"]["kernel_image_path"] == kernels.KERNEL
    assert found["boot-source"]["boot_args"].startswith("console=ttyS0 sysevent=")
    assert not run.open


def test_a_guest_that_starts_again_in_new_memory():
    """It never reports its end, so its second start ends the run."""
    assert steps("cloud_hypervisor", again=True)[1].until == TWICE
    assert steps("cloud_hypervisor")[1].until == REPORTED


def test_the_cpuid_of_hyperv():
    assert "boot=1,kvm_hyperv=on" in steps("cloud_hypervisor", "x86_64", hyperv=True)[1].arguments
    assert "boot=1" in steps("cloud_hypervisor", "x86_64")[1].arguments


def test_every_vmm_has_a_uart():
    assert UARTS.keys() == ARCHITECTURES.keys()
    assert {vmm for row in UARTS.values() for vmm in row} == VMMS.keys()
