"""Which compiler is taken, and what happens when it cannot do its work."""

import importlib.util
import sys

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.build import compiler, programs
from sysevent.errors import BuildFailed, InfrastructureError, ToolMissing


@pytest.fixture
def abi(arch):
    return arch.abis[0]


def test_one_s_own_compiler_comes_first(cc, abi):
    found = compiler.find(abi)
    assert found == compiler.Compiler((str(cc.path),), "fake 1.0")


def test_its_arguments_are_words(cc, abi, monkeypatch):
    """As in CC="ccache gcc -m64"; quotes keep a word together."""
    monkeypatch.setenv("CC_riscv64", f"{cc.path} --version '-D a'")
    assert compiler.find(abi).command == (str(cc.path), "--version", "-D a")


def test_it_is_for_one_abi(cc):
    """And for no other."""
    other = compiler.find(ARCHITECTURES["x86_64"].abis[0])
    assert str(cc.path) not in other.command


@pytest.mark.parametrize("command", ["/not/here/cc", "false"])
def test_a_compiler_that_does_not_run(abi, monkeypatch, command):
    monkeypatch.setenv("CC_riscv64", command)
    with pytest.raises(ToolMissing, match=f"the compiler {command} does not run"):
        compiler.find(abi)


def test_zig_is_next(abi, monkeypatch):
    """Its wheel, by this Python, for this ABI's target."""
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
    """Debian's name of it."""
    cc.path.rename(tmp_path / "riscv64-linux-gnu-gcc")
    assert compiler.find(abi) == compiler.Compiler((str(tmp_path / "riscv64-linux-gnu-gcc"),), "fake 1.0")


def test_no_compiler_at_all(abi, monkeypatch, tmp_path, without_zig):
    """All three ways out."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing) as told:
        compiler.find(abi)
    assert "pip install ziglang" in str(told.value)
    assert "riscv64-linux-gnu-gcc" in str(told.value)
    assert "set CC_riscv64" in str(told.value)


def test_a_refusal_is_quoted(cc, arch, cache, sources):
    """The command to try by hand, and what the compiler said; nothing of it stays in the cache."""
    cc.does("echo 'call.S:1: error: no such instruction' >&2; exit 3")
    with pytest.raises(BuildFailed) as told:
        programs.payload(arch, "call", cache)
    assert "payload-call-riscv64" in str(told.value)
    assert "failed with 3" in str(told.value)
    assert f"{cc.path} -std=gnu11" in str(told.value)
    assert str(told.value).endswith("call.S:1: error: no such instruction")
    assert list((cache.cache / "build").iterdir()) == []


def test_a_compiler_that_hangs(cc, arch, cache, sources, monkeypatch):
    cc.does("exec sleep 60")
    monkeypatch.setattr(compiler, "_DEADLINE", 0.2)
    with pytest.raises(BuildFailed, match=r"timed out after 0\.2 seconds"):
        programs.payload(arch, "call", cache)


@pytest.mark.parametrize("blocked", ["", "build", "zig"])
def test_a_cache_that_cannot_be_made(cc, arch, cache, sources, blocked):
    """A file stands in its place: it is named, with the setting that helps, before a compiler can hang on it."""
    cc.does("exec sleep 60")
    place = cache.cache / blocked if blocked else cache.cache
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("")
    with pytest.raises(BuildFailed) as told:
        programs.payload(arch, "call", cache)
    assert isinstance(told.value, InfrastructureError)
    assert f"{cache.cache}/{blocked or 'build'} cannot be written to" in str(told.value)
    assert "SYSEVENT_CACHE" in str(told.value)
    assert cc.calls == []


def test_a_cache_below_a_directory_that_may_not_be_searched(cc, arch, cache, sources, monkeypatch):
    """Even to look is refused there; it is the same message."""

    def refuse(path, *args, **more):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(programs.Path, "exists", refuse)
    monkeypatch.setattr(compiler.Path, "mkdir", refuse)
    with pytest.raises(BuildFailed, match=r"cannot be written to: Permission denied.*SYSEVENT_CACHE"):
        programs.payload(arch, "call", cache)


def test_zig_keeps_its_own_cache_in_ours(cc, arch, cache, sources, tmp_path):
    """Where it exists by then."""
    said = f'echo "$ZIG_GLOBAL_CACHE_DIR $ZIG_LOCAL_CACHE_DIR" > {tmp_path}/zig'
    cc.does(f'[ -d "$ZIG_GLOBAL_CACHE_DIR" ] && {said}; exit 1')
    with pytest.raises(BuildFailed):
        programs.payload(arch, "call", cache)
    assert (tmp_path / "zig").read_text().split() == [str(cache.cache / "zig")] * 2
