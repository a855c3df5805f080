"""The command lines of peers, and the condition for a valid measurement."""

from pathlib import Path

import pytest

from sysevent.bench import peers
from sysevent.errors import HarnessError, NotApplicable, ToolMissing
from sysevent.model import KernelImage


def kernel(arch: str) -> KernelImage:
    return KernelImage(
        arch=arch, spec="Image", release="6.12", version="", image=Path("/k/Image"), modules=None
    )


def installed(monkeypatch, folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_virtme_takes_a_directory_of_the_kernels_architecture():
    words = peers.command("virtme-ng", kernel("riscv64"), Path("/roots/riscv64"))
    assert words[:3] == ["vng", "--run", "/k/Image"]
    assert words[words.index("--arch") + 1] == "riscv64"
    assert words[words.index("--root") + 1] == "/roots/riscv64"


def test_virtme_needs_a_root_for_another_architecture():
    assert "--root" not in peers.command("virtme-ng", kernel("x86_64"), None)
    with pytest.raises(NotApplicable, match=r"--root 'DIR/\{arch\}'"):
        peers.command("virtme-ng", kernel("arm64"), None)


@pytest.mark.parametrize("arch", ["arm64", "riscv64", "x86_64"])
def test_tuxrun_takes_an_image(arch):
    words = peers.command("tuxrun", kernel(arch), Path("/roots/r.ext4"))
    assert words[words.index("--device") + 1] == f"qemu-{arch}"
    assert words[words.index("--rootfs") + 1] == "/roots/r.ext4"


def test_a_boot_counts_when_the_command_has_run(tmp_path, monkeypatch):
    installed(monkeypatch, tmp_path, "vng", "tty >/dev/null && echo sysevent-bench-was-here")
    assert peers.boot("virtme-ng", kernel("x86_64"), None) > 0


@pytest.mark.parametrize("script", ["echo Kernel panic", "echo sysevent-bench-was-here; exit 3"])
def test_a_boot_without_its_command_is_an_error(tmp_path, monkeypatch, script):
    installed(monkeypatch, tmp_path, "vng", script)
    with pytest.raises(HarnessError, match="virtme-ng did not run the command"):
        peers.boot("virtme-ng", kernel("x86_64"), None)


def test_a_peer_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match=r"tuxrun is not installed: .* pip install .*\[bench\]"):
        peers.boot("tuxrun", kernel("x86_64"), None)
