"""Exports uapi headers from a kernel tree, with its own `make headers_install`, into the cache.

Documentation/kbuild/headers_install.rst.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from sysevent import tool_paths
from sysevent.arches import Architecture
from sysevent.build import output_directory, source_tree
from sysevent.cache import Cache
from sysevent.errors import BuildFailed, NotApplicable
from sysevent.headers import names
from sysevent.model import Progress
from sysevent.settings import Settings

# What `make headers_install` reads besides headers; linux/version.h is made from the first.
_EXPORTERS = (
    "Makefile",
    "scripts/Makefile.headersinst",
    "scripts/headers_install.sh",
    "scripts/headers_install.pl",
)
# Seconds; it usually takes ten.
_DEADLINE = 600


def export_headers(
    tree: Path, arch: Architecture, settings: Settings, progress: Progress
) -> tuple[Path, str]:
    """Export the headers of a tree, and return a directory that contains include/, and the tree's version.

    tree may also be the output directory of a build (O=), whose source tree is exported, and a directory of exported
    headers (usr/include of a built tree, or INSTALL_HDR_PATH), which is returned, with the version "". Raises
    UsageError if it is none of these, or if make cannot work in its path or the cache's; NotApplicable if it is for
    another architecture, or an output directory whose source tree is gone or has changed its version; BuildFailed if
    make fails.
    """
    names.require_tree(tree)
    exported = names.exported(tree)
    if output_directory.is_output_directory(tree):
        try:
            tree = output_directory.source(tree, arch)
        except NotApplicable:
            # Headers that were exported in an output directory can be older than the kernel there, so they are second.
            if exported is None:
                raise
    if exported is not None and not source_tree.is_kernel_tree(tree):
        _check_guard(exported, arch)
        return exported, ""
    version = source_tree.version(tree)
    key = _hash(tree, arch)
    cache = Cache(settings.cache)
    target = cache.root / "headers" / f"tree-{arch.kernel}-{key[:24]}"
    if cache.is_intact(target):
        cache.touch(target)
    else:
        tool_paths.require(tree, str(tree))
        tool_paths.require_cache(cache.root)
        progress(f"exporting the headers of {tree} for {arch.kernel}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix="export-") as folder:
                _export(tree, arch, Path(folder))
                shutil.rmtree(target, ignore_errors=True)
                (Path(folder) / "installed").replace(target)
            cache.seal_folder(target)
        except OSError as error:
            raise BuildFailed(
                f"the headers of {tree} cannot be exported to {target.parent}: {error.strerror}; set SYSEVENT_CACHE "
                "to a directory that can be written to"
            ) from error
    return target, version


def _check_guard(root: Path, arch: Architecture) -> None:
    """Raise NotApplicable if exported headers are not for arch: those of another one would compile, too."""
    try:
        text = (root / "include" / "asm" / "kvm.h").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    if arch.kvm_h_guard not in text:
        raise NotApplicable(
            f"{root}/include was exported for another architecture than {arch.name}, or has no KVM: "
            f"make headers_install ARCH={arch.kernel}"
        )


def _export(tree: Path, arch: Architecture, scratch: Path) -> None:
    """Run make headers_install with O=, and again without it, since a tree that was built in place refuses O=.

    Headers that kbuild generates, such as the wrappers of asm-generic, are generated again: they come from the same
    tree as the others, and do not depend on the configuration.
    """
    install = ["headers_install", f"ARCH={arch.kernel}", f"INSTALL_HDR_PATH={scratch / 'installed'}"]
    output = ""
    for where in ([f"O={scratch / 'out'}"], []):
        (scratch / "out").mkdir(exist_ok=True)
        try:
            done = subprocess.run(
                ["make", "-s", "-C", str(tree), *where, *install],
                capture_output=True,
                text=True,
                timeout=_DEADLINE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BuildFailed(
                f"make headers_install in {tree}: {error}; it needs make, gcc and rsync: apt install make gcc rsync"
            ) from error
        if done.returncode == 0 and (scratch / "installed" / "include" / "linux" / "kvm.h").is_file():
            return
        output = done.stderr.strip() or done.stdout.strip()
    raise BuildFailed(f"make headers_install in {tree} failed:\n{output[-2000:]}")


def _hash(tree: Path, arch: Architecture) -> str:
    """Return the hash of all that decides what is exported: headers, lists of further headers, and scripts."""
    found = [tree / name for name in _EXPORTERS]
    for folder in ("include/uapi", f"arch/{arch.kernel}/include/uapi"):
        found += [path for pattern in ("*.h", "Kbuild") for path in (tree / folder).rglob(pattern)]
    total = hashlib.sha256()
    for path in sorted(path for path in found if path.is_file()):
        data = path.read_bytes()
        total.update(f"{path.relative_to(tree)}\0{len(data)}\0".encode() + data)
    return total.hexdigest()
