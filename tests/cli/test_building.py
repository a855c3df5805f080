"""What `run --build` refuses, builds and hands over, with a builder that compiles nothing."""

import argparse
import contextlib
import json
import subprocess
import time

import filelock
import pytest
from kernel_images import elf, note, source_tree

from sysevent import cli
from sysevent.arches import architecture
from sysevent.build import kconfig
from sysevent.build.kernel import BuiltKernel
from sysevent.build.user_tree import work_directory
from sysevent.cli import building
from sysevent.errors import KernelNotBuilt, UsageError
from sysevent.prompt.verbs import add_arguments
from sysevent.settings import from_environment

ID = bytes(range(20))
ALL = ["arm64", "riscv64", "x86_64"]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A kernel tree in git with a file for each architecture, and a cache that is empty."""
    monkeypatch.setenv("SYSEVENT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "linux"
    for name in ("arch/arm64/kvm/psci.c", "arch/x86/kvm/x86.c", "virt/kvm/kvm_main.c"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("")
    source_tree(path)
    git = ["git", "-C", str(path), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    return path


class Builders:
    """Makes builders that write a vmlinux, and raise an error if they are given one.

    long: a build takes until something ends it, or ten seconds.
    """

    def __init__(self, error=None, *, long=False):
        self.error, self.long = error, long
        self.trees = []
        self.collected = []
        self.imported = []

    def __call__(self, arch, folder, progress, *, jobs, watch=None, fragments=(), variables=()):
        self.watch = watch
        self.arch, self.output, self.jobs = arch, folder / f"{arch.name}-gcc", jobs
        self.fragments, self.variables = fragments, variables
        return self

    def build(self, tree, log):
        self.trees.append((self.arch.name, tree))
        end = time.monotonic() + 10
        while self.long and time.monotonic() < end:
            self.watch()
            time.sleep(0.01)
        if self.error:
            raise self.error
        self.output.mkdir(parents=True)
        (self.output / "vmlinux").write_bytes(elf(note(ID)))
        return BuiltKernel(f"tree:{self.output}", {"build": 2.0}, ("not honoured: CONFIG_X",), "gcc")


def parsed(*words):
    cut = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser()
    add_arguments(parser, "run")
    args = parser.parse_args(words[:cut])
    args.pytest_args = list(words[cut + 1 :])
    return args


@pytest.fixture
def build(tree):
    """build(*words, missing=, error=, refuses=, builders=): the output directories, and the builder.

    refuses: what pytest prints if it refuses the words.
    """

    def built(*words, missing=(), error=None, locks=None, refuses=None, builders=None):
        builders = builders or Builders(error)

        def ensure(arch, install):
            if arch.name in missing:
                raise UsageError(f"no compiler for {arch.name}")

        def collect(arguments, environment):
            builders.collected.append((arguments, environment["SYSEVENT_BUILT"]))
            return subprocess.CompletedProcess(arguments, 4 if refuses else 0, "", refuses or "")

        services = building.Services(builders, ensure, collect, lambda: builders.imported.append("pytest"))
        with contextlib.ExitStack() as stack:
            found = building.build_first(parsed("-C", str(tree), *words), 3, locks or stack, services)
        return found, builders

    return built


def test_a_kernel_for_coverage_has_a_build_directory_of_its_own(build, tree):
    """It is configured and compiled in another way, so that neither is built again after the other."""
    made, settings = Builders(), from_environment()
    with contextlib.ExitStack() as locks:
        services = building.Services(made)
        found = building.build(
            tree, architecture("arm64"), settings, None, locks, services, coverage=True
        ).output
    assert found == work_directory(tree, "arm64", settings) / "coverage" / "arm64-gcc"
    assert made.fragments == [kconfig.COVERAGE]
    assert "KCOV_INSTRUMENT_psci.o=y" in made.variables
    _, other = build("--arch", "arm64")
    assert not other.fragments
    assert not other.variables


def test_builds_and_says_which_kernel_it_is(build, tree, capsys):
    """The tree itself, in the directory that `bisect run` uses, too."""
    found, builders = build("--arch", "arm64")
    output = work_directory(tree, "arm64", from_environment()) / "here" / "arm64-gcc"
    assert found == {"arm64": output}
    assert builders.trees == [("arm64", tree)]
    assert builders.jobs == 3
    first, remark, last = capsys.readouterr().err.splitlines()
    assert first.endswith("compiles everything, which takes a few minutes")
    assert remark == "sysevent: arm64: not honoured: CONFIG_X"
    assert (
        last == f"sysevent: arm64: built in 2.0 s: {output}/arch/arm64/boot/Image, build ID {bytes(ID).hex()}"
    )


@pytest.mark.parametrize(
    ("edited", "words", "archs"),
    [
        ([], [], ALL),
        (["arch/arm64/kvm/psci.c"], [], ["arm64"]),
        (["arch/arm64/kvm/psci.c", "arch/x86/kvm/x86.c"], [], ["arm64", "x86_64"]),
        (["arch/arm64/kvm/psci.c", "virt/kvm/kvm_main.c"], [], ALL),
        (["arch/arm64/kvm/psci.c"], ["--arch", "riscv64"], ["riscv64"]),
        (["arch/arm64/kvm/psci.c"], ["--target", "x86_64-*"], ["x86_64"]),
    ],
    ids=str,
)
def test_architectures(edited, words, archs, build, tree):
    """Those that are named; otherwise those that the uncommitted changes can concern."""
    for name in edited:
        (tree / name).write_text("int edited;\n")
    assert list(build(*words)[0]) == archs


def test_what_cannot_be_built_is_left_out(build, capsys):
    """With a line; what was named is a mistake instead, and so is a machine that can build nothing."""
    assert list(build(missing=["riscv64"])[0]) == ["arm64", "x86_64"]
    assert "sysevent: riscv64 is left out: no compiler for riscv64" in capsys.readouterr().err
    for words, missing in (([], ALL), (["--arch", "riscv64"], ["riscv64"])):
        with pytest.raises(UsageError, match="no compiler for"):
            build(*words, missing=missing)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kernel", "debian:6.12"], "leave out --kernel"),
        (["--modules", "."], "leave out --kernel"),
        (["--floor", "new"], "--floor new"),
        (["--arch", "vax"], "--arch vax"),
        (["--target", "none"], "--target none"),
        (["--target", "local"], "local boots no kernel"),
    ],
    ids=str,
)
def test_mistakes_cost_no_build(words, message, build, tree):
    with pytest.raises(UsageError, match=message):
        build(*words)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("ERROR: -k 'x' selects no test\n\n", "-k 'x' selects no test"),
        (
            "ERROR: usage: pytest\npytest: error: unrecognized arguments: --x\n  rootdir: /\n",
            "unrecognized arguments: --x",
        ),
    ],
)
def test_what_pytest_would_refuse_is_refused_before(build, capsys, output, message):
    """With the words that it would get, for the kernels that would be built. The first build takes minutes."""
    builders = Builders()
    with pytest.raises(UsageError) as caught:
        build("--arch", "arm64", "--", "-k", "x", refuses=output, builders=builders)
    assert str(caught.value) == message
    assert capsys.readouterr().err == ""
    assert builders.trees == []


@pytest.mark.parametrize("long", [True, False], ids=["longer", "shorter"])
def test_a_later_build_does_not_wait_for_what_pytest_would_refuse(build, tree, capsys, long):
    """A build that takes longer than pytest's answer is ended; after a shorter one nothing is asked."""
    (work_directory(tree, "arm64", from_environment()) / "here").mkdir(parents=True)
    builders = Builders(long=long)
    with pytest.raises(UsageError, match="selects no test"):
        build(
            "--arch", "arm64", "--", "-k", "x", refuses="ERROR: -k 'x' selects no test\n", builders=builders
        )
    assert [name for name, _ in builders.trees] == ["arm64"]
    assert ("built in" in capsys.readouterr().err) is not long


def test_what_pytest_accepts_is_built(build, tree):
    """Without arguments for it, it is not even started."""
    _, builders = build("--arch", "arm64", "--abi", "native", "--", "-k", "x")
    ((words, outputs),) = builders.collected
    assert words == ["--arch=arm64", f"--build={tree}", "--abi=native", "-k", "x"]
    assert list(json.loads(outputs)) == ["arm64"]
    assert build("--arch", "riscv64")[1].collected == []


def test_pytest_is_imported_meanwhile(build):
    """By the process that becomes it; each run of --repeat is another process."""
    assert build("--arch", "arm64")[1].imported == ["pytest"]
    assert build("--arch", "riscv64", "--repeat", "2")[1].imported == []


def test_results_of_another_run(build, tmp_path):
    (tmp_path / "run.jsonl").write_text("")
    with pytest.raises(UsageError, match="holds another run's results"):
        build("--results", str(tmp_path))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--build", "/nonexistent"], "--build /nonexistent: no such directory"),
        (["--build", "{tmp}"], "not a kernel tree"),
        (["-C", "{tmp}/linux"], "run make mrproper there"),
        (["--build", "{tmp}/my linux"], "my linux: make cannot work in a path with ' '"),
        (["--jobs", "2"], "--jobs is for --build"),
    ],
    ids=str,
)
def test_mistakes_are_one_line(words, message, tree, tmp_path, capsys):
    (tree / ".config").write_text("")
    source_tree(tmp_path / "my linux")
    assert cli.main(["run", *(word.format(tmp=tmp_path) for word in words)]) == 4
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_second_build_waits_until_the_first_has_asked(build, tree):
    """It would replace the kernel that the other one boots."""
    name = work_directory(tree, "arm64", from_environment()).name
    lock = filelock.FileLock(from_environment().cache / "locks" / f"bisect-{name}.lock")
    with contextlib.ExitStack() as locks:
        build("--arch", "arm64", locks=locks)
        with pytest.raises(filelock.Timeout):
            lock.acquire(blocking=False)
    lock.acquire(blocking=False)
    lock.release()


def test_compile_error_is_an_infrastructure_error(build, capsys):
    """Shown once, with exit code 3; later architectures are not built."""
    error = KernelNotBuilt("building Image failed: psci.c:9: error: no\n  9 | x")
    builders = []

    def action():
        builders.append(build(error=error))
        return 0

    assert cli.exit_code("run", action) == 3
    error = capsys.readouterr().err
    assert error.count("arm64: building Image failed: psci.c:9: error: no\n  9 | x\n") == 1
    assert builders == []
