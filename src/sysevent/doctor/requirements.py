"""What must be installed before kernels can be booted or built here: found, installed if asked, or refused."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Sequence

from sysevent.arches import ARCHITECTURES, Architecture
from sysevent.build import toolchain
from sysevent.doctor import system_packages
from sysevent.doctor.package_managers import ZSTD
from sysevent.doctor.system_packages import Installer
from sysevent.errors import ToolMissing, UsageError
from sysevent.model import Progress
from sysevent.text import one_line


def needed_architectures(targets: Sequence[str], archs: Sequence[str]) -> tuple[str, ...]:
    """The architectures whose QEMU a selection by --target and --arch needs, as far as the built-in targets go.

    A targets file may need more. Those targets are then skipped, with the reason.
    """
    return tuple(
        name
        for name in ARCHITECTURES
        if (not archs or name in archs)
        and (not targets or any(fnmatch.fnmatchcase(f"{name}-tcg", glob) for glob in targets))
    )


def ensure_qemu(
    archs: Sequence[str],
    progress: Progress,
    *,
    install: bool = False,
    explicit: bool = True,
    installer: Installer | None = None,
) -> None:
    """Check that QEMU is installed for each architecture; with install, install what is missing.

    explicit: the user selected these architectures, so that one without QEMU is a UsageError with the line to paste.
    Otherwise progress is given a notice if some of them can run, and only none is a UsageError. ToolMissing is
    raised if the installation fails, or brought no QEMU.
    """
    installer = installer or system_packages.this_machine()
    missing = installer.missing_qemu(archs)
    if not missing:
        return
    if install:
        installer.install(system_packages.qemu_keys(missing), progress)
        still = installer.missing_qemu(missing)
        if still:
            names = ", ".join(ARCHITECTURES[name].qemu for name in still)
            raise ToolMissing(
                f"{names}: not on PATH ({os.environ.get('PATH', '')}) although the installation succeeded"
            )
        return
    emulators = ", ".join(ARCHITECTURES[name].qemu for name in missing)
    line = installer.line(system_packages.qemu_keys(missing)).replace("\n", "\n    ")
    advice = f"install it with\n    {line}\nor run `sysevent run --install-deps`"
    if explicit or len(missing) == len(archs):
        raise UsageError(f"QEMU is missing: {emulators}; {advice}")
    progress(f"QEMU is missing: {emulators}; targets of {', '.join(missing)} are skipped; {advice}")


def install_unpackers(
    progress: Progress, installer: Installer | None = None, missing: Callable[[], bool] | None = None
) -> None:
    """Install what unpacks kernels that are compressed with zstd, if nothing here does.

    Most runs do without, so that progress is given the reason if it cannot be installed. missing: whether nothing
    decompresses zstd; None: as this machine is.
    """
    # Here: only --install-deps asks.
    from sysevent.images.decoders import zstd_is_missing

    if not (missing or zstd_is_missing)():
        return
    try:
        (installer or system_packages.this_machine()).install((ZSTD,), progress)
    except (ToolMissing, UsageError) as error:
        progress(f"kernels that are compressed with zstd cannot be unpacked: {one_line(error)}")


def ensure_kernel_build(arch: Architecture, more: Sequence[str] = ()) -> None:
    """UsageError with the line to paste if a program is missing that builds kernels of an architecture.

    more: further programs that are needed, such as rsync.
    """
    _ensure(toolchain.missing_programs(arch, more), f"kernels for {arch.name} cannot be built")


def ensure_header_export() -> None:
    """UsageError with the line to paste if a program is missing that exports a kernel tree's headers."""
    _ensure(toolchain.missing_programs_for_headers(), "headers cannot be exported")


def _ensure(missing: Sequence[str], what: str) -> None:
    if missing:
        line = system_packages.this_machine().line(missing)
        raise UsageError(f"{what}: {', '.join(missing)} is not installed; install with\n    {line}")
