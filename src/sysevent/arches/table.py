"""The architectures of guests. Every column is filled in by every row."""

from __future__ import annotations

from typing import Literal, NamedTuple

from sysevent.arches.abis import ABIS, Abi, ArchName, of_vmms


class Flaw(NamedTuple):
    """A defect of old versions of a program, which `sysevent doctor` reports."""

    # The first version without it.
    fixed: tuple[int, ...]
    text: str


class CpuWord(NamedTuple):
    """A property of a CPU model, for the versions of QEMU that have it under this name."""

    word: str
    # The first version with it, and the first without it again.
    since: tuple[int, ...]
    before: tuple[int, ...]


class CpuTrial(NamedTuple):
    """A part of a CPU that some QEMUs get wrong, which the program guests/trials/<arch>.S finds out."""

    # Removes that part from -cpu.
    word: str
    # What such a QEMU does, for messages.
    text: str


class Architecture(NamedTuple):
    """One architecture of guests."""

    # The name of this project, as in --arch and in target names.
    name: ArchName

    # Names that others use.

    # Debian's name.
    debian: str
    # Debian's smallest kernel with KVM: linux-image-*-<this>. "cloud" exists for amd64 and arm64 only.
    debian_flavour: str
    # arch/<this> in the kernel's tree, and make's ARCH.
    kernel: str
    # What `uname -m` prints on Linux, and what it prints elsewhere.
    uname_machine: str
    other_machines: tuple[str, ...]
    # GNU's name, in the paths of Debian's packages.
    triplet: str
    # The name of e_machine in pyelftools.
    elf_machine: str
    # For gdb's `set architecture`. QEMU 7.2 describes riscv64's registers without naming the architecture, and gdb
    # would then assume that of the machine on which it runs.
    gdb: str

    # QEMU.

    # The system emulator.
    qemu: str
    # The key of that emulator in the table of package names in doctor/package_managers.py.
    qemu_package: str
    # -machine of a guest that can use KVM itself: under TCG, and under KVM.
    qemu_machine: str
    qemu_machine_kvm: str
    # -cpu under TCG, where a target names none.
    qemu_cpu: str
    # More for that model, by the version of QEMU.
    qemu_cpu_words: tuple[CpuWord, ...]
    # None if no QEMU is known to get a part wrong.
    qemu_trial: CpuTrial | None
    # For `sysevent doctor`; None if no old version has a known defect.
    qemu_flaw: Flaw | None
    # The word of a kernel's command line for the rate of the counter that is its clock, in kHz (qemu/clock.py); "" if
    # the kernel reads the rate from the hardware. Only under TCG.
    counter_word: str
    # What QEMU's TCG reads on a machine of this architecture, to give it to guests as their x86 counter:
    # cpu_get_host_ticks in include/qemu/timer.h.
    host_counter: Literal["tsc", "nanoseconds", "unknown"]
    # Firmware that boots sooner than the machine's own, under share/qemu; "" for the machine's own.
    quick_firmware: str
    # Why a guest under KVM cannot use KVM itself; "" if KVM can be nested.
    not_nested: str

    # Guests.

    # The kernel's name of the first serial line.
    console: str
    # Modules to load for /dev/kvm, where they are not built in; their dependencies are loaded as well.
    kvm_modules: tuple[str, ...]
    # Path of the dynamic loader, which is part of the ABI.
    loader: str
    # Added to the command line of kernels with this project's configuration (images/kconfig).
    own_kernel_words: str

    # Kernel trees.

    # Path in a built tree of the file that QEMU boots. Its last part is the goal for make: arch/*/Makefile,
    # arch/*/boot/Makefile.
    boot_image: str
    # True if QEMU boots an ELF vmlinux, at its PVH entry.
    pvh: bool
    # The include guard of asm/kvm.h.
    kvm_h_guard: str
    # Headers of libraries that the build of a kernel needs on this machine.
    build_headers: tuple[str, ...]

    # The programs of this project.

    # The file of the VMM for this architecture, in guests/vmm/arch.
    vmm_source: str
    # The ABIs that a VMM is built for, the kernel's own first.
    abis: tuple[Abi, ...]
    # The ABI that payloads are compiled for.
    payload_abi: Abi

    @property
    def make_goal(self) -> str:
        """The goal of `make` that builds boot_image."""
        return self.boot_image.rpartition("/")[2]


ARCHITECTURES: dict[str, Architecture] = {
    arch.name: arch
    for arch in (
        Architecture(
            name="arm64",
            debian="arm64",
            debian_flavour="cloud-arm64",
            kernel="arm64",
            uname_machine="aarch64",
            other_machines=("arm64",),
            triplet="aarch64-linux-gnu",
            elf_machine="EM_AARCH64",
            gdb="aarch64",
            qemu="qemu-system-aarch64",
            qemu_package="qemu-arm",
            # virtualization=on gives the guest an EL2 to run KVM in; GICv3 is what its KVM needs for a vGIC.
            qemu_machine="virt,virtualization=on,gic-version=3",
            # Under KVM the interrupt controller is the host's.
            qemu_machine_kvm="virt,virtualization=on,gic-version=host",
            # Without pauth-impdef QEMU computes the architected QARMA cipher in software: boots take 2.2 times as long.
            qemu_cpu="max,pauth-impdef=on",
            qemu_cpu_words=(),
            qemu_trial=None,
            qemu_flaw=None,
            counter_word="",
            host_counter="nanoseconds",
            quick_firmware="",
            not_nested="",
            console="ttyAMA0",
            # KVM cannot be a module.
            kvm_modules=(),
            loader="lib/ld-linux-aarch64.so.1",
            # A kernel that panics before its drivers are loaded then prints why.
            own_kernel_words="earlycon",
            boot_image="arch/arm64/boot/Image",
            pvh=False,
            kvm_h_guard="__ARM_KVM_H__",
            build_headers=(),
            vmm_source="arm64.c",
            abis=of_vmms("arm64"),
            payload_abi=ABIS["arm64"],
        ),
        Architecture(
            name="riscv64",
            debian="riscv64",
            debian_flavour="riscv64",
            kernel="riscv",
            uname_machine="riscv64",
            other_machines=(),
            triplet="riscv64-linux-gnu",
            elf_machine="EM_RISCV",
            gdb="riscv:rv64",
            qemu="qemu-system-riscv64",
            qemu_package="qemu-riscv",
            qemu_machine="virt",
            qemu_machine_kvm="virt",
            qemu_cpu="rv64,h=true",
            # The interrupt architecture AIA, of which KVM emulates the rest for its guests. Boots take as long with it
            # (5 of each, alternately). In 7.1 it was another draft, and 9.0 calls it stable.
            qemu_cpu_words=(
                CpuWord("x-ssaia=true", (7, 2), (9, 0)),
                CpuWord("ssaia=true", (9, 0), (1000,)),
            ),
            qemu_trial=None,
            qemu_flaw=None,
            counter_word="",
            host_counter="unknown",
            quick_firmware="",
            not_nested="KVM on RISC-V has no nested virtualization: its guests get no hypervisor extension",
            console="ttyS0",
            kvm_modules=("kvm",),
            loader="lib/ld-linux-riscv64-lp64d.so.1",
            # As on arm64.
            own_kernel_words="earlycon",
            boot_image="arch/riscv/boot/Image",
            pvh=False,
            kvm_h_guard="__LINUX_KVM_RISCV_H",
            build_headers=(),
            vmm_source="riscv64.c",
            abis=of_vmms("riscv64"),
            payload_abi=ABIS["riscv64"],
        ),
        Architecture(
            name="x86_64",
            debian="amd64",
            debian_flavour="cloud-amd64",
            kernel="x86",
            uname_machine="x86_64",
            other_machines=(),
            triplet="x86_64-linux-gnu",
            elf_machine="EM_X86_64",
            gdb="i386:x86-64",
            qemu="qemu-system-x86_64",
            qemu_package="qemu-x86",
            # Not microvm: it hung in 5 of 10 boots with Debian's kernel. sata=off: a kernel with a driver for it waits
            # 0.3 s for disks that are not there, a quarter of the boot of one that has only what KVM needs.
            qemu_machine="q35,sata=off",
            qemu_machine_kvm="q35,sata=off",
            # QEMU 7.2's cmpxchg16b leaves stale flags behind: 10 of 56 Debian boots died of it, and 0 of 129 without.
            qemu_cpu="max,-cx16",
            qemu_cpu_words=(),
            # Before 7.2.15, and in 8.2.2, the addresses of a guest without paging are those of the machine: commit
            # b56617bbcb47, "target/i386: Walk NPT in guest real mode". All guests of KVM start so.
            qemu_trial=CpuTrial("npt=off", "its nested page tables do not apply to guests without paging"),
            qemu_flaw=Flaw(
                (8, 0), "before 8.0, `-cpu max` corrupts x86 guests: use max,-cx16, as our guests do"
            ),
            # Calibrating the TSC against a timer fails at times under TCG on a loaded machine. A kernel without HPET
            # and ACPI, such as our own, then takes its TSC for unusable, and its KVM_RUN never returns: KVM waits until
            # it knows the rate (arch/x86/kvm/x86.c, kvm_guest_time_update). 17 of 30 runs, and 0 of 20 with the word.
            counter_word="tsc_early_khz",
            host_counter="tsc",
            # qboot hands over at once, where q35's own SeaBIOS first looks for disks and ROMs: 10 % of a boot of Debian
            # 6.12, 17 % of one that has only what KVM needs. QEMU brings it along since 5.1; it takes a bzImage as well
            # as a PVH entry.
            quick_firmware="qboot.rom",
            not_nested="",
            console="ttyS0",
            # The vendor module that does not fit the CPU refuses to load; QEMU's TCG models are AMD's.
            kvm_modules=("kvm-amd", "kvm-intel"),
            loader="lib64/ld-linux-x86-64.so.2",
            # The configuration has no ACPI to reboot with after a panic: a triple fault is left.
            own_kernel_words="reboot=t",
            boot_image="arch/x86/boot/bzImage",
            pvh=True,
            kvm_h_guard="_ASM_X86_KVM_H",
            # objtool, which x86 builds for itself, includes libelf's.
            build_headers=("gelf.h",),
            vmm_source="x86.c",
            abis=of_vmms("x86_64"),
            # They start in flat protected mode.
            payload_abi=ABIS["i386"],
        ),
    )
}
