"""Which compiler builds a kernel: gcc or LLVM, whichever this machine has and the tree accepts."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sysevent.arches import Architecture, of_machine
from sysevent.errors import ToolMissing

# What every kernel build calls besides the compiler: Documentation/process/changes.rst.
_PROGRAMS = ("git", "make", "bc", "flex", "bison", "gcc")
_LLVM = ("clang", "ld.lld", "llvm-ar", "llvm-nm", "llvm-objcopy", "llvm-strip")  # what LLVM=1 calls


class Toolchain(msgspec.Struct, frozen=True):
    """One compiler with its binary tools, as make is told of it."""

    kind: str  # "gcc" or "llvm", as scripts/min-tool-version.sh names them
    version: str
    compiler: str  # for make's CC, without ccache
    variables: tuple[str, ...]  # further ones for make
    folder: str = ""  # to stand in front of PATH

    @property
    def name(self) -> str:
        """A name for its build directory."""
        return f"{self.kind}-{self.version}"

    @property
    def make(self) -> tuple[str, ...]:
        """Its variables on make's command line; the same for every call, or everything is built anew."""
        compiler = f"ccache {self.compiler}" if shutil.which("ccache") else self.compiler
        return (*self.variables, f"CC={compiler}")

    def environment(self) -> dict[str, str]:
        """This process's, with what makes a build the same every time, so that ccache finds it again."""
        env = plain_environment()
        if self.folder:
            env["PATH"] = f"{self.folder}{os.pathsep}{env.get('PATH', '')}"
        return env | {
            "CCACHE_DEPEND": "1",  # a compile that misses costs no preprocessor run of its own
            "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
            "KBUILD_BUILD_USER": "sysevent",
            "KBUILD_BUILD_HOST": "sysevent",
            "KBUILD_BUILD_VERSION": "1",
        }


# What a user's shell may hold for builds of their own, and make would take up.
_LEFT_OUT = {
    *("ARCH", "CROSS_COMPILE", "LLVM", "LLVM_IAS", "CC", "HOSTCC", "LOCALVERSION", "KCONFIG_CONFIG"),
    *("KCONFIG_ALLCONFIG", "KBUILD_OUTPUT", "O", "INSTALL_MOD_PATH", "MAKEFLAGS", "MFLAGS", "W", "C", "V"),
}


def plain_environment() -> dict[str, str]:
    """This process's, without what would make a build another one."""
    return {key: value for key, value in os.environ.items() if key not in _LEFT_OUT} | {"LC_ALL": "C"}


def toolchains(arch: Architecture) -> list[Toolchain]:
    """Those this machine has for an architecture, the first choice first.

    $LLVM and $CROSS_COMPILE, with the kernel's own meanings, go before what is found.
    """
    if os.environ.get("LLVM", "0") not in ("", "0"):
        return list(_llvm(arch, os.environ["LLVM"]))
    if "CROSS_COMPILE" in os.environ:
        return list(_gcc(os.environ["CROSS_COMPILE"]))
    native = of_machine(platform.machine()) is arch
    found = list(_gcc("" if native else arch.abis[0].gnu_prefix))
    return [*found, *_llvm(arch, "1")]


def accepted(tree: Path, arch: Architecture, found: list[Toolchain]) -> Toolchain:
    """The first toolchain that a tree takes; ToolMissing says why not when it takes none."""
    told = []
    for toolchain in found:
        least = least_version(tree, arch, toolchain.kind)
        if _numbers(toolchain.version) >= _numbers(least):
            return toolchain
        told.append(f"{toolchain.name} is older than the {least} it needs")
    why = "; ".join(told) or f"there is no compiler for {arch.name}"
    raise ToolMissing(f"this revision cannot be built here: {why}")


def least_version(tree: Path, arch: Architecture, kind: str) -> str:
    """The oldest version that a tree takes, by its own word (scripts/min-tool-version.sh, v5.13), or 0."""
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


def missing(arch: Architecture) -> tuple[str, ...]:
    """Keys into the table of packages, of what building kernels of an architecture lacks here."""
    lacking = [] if all(map(shutil.which, _PROGRAMS)) and _headers_there(arch) else ["kernel-build"]
    if not toolchains(arch):
        lacking.append(f"gcc-{arch.name}")
    return tuple(lacking)


def missing_for_headers() -> tuple[str, ...]:
    """The same, of what exporting a tree's headers lacks."""
    return () if all(map(shutil.which, ("git", "make", "gcc", "rsync"))) else ("kernel-build",)


def _headers_there(arch: Architecture) -> bool:
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
    """wanted as in Documentation/kbuild/llvm.rst: 1, -19, or a directory with a slash at its end."""
    if wanted.endswith("/"):
        folders = [Path(wanted)]
    else:
        # The form LLVM=-19 is not in old trees (before v5.18): a directory in front of PATH works in all.
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
