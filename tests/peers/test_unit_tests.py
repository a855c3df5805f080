"""kvm-unit-tests: the command lines of QEMU, and compiling by a fake tree."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.build import toolchain
from sysevent.build.toolchain import Toolchain
from sysevent.cache import Cache
from sysevent.errors import BuildFailed, UsageError
from sysevent.peers import unit_tests

ARM64 = ARCHITECTURES["arm64"]
MAKEFILE = """\
include config.mak
arm/psci.flat: arm/psci.c
\t@! grep -n error $< || exit 1
\t@{ cat $<; echo "$(OPTIONS)"; } > $@
"""
FILES = {
    "configure": 'echo "OPTIONS = $*" > config.mak\n',
    "run_tests.sh": "",
    "lib/libcflat.h": "",
    "Makefile": MAKEFILE,
    "arm/psci.c": "psci",
    # Left by a build of the user's, with other options.
    "config.mak": "OPTIONS = old\n",
    "arm/psci.flat": "old",
}


@pytest.fixture
def tree(tmp_path):
    for name, text in FILES.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(text)
    return tmp_path / "tree"


@pytest.fixture
def build(tmp_path, tree, monkeypatch, make):
    compiler = Toolchain("gcc", "12.2.0", "arm-gcc", ("CROSS_COMPILE=arm-",))
    monkeypatch.setattr(toolchain, "toolchains", lambda arch: [compiler])
    said = []

    def build():
        del said[:]
        packed = unit_tests.compiled(tree, ARM64, {}, Cache(tmp_path / "cache"), said.append)
        return packed.read_bytes(), bool(said)

    return build


def test_it_is_compiled_from_the_start(build):
    """Whatever the user's own build has left in the tree, which is not written to."""
    packed, _ = build()
    assert b"psci--arch=arm64 --cross-prefix=arm-" in packed
    assert b"peers/kvm-unit-tests/environ" in packed
    assert b"ERRATA_FORCE=y" in packed


def test_the_tree_is_only_read(build, tree):
    build()
    assert (tree / "config.mak").read_text() == FILES["config.mak"]
    assert (tree / "arm/psci.flat").read_text() == "old"


def test_it_is_kept(build, tree):
    assert [build()[1] for _ in range(2)] == [True, False]
    (tree / "arm/psci.c").write_text("other")
    assert build()[1]


def test_one_that_does_not_compile(build, tree):
    (tree / "arm/psci.c").write_text("an error")
    with pytest.raises(BuildFailed, match=r"arm/psci.flat cannot be compiled: .*error"):
        build()


def test_another_directory(tmp_path):
    with pytest.raises(UsageError, match="no tree of kvm-unit-tests"):
        unit_tests.require(tmp_path)


@pytest.mark.parametrize("test", unit_tests.UNIT_TESTS, ids=lambda test: test.name)
def test_arguments(test):
    """Each runs under KVM, has no window, and ends with its file."""
    words = unit_tests.arguments(test)
    assert "kvm" in words or "accel=kvm" in words
    assert words[words.index("-serial") + 1] == "stdio"
    assert words[words.index("-kernel") + 1] == f"/peers/kvm-unit-tests/{test.name}.flat"


def test_every_architecture_has_one():
    assert {test.arch for test in unit_tests.UNIT_TESTS} == set(ARCHITECTURES)
