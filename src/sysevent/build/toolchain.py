"""Finds the compiler for a kernel tree: an installed gcc or LLVM that the tree accepts."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from sysevent.arches import Architecture, of_machine
from sysevent.build import compiler
from sysevent.errors import ToolMissing

# Programs that every kernel build calls besides the compiler: Documentation/process/changes.rst.
_PROGRAMS = ("git", "make", "bc", "flex", "bison", "gcc")
# Programs that make calls with LLVM=1.
_LLVM = ("clang", "ld.lld", "llvm-ar", "llvm-nm", "llvm-objcopy", "llvm-strip")


class Toolchain(msgspec.Struct, frozen=True):
    """One compiler with its binary tools."""

    # "gcc" or "llvm", as in scripts/min-tool-version.sh.
    kind: str
    version: str
    # For make's variable CC, without ccache.
    compiler: str
    # Further variables for make, each NAME=VALUE.
    variables: tuple[str, ...]
    # Directory to put in front of PATH; "" for none.
    folder: str = ""

    @property
    def name(self) -> str:
        """Kind and version, for the name of its build directory: "gcc-12.2.0"."""
        return f"{self.kind}-{self.version}"

    def make(self, output: Path, edited: Sequence[Path] = ()) -> tuple[str, ...]:
        """Return the variables for make's command line. If they change, make builds everything again.

        Writes the programs that they name to the build directory: gzip, and if ccache is installed the compiler.
        edited: sources whose content ccache does not know, most likely. They are compiled without it.
        """
        compiler = self.compiler
        if shutil.which("ccache"):
            wrapper = output / "sysevent-cc"
            names = "|".join(shlex.quote(str(path)) for path in edited if path.suffix == ".c")
            wrapper.write_text(
                _C_ONLY.replace("EDITED", names or "''"), encoding="utf-8", errors="surrogateescape"
            )
            compiler = f"sh {wrapper} {compiler}"
        fast = output / "sysevent-gzip"
        fast.write_text(_FAST_GZIP, encoding="ascii")
        # v5.9; an older tree ignores it.
        return (*self.variables, f"CC={compiler}", f"KGZIP=sh {fast}")

    def environment(self, revision: str = "1") -> dict[str, str]:
        """Return the environment for make, with fixed time, user and host, so that ccache has hits.

        `uname -v` of the kernel begins with the revision. Only the objects with that text depend on it.
        """
        env = plain_environment()
        if self.folder:
            env["PATH"] = f"{self.folder}{os.pathsep}{env.get('PATH', '')}"
        return (
            env
            | _CCACHE
            | {
                "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
                "KBUILD_BUILD_USER": "sysevent",
                "KBUILD_BUILD_HOST": "sysevent",
                "KBUILD_BUILD_VERSION": revision,
            }
        )


# The compiler, through ccache for C only. Assembly includes files that ccache does not see (.incbin): the compressed
# kernel, vDSOs, certificates, a built-in initramfs. For an edited file ccache runs the preprocessor once more, and then
# finds nothing: a quarter of the CPU time for arch/x86/kvm/hyperv.c, a third for arch/arm64/kvm/psci.c.
_C_ONLY = """#!/bin/sh
for word; do
    case $word in
    *.[sS]|EDITED) exec "$@" ;;
    esac
done
exec ccache "$@"
"""
# The kernel is unpacked before it is booted, and make waits for gzip -9: 0.5 s for 10 MB on x86-64, with -1 0.1 s.
_FAST_GZIP = """#!/bin/sh
exec gzip "$@" -1
"""
# Settings of ccache that decide whether a result from its cache is the right one; they have priority over its
# configuration file. Source: ccache(1), "Configuration options".
_CCACHE = {
    # In depend mode it reads no preprocessed source, and so sees neither .incbin nor a change behind it.
    "CCACHE_NODEPEND": "1",
    "CCACHE_SLOPPINESS": "",
    "CCACHE_COMPILERCHECK": "content",
    "CCACHE_NOINODECACHE": "1",
    "CCACHE_IGNOREOPTIONS": "",
    "CCACHE_IGNOREHEADERS": "",
    # Apart from results that other builds stored, maybe in depend mode (since ccache 4.5).
    "CCACHE_NAMESPACE": "sysevent-c",
}
# Variables of ccache that say where and how much it stores, and not what counts as the same; all others are ignored.
# fmt: off
_CCACHE_PLACES = {
    "CCACHE_CONFIGPATH", "CCACHE_DIR", "CCACHE_DISABLE", "CCACHE_LOGFILE", "CCACHE_MAXFILES", "CCACHE_MAXSIZE",
    "CCACHE_TEMPDIR", "CCACHE_UMASK",
}
# fmt: on


# Variables that a user may have set for builds of their own, and that make would use.
# fmt: off
_IGNORED_VARIABLES = {
    "ARCH", "CROSS_COMPILE", "LLVM", "LLVM_IAS", "CC", "HOSTCC", "LOCALVERSION", "KCONFIG_CONFIG",
    "KCONFIG_ALLCONFIG", "KBUILD_OUTPUT", "KBUILD_BUILD_VERSION_TIMESTAMP", "O", "INSTALL_MOD_PATH",
    "MAKEFLAGS", "MFLAGS", "W", "C", "V",
}
# fmt: on


def plain_environment() -> dict[str, str]:
    """Return this process's environment without the variables that change a build, and with LC_ALL=C."""
    kept = {key: value for key, value in os.environ.items() if not _is_ignored(key)}
    return kept | {"LC_ALL": "C"}


def _is_ignored(variable: str) -> bool:
    return variable in _IGNORED_VARIABLES or (
        variable.startswith("CCACHE_") and variable not in _CCACHE_PLACES
    )


def toolchains(arch: Architecture) -> list[Toolchain]:
    """Return the installed toolchains for an architecture, the preferred one first.

    If $LLVM or $CROSS_COMPILE is set, with its meaning for the kernel, only that toolchain is returned.
    """
    if os.environ.get("LLVM", "0") not in ("", "0"):
        return list(_llvm(arch, os.environ["LLVM"]))
    if "CROSS_COMPILE" in os.environ:
        return list(_gcc(os.environ["CROSS_COMPILE"]))
    native = of_machine(platform.machine()) is arch
    found = list(_gcc("" if native else arch.abis[0].gnu_prefix))
    return [*found, *_llvm(arch, "1")]


def first_accepted(tree: Path, arch: Architecture, found: list[Toolchain]) -> Toolchain:
    """Return the first toolchain that is new enough for a tree; ToolMissing, with the reasons, if there is none."""
    reasons = []
    for toolchain in found:
        minimum = min_version(tree, arch, toolchain.kind)
        if _numbers(toolchain.version) >= _numbers(minimum):
            return toolchain
        reasons.append(f"{toolchain.name} is older than the {minimum} that it needs")
    why = "; ".join(reasons) or f"no compiler for {arch.name} is installed"
    raise ToolMissing(f"this revision cannot be built here: {why}")


def min_version(tree: Path, arch: Architecture, kind: str) -> str:
    """Return the oldest version that a tree accepts: as scripts/min-tool-version.sh (since v5.13) prints it, or "0"."""
    script = tree / "scripts" / "min-tool-version.sh"
    if not script.exists():
        return "0"
    env = os.environ | {"ARCH": arch.kernel, "SRCARCH": arch.kernel}
    try:
        done = subprocess.run(
            ["sh", str(script), kind], capture_output=True, text=True, timeout=30, check=False, env=env
        )
    except (OSError, subprocess.TimeoutExpired):
        return "0"
    return done.stdout.strip() if done.returncode == 0 else "0"


def missing_programs(arch: Architecture, more: Sequence[str] = (), machine: str = "") -> tuple[str, ...]:
    """Return what is missing to build kernels of an architecture: keys into the table of doctor/package_managers.py.

    more: further programs that are needed. machine: as uname -m says it; "": this one.
    """
    lacking = [name for name in (*_PROGRAMS, *more) if not shutil.which(name)]
    if not _has_headers(arch):
        lacking.append("libelf")
    if not toolchains(arch):
        # For itself a machine has no cross compiler.
        native = of_machine(machine or platform.machine()) is arch
        lacking.append("gcc" if native else f"gcc-{arch.name}")
    return tuple(dict.fromkeys(lacking))


def missing_programs_for_headers() -> tuple[str, ...]:
    """Return what is missing to export a tree's headers, likewise. Its own programs can be compiled with zig."""
    needed = ("git", "make") if compiler.zig() else ("git", "make", "gcc")
    return tuple(name for name in needed if not shutil.which(name))


def host_compiler(cache: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return variables for make, and for its environment, with which the programs of a tree itself are compiled.

    They are empty if gcc is installed, which make uses by itself. cache: a directory for zig's files.
    """
    if shutil.which("gcc"):
        return (), {}
    places = {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)}
    return (f"HOSTCC={' '.join(compiler.zig())}",), places


def _has_headers(arch: Architecture) -> bool:
    """Return whether the headers are installed that programs of the tree include; without gcc, as far as it shows."""
    if not shutil.which("gcc"):
        return all((Path("/usr/include") / name).exists() for name in arch.build_headers)
    source = "".join(f"#include <{name}>\n" for name in arch.build_headers)
    try:
        done = subprocess.run(
            ["gcc", "-E", "-x", "c", "-"],
            input=source,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _gcc(prefix: str) -> Iterator[Toolchain]:
    version = _version(f"{prefix}gcc") if shutil.which(f"{prefix}gcc") and shutil.which(f"{prefix}ld") else ""
    if version:
        yield Toolchain("gcc", version, f"{prefix}gcc", (f"CROSS_COMPILE={prefix}",))


def _llvm(arch: Architecture, wanted: str) -> Iterator[Toolchain]:
    """Yield the newest complete LLVM, or the wanted one.

    wanted as in Documentation/kbuild/llvm.rst: 1, a suffix such as -19, or a directory with a slash at its end.
    """
    if wanted.endswith("/"):
        folders = [Path(wanted)]
    else:
        # Trees before v5.18 do not know the form LLVM=-19: a directory in front of PATH works with all.
        known = [p for p in Path("/usr/lib").glob("llvm*/bin") if wanted in ("1", p.parent.name[4:])]
        folders = sorted(known, key=lambda p: _numbers(p.parent.name), reverse=True)
        if wanted == "1" and shutil.which("clang"):
            folders.insert(0, Path(str(shutil.which("clang"))).parent)
    for folder in folders:
        if not all(shutil.which(name, path=str(folder)) for name in _LLVM):
            continue
        version = _version(str(folder / "clang"))
        if version:
            variables = ("LLVM=1", "LLVM_IAS=1", f"CROSS_COMPILE={arch.abis[0].gnu_prefix}")
            yield Toolchain("llvm", version, "clang", variables, str(folder))
            return


def _version(compiler: str) -> str:
    try:
        done = subprocess.run(
            [compiler, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"\b(\d+\.\d+\.\d+)\b", done.stdout.partition("\n")[0])
    return found[1] if done.returncode == 0 and found else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))
