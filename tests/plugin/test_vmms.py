"""Claims about real VMMs: which are asked, and what is recorded of them."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import vmm_runs

from sysevent.checkout import ROOT
from sysevent.contract import catalogue
from sysevent.plugin import vmms
from sysevent.plugin.case import Case
from sysevent.report import records


def collected(*words):
    """The exit code and the output of a collection."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *words]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    return found.returncode, found.stdout + found.stderr


def test_without_a_vmm_nothing_is_different():
    """Their claims are not collected, and nothing is said of them."""
    code, out = collected("suites/vmms", "suites/capability", "--arch", "arm64", "--arch", "riscv64")
    assert code == 0
    assert "vmm." not in out
    assert "deselected" not in out


def test_asked_without_a_vmm():
    """One line says how."""
    code, out = collected("suites/vmms")
    assert code == 4
    assert "all of these claims are about real VMMs: name one, such as --vmm qemu-10" in out


@pytest.mark.parametrize(
    ("vmm", "own"),
    [("qemu-7.2", "vmm.qemu."), ("kvm-ioctls", "vmm.kvm_ioctls."), ("kvmtool", "vmm.kvmtool.")],
)
def test_the_claims_of_a_vmm(vmm, own):
    """Those of the VMM that is named, for the kernel's own ABI only."""
    code, out = collected("suites/vmms", "--vmm", vmm, "--arch", "x86_64")
    assert code == 0
    asked = [line for line in out.splitlines() if "::" in line]
    assert asked
    assert all(f"[x86_64-tcg-{own}" in line for line in asked)


def test_a_kernel_that_runs_already_is_not_asked():
    """It has no kit beside it."""
    code, out = collected("suites/vmms", "--vmm", "qemu-10", "--target", "local")
    assert code == 5
    assert "vmm." not in out


@pytest.fixture
def written():
    """written(claim, seen): the dimension and the records of a verdict on a claim."""

    def of(name, seen):
        found = []
        run = SimpleNamespace(log=SimpleNamespace(write=found.append))
        config = SimpleNamespace(getoption={"vmm": "qemu-10"}.get)
        case = Case(catalogue.load().claim(name), "x86_64-tcg", "x86_64", native=True, kernel="6.12.1")
        return vmms.record(config, case, seen, run), found

    return of


def test_what_is_recorded(written):
    """The outcome, and the VMM as a dimension of the verdict."""
    dimensions, (record,) = written("x86_64.vmm.qemu.hyperv.reset", vmm_runs.reset())
    assert dimensions == {"vmm": "qemu-10"}
    assert isinstance(record, records.Outcome)
    assert (record.vmm, record.kernel, record.seen.events) == ("qemu-10", "6.12.1", ("RESET guest-reset",))


def test_nothing_is_recorded_without_an_outcome(written):
    assert written("x86_64.vmm.qemu.hyperv.reset", None) == ({"vmm": "qemu-10"}, [])
    assert written("x86_64.hyperv.reset", vmm_runs.reset()) == ({}, [])
