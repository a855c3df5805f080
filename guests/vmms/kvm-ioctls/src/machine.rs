// SPDX-License-Identifier: GPL-2.0-or-later
//! The memory of a guest, and the state in which its vCPU starts: as QEMU's machines "virt" and "pc" have it.

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::{Kvm, VcpuFd, VmFd};

#[cfg(target_arch = "aarch64")]
const RAM: u64 = 0x4000_0000;
#[cfg(target_arch = "riscv64")]
const RAM: u64 = 0x8000_0000;
#[cfg(target_arch = "x86_64")]
const RAM: u64 = 0;
const RAM_SIZE: usize = 64 << 20;
const FOUR_GIB: u64 = 1 << 32;
const PAGE: usize = 4096;

/// Memory of the guest that is never freed.
struct Memory {
    base: u64,
    size: usize,
    host: *mut u8,
}

impl Memory {
    fn new(vm: &VmFd, slot: u32, base: u64, size: usize) -> Memory {
        // SAFETY: a new mapping of this process, which nothing else uses.
        let host = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_ANONYMOUS | libc::MAP_PRIVATE | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        assert_ne!(host, libc::MAP_FAILED);
        let region = kvm_userspace_memory_region {
            slot,
            flags: 0,
            guest_phys_addr: base,
            memory_size: size as u64,
            userspace_addr: host as u64,
        };
        // SAFETY: the mapping has this size and stays.
        unsafe { vm.set_user_memory_region(region).unwrap() };
        Memory { base, size, host: host.cast() }
    }

    fn write(&self, address: u64, bytes: &[u8]) {
        let at = address.checked_sub(self.base).unwrap() as usize;
        assert!(at + bytes.len() <= self.size, "not in the guest's memory: {address:#x}");
        // SAFETY: inside of the mapping.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.host.add(at), bytes.len()) };
    }
}

/// Gives the guest its memory and a program; returns where it starts.
pub fn load(vm: &VmFd, program: &[u8], writes: &[(u64, Vec<u8>)]) -> u64 {
    let ram = Memory::new(vm, 0, RAM, RAM_SIZE);
    let entry = if program.starts_with(b"\x7fELF") {
        load_elf(&ram, program)
    } else if !cfg!(target_arch = "x86_64") {
        ram.write(RAM, program);
        RAM
    } else {
        let base = FOUR_GIB - program.len().next_multiple_of(PAGE) as u64;
        let rom = Memory::new(vm, 1, base, program.len().next_multiple_of(PAGE));
        rom.write(FOUR_GIB - program.len() as u64, program);
        FOUR_GIB - 16
    };
    for (address, bytes) in writes {
        ram.write(*address, bytes);
    }
    entry
}

/// Loads what the program headers of a 64-bit ELF file say (elf(5)), at physical addresses; returns its entry.
fn load_elf(ram: &Memory, file: &[u8]) -> u64 {
    let u16_at = |at: usize| u16::from_le_bytes(file[at..at + 2].try_into().unwrap());
    let u64_at = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
    let (headers, size, count) = (u64_at(32) as usize, u16_at(54) as usize, u16_at(56) as usize);
    for header in (0..count).map(|n| headers + n * size) {
        // PT_LOAD
        if file[header..header + 4] == [1, 0, 0, 0] {
            let (offset, length) = (u64_at(header + 8) as usize, u64_at(header + 32) as usize);
            ram.write(u64_at(header + 24), &file[offset..offset + length]);
        }
    }
    u64_at(24)
}

/// Puts the vCPU where it starts.
#[cfg(target_arch = "aarch64")]
pub fn reset(_kvm: &Kvm, vm: &VmFd, vcpu: &VcpuFd, entry: u64, _hyperv: bool) {
    // KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE_REG(regs.pc)
    const PC: u64 = 0x6030_0000_0010_0040;
    let mut init = kvm_bindings::kvm_vcpu_init::default();
    vm.get_preferred_target(&mut init).unwrap();
    init.features[0] |= 1 << kvm_bindings::KVM_ARM_VCPU_PSCI_0_2;
    vcpu.vcpu_init(&init).unwrap();
    vcpu.set_one_reg(PC, &entry.to_le_bytes()).unwrap();
}

/// Puts the vCPU where it starts.
#[cfg(target_arch = "riscv64")]
pub fn reset(_kvm: &Kvm, _vm: &VmFd, vcpu: &VcpuFd, entry: u64, _hyperv: bool) {
    // KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_CORE_REG(regs.pc)
    const PC: u64 = 0x8030_0000_0200_0000;
    vcpu.set_one_reg(PC, &entry.to_le_bytes()).unwrap();
}

/// Gives the vCPU its CPUID. After a reset it starts 16 bytes below 4 GiB, in real mode, as a CPU does.
#[cfg(target_arch = "x86_64")]
pub fn reset(kvm: &Kvm, _vm: &VmFd, vcpu: &VcpuFd, entry: u64, hyperv: bool) {
    use kvm_bindings::{kvm_cpuid_entry2, CpuId, KVM_MAX_CPUID_ENTRIES};

    assert_eq!(entry, FOUR_GIB - 16, "on x86-64 the program is a ROM");
    let supported = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).unwrap();
    // Leaves from 0x40000000 on tell the guest which hypervisor this is; KVM's own are left out.
    let mut entries: Vec<kvm_cpuid_entry2> =
        supported.as_slice().iter().filter(|leaf| leaf.function >> 28 != 4).copied().collect();
    if hyperv {
        let leaf = |function, eax, ebx, ecx, edx| kvm_cpuid_entry2 {
            function,
            eax,
            ebx,
            ecx,
            edx,
            ..Default::default()
        };
        // Hypervisor Top Level Functional Specification, 2.4: "Microsoft Hv", "Hv#1", and the MSRs of reset (bit 7 of
        // EAX) and crash (bit 10 of EDX).
        let name = [0x7263_694d, 0x666f_736f, 0x7648_2074];
        entries.push(leaf(0x4000_0000, 0x4000_0003, name[0], name[1], name[2]));
        entries.push(leaf(0x4000_0001, 0x3123_7648, 0, 0, 0));
        entries.push(leaf(0x4000_0002, 0, 0, 0, 0));
        entries.push(leaf(0x4000_0003, 1 << 7, 0, 0, 1 << 10));
    }
    vcpu.set_cpuid2(&CpuId::from_entries(&entries).unwrap()).unwrap();
}
