"""VMMs whose sources differ in one place from the real one."""

import re
import shutil

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.build import programs


def changed(own_cache, folder, changes):
    """A VMM of sources in which each of these patterns, which occurs once, is replaced."""
    sources = folder / "vmm"
    shutil.copytree(programs.VMM, sources)
    for old, new in changes.items():
        places = 0
        for file in sources.glob("*.c"):
            text, count = re.subn(old, new, file.read_text())
            file.write_text(text)
            places += count
        assert places == 1, f"the VMM's sources have {old} in {places} places, where this fixture expects one"
    arch = ARCHITECTURES["x86_64"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs, "VMM", sources)
        path = programs.vmm(arch, arch.abis[0], own_cache).path
    path.chmod(0o755)
    return path
