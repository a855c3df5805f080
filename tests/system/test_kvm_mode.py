"""The mode of KVM in real guests: booted with words of the command line, restored, and another one than expected."""

import msgspec
import pytest

from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.errors import WrongHost
from sysevent.hosts.openers import opener
from sysevent.targets import spec as targets


def facts(name, settings, folder, **changes):
    """How the guest of a built-in target was started, and in which mode its KVM runs."""
    (spec,) = [spec for spec in targets.builtin() if spec.name == name]
    spec = msgspec.structs.replace(spec, **changes)
    listeners = Listeners(lambda _: None, lambda _: None, lambda *_: None)
    asker = Asker(spec, opener(spec, settings, None), settings, folder, listeners)
    try:
        mode = asker.facts().mode
        return asker.restarts.origin, mode
    finally:
        asker.close()


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("arm64-tcg", {"mode": "VHE", "page": "4k"}),
        ("arm64-protected", {"mode": "protected hVHE", "page": "4k"}),
        ("x86_64-shadow", {"vendor": "amd", "npt": "off", "nested": "on", "page": "4k"}),
    ],
)
def test_of_booted_and_restored_guests(bootable, here, tmp_path, name, mode):
    """The same: a restored guest still has the log of its boot. Init passes kvm_amd its parameter."""
    bootable(name.partition("-")[0])
    settings = msgspec.structs.replace(here, snapshots=True)
    found = [facts(name, settings, tmp_path / str(number)) for number in range(2)]
    assert [found_mode for _, found_mode in found] == [mode, mode]
    assert found[-1][0] == "snapshot"


def test_another_mode_than_the_target_expects(bootable, here, tmp_path):
    """A kernel that ignores its command line gives no verdict about the mode that was meant."""
    bootable("arm64")
    with pytest.raises(WrongHost, match=r"expect\.mode = 'nVHE', and this machine has 'VHE'"):
        facts("arm64-nvhe", here, tmp_path, append="")
