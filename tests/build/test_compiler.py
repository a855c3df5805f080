"""The choice of a compiler, and the errors when it cannot be used."""

import importlib.util
import sys
from pathlib import Path

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.build import compiler, programs
from sysevent.errors import BuildFailed, ToolMissing


@pytest.fixture
def abi(arch):
    return arch.abis[0]


def test_the_users_compiler_is_preferred(cc, abi):
    found = compiler.find(abi)
    assert (found.command, found.version) == ((str(cc.path),), "fake 1.0")


def test_a_command_with_arguments(cc, abi, monkeypatch):
    """As in CC="ccache gcc -m64"; it is split as by a shell."""
    monkeypatch.setenv("CC_riscv64", f"{cc.path} --version '-D a'")
    assert compiler.find(abi).command == (str(cc.path), "--version", "-D a")


def test_the_variable_is_for_one_abi(cc):
    other = compiler.find(ARCHITECTURES["x86_64"].abis[0])
    assert str(cc.path) not in other.command


@pytest.mark.parametrize("command", ["/not/here/cc", "false"])
def test_a_compiler_that_does_not_run(abi, monkeypatch, command):
    monkeypatch.setenv("CC_riscv64", command)
    with pytest.raises(ToolMissing, match=f"the compiler {command} does not run"):
        compiler.find(abi)


def test_zig_is_second(abi, monkeypatch):
    """The wheel, run by this Python, with the target of the ABI."""
    monkeypatch.delenv("CC_riscv64", raising=False)
    pytest.importorskip("ziglang")
    found = compiler.find(abi)
    assert found.command[:4] == (sys.executable, "-m", "ziglang", "cc")
    assert found.command[4:6] == ("-target", "riscv64-freestanding-none")
    assert found.version.startswith("zig 0.")
    # Another checkout has another Python, and the same builds.
    assert sys.executable not in found.identity
    assert "riscv64-freestanding-none" in found.identity


@pytest.fixture
def without_zig(monkeypatch, tmp_path):
    """Forgets that an earlier test has found the wheel, and that this one has not."""
    monkeypatch.delenv("CC_riscv64", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    compiler.zig.cache_clear()
    yield
    compiler.zig.cache_clear()


def test_a_cross_gcc_is_last(cc, abi, monkeypatch, tmp_path, without_zig):
    """By the name that it has in Debian."""
    cc.path.rename(tmp_path / "riscv64-linux-gnu-gcc")
    assert compiler.find(abi).command == (str(tmp_path / "riscv64-linux-gnu-gcc"),)


def test_no_compiler(abi, monkeypatch, tmp_path, without_zig):
    """The message names all three ways to get one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing) as caught:
        compiler.find(abi)
    assert "pip install ziglang" in str(caught.value)
    assert "riscv64-linux-gnu-gcc" in str(caught.value)
    assert "set CC_riscv64" in str(caught.value)


def test_a_compiler_error(cc, arch, cache, sources):
    """The message has the command and the compiler's output; no file is left in the cache."""
    cc.set_script("echo 'call.S:1: error: no such instruction' >&2; exit 3")
    with pytest.raises(BuildFailed) as caught:
        programs.payload(arch, "call", cache)
    assert "payload-call-riscv64" in str(caught.value)
    assert "failed with 3" in str(caught.value)
    assert f"{cc.path} -std=gnu11" in str(caught.value)
    assert str(caught.value).endswith("call.S:1: error: no such instruction")
    assert not (cache.cache / "build").exists()


def test_a_compiler_that_hangs(cc, arch, cache, sources, monkeypatch):
    cc.set_script("exec sleep 60")
    monkeypatch.setattr(compiler, "_DEADLINE", 0.2)
    with pytest.raises(BuildFailed, match=r"did not end within 0\.2 s"):
        programs.payload(arch, "call", cache)


def test_zig_has_an_empty_cache(cc, arch, cache, sources, tmp_path):
    """It exists while zig runs, and what an earlier build left cannot become part of this one."""
    log = f'echo "$ZIG_GLOBAL_CACHE_DIR $ZIG_LOCAL_CACHE_DIR" >> {tmp_path}/zig'
    cc.set_script(f'[ -d "$ZIG_GLOBAL_CACHE_DIR" ] && {log}; touch "$ZIG_LOCAL_CACHE_DIR/object"; exit 1')
    for _ in range(2):
        with pytest.raises(BuildFailed):
            programs.payload(arch, "call", cache)
    used = (tmp_path / "zig").read_text().split()
    assert len(set(used)) == 2
    assert not any(Path(path).exists() for path in used)
