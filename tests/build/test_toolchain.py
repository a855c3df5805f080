"""The environment of make and its compiler, with the ccache of this machine: no result from its cache is stale."""

import shutil
import subprocess

import pytest

from sysevent.build.toolchain import Toolchain

GCC = Toolchain("gcc", "12.2.0", "gcc", ())

needs_ccache = pytest.mark.skipif(
    not shutil.which("ccache") or not shutil.which("gcc"), reason="no ccache, or no gcc"
)


@pytest.fixture
def ccache(tmp_path, monkeypatch):
    """A cache of its own, with a configuration that trusts everything, as a user may have it."""
    folder = tmp_path / "ccache"
    folder.mkdir()
    (folder / "ccache.conf").write_text(
        "depend_mode = true\ncompiler_check = none\n"
        "sloppiness = time_macros,include_file_mtime,include_file_ctime,file_stat_matches\n"
    )
    for name, value in {
        "CCACHE_DIR": str(folder),
        "CCACHE_DEPEND": "1",
        "CCACHE_SLOPPINESS": "file_stat_matches,file_stat_matches_ctime",
        "CCACHE_COMPILERCHECK": "none",
        "CCACHE_IGNOREOPTIONS": "-D*",
    }.items():
        monkeypatch.setenv(name, value)
    return folder


def compiler(output, *edited):
    """The words of CC, as make splits them."""
    (cc,) = (word.removeprefix("CC=") for word in GCC.make(output, edited) if word.startswith("CC="))
    return cc.split()


def compiled(command, source, env, *options):
    """The bytes of the object file."""
    target = source.with_suffix(".o")
    target.unlink(missing_ok=True)
    # As the kernel calls it: with -MMD, by which depend mode knows the files that were read.
    words = [*command, f"-Wp,-MMD,{source}.d", *options, "-c", "-o", target.name, source.name]
    subprocess.run(words, cwd=source.parent, env=env, check=True, capture_output=True)
    return target.read_bytes()


def statistics(env):
    shown = subprocess.run(["ccache", "--print-stats"], env=env, check=True, capture_output=True, text=True)
    return {name: int(value) for name, value in (line.split("\t") for line in shown.stdout.splitlines())}


@needs_ccache
@pytest.mark.parametrize("directive", ['.incbin "packed"', '.incbin\t"packed"', '.incbin  "packed"'])
@pytest.mark.parametrize("wrapped", [True, False], ids=["as make calls it", "ccache gcc"])
def test_assembly_that_includes_a_file(directive, wrapped, tmp_path, ccache):
    """A file of the same length and other content, as the compressed kernel in piggy.S."""
    if not wrapped and directive != '.incbin "packed"':
        pytest.skip("ccache itself sees only the usual form")
    source = tmp_path / "piggy.S"
    source.write_text(f".section .rodata\n{directive}\n")
    env, command = GCC.environment(), compiler(tmp_path) if wrapped else ["ccache", "gcc"]
    seen = []
    for content in (b"the first kernel", b"the other kernel", b"the first kernel"):
        (tmp_path / "packed").write_bytes(content)
        seen.append(compiled(command, source, env))
        assert content in seen[-1]
    assert seen[0] == seen[2]


@needs_ccache
def test_an_entry_of_depend_mode(tmp_path, ccache):
    """What another build stored in the same cache, with the advice that was withdrawn, is not used."""
    source = tmp_path / "piggy.S"
    source.write_text('.section .rodata\n.incbin "packed"\n')
    env = GCC.environment()
    (tmp_path / "packed").write_bytes(b"the first kernel")
    old = {key: value for key, value in env.items() if key not in ("CCACHE_NODEPEND", "CCACHE_NAMESPACE")}
    compiled(["ccache", "gcc"], source, old | {"CCACHE_DEPEND": "1"})
    (tmp_path / "packed").write_bytes(b"the other kernel")
    for command in (["ccache", "gcc"], compiler(tmp_path)):
        assert b"the other kernel" in compiled(command, source, env)


@needs_ccache
def test_c_comes_from_the_cache(tmp_path, ccache):
    """Otherwise a bisection would compile everything again after each checkout."""
    source = tmp_path / "a.c"
    source.write_text("int a = 1;\n")
    env, command = GCC.environment("one"), compiler(tmp_path)
    first = compiled(command, source, env)
    before = statistics(env)
    # Another commit, which `uname -v` names.
    assert compiled(command, source, GCC.environment("two")) == first
    after = statistics(env)
    assert sum(after[name] - before[name] for name in after if name.endswith("cache_hit")) >= 1


@needs_ccache
def test_c_with_other_options_or_headers(tmp_path, ccache):
    """The user's configuration, which ignores both, does not count."""
    source = tmp_path / "a.c"
    source.write_text('#include "a.h"\nconst char a[] = TEXT;\nconst char b[] = OTHER;\n')
    env, command = GCC.environment(), compiler(tmp_path)
    for text in ("one", "two"):
        (tmp_path / "a.h").write_text(f'#define TEXT "{text}"\n')
        for other in ("xxx", "yyy"):
            found = compiled(command, source, env, f'-DOTHER="{other}"')
            assert text.encode() in found
            assert other.encode() in found


@needs_ccache
def test_edited_files_are_compiled_without_it(tmp_path, ccache):
    """Only the ones that are named: each by the path with which make calls the compiler."""
    env, command = GCC.environment(), compiler(tmp_path, tmp_path / "it's edited.c", tmp_path / "a.h")
    for name, calls in (("it's edited.c", 0), ("other.c", 1), ("edited.c", 1)):
        source, before = tmp_path / name, statistics(env)["cache_miss"]
        source.write_text(f'const char name[] = "{name}";\n')
        subprocess.run([*command, "-c", source, "-o", tmp_path / "x.o"], env=env, check=True)
        assert statistics(env)["cache_miss"] - before == calls


def test_without_ccache(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert GCC.make(tmp_path)[0] == "CC=gcc"


def test_the_kernel_is_packed_fast(tmp_path):
    """The level in the words of the tree's rule, cmd_gzip of scripts/Makefile.lib, does not count."""
    content = b"".join(b"%d" % number for number in range(10_000))
    (gzip,) = (word.removeprefix("KGZIP=") for word in GCC.make(tmp_path) if word.startswith("KGZIP="))
    packed = {
        command: subprocess.run(command.split(), input=content, capture_output=True, check=True).stdout
        for command in (f"{gzip} -n -f -9", "gzip -n -1", "gzip -n -9")
    }
    fast, one, nine = packed.values()
    assert fast == one != nine


def test_variables_of_ccache(ccache):
    """Those that say where it stores are the user's; those that say what counts as the same are ours."""
    env = GCC.environment()
    assert env["CCACHE_DIR"] == str(ccache)
    assert "CCACHE_DEPEND" not in env
    assert env["CCACHE_SLOPPINESS"] == env["CCACHE_IGNOREOPTIONS"] == ""
    assert env["CCACHE_COMPILERCHECK"] == "content"


def test_the_kernel_names_its_revision():
    assert GCC.environment("0123456789ab-cdef0123")["KBUILD_BUILD_VERSION"] == "0123456789ab-cdef0123"
