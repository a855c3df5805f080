"""The checks of `sysevent doctor`: what this machine has and lacks for the main job."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sysevent.arches import ARCHITECTURES, Architecture
from sysevent.build import compiler as compilers
from sysevent.checkout import ROOT
from sysevent.doctor import machine
from sysevent.doctor.package_managers import KEYRING
from sysevent.doctor.system_packages import Installer
from sysevent.errors import BuildFailed, InfrastructureError, SyseventError
from sysevent.hosts.qemu import cpu_trial
from sysevent.images.debian import keyring as certificates
from sysevent.images.debian import own_mirror
from sysevent.model import Progress
from sysevent.qemu import accel
from sysevent.qemu import version as versions
from sysevent.qemu.confinement import confinement
from sysevent.settings import Settings
from sysevent.targets.names import own_arch

if TYPE_CHECKING:
    from sysevent.doctor.local_kvm import Trial

NEEDED_MB = 1500
"""MB for the kernels of three architectures, unpacked, and what is compiled."""
_COMPILER_FIX = "pip install ziglang, or set CC_<abi>"


class CheckResult(msgspec.Struct, frozen=True):
    """What one check found."""

    subject: str
    ok: bool
    # One line.
    found: str
    # What to do if it is not ok.
    fix: str = ""
    # False: the main job on TCG targets does not need it, so that its absence does not fail the doctor.
    needed: bool = True


def all_checks(settings: Settings, installer: Installer, progress: Progress) -> Iterator[CheckResult]:
    """The result of every check, the quick ones first; a check runs when its result is taken."""
    yield python()
    yield dependencies()
    for line in machine.peculiarities(machine.look()):
        yield CheckResult("machine", ok=True, found=line)
    for arch in ARCHITECTURES.values():
        yield qemu(arch, installer, partial(cpu_trial.works, arch, settings), partial(pace, arch))
    yield cache(settings.cache)
    yield guarded("mirror", partial(mirror, settings), fix="--mirror URL, or SYSEVENT_MIRROR")
    yield guarded("keyring", partial(keyring, settings), fix=keyring_fix(installer))
    for arch in ARCHITECTURES.values():
        yield guarded(f"compiler {arch.name}", partial(compiler, arch), fix=_COMPILER_FIX)
    # Here: the other checks do without importing all claims and scenarios.
    from sysevent.doctor import local_kvm

    yield from kvm(local_kvm.trial(local_kvm.local_target(), settings, progress))
    own = own_arch()
    if own:
        yield accelerated(accel.kvm_obstacle(ARCHITECTURES[own]))


def guarded(subject: str, check: Callable[[], CheckResult], fix: str) -> CheckResult:
    """The result of a check; a SyseventError that it raises becomes a result with this fix."""
    try:
        return check()
    except SyseventError as error:
        return CheckResult(subject, ok=False, found=" ".join(str(error).split()), fix=fix)


def keyring_fix(installer: Installer) -> str:
    """How to get Debian's keyring on this machine."""
    return indented(f"--keyring FILE, or SYSEVENT_KEYRING, or\n{installer.line([KEYRING])}")


def indented(text: str) -> str:
    """Text of several lines, to follow `fix: `."""
    return text.replace("\n", f"\n{'':35}")


def python() -> CheckResult:
    """The interpreter; the launcher has checked its version."""
    return CheckResult("python", ok=True, found=f"{sys.version.split()[0]} ({sys.executable})")


def dependencies(project: Path = ROOT / "pyproject.toml") -> CheckResult:
    """Whether each distribution that pyproject.toml names is installed; pip checks their versions.

    The file is read, since a clone on PYTHONPATH has no metadata of a package.
    """
    try:
        requirements = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    except (OSError, ValueError, KeyError) as error:
        return CheckResult("dependencies", ok=False, found=f"unknown: {project} cannot be read: {error}")
    names = sorted(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0] for requirement in requirements)
    lacking = [name for name in names if not _installed(name)]
    return CheckResult(
        "dependencies",
        ok=not lacking,
        found=f"not installed: {', '.join(lacking)}" if lacking else f"all {len(names)} installed",
        fix="./sysevent installs them in .venv of a clone; elsewhere: pip install sysevent, with its dependencies",
    )


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        # The launcher links modules of the distribution where there are no wheels, and sqv replaces one.
        return importlib.util.find_spec(name) is not None or (
            name == "pysequoia" and shutil.which("sqv") is not None
        )
    return True


def pace(arch: Architecture) -> str:
    """What follows from how slowly QEMU starts; "" if it does not start slowly, or not at all."""
    try:
        return confinement(arch.qemu, kvm=False).pace
    except InfrastructureError:
        # It hangs, and a run says so.
        return ""


def qemu(
    arch: Architecture,
    installer: Installer,
    works: Callable[[], bool] = lambda: True,
    pace: Callable[[], str] = lambda: "",
) -> CheckResult:
    """QEMU's system emulator of an architecture, its version, and what of it is not used.

    works: returns whether the part of its CPU that some QEMUs get wrong works. pace: see the function of that name.
    """
    path = shutil.which(arch.qemu)
    if not path:
        fix = indented(installer.line([arch.qemu_package]))
        return CheckResult(arch.qemu, ok=False, found="not on PATH", fix=fix)
    code, output = _output([path, "--version"])
    version = versions.numbers(versions.parsed(output))
    if code or not version:
        found = f"{path} --version: {output.strip() or f'exit code {code}'}"
        return CheckResult(arch.qemu, ok=False, found=found)
    flaw = arch.qemu_flaw
    note = f"; {flaw.text}" if flaw and version < flaw.fixed else ""
    if arch.qemu_trial and not works():
        note += f"; {arch.qemu_trial.text}: guests run without them ({arch.qemu_trial.word})"
    if slow := pace():
        note += f"; {slow}"
    return CheckResult(arch.qemu, ok=True, found=".".join(map(str, version)) + note)


def cache(folder: Path, needed: int = NEEDED_MB) -> CheckResult:
    """Whether the cache directory can be written to, and has the needed space, in MB."""
    fix = "set SYSEVENT_CACHE to a directory with more space"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free // 1_000_000
    except OSError as error:
        return CheckResult("cache", ok=False, found=str(error), fix=fix)
    found = f"{folder}: {free} MB free"
    if free < needed:
        return CheckResult("cache", ok=False, found=f"{found}, {needed} MB are needed", fix=fix)
    return CheckResult("cache", ok=True, found=found)


def mirror(settings: Settings) -> CheckResult:
    """Where Debian kernels would be downloaded from. It is not contacted."""
    if settings.offline:
        return CheckResult("mirror", ok=True, found="not used: offline")
    if settings.mirror:
        return CheckResult("mirror", ok=True, found=f"{settings.mirror} (as set)")
    return CheckResult("mirror", ok=True, found=own_mirror.configured())


def keyring(settings: Settings) -> CheckResult:
    """The certificates that Debian's release files are checked with."""
    loaded = certificates.load(settings)
    return CheckResult("keyring", ok=True, found=f"{loaded.path}: {loaded.words}")


def compiler(arch: Architecture) -> CheckResult:
    """Whether a small program compiles and links for each ABI of an architecture, as the VMM will."""
    subject = f"compiler {arch.name}"
    versions = {}
    with tempfile.TemporaryDirectory(prefix="sysevent-doctor-") as folder:
        source = Path(folder, "program.c")
        source.write_text("void _start(void) { for (;;) { } }\n", encoding="ascii")
        for abi in arch.abis:
            chosen = compilers.find(abi)
            try:
                compilers.build(chosen, abi, (), [source], Path(folder, abi.name))
            except BuildFailed as error:
                last = (str(error).strip().splitlines() or [""])[-1]
                return CheckResult(subject, ok=False, found=f"{chosen.version} for {abi.name}: {last}")
            versions[abi.name] = chosen.version
    found = ", ".join(f"{name}: {text}" for name, text in versions.items())
    return CheckResult(subject, ok=True, found=found)


def kvm(trial: Trial) -> Iterator[CheckResult]:
    """How this machine's KVM answered to VMs. The TCG targets do not need it."""
    from sysevent.doctor.local_kvm import Behaviour

    subject, fix = "/dev/kvm", "only the target `local` needs it; the TCG targets do not"
    if trial.refused:
        yield CheckResult(subject, ok=False, found=trial.refused, fix=fix, needed=False)
        return
    silent = [family for family in trial.families if family.behaviour is not Behaviour.ANSWERS]
    answering = ", ".join(family.name for family in trial.families if family not in silent) or "none"
    found = f"Linux {trial.release} ran VMs: {trial.answered} of our {trial.known} scenarios can be asked ({answering})"
    if trial.known > trial.scenarios:
        found += f", {trial.known - trial.scenarios} need features that it does not have"
    yield CheckResult(subject, ok=trial.answered > 0, found=found, fix=fix, needed=False)
    for reason in trial.left_out:
        yield CheckResult("  claims left out", ok=False, found=reason, needed=False)
    for family in silent:
        yield CheckResult(
            f"  {family.name}",
            ok=False,
            found=f"{family.behaviour}: {family.scenarios} scenarios; {family.reason}",
            fix="their claims on `local` are MISS or ERROR, each after its deadline at the latest",
            needed=False,
        )


def accelerated(refusal: str) -> CheckResult:
    """Whether QEMU starts under this machine's KVM, for targets with where = "kvm" or "auto".

    refusal is what QEMU printed when it did not start; "" if it did.
    """
    found = refusal or 'starts; the first run with where = "auto" shows whether KVM can be nested'
    fix = 'a target with where = "auto" uses TCG instead'
    return CheckResult("QEMU under KVM", ok=not refusal, found=found, fix=fix, needed=False)


def _output(command: list[str]) -> tuple[int, str]:
    """Exit code and output, both streams, of a command; 127 and the reason if it does not start or end."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return done.returncode, done.stdout
