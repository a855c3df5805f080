"""Readers of what real VMMs are made of, programs of a user and what packages depend on, and of what they print."""

import vmm_runs
from elf_programs import elf_program

from sysevent.arches import ARCHITECTURES
from sysevent.decode.printed_outcome import outcome
from sysevent.images.debian.catalogue import Catalogue
from sysevent.images.rootfs.kits import linked
from sysevent.model import Observation

ARM64 = ARCHITECTURES["arm64"]
CATALOGUE = "\n\n".join(
    f"Package: {name}\nVersion: 1:2-{number}\nArchitecture: arm64\nDepends: {depends}\nProvides: virtual (= 2), xx\n"
    f"Filename: pool/{name}.deb\nSize: 1\nSHA256: {'0' * 64}"
    for number, (name, depends) in enumerate(
        (("qemu", "lib-a (>= 1:1) | lib-b, virtual"), ("lib-a", "lib-c:any"), ("lib-b", "qemu"))
    )
).encode()


class _Nothing:
    where = "nowhere"

    def expect(self, names):
        pass

    def find(self, name, folders):
        return f"{folders[0]}/{name}"[:200], elf_program(["libc.so.6"])


def programs():
    """Programs with every kind of entry that is read."""
    return [
        elf_program(["liba.so.1", "libc.so.6"], "/lib/ld.so.1", "$ORIGIN/../lib:/usr/lib"),
        elf_program(["liba.so"], rpath="/opt"),
    ]


def program(data):
    """Resolve what a program needs."""
    linked.with_libraries("usr/bin/x", data, ARM64, _Nothing())


def catalogue(data):
    """Resolve what a package depends on."""
    found = Catalogue(data, "Packages")
    if root := found.newest("qemu"):
        found.closure([root])


VERSIONS = {
    "kvmtool": b"kvm tool ",
    "crosvm": b"crosvm ",
    "cloud_hypervisor": b"cloud-hypervisor v",
    "firecracker": b"Firecracker v",
}
PRINTED = (
    b"3.18.0\n|m0000000000000001\nrffffffffffffffff\ne0000000000000001\n|"
    b'  Warning: unknown system event type 3\n  Error: KVM exit reason: 8 ("KVM_EXIT_SHUTDOWN")\n'
    b'Received KVM_SYSTEM_EVENT: type: 1, event: [0, 1]\n{"event": "rebooting"}\nvcpu requested reset\n'
)


def printed(data):
    """Read what VMMs that run a kernel print: a version, an output and errors, with bars between them."""
    version, output, errors = [*data.split(b"|", 2), b"", b""][:3]
    for vmm, begin in VERSIONS.items():
        answers = {
            "start": vmm_runs.answer(begin + version),
            "run": vmm_runs.answer(output, errors, errors),
            "end": vmm_runs.NOT_STARTED,
        }
        outcome(Observation(f"arm64.vmm.{vmm}.x", "arm64", "arm64", {}, answers, {}))
