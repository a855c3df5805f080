"""What a machine of another distribution, such as Ubuntu or Fedora, needs to download kernels of Debian."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from sysevent.doctor import system_packages
from sysevent.doctor.package_managers import KEYRING, MIRROR
from sysevent.doctor.system_packages import Installer
from sysevent.errors import ImageError, UsageError
from sysevent.images.debian.keyring import INSTALLED_KEYRINGS
from sysevent.images.debian.own_mirror import configured
from sysevent.model import Progress
from sysevent.settings import Settings


def lacking(
    settings: Settings, keyrings: Sequence[Path] = INSTALLED_KEYRINGS, mirror: Callable[[], str] = configured
) -> tuple[str, ...]:
    """The keys of the packages without which nothing of Debian can be downloaded; () if it can, or nothing shall be.

    keyrings: where certificates would be. mirror: returns the mirror that would be used, or raises ImageError.
    """
    if settings.offline:
        return ()
    found = [] if settings.keyring or any(path.exists() for path in keyrings) else [KEYRING]
    if not settings.mirror:
        try:
            mirror()
        except ImageError:
            found.append(MIRROR)
    return tuple(found)


def install(keys: Sequence[str], progress: Progress, installer: Installer | None = None) -> None:
    """Install the packages of these keys.

    Nothing happens if no known package manager has them: whatever needs them says so. ToolMissing if it fails.
    """
    with contextlib.suppress(UsageError):
        if keys:
            (installer or system_packages.this_machine()).install(keys, progress)
