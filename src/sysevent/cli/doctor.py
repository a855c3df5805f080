"""sysevent doctor: what this machine has and lacks for the main job, a line per check."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from sysevent.arches import ARCHITECTURES, Architecture
from sysevent.build import compiler as compilers
from sysevent.cli import system_packages
from sysevent.cli.run import say
from sysevent.errors import BuildFailed, SyseventError
from sysevent.images.debian import apt
from sysevent.images.debian import keyring as certificates
from sysevent.qemu import accel
from sysevent.settings import Settings, from_environment
from sysevent.targets.spec import own_arch

_NEEDED_MB = 1500  # kernels of three architectures, unpacked, and what is compiled
_COMPILER_FIX = "pip install ziglang, or set CC_<abi>"


class Finding(msgspec.Struct, frozen=True):
    """What one check found."""

    subject: str
    ok: bool
    found: str  # one line
    fix: str = ""  # when it is not ok: what to do
    needed: bool = True  # by the main job on TCG targets; what is not needed never fails the doctor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where kernels come from, as in `run`, and --install-deps."""
    parser.add_argument(
        "--mirror", metavar="URL", help="Debian mirror; by default the one this machine's apt uses"
    )
    parser.add_argument(
        "--keyring", metavar="FILE", help="OpenPGP certificates that may sign Debian's release files"
    )
    parser.add_argument("--install-deps", action="store_true", help="first install a QEMU that is missing")


def run(args: argparse.Namespace) -> int:
    """Print every finding; 0 when nothing that the TCG targets need is missing, else 1."""
    missing = system_packages.missing_qemu(ARCHITECTURES)
    if args.install_deps and missing:
        system_packages.install(system_packages.qemu_keys(missing), say)
    settings = from_environment(mirror=args.mirror, keyring=args.keyring)
    lacking = 0
    for finding in findings(settings):
        print(render(finding), flush=True)
        lacking += finding.needed and not finding.ok
    print(
        f"{lacking} of what TCG targets need is missing" if lacking else "everything TCG targets need is here"
    )
    return 1 if lacking else 0


def render(finding: Finding) -> str:
    """The line of a finding, and a second one that says how to fix it."""
    word = "ok" if finding.ok else "missing" if finding.needed else "no"
    line = f"{word:8}{finding.subject:22}{finding.found}"
    return line if finding.ok or not finding.fix else f"{line}\n{'':30}fix: {finding.fix}"


def findings(settings: Settings) -> Iterator[Finding]:
    """Every check, the quick ones first; each is made when it is asked for."""
    yield python()
    yield dependencies()
    for arch in ARCHITECTURES.values():
        yield qemu(arch)
    yield cache(settings.cache)
    yield guarded("mirror", partial(mirror, settings), fix="--mirror URL, or SYSEVENT_MIRROR")
    yield guarded("keyring", partial(keyring, settings), fix=keyring_fix())
    for arch in ARCHITECTURES.values():
        yield guarded(f"compiler {arch.name}", partial(compiler, arch), fix=_COMPILER_FIX)
    yield from local_kvm(settings)
    own = own_arch()
    if own:
        yield accelerated(ARCHITECTURES[own])


def guarded(subject: str, check: Callable[[], Finding], fix: str) -> Finding:
    """The finding of a check; an error of ours becomes one."""
    try:
        return check()
    except SyseventError as error:
        return Finding(subject, ok=False, found=" ".join(str(error).split()), fix=fix)


def keyring_fix() -> str:
    """How to get Debian's keyring here."""
    line = system_packages.install_line(
        [system_packages.KEYRING], system_packages.this_machine(), root=os.geteuid() == 0
    )
    return indented(f"--keyring FILE, or SYSEVENT_KEYRING, or\n{line}")


def indented(text: str) -> str:
    """Text of several lines, to stand behind `fix: `."""
    return text.replace("\n", f"\n{'':35}")


def python() -> Finding:
    """The interpreter: the launcher has seen to its version."""
    return Finding("python", ok=True, found=f"{sys.version.split()[0]} ({sys.executable})")


def dependencies() -> Finding:
    """Whether each distribution that ours names is installed; their versions are pip's business."""
    names = sorted(
        re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        for requirement in importlib.metadata.requires("sysevent") or ()
        if "extra ==" not in requirement
    )
    lacking = [name for name in names if not _installed(name)]
    return Finding(
        "dependencies",
        ok=not lacking,
        found=f"not installed: {', '.join(lacking)}" if lacking else f"all {len(names)} installed",
        fix="./sysevent installs them in .venv; elsewhere: pip install -r requirements.lock",
    )


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def qemu(arch: Architecture) -> Finding:
    """QEMU's system emulator of an architecture, and its version."""
    path = shutil.which(arch.qemu)
    if not path:
        line = system_packages.install_line(
            [arch.qemu_package], system_packages.this_machine(), root=os.geteuid() == 0
        )
        return Finding(arch.qemu, ok=False, found="not on PATH", fix=indented(line))
    code, output = _output([path, "--version"])
    version = qemu_version(output)
    if code or not version:
        return Finding(
            arch.qemu, ok=False, found=f"{path} --version: {output.strip() or f'exit code {code}'}"
        )
    note = ""
    if arch.name == "x86_64" and version < (8, 0):
        # TCG's cmpxchg16b leaves stale flags: 10 of 56 Debian boots died with plain -cpu max on 7.2.
        note = "; before 8.0 its `-cpu max` corrupts x86 guests: ours get max,-cx16, yours should, too"
    return Finding(arch.qemu, ok=True, found=".".join(map(str, version)) + note)


def qemu_version(output: str) -> tuple[int, ...]:
    """The version in what `qemu --version` prints; () when there is none."""
    found = re.search(r"version (\d+)\.(\d+)\.(\d+)", output)
    return tuple(map(int, found.groups())) if found else ()


def cache(folder: Path) -> Finding:
    """Whether the cache directory takes a file, and how much fits there."""
    fix = "set SYSEVENT_CACHE to a directory with room"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free // 1_000_000
    except OSError as error:
        return Finding("cache", ok=False, found=str(error), fix=fix)
    found = f"{folder}: {free} MB free"
    if free < _NEEDED_MB:
        return Finding("cache", ok=False, found=f"{found}, {_NEEDED_MB} are needed", fix=fix)
    return Finding("cache", ok=True, found=found)


def mirror(settings: Settings) -> Finding:
    """Where Debian kernels would be downloaded from. It is not contacted."""
    if settings.offline:
        return Finding("mirror", ok=True, found="not used: offline")
    if settings.mirror:
        return Finding("mirror", ok=True, found=f"{settings.mirror} (as set)")
    return Finding("mirror", ok=True, found=f"{apt.mirror()} (from apt's configuration)")


def keyring(settings: Settings) -> Finding:
    """The certificates that Debian's release files are checked with."""
    loaded = certificates.load(settings)
    return Finding("keyring", ok=True, found=f"{loaded.path}: {len(loaded.certificates)} certificates")


def compiler(arch: Architecture) -> Finding:
    """Whether a small program compiles and links for each ABI of an architecture, as the VMM will."""
    subject = f"compiler {arch.name}"
    versions = {}
    with tempfile.TemporaryDirectory(prefix="sysevent-doctor-") as folder:
        source = Path(folder, "program.c")
        source.write_text("void _start(void) { for (;;) { } }\n", encoding="ascii")
        for abi in arch.abis:
            chosen = compilers.find(abi)
            try:
                compilers.build(chosen, abi, (), [source], Path(folder, abi.name), Path(folder))
            except BuildFailed as error:
                last = (str(error).strip().splitlines() or [""])[-1]
                return Finding(subject, ok=False, found=f"{chosen.version} for {abi.name}: {last}")
            versions[abi.name] = chosen.version
    return Finding(subject, ok=True, found=", ".join(f"{name}: {text}" for name, text in versions.items()))


def local_kvm(settings: Settings) -> Iterator[Finding]:
    """What this machine's KVM answered to real VMs. The TCG targets do not need it."""
    from sysevent.cli import local_kvm as kvm  # here: the other checks do without all claims and scenarios

    subject, fix = "/dev/kvm", "only the target `local` needs it; the TCG targets do not"
    found = kvm.trial(settings, say)
    if found.refused:
        yield Finding(subject, ok=False, found=found.refused, fix=fix, needed=False)
        return
    silent = [family for family in found.tried if family.answer is not kvm.Answer.ANSWERS]
    answers = ", ".join(family.family for family in found.tried if family not in silent) or "none"
    told = f"Linux {found.release} ran VMs: {found.answered} of our {found.known} scenarios can be asked ({answers})"
    left_out = found.known - found.scenarios
    if left_out:
        told += f", {left_out} are about what it does not offer"
    yield Finding(subject, ok=found.answered > 0, found=told, fix=fix, needed=False)
    for reason in found.lacks:
        yield Finding("  claims left out", ok=False, found=reason, needed=False)
    for family in silent:
        yield Finding(
            f"  {family.family}",
            ok=False,
            found=f"{family.answer}: {family.scenarios} scenarios; {family.told}",
            fix="their claims on `local` are MISS or ERROR; nothing waits longer than its deadline",
            needed=False,
        )


def accelerated(arch: Architecture) -> Finding:
    """Whether QEMU starts under this machine's KVM, for targets with where = "kvm" or "auto"."""
    why = accel.kvm_obstacle(arch)
    found = why or 'starts; whether it can be nested, the first run with where = "auto" tells'
    fix = 'where = "auto" takes TCG then'
    return Finding("QEMU under KVM", ok=not why, found=found, fix=fix, needed=False)


def _output(command: list[str]) -> tuple[int, str]:
    """Exit code and output, both streams, of a command; 127 and the reason when it does not start or end."""
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
