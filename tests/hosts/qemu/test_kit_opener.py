"""Guests with a real VMM: what is packed into them, and which targets have them."""

from types import SimpleNamespace

import pytest

from sysevent.errors import ImageError, NotApplicable
from sysevent.hosts.openers import opener
from sysevent.hosts.qemu.kit_opener import KitOpener
from sysevent.hosts.qemu.opener import QemuOpener
from sysevent.plugin import vmms
from sysevent.settings import from_environment
from sysevent.targets.spec import TargetSpec

SPEC = TargetSpec(name="a", arch="x86_64", where="tcg")


class Prepared(Exception):
    """Ends the preparation where that of every guest begins."""


@pytest.fixture
def packed(monkeypatch):
    """packed(kit): the archives that are packed into the guest, with this way to get a kit."""

    def stop(self, progress):
        raise Prepared(*self._archives)

    monkeypatch.setattr(QemuOpener, "prepare", stop)

    def of(kit):
        found = KitOpener(
            SPEC, from_environment(), None, "qemu-10", kit=kit, guest=lambda arch, _: f"guest {arch.name}"
        )
        with pytest.raises(Prepared) as caught:
            found.prepare(lambda _: None)
        of.last = found
        return caught.value.args

    return of


def test_the_kit_and_its_guest(packed):
    def kit(name, arch, settings, progress):
        return SimpleNamespace(archive=f"{name} {arch.name}")

    assert packed(kit) == ("qemu-10 x86_64", "guest x86_64")


@pytest.mark.parametrize("error", [NotApplicable("bookworm has no riscv64"), ImageError("no network")])
def test_without_the_kit(packed, error):
    """The guest boots without it: claims about other things are asked. Those about the VMM get the reason."""

    def kit(*_):
        raise error

    assert packed(kit) == ()
    guest = SimpleNamespace(restarts=SimpleNamespace(opener=packed.last))
    with pytest.raises(type(error), match=str(error)):
        vmms.require(guest)
    vmms.require(SimpleNamespace(restarts=SimpleNamespace(opener=object())))


@pytest.mark.parametrize(
    ("spec", "vmm", "kind"),
    [
        (SPEC, "qemu-10", KitOpener),
        (SPEC, "", QemuOpener),
        (TargetSpec(name="b", arch="x86_64", where="local"), "qemu-10", None),
    ],
)
def test_which_targets_have_a_vmm(spec, vmm, kind):
    """Those whose guests are booted here, if --vmm names one."""
    found = opener(spec, from_environment(), None, vmm)
    assert type(found) is kind if kind else not isinstance(found, QemuOpener)
