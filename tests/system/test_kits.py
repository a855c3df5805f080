"""Real VMMs in real guests: the files of a kit are all that the program needs to start."""

import pytest
from system.conftest import silent

from sysevent.decode.program import read_program
from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.errors import ImageError
from sysevent.hosts.qemu.opener import QemuOpener
from sysevent.images.rootfs.kits import kit
from sysevent.scenario.steps import Program, scenario_of
from sysevent.targets import spec as targets


@pytest.mark.parametrize("arch", ["arm64", "riscv64", "x86_64"])
def test_qemu_starts(bootable, here, tmp_path, arch):
    """It prints its version, which is that of the package: no library is missing, and none is of another release."""
    name = "qemu-10"
    try:
        found = kit(name, bootable(arch), here, silent)
    except ImageError as error:
        pytest.skip(f"sysevent images fetch --vmm {name} --arch {arch}: {error}".splitlines()[0])
    (spec,) = [spec for spec in targets.builtin() if spec.name == f"{arch}-tcg"]
    listeners = Listeners(lambda _: None, lambda _: None, lambda *_: None)
    opener = QemuOpener(spec, here, None, archives=[found.archive])
    asker = Asker(spec, opener, here, tmp_path, listeners)
    try:
        seen = asker.observe(scenario_of(arch, "kits.version", Program((found.program, "--version"), "seen")))
    finally:
        asker.close()
    ended = read_program(seen.answers["seen"])
    assert ended.exit_code == 0, ended.errors
    assert found.version in ended.output.decode()
