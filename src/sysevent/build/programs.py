"""Compiles the programs of guests/ on demand: the VMM, the guest's init, and the payloads.

A binary's name has a hash of its sources, flags and compiler, so a change of any leads to a new build, and nothing
else does. None of them is a path: all checkouts on a machine share their builds.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sysevent.arches import Abi, Architecture
from sysevent.build import compiler
from sysevent.cache import Cache
from sysevent.checkout import GUESTS
from sysevent.decode.elf import damage_as
from sysevent.errors import BuildFailed, HarnessError
from sysevent.settings import Settings

VMM = GUESTS / "vmm"
INIT = GUESTS / "init"
PAYLOADS = GUESTS / "payloads"
VMMS = GUESTS / "vmms"
TRIALS = GUESTS / "trials"
# fmt: off
_VMM_SOURCES = (
    "main.c", "serve.c", "launch.c", "program.c", "kmsg.c", "scenario.c", "steps.c", "files.c", "body.c", "vm.c",
    "vcpu.c", "cover.c", "frame.c", "runtime.c",
)
# fmt: on
# Bytes of an L2 program; the largest has 8 KiB.
_PAYLOAD_MAX = 1 << 20


class Program(msgspec.Struct, frozen=True):
    """A freestanding executable for L1."""

    # In the cache; the file is missing if the cache cannot be written to.
    path: Path
    # Hash of the sources, flags and compiler.
    build_id: str
    # Checked against the hash that the cache has of it.
    content: bytes


class Payload(msgspec.Struct, frozen=True):
    """An L2 program: bytes to load, and where it starts."""

    name: str
    # Guest physical address and content of each.
    segments: tuple[tuple[int, bytes], ...]
    # Guest physical address of the first instruction.
    entry: int
    # Addresses of its global labels; expectations refer to code by label.
    symbols: dict[str, int]


def vmm(arch: Architecture, abi: Abi, settings: Settings) -> Program:
    """Return the VMM of arch compiled for abi; BuildFailed or ToolMissing."""
    sources = [*(VMM / name for name in _VMM_SOURCES), VMM / "arch" / arch.vmm_source]
    return _program("vmm", abi, sources, _headers(), settings)


def init(arch: Architecture, settings: Settings) -> Program:
    """Return init, the first process of a guest of arch; BuildFailed or ToolMissing."""
    sources = [INIT / "init.c", INIT / "parameters.c", VMM / "runtime.c"]
    return _program("init", arch.abis[0], sources, [*_headers(), INIT / "parameters.h"], settings)


def guest_of_vmms(arch: Architecture, settings: Settings) -> Program:
    """Return the ELF program that real VMMs run as their guest, guests/vmms/<arch>.S; BuildFailed or ToolMissing."""
    source, script = VMMS / f"{arch.name}.S", VMMS / f"{arch.name}.ld"
    return _compile("vmms", arch.payload_abi, (), [source], [script], settings, script=script)


def image_of_vmms(arch: Architecture, settings: Settings) -> Program:
    """Return the same as an ELF program that can be loaded as a kernel; BuildFailed or ToolMissing."""
    source, script = VMMS / f"{arch.name}_image.S", VMMS / f"{arch.name}_image.ld"
    if not source.is_file():
        source, script = VMMS / f"{arch.name}.S", VMMS / f"{arch.name}.ld"
    return _compile("image", arch.abis[0], ("-DIMAGE",), [source], [script], settings, script=script)


def cpu_trial(arch: Architecture, settings: Settings) -> Program:
    """Return the ELF program guests/trials/<arch>.S, which QEMU boots as a kernel; BuildFailed or ToolMissing."""
    source, script = TRIALS / f"{arch.name}.S", TRIALS / f"{arch.name}.ld"
    return _compile("trial", arch.payload_abi, (), [source], [script], settings, script=script)


def payload(arch: Architecture, name: str, settings: Settings) -> Payload:
    """Return the payload guests/payloads/<arch>/<name>.S; HarnessError if there is no such file.

    BuildFailed or ToolMissing as for the other programs.
    """
    folder = PAYLOADS / arch.name
    source, script = folder / f"{name}.S", folder / "payload.ld"
    if not source.is_file():
        raise HarnessError(f"no payload {name!r} for {arch.name}: {source} does not exist")
    # The script's path is not part of the key, but its content is.
    built = _compile(f"payload-{name}", arch.payload_abi, (), [source], [script], settings, script=script)
    cache, note = Cache(settings.cache), built.path.with_suffix(".json")
    found = cache.read(note, Payload)
    if found is None:
        found = read_payload(name, built.content)
        cache.record(note, found)
    return found


def read_payload(name: str, content: bytes) -> Payload:
    """Return the segments, entry and global symbols of an ELF program; BuildFailed when it is not a valid one."""
    # Imported here: 30 ms, and a payload is read once.
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    def damaged(why: str) -> BuildFailed:
        return BuildFailed(f"the payload {name} was not linked into an ELF program: {why}")

    with damage_as(damaged):
        elf = ELFFile(io.BytesIO(content))
        parts = [part for part in elf.iter_segments("PT_LOAD") if part["p_memsz"]]
        size = sum(max(part["p_memsz"], part["p_filesz"]) for part in parts)
        if size > _PAYLOAD_MAX:
            raise damaged(f"its segments have {size} bytes, and a payload has {_PAYLOAD_MAX} at most")
        segments = tuple((part["p_paddr"], part.data().ljust(part["p_memsz"], b"\0")) for part in parts)
        table = elf.get_section_by_name(".symtab")
        symbols = {
            symbol.name: symbol["st_value"]
            for symbol in (table.iter_symbols() if isinstance(table, SymbolTableSection) else ())
            if symbol.name and symbol["st_info"]["bind"] == "STB_GLOBAL"
        }
        entry = elf["e_entry"]
    if not segments:
        raise BuildFailed(f"the payload {name} has no segment to load")
    return Payload(name, segments, entry, symbols)


def _headers() -> list[Path]:
    return sorted(VMM.rglob("*.h"))


def _program(name: str, abi: Abi, sources: list[Path], included: list[Path], settings: Settings) -> Program:
    return _compile(name, abi, ("-s",), sources, included, settings)


def _compile(
    name: str,
    abi: Abi,
    flags: tuple[str, ...],
    sources: list[Path],
    included: Iterable[Path],
    settings: Settings,
    *,
    script: Path | None = None,
) -> Program:
    """Compile sources unless the cache has the result; included are the other files that the compiler reads.

    script: the linker's.
    """
    tool = compiler.find(abi)
    key = hashlib.sha256(
        repr((name, abi.name, abi.flags, flags, compiler.FLAGS, tool.identity, tool.flags)).encode()
    )
    for path in (*sources, *included):
        key.update(path.name.encode() + b"\0" + path.read_bytes())
    build_id = key.hexdigest()[:16]
    cache = Cache(settings.cache)
    output = cache.root / "build" / f"{name}-{abi.name}-{build_id}"
    content = cache.content(output)
    if content is None:
        defines = (f'-DBUILD_ID="{build_id}"',) if name == "vmm" else ()
        scripts = ("-T", str(script)) if script else ()
        try:
            with tempfile.TemporaryDirectory(prefix="build-", dir=cache.scratch()) as folder:
                made = Path(folder) / output.name
                compiler.build(tool, abi, (*flags, *scripts, *defines), sources, made)
                content = made.read_bytes()
        except OSError as error:
            raise BuildFailed(f"{name} for {abi.name} cannot be compiled: {error}") from error
        cache.keep(output, content)
    return Program(output, build_id, content)
