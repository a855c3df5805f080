"""A real QEMU in a real guest, on the KVM of that guest. Skips unless its kit is cached, or CI downloads it."""

import contextlib

import msgspec
import pytest

from sysevent import wire
from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitEvidence
from sysevent.decode.program import read_program
from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.errors import ImageError
from sysevent.hosts import waiting
from sysevent.hosts.openers import opener
from sysevent.hosts.qemu.guest import QemuGuest
from sysevent.hosts.qemu.kit_opener import KitOpener
from sysevent.hosts.qemu.snapshots import Snapshots
from sysevent.images.rootfs import kits
from sysevent.model import Status
from sysevent.qemu import idle
from sysevent.scenario.request import decode, encode
from sysevent.scenario.steps import Program, Scenario, scenario_of
from sysevent.targets import spec as targets

VMM = "qemu-10"
# Seconds that a reply may take beyond its deadline.
SLACK = 10


def silent(*_):
    pass


def require_kit(arch, here):
    """Skip, with the remedy, unless the kit of QEMU is cached."""
    try:
        kits.kit(VMM, arch, here, silent)
    except ImageError as error:
        pytest.skip(f"sysevent images fetch --vmm {VMM} --arch {arch.name}: {error}".splitlines()[0])


@pytest.fixture
def asker(bootable, here, tmp_path):
    """A guest of arm64 with QEMU in it."""
    require_kit(bootable("arm64"), here)
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


def ask(host, name, steps):
    """What the supervisor of a guest gives for these steps of a program."""
    asked = Scenario(name, "arm64", steps)
    body, milliseconds = encode(asked, {})
    reply = waiting.reply(host, host.send(body, wire.SUPERVISOR), milliseconds / 1000 + SLACK)
    return {
        label: read_program(answer) for label, answer in decode(asked, {}, "arm64", reply).answers.items()
    }


def test_an_event_from_a_snapshot(bootable, here, tmp_path):
    """A snapshot holds a QEMU that waits with its guest; the next step of the program goes on in the restored one."""
    arch = bootable("arm64")
    require_kit(arch, here)
    (spec,) = [one for one in targets.builtin() if one.name == "arm64-tcg"]
    found = KitOpener(spec, msgspec.structs.replace(here, snapshots=True), None, VMM)
    found.prepare(silent)
    start, run, end = catalogue.load().claim("arm64.vmm.qemu.psci.reset").asks.steps
    with contextlib.closing(found.open(tmp_path / "first", silent, restore=False)) as host:
        host.start()
        hello = waiting.hello(host)
        assert ask(host, "first", (start,))["start"].found
        saved = Snapshots(tmp_path).take(
            "f" * 64,
            host.monitor,
            host.memory,
            hello,
            on_console=host.on_console,
            settle=lambda: idle.wait_until_idle(host.pid),
        )
    bundle = found._bundle
    with contextlib.closing(QemuGuest(bundle, tmp_path / "second", silent, saved)) as host:
        host.start()
        waiting.hello(host)
        seen = ask(host, "second", (run,))["run"]
        assert b'"RESET"' in seen.output
        assert seen.found
        assert ask(host, "third", (end,))["end"].exit_code == 0


def test_a_program_that_never_ends(asker):
    """It is killed at its deadline, and the guest goes on."""
    qemu = ("/usr/bin/qemu-system-aarch64", "-M", "none", "-nodefaults", "-display", "none", "-S")
    seen = asker.observe(scenario_of("arm64", "endless", Program(qemu, "qemu", 3000)))
    ended = read_program(seen.answers["qemu"])
    assert ended.killed, ended
    claim = catalogue.load().claim("arm64.psci.off")
    verdict = claim.judge(ExitEvidence(asker.facts(), asker.observe(claim.asks)))
    assert verdict.status is Status.PASS
