// SPDX-License-Identifier: GPL-2.0-or-later
//! What vcpu.run() returned, as one line of JSON.

use kvm_ioctls::VcpuExit;

/// The line, and whether a VMM would stop or reset the guest after it. Reads are answered with zeros.
pub fn line(exit: Result<VcpuExit, kvm_ioctls::Error>) -> (String, bool) {
    match exit {
        Ok(VcpuExit::IoOut(port, data)) => (access("io_out", port.into(), data), false),
        Ok(VcpuExit::IoIn(port, data)) => {
            data.fill(0);
            (access("io_in", port.into(), data), false)
        }
        Ok(VcpuExit::MmioWrite(address, data)) => (access("mmio_write", address, data), false),
        Ok(VcpuExit::MmioRead(address, data)) => {
            data.fill(0);
            (access("mmio_read", address, data), false)
        }
        Ok(VcpuExit::SystemEvent(kind, data)) => (
            format!(r#"{{"exit": "system_event", "type": {kind}, "data": {data:?}}}"#),
            true,
        ),
        Ok(VcpuExit::Shutdown) => (r#"{"exit": "shutdown"}"#.into(), true),
        Ok(VcpuExit::Hlt) => (r#"{"exit": "hlt"}"#.into(), true),
        Ok(other) => (
            format!(r#"{{"exit": "other", "text": {}}}"#, quoted(&format!("{other:?}"))),
            true,
        ),
        Err(error) => (format!(r#"{{"exit": "error", "errno": {}}}"#, error.errno()), true),
    }
}

fn access(kind: &str, place: u64, data: &[u8]) -> String {
    format!(r#"{{"exit": "{kind}", "address": {place}, "data": {data:?}}}"#)
}

/// A text as JSON: what Debug prints is ASCII, apart from names of users, of which there are none.
fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            ' '..='~' => c.to_string(),
            _ => format!("\\u{:04x}", c as u32 & 0xffff),
        })
        .collect();
    format!("\"{escaped}\"")
}
