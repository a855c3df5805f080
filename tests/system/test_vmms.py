"""A real QEMU in a real guest, on the KVM of that guest. Skips unless its kit is cached, or CI downloads it."""

import pytest

from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitEvidence
from sysevent.decode.program import read_program
from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.errors import ImageError
from sysevent.hosts.openers import opener
from sysevent.images.rootfs import kits
from sysevent.model import Status
from sysevent.scenario.steps import Program, scenario_of
from sysevent.targets import spec as targets

VMM = "qemu-10"


def silent(*_):
    pass


@pytest.fixture
def asker(bootable, here, tmp_path):
    """A guest of arm64 with QEMU in it."""
    arch = bootable("arm64")
    try:
        kits.kit(VMM, arch, here, silent)
    except ImageError as error:
        pytest.skip(f"sysevent images fetch --vmm {VMM} --arch arm64: {error}".splitlines()[0])
    (spec,) = [one for one in targets.builtin() if one.name == "arm64-tcg"]
    listeners = Listeners(silent, silent, silent)
    found = Asker(spec, opener(spec, here, None, VMM), here, tmp_path, listeners)
    yield found
    found.close()


def test_qemu_resets_its_guest(asker):
    """The claim holds, beside that about the bytes, in one guest; and no program is left there."""
    facts = asker.facts()
    for name in ("arm64.vmm.qemu.psci.reset", "arm64.psci.reset"):
        claim = catalogue.load().claim(name)
        verdict = claim.judge(ExitEvidence(facts, asker.observe(claim.asks)))
        assert verdict.status is Status.PASS, verdict.reason
    seen = asker.observe(scenario_of("arm64", "nothing.left", Program((), "left")))
    assert "ECHILD" in str(read_program(seen.answers["left"]))


def test_a_program_that_never_ends(asker):
    """It is killed at its deadline, and the guest goes on."""
    qemu = ("/usr/bin/qemu-system-aarch64", "-M", "none", "-nodefaults", "-display", "none", "-S")
    seen = asker.observe(scenario_of("arm64", "endless", Program(qemu, "qemu", 3000)))
    ended = read_program(seen.answers["qemu"])
    assert ended.killed, ended
    claim = catalogue.load().claim("arm64.psci.off")
    verdict = claim.judge(ExitEvidence(asker.facts(), asker.observe(claim.asks)))
    assert verdict.status is Status.PASS
