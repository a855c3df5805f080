"""Readers of what real VMMs are made of: programs that a user brings, and what packages depend on."""

from elf_programs import elf_program

from sysevent.arches import ARCHITECTURES
from sysevent.images.debian.catalogue import Catalogue
from sysevent.images.rootfs.kits import linked

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
