"""The records of run.jsonl: one struct per kind, in the order in which their fields are written.

A run writes one JSON object per line, ASCII only. The first key of each, `record`, names its kind.

What a program that reads run.jsonl can rely on, as long as `schema` in the `run` record stays the same:

- Fields are only added. A field that older runs lack has a default here, which a reader takes in its place.
- Kinds of records are only added.
- The meaning, type and unit of a field, and the set of values of an enumeration, never change.

A change that breaks one of these raises `schema`. So a reader ignores fields and kinds that it does not know, and
refuses a file whose `schema` is higher than the one it was written for. It leaves out lines that were cut off, by a
full disk or by the end of their writer. Several processes can write to one file, so that the records of different
targets are interleaved. A run whose process was killed has no `end`.
"""

from __future__ import annotations

from typing import Annotated, Final, get_args

import msgspec

from sysevent import model
from sysevent.contract import readers
from sysevent.model import Level, Status
from sysevent.report.recorded_coverage import Coverage as Coverage
from sysevent.report.recorded_coverage import Covered as Covered
from sysevent.report.recorded_observation import Answer, Exit, Hex, Log, Natural, Seconds
from sysevent.report.recorded_outcome import Seen
from sysevent.report.recorded_peer import Peer as Peer

SCHEMA: Final = 1


class _Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag=str.lower):
    """What all records have in common: their tag is the name of the class in lower case."""


class Run(_Record, frozen=True, kw_only=True):
    """The beginning of a run, written by the process that creates the file."""

    schema: Annotated[int, msgspec.Meta(ge=0, le=SCHEMA)]
    """Version of this format."""
    id: str
    """Identifier of the run: its start in UTC and the ID of the process that wrote this record."""
    start: str
    """Time of the start, in UTC, ISO 8601 with seconds."""
    argv: tuple[str, ...]
    """The command line of pytest."""
    versions: dict[str, str]
    """Versions of `sysevent`, `python` and `pytest`."""


class Target(_Record, frozen=True, kw_only=True):
    """A target that was asked: written once, when its kernel has answered for the first time."""

    name: str
    """Name of the target. With several kernels in one run, `@` and the kernel's specification follow."""
    arch: str
    """Architecture of the kernel: `arm64`, `riscv64`, `x86_64`."""
    where: str
    """How its kernel runs: `tcg` or `kvm` for a guest of QEMU, else `where` of the [target file](lab.md)."""
    fallback: str = ""
    """Why a guest runs under TCG although KVM was preferred. Empty if it does not."""
    kernel: str
    """Release of the kernel, as `uname -r` prints it there."""
    spec: str
    """The kernel as the user named it: `debian:6.12`, a path, `tree:PATH`. Empty if it was running already."""
    package: str
    """Version of the Debian package of the kernel. Empty if the kernel is not from a package."""
    qemu: str
    """Version of QEMU. Empty without QEMU."""
    vmm: str
    """Build ID of the VMM that reported these facts, in hexadecimal."""
    build_id: str = ""
    """GNU build ID of the kernel, in hexadecimal, as its `/sys/kernel/notes` has it. Empty if it has none."""
    module_build_ids: dict[str, str] = {}
    """GNU build ID of each loaded KVM module, by name: `kvm`, `kvm_amd`, `kvm_intel`."""
    identity: model.Proof | None = None
    """`proven`: these build IDs are those of the files that were given. `unproven`: they could not be compared.
    `recorded`: the kernel ran already, so no files were given."""
    identity_reason: str = ""
    """Why the identity is not proven. Empty if it is."""
    mode: dict[str, str] = {}
    """In which mode its KVM runs, by the names of traits in a [target file](lab.md#the-mode-of-kvm): `mode` and `page`
    on arm64, `vendor`, `npt` and others on x86_64. `unknown`: it could not be found out."""
    capabilities: dict[str, int]
    """What KVM_CHECK_EXTENSION returned, by capability: `system/NUMBER` for /dev/kvm, `vm/NUMBER` for a VM."""
    features: dict[str, int]
    """What the guest's firmware interface reports, by name: `psci.version`, `psci.features.0x84000012`."""
    origin: str = ""
    """Where the kernel came from: `boot`, `snapshot`, or `running` if the run did not start it."""
    seconds_to_boot: Seconds
    """Time until its VMM answered, in seconds."""
    kernel_log: str = ""
    """Why the log of its kernel could not be read, so that the taint bits alone show a warning. Empty if it could."""

    def facts(self) -> model.Facts:
        """Return the facts that claims are judged by."""
        return model.Facts(
            self.arch, self.kernel, self.capabilities, self.features, self.vmm, self._kernel_identity()
        )

    def _kernel_identity(self) -> model.KernelIdentity | None:
        if self.identity is None:
            return None
        return model.KernelIdentity(
            self.build_id, self.module_build_ids, self.identity, self.identity_reason, mode=self.mode
        )


class Verdict(_Record, frozen=True, kw_only=True):
    """One claim judged on one target with one ABI. If a test is run again, the last verdict counts."""

    test: str
    """Name of the claim: `kvm.system_event.arm64.psci.reset2`."""
    target: str
    """Name of the target. For claims about headers, `headers`, with several kernels `headers@KERNEL`."""
    kernel: str
    """Release of the kernel, or version of the headers. Empty if it was not found out."""
    abi: str
    """ABI of the VMM: `arm64`, `i386`."""
    native: bool
    """True if the ABI is the kernel's own."""
    status: Status
    """FAIL: the kernel broke the ABI. ERROR: the test broke. MISS: it could not be run, or a failure was not seen a
    second time. PASS. DONE: it ran and has something to report. SKIP: it does not apply."""
    level: Level
    """`abi`: the kernel's documentation promises it. `observed`: today's behaviour, a change is only reported."""
    reason: str
    """One sentence that explains the status."""
    expected: dict[str, str]
    """What the claim requires, by field. Only of fields that do not match."""
    got: dict[str, str]
    """What was found, by field. Only of fields that do not match."""
    raw: dict[str, Hex]
    """The first 320 bytes of struct kvm_run after each KVM_RUN, by its label."""
    written: dict[str, tuple[tuple[Natural, Natural], ...]]
    """Ranges of these bytes that the kernel wrote, by label: offset of the first, offset after the last."""
    nodeid: str
    """pytest's identifier of the test."""
    seconds: Seconds
    """Time that the scenario took on the target, in seconds. 0 if it did not run."""
    dimensions: dict[str, str] = {}
    """How the claim's virtual machine differs from the default, by dimension: `irqchip`, `caller`, `peers`, `cpu`."""
    confirmed: Natural = 0
    """Number of guests in which it failed, the second one booted for that purpose: 2 for a FAIL, 1 under `--gdb`. 0
    otherwise, and in files of older versions."""
    erratum: str = ""
    """The [erratum](errata.md) that says that this claim fails on this kernel. With PASS it does not fail. Empty if
    there is none."""


class Incident(_Record, frozen=True, kw_only=True):
    """Something broke, or was waited for, that says nothing about the ABI of a kernel."""

    target: str
    """Name of the target."""
    reason: str
    """What happened. Can have several lines, such as the end of a guest's console."""
    log: str
    """Path of the log. Empty if there is none."""
    retried: bool
    """True if the same was tried once more afterwards."""


class Observation(_Record, frozen=True, kw_only=True):
    """Everything that one scenario gave on one target, from which claims are judged again at any time."""

    target: str
    """Name of the target."""
    scenario: str
    """Name of the scenario."""
    arch: str
    """Architecture of the target."""
    abi: str
    """ABI of the VMM."""
    exits: dict[str, Exit]
    """What each KVM_RUN left behind, by its label."""
    answers: dict[str, Answer]
    """What each other step with a label returned."""
    symbols: dict[str, int]
    """Guest addresses of the payload's symbols, by `payload.symbol`."""
    log: Log = Log()
    """What the kernel logged around the scenario."""

    @classmethod
    def of(cls, target: str, seen: model.Observation) -> Observation:
        """Return the record of an observation on a target."""
        return cls(
            target=target,
            scenario=seen.scenario,
            arch=seen.arch,
            abi=seen.abi,
            exits={label: Exit.of(raw) for label, raw in seen.exits.items()},
            answers={
                label: Answer(ret=answer.ret, errno=answer.errno, data=answer.data.hex())
                for label, answer in seen.answers.items()
            },
            symbols=seen.symbols,
            log=Log.of(seen.log),
        )

    def seen(self) -> model.Observation:
        """Return the observation that was recorded."""
        return model.Observation(
            self.scenario,
            self.arch,
            self.abi,
            {label: raw.raw_exit() for label, raw in self.exits.items()},
            {
                label: model.Answer(answer.ret, answer.errno, bytes.fromhex(answer.data))
                for label, answer in self.answers.items()
            },
            self.symbols,
            self.log.kernel_log(),
        )


class Outcome(_Record, frozen=True, kw_only=True):
    """What a user of a real VMM (`--vmm`) saw of an event, made from the observation of the claim's scenario."""

    target: str
    """Name of the target in whose guest the VMM ran."""
    kernel: str
    """Release of the kernel."""
    test: str
    """Name of the claim: `kvm.system_event.arm64.vmm.qemu.psci.off`."""
    vmm: str
    """The VMM, as `--vmm` named it: `qemu-10`."""
    seen: Seen
    """What it showed."""


class Reading(_Record, frozen=True, kw_only=True):
    """How one generation of userspace reads one event. Written at the end of a run, made from its observations."""

    target: str
    """Name of the target."""
    event: str
    """Name of the claim about the event, without its prefix."""
    reader: str
    """Name of the reader: which fields it uses, and under which condition."""
    abi: str
    """ABI of the VMM that saw the event."""
    finding: readers.ReadResult
    """`right`. `wrong`: the kernel wrote all bytes, and they mean something else. `garbage`: it did not write all."""
    # The name is part of the published format (docs/run-jsonl.md), so it stays.
    told: str
    """What the reader takes the event for, and what is true."""

    @classmethod
    def of(cls, target: str, reading: readers.Reading) -> Reading:
        """Return the record of a reading of an event on a target."""
        return cls(
            target=target,
            event=reading.event,
            reader=reading.reader,
            abi=reading.abi,
            finding=reading.result,
            told=reading.explanation,
        )


class Kept(_Record, frozen=True, kw_only=True):
    """A guest that lives on after the run, for inspection (`--keep`)."""

    target: str
    """Name of the target."""
    pid: Natural
    """Process ID of its QEMU."""
    directory: str
    """Directory with its logs and sockets, for `sysevent shell --attach`."""
    limit: Natural
    """Time after its start when it ends, in seconds."""


class End(_Record, frozen=True, kw_only=True):
    """The end of a run, also of one that a signal has interrupted. Missing if its process was killed."""

    counts: dict[Status, Natural]
    """Number of verdicts by status, of those that count."""
    exit: int
    """Exit code of pytest."""
    reason: str = ""
    """Name of the signal that interrupted the run: `SIGTERM`. Empty if it ran to its end."""


Record = Run | Target | Verdict | Incident | Observation | Outcome | Reading | Peer | Coverage | Kept | End
KINDS: Final = frozenset(kind.__struct_config__.tag for kind in get_args(Record))
