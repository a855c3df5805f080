"""What runs below pytest, compiled on demand: the VMM, the guest's init, and the payloads.

Each is keyed by the content of its sources, its flags and its compiler, so an edit is seen and nothing
else is built twice.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sysevent.arches import Abi, Architecture
from sysevent.build import compiler
from sysevent.cache import Cache
from sysevent.checkout import GUESTS
from sysevent.errors import BuildFailed, HarnessError
from sysevent.settings import Settings

VMM = GUESTS / "vmm"
INIT = GUESTS / "init"
PAYLOADS = GUESTS / "payloads"


class Program(msgspec.Struct, frozen=True):
    """A freestanding executable for L1."""

    path: Path
    build_id: str  # of the sources and everything that shaped the binary


class Payload(msgspec.Struct, frozen=True):
    """An L2 program: bytes to load, and where it begins."""

    name: str
    segments: tuple[tuple[int, bytes], ...]  # guest physical address, content
    entry: int
    symbols: dict[str, int]  # its global labels, by which expectations name a place


def vmm(arch: Architecture, abi: Abi, settings: Settings) -> Program:
    """The VMM of arch compiled for abi."""
    sources = [
        VMM / name
        for name in (
            "main.c",
            "serve.c",
            "scenario.c",
            "steps.c",
            "body.c",
            "vm.c",
            "vcpu.c",
            "frame.c",
            "runtime.c",
        )
    ]
    return _program("vmm", abi, [*sources, VMM / "arch" / arch.vmm_source], _headers(), settings)


def init(arch: Architecture, settings: Settings) -> Program:
    """The first process of a guest of arch."""
    return _program("init", arch.abis[0], [INIT / "init.c", VMM / "runtime.c"], _headers(), settings)


def payload(arch: Architecture, name: str, settings: Settings) -> Payload:
    """The payload guests/payloads/<arch>/<name>.S; HarnessError when there is no such file."""
    folder = PAYLOADS / arch.name
    source, script = folder / f"{name}.S", folder / "payload.ld"
    if not source.is_file():
        raise HarnessError(f"no payload {name!r} for {arch.name}: {source} does not exist")
    built = _compile(f"payload-{name}", arch.payload_abi, (f"-Wl,-T,{script}",), [source], [script], settings)
    cache, note = Cache(settings.cache), built.path.with_suffix(".json")
    found = cache.read(note, Payload)
    if found is None:
        found = read_payload(name, built.path)
        cache.record(note, found)
    return found


def read_payload(name: str, path: Path) -> Payload:
    """The loadable segments, entry and global symbols of an ELF program; BuildFailed when it is none."""
    from elftools.common.exceptions import ELFError  # here: 30 ms, and a payload is read once
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            segments = tuple(
                (part["p_paddr"], part.data().ljust(part["p_memsz"], b"\0"))
                for part in elf.iter_segments("PT_LOAD")
                if part["p_memsz"]
            )
            table = elf.get_section_by_name(".symtab")
            symbols = {
                symbol.name: symbol["st_value"]
                for symbol in (table.iter_symbols() if isinstance(table, SymbolTableSection) else ())
                if symbol.name and symbol["st_info"]["bind"] == "STB_GLOBAL"
            }
            entry = elf["e_entry"]
    except (ELFError, OSError) as error:
        raise BuildFailed(f"{path} is no ELF program: {error}") from error
    if not segments:
        raise BuildFailed(f"{path} has nothing to load")
    return Payload(name, segments, entry, symbols)


def _headers() -> list[Path]:
    return sorted(VMM.rglob("*.h"))


def _program(name: str, abi: Abi, sources: list[Path], reads: list[Path], settings: Settings) -> Program:
    return _compile(name, abi, ("-s",), sources, reads, settings)


def _compile(
    name: str,
    abi: Abi,
    flags: tuple[str, ...],
    sources: list[Path],
    reads: Iterable[Path],
    settings: Settings,
) -> Program:
    tool = compiler.find(abi)
    key = hashlib.sha256(repr((name, abi.name, abi.flags, flags, compiler.FLAGS, tool)).encode())
    for path in (*sources, *reads):
        key.update(path.name.encode() + b"\0" + path.read_bytes())
    build_id = key.hexdigest()[:16]
    folder = settings.cache / "build"
    output = folder / f"{name}-{abi.name}-{build_id}"
    if not _there(output):
        compiler.writable(folder)
        # Into a name of our own first: several processes may build the same program at once.
        handle, part = tempfile.mkstemp(dir=folder, prefix=f"{output.name}.")
        os.close(handle)
        try:
            defines = (f'-DBUILD_ID="{build_id}"',) if name == "vmm" else ()
            compiler.build(tool, abi, (*flags, *defines), sources, Path(part), settings.cache)
            Path(part).replace(output)
        finally:
            Path(part).unlink(missing_ok=True)
    return Program(output, build_id)


def _there(path: Path) -> bool:
    # Path.exists() raises when a directory above may not be searched.
    try:
        return path.exists()
    except OSError:
        return False
