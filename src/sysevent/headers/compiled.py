"""Compiles headers for an ABI and reads their layout from DWARF.

The compiler runs three times: for a list of the macros; for a program that includes the headers, with DWARF; and for
an object with one array of every macro's value and of the compiler's own offsetof of the frozen members, which
confirms the DWARF.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from sysevent.arches import Abi
from sysevent.build import compiler
from sysevent.build.compiler import Compiler
from sysevent.cache import Cache
from sysevent.decode.structs import Layout
from sysevent.errors import BuildFailed
from sysevent.headers.resolve import Headers, unpacked
from sysevent.model import Progress
from sysevent.settings import Settings

# Version of the cached layouts' format; part of their names.
_SCHEMA = 2
_INCLUDES = "#include <linux/kvm.h>\n#include <asm/kvm.h>\n"
_PROGRAM = "void _start(void) { for (;;) { } }\n"
_FLAGS = (
    "-std=gnu11",
    "-O0",
    "-ffreestanding",
    "-nostdlib",
    # No header of the compiler: zig has a linux/kvm.h, too.
    "-nostdinc",
)
_DWARF = ("-g", "-gdwarf-5", "-fno-eliminate-unused-debug-types", "-static", "-fno-pie")
_SECTION = ".sysevent"
# Seconds for one run of the compiler.
_DEADLINE = 900
# How often the lines that do not compile are left out and the rest is compiled again.
_ROUNDS = 4
_OBJECT_MACRO = re.compile(r"^#define (_?_?KVM\w+|SYNC_REGS_SIZE_BYTES) (?=\S)", re.MULTILINE)
# Members of struct kvm_run whose offsetof is compiled; one that the headers lack is left out.
# fmt: off
OFFSETOF_MEMBERS = (
    "exit_reason", "flags", "system_event.type", "system_event.ndata", "system_event.flags",
    "system_event.data", "kvm_valid_regs", "kvm_dirty_regs", "s", "xen", "immediate_exit",
)
# fmt: on


class Tool(msgspec.Struct, frozen=True):
    """The compiler for one ABI, with the variables for its cache: see compiler.empty_zig_cache()."""

    command: tuple[str, ...]
    variables: Mapping[str, str]

    def run(self, arguments: Iterable[str], what: str) -> subprocess.CompletedProcess[str]:
        """Run the compiler; what names the input in the message of BuildFailed, when it cannot be started or hangs."""
        try:
            return subprocess.run(
                [*self.command, *arguments],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_DEADLINE,
                check=False,
                env=os.environ | self.variables,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BuildFailed(f"{what}: {error}") from error


def layouts(
    headers: Headers, abis: Iterable[Abi], settings: Settings, progress: Progress, *, cached: bool = True
) -> dict[str, Layout]:
    """Return the layouts of one architecture's headers by ABI, compiled once and then read from the cache.

    cached: False: compile them even if the cache has them.
    NotApplicable when the headers have no KVM for the architecture, ToolMissing without a compiler, BuildFailed with
    the compiler's output when they do not compile.
    """
    cache = Cache(settings.cache)
    found: dict[str, Layout] = {}
    missing: dict[str, tuple[Abi, Compiler, Path]] = {}
    for abi in abis:
        used = compiler.find(abi)
        shaped = (abi.name, abi.zig_target, abi.gnu_prefix, abi.prelude)
        key = repr((_SCHEMA, headers.key, shaped, used.identity, _FLAGS, _DWARF, OFFSETOF_MEMBERS))
        name = f"{abi.name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
        path = cache.root / "layouts" / name
        if cached and (known := cache.read(path, Layout)):
            found[abi.name] = known
        else:
            missing[abi.name] = (abi, used, path)
    if missing:
        progress(f"compiling the headers of {headers.spec} for {', '.join(missing)}")
        try:
            scratch = cache.scratch()
            with unpacked(headers, scratch) as directories, compiler.empty_zig_cache(scratch) as variables:
                for abi, used, path in missing.values():
                    found[abi.name] = compile_headers(directories, abi, Tool(used.command, variables))
                    cache.record(path, found[abi.name])
        except OSError as error:
            raise BuildFailed(f"the headers of {headers.spec} cannot be compiled: {error}") from error
    return found


def compile_headers(directories: tuple[Path, ...], abi: Abi, tool: Tool) -> Layout:
    """Return the layout of the headers in directories, which contain linux/kvm.h and asm/kvm.h; BuildFailed."""
    # Imported here: pyelftools takes 30 ms, and headers are compiled once.
    from sysevent.decode import dwarf

    with tempfile.TemporaryDirectory(prefix="sysevent-layout-") as folder:
        work = Path(folder)
        source = work / "headers.c"
        source.write_text(f"{abi.prelude}\n{_INCLUDES}{_PROGRAM}", encoding="ascii")
        options = [*_FLAGS, *(word for path in directories for word in ("-isystem", str(path)))]
        what = f"the KVM headers for {abi.name}"

        done = tool.run([*options, "-E", "-dM", str(source)], what)
        _check(done, what)
        macros = sorted(set(_OBJECT_MACRO.findall(done.stdout)))

        program, depends = work / "headers.elf", work / "headers.d"
        done = tool.run(
            [*options, *_DWARF, "-MD", "-MF", str(depends), str(source), "-o", str(program)], what
        )
        _check(done, what)
        _check_origin(depends, (source, *directories))
        structs, enumerators = dwarf.structs(program)

        # The product makes the compiler reject macros that are pointers.
        expressions = {name: f"(1 * ({name}))" for name in macros}
        expressions |= {
            f"={path}": f"__builtin_offsetof(struct kvm_run, {path})" for path in OFFSETOF_MEMBERS
        }
        expressions["=sizeof"] = "sizeof(struct kvm_run)"
        values = _values(expressions, abi, options, tool, work)
        constants = {name: value for name, value in enumerators.items() if name.startswith("KVM")}
        constants |= {name: value for name, value in values.items() if not name.startswith("=")}
        asserted = {name[1:]: value for name, value in values.items() if name.startswith("=")}
    return Layout(structs, dict(sorted(constants.items())), asserted)


def _values(
    expressions: dict[str, str], abi: Abi, options: list[str], tool: Tool, work: Path
) -> dict[str, int]:
    """Return the value of each expression; those that do not compile are not constants, and are left out."""
    source, output = work / "constants.c", work / "constants.o"
    names = list(expressions)
    head = f"{abi.prelude}\n{_INCLUDES}"
    head += f'__attribute__((section("{_SECTION}"), used)) const unsigned long long values[] = {{\n'
    first = head.count("\n") + 1
    for _ in range(_ROUNDS):
        lines = [f"(unsigned long long){expressions[name]}," for name in names]
        source.write_text(head + "\n".join(lines) + "\n};\n", encoding="ascii")
        done = tool.run(
            [*options, "-w", "-ferror-limit=0", "-c", str(source), "-o", str(output)], "constants"
        )
        if done.returncode == 0:
            from elftools.elf.elffile import ELFFile

            with output.open("rb") as file:
                section = ELFFile(file).get_section_by_name(_SECTION)
                data = section.data() if section else b""
            return {name: int.from_bytes(data[8 * n : 8 * n + 8], "little") for n, name in enumerate(names)}
        wrong = {int(n) - first for n in re.findall(r"constants\.c:(\d+):\d+: error:", done.stderr)}
        if not wrong:
            break
        names = [name for n, name in enumerate(names) if n not in wrong]
    raise BuildFailed(f"the constants of the KVM headers for {abi.name}:\n{done.stderr[-2000:]}")


def _check(done: subprocess.CompletedProcess[str], what: str) -> None:
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or f"the compiler ended with {done.returncode}"
        first = next((line for line in said.splitlines() if "error" in line), said.splitlines()[0])
        raise BuildFailed(f"{what} do not compile: {first.strip()}\n{said[:2000]}")


def _check_origin(depends: Path, allowed: tuple[Path, ...]) -> None:
    """Raise BuildFailed if the compiler has read a file outside the allowed directories, such as one of its headers."""
    text = depends.read_text(encoding="utf-8").partition(":")[2]
    roots = [path.resolve() for path in allowed]
    for name in text.replace("\\\n", " ").split():
        path = Path(name).resolve()
        if not any(path.is_relative_to(root) for root in roots):
            raise BuildFailed(f"the compiler read {path}, which is not one of the headers under test")
