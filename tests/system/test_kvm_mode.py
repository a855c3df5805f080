"""The mode of KVM in real guests: booted with words of the command line, restored, and another one than expected."""

import msgspec
import pytest

from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.errors import WrongHost
from sysevent.hosts.openers import opener
from sysevent.targets import spec as targets

# A guest that was saved on a busy machine may not be restorable; it is saved once more by the next boot.
BOOTS = 4


def without_snapshots(cache, folder):
    """A cache with everything of another one but its snapshots: of some guests none may be taken there any more."""
    own = folder / "cache"
    own.mkdir()
    for entry in cache.iterdir():
        if entry.name != "snapshots":
            (own / entry.name).symlink_to(entry)
    return own


def facts(name, settings, folder, incidents=None, **changes):
    """How the guest of a built-in target was started, and in which mode its KVM runs. Incidents go to the list."""
    (spec,) = [spec for spec in targets.builtin() if spec.name == name]
    spec = msgspec.structs.replace(spec, **changes)
    listeners = Listeners(
        lambda _: None, [].append if incidents is None else incidents.append, lambda *_: None
    )
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
    settings = msgspec.structs.replace(here, snapshots=True, cache=without_snapshots(here.cache, tmp_path))
    origins, incidents = [], []
    while "snapshot" not in origins and len(origins) < BOOTS:
        origin, found = facts(name, settings, tmp_path / str(len(origins)), incidents)
        assert found == mode
        origins.append(origin)
    assert origins[-1] == "snapshot", incidents


def test_another_mode_than_the_target_expects(bootable, here, tmp_path):
    """A kernel that ignores its command line gives no verdict about the mode that was meant."""
    bootable("arm64")
    with pytest.raises(WrongHost, match=r"expect\.mode = 'nVHE', and this machine has 'VHE'"):
        facts("arm64-nvhe", here, tmp_path, append="")
