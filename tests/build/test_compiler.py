"""The choice of a compiler, and the errors when it cannot be used."""

import importlib.util
import sys

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.build import compiler, programs
from sysevent.errors import BuildFailed, InfrastructureError, ToolMissing


@pytest.fixture
def abi(arch):
    return arch.abis[0]


def test_the_users_compiler_is_preferred(cc, abi):
    found = compiler.find(abi)
    assert found == compiler.Compiler((str(cc.path),), "fake 1.0")


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


@pytest.fixture
def without_zig(monkeypatch, tmp_path):
    monkeypatch.delenv("CC_riscv64", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def test_a_cross_gcc_is_last(cc, abi, monkeypatch, tmp_path, without_zig):
    """By the name that it has in Debian."""
    cc.path.rename(tmp_path / "riscv64-linux-gnu-gcc")
    assert compiler.find(abi) == compiler.Compiler((str(tmp_path / "riscv64-linux-gnu-gcc"),), "fake 1.0")


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
    assert list((cache.cache / "build").iterdir()) == []


def test_a_compiler_that_hangs(cc, arch, cache, sources, monkeypatch):
    cc.set_script("exec sleep 60")
    monkeypatch.setattr(compiler, "_DEADLINE", 0.2)
    with pytest.raises(BuildFailed, match=r"timed out after 0\.2 seconds"):
        programs.payload(arch, "call", cache)


@pytest.mark.parametrize("blocked", ["", "build", "zig"])
def test_a_cache_that_cannot_be_created(cc, arch, cache, sources, blocked):
    """A file has its path. The message names it and the setting, and no compiler is called, which could hang."""
    cc.set_script("exec sleep 60")
    path = cache.cache / blocked if blocked else cache.cache
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    with pytest.raises(BuildFailed) as caught:
        programs.payload(arch, "call", cache)
    assert isinstance(caught.value, InfrastructureError)
    assert f"{cache.cache}/{blocked or 'build'}, which is for compiled programs, cannot" in str(caught.value)
    assert "SYSEVENT_CACHE" in str(caught.value)
    assert cc.calls == []


def test_a_cache_below_a_directory_that_cannot_be_searched(cc, arch, cache, sources, monkeypatch):
    """Path.exists() raises an error there; the message is the same."""

    def refuse(path, *args, **more):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(programs.Path, "exists", refuse)
    monkeypatch.setattr(compiler.Path, "mkdir", refuse)
    with pytest.raises(BuildFailed, match=r"cannot be written to: Permission denied.*SYSEVENT_CACHE"):
        programs.payload(arch, "call", cache)


def test_the_cache_of_zig_is_in_ours(cc, arch, cache, sources, tmp_path):
    """The directory exists before zig runs."""
    log = f'echo "$ZIG_GLOBAL_CACHE_DIR $ZIG_LOCAL_CACHE_DIR" > {tmp_path}/zig'
    cc.set_script(f'[ -d "$ZIG_GLOBAL_CACHE_DIR" ] && {log}; exit 1')
    with pytest.raises(BuildFailed):
        programs.payload(arch, "call", cache)
    assert (tmp_path / "zig").read_text().split() == [str(cache.cache / "zig")] * 2
