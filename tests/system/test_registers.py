"""Which exits of a real guest come with the registers of the vCPU."""

import errno

import pytest

from sysevent.abi.registers import REGISTERS
from sysevent.contract import catalogue
from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.hosts.openers import opener
from sysevent.targets import spec as targets


@pytest.mark.parametrize(
    ("arch", "name"),
    [
        ("arm64", "arm64.peers.off.2"),
        ("riscv64", "riscv64.peers.shutdown.2"),
        ("x86_64", "x86_64.peers.reset.2"),
    ],
)
def test_a_vcpu_that_only_a_signal_ends_has_none(bootable, here, tmp_path, arch, name):
    """Nothing is asked of them: a peer counts until the signal. The exit of the caller has all of them."""
    bootable(arch)
    (spec,) = [spec for spec in targets.builtin() if spec.name == f"{arch}-tcg"]
    listeners = Listeners(lambda _: None, lambda _: None, lambda *_: None)
    asker = Asker(spec, opener(spec, here, None), here, tmp_path, listeners)
    try:
        exits = asker.observe(catalogue.load().scenarios[name]).exits
    finally:
        asker.close()
    assert len(exits["exit"].registers) == len(REGISTERS[arch])
    kicked = {label: found for label, found in exits.items() if found.kicked}
    assert any(label.startswith("peer") for label in kicked)
    for found in kicked.values():
        assert (found.ret, found.errno, found.registers) == (-1, errno.EINTR, ())
