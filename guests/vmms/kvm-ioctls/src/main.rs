// SPDX-License-Identifier: GPL-2.0-or-later
//! A VMM on rust-vmm's kvm-ioctls: runs one program on one vCPU, and prints each exit as a line of JSON.
//!
//!     kvm-ioctls PROGRAM [--hyperv] [--write ADDRESS=VALUE:BYTES]... [--most N]
//!
//! PROGRAM is an ELF file, which starts at its entry, or the plain content of memory: on x86-64 a ROM, which ends at
//! 4 GiB, elsewhere of the start of RAM, which is where it starts. --hyperv gives an x86-64 guest the CPUID leaves of
//! Hyper-V. --write puts a number into the guest's memory before it starts. It ends with status 0 at the first exit
//! after which a VMM would not simply go on, and with 3 after N exits.
//!
//! No error is handled: what the library does with an exit is what is tested, so a panic must be seen.

mod exits;
mod machine;

use std::process::ExitCode;

use kvm_ioctls::Kvm;

/// Exits that are printed at most.
const MOST: u64 = 10_000;

fn number(text: &str) -> u64 {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
        None => text.parse().unwrap(),
    }
}

/// The address and the bytes of "0x1000=0x12:8".
fn write_of(text: &str) -> (u64, Vec<u8>) {
    let (address, rest) = text.split_once('=').unwrap();
    let (value, size) = rest.split_once(':').unwrap();
    let bytes = number(value).to_le_bytes()[..number(size) as usize].to_vec();
    (number(address), bytes)
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let mut program = None;
    let mut writes = Vec::new();
    let mut hyperv = false;
    let mut most = MOST;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--version" => {
                println!("kvm-ioctls {}", env!("KVM_IOCTLS_VERSION"));
                return ExitCode::SUCCESS;
            }
            "--hyperv" => hyperv = true,
            "--write" => writes.push(write_of(&words.next().unwrap())),
            "--most" => most = number(&words.next().unwrap()),
            _ => program = Some(std::fs::read(&word).unwrap()),
        }
    }
    let kvm = Kvm::new().unwrap();
    let vm = kvm.create_vm().unwrap();
    let entry = machine::load(&vm, &program.expect("no PROGRAM"), &writes);
    let mut vcpu = vm.create_vcpu(0).unwrap();
    machine::reset(&kvm, &vm, &vcpu, entry, hyperv);
    for _ in 0..most {
        let (line, last) = exits::line(vcpu.run());
        println!("{line}");
        if last {
            return ExitCode::SUCCESS;
        }
    }
    ExitCode::from(3)
}
