"""What TAB completes, asked of the shells themselves."""

import shutil
import subprocess

import pexpect
import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.cli import main
from sysevent.cli.completion import claim_names
from sysevent.images import tracks
from sysevent.prompt import words
from sysevent.prompt.verbs import VERBS
from sysevent.targets import spec

TRACKS = [track.spec for track in tracks.load()]
# What is typed, and all words that it is completed to.
TYPED = [
    ("sysevent ", list(VERBS)),
    ("sysevent expla", ["explain"]),
    ("/some/where/sysevent expla", ["explain"]),
    ("sysevent images ", ["list", "fetch", "verify", "prune"]),
    ("sysevent images fetch --ref", ["--refresh"]),
    ("sysevent run --ker", ["--kernel"]),
    ("sysevent run --fresh --arch arm64 --ker", ["--kernel"]),
    ("sysevent run --arch ", list(ARCHITECTURES)),
    ("sysevent run --abi ", ["native", "x86_64", "i386", "arm64", "riscv64"]),
    ("sysevent run --target ", [target.name for target in spec.builtin()]),
    ("sysevent run --kernel debian:6", [name for name in TRACKS if name.startswith("debian:6")]),
    ("sysevent run --keep ", ["never", "failed", "always"]),
    ("sysevent run -- --ker", []),
    ("sysevent layout diff debian:6.1 mach", ["machine"]),
    ("sysevent layout scan debian:5.10 debian:6.1 mach", ["machine"]),
    ("sysevent bisect run --boot-f", ["--boot-failure"]),
    ("sysevent shell arm64-t", ["arm64-tcg"]),
    ("sysevent report --js", ["--json"]),
    ("sysevent explain arm64.psci.reset2_64.vendor.gicv", None),
    ("sysevent list psci.reset", None),
    ("sysevent completion ", ["bash", "zsh", "fish"]),
]


@pytest.fixture(scope="module")
def claims():
    from sysevent.contract import catalogue

    return claim_names([claim.name for claim in catalogue.load()])


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """script(shell): the path of the script; the test is skipped if the shell is not installed."""
    folder = tmp_path_factory.mktemp("scripts")

    def printed(shell):
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed: apt-get install {shell}")
        path = folder / shell
        if not path.exists():
            with path.open("w") as file, pytest.MonkeyPatch.context() as patch:
                patch.setattr("sys.stdout", file)
                assert main(["completion", shell]) == 0
        return path

    return printed


def expected(typed, known, claims):
    last = typed.rpartition(" ")[2]
    return sorted(name for name in claims if name.startswith(last)) if known is None else sorted(known)


@pytest.mark.parametrize(("typed", "known"), TYPED, ids=[typed for typed, _ in TYPED])
def test_bash(script, claims, typed, known):
    """Behind a colon it replaces the last part only."""
    asked = 'source "$1"; COMP_LINE=$2 COMP_POINT=${#2}; _sysevent; printf "%s\\n" "${COMPREPLY[@]}"'
    command = ["bash", "-c", asked, "bash", script("bash"), typed]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    last = typed.rpartition(" ")[2]
    head = last[: last.rindex(":") + 1] if ":" in last else ""
    assert sorted(head + word for word in done.stdout.split()) == expected(typed, known, claims)
    assert done.stderr == ""


@pytest.mark.parametrize(("typed", "known"), TYPED, ids=[typed for typed, _ in TYPED])
def test_fish(script, claims, typed, known, tmp_path):
    asked = 'source "$argv[1]"; complete -C "$argv[2]"'
    command = ["fish", "--no-config", "-c", asked, script("fish"), typed]
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, env=env)
    found = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    # Files of the current directory may be kernels, too.
    assert sorted(word for word in found if not word.endswith("/")) == expected(typed, known, claims)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with a file and a directory, which values can be."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "linux").mkdir()
    (folder / "lab.toml").touch()
    return folder


@pytest.fixture(scope="module", params=["bash", "zsh"])
def terminal(request, script, place):
    """terminal(typed): the words on the command line of a shell on a terminal after TAB."""
    shell = request.param
    start = {"bash": [], "zsh": ["autoload -Uz compinit", "compinit -u -D"]}[shell]
    words = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"]}[shell]
    env = {"HOME": str(place), "PATH": "/usr/bin:/bin", "TERM": "dumb", "INPUTRC": "/dev/null"}
    lines = [*start, f"source {script(shell)}", "PS1=READY", "echo do''ne"]
    child = pexpect.spawn(
        shell, words, cwd=place, env=env, encoding="utf-8", timeout=30, dimensions=(50, 250)
    )
    child.sendline("; ".join(lines))
    child.expect("\ndone\r\n.*READY")

    def after(typed):
        # Ctrl-A and Ctrl-E: to the start and the end of the line.
        child.send(f"{typed}\t\x01printf '%s\\n' begin \x05 end\r")
        child.expect("\r\nbegin\r\n(.*)\r\nend\r\n.*READY")
        return child.match[1].split()

    yield after
    child.close(force=True)


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("sysevent expla", "explain"),
        ("/some/where/sysevent expla", "explain"),
        ("sysevent images fe", "fetch"),
        ("sysevent images fetch --ref", "--refresh"),
        ("sysevent run --fresh --ker", "--kernel"),
        ("sysevent run --arch ri", "riscv64"),
        ("sysevent run --arch=ri", "--arch=riscv64"),
        ("sysevent run --kernel debian:6.12-r", "debian:6.12-rt"),
        ("sysevent run --kernel=debian:6.12-r", "--kernel=debian:6.12-rt"),
        ("sysevent run --kernel la", "lab.toml"),
        ("sysevent run --keep f", "failed"),
        ("sysevent run --targets l", "l"),
        ("sysevent run --targets la", "lab.toml"),
        ("sysevent run --build l", "linux"),
        ("sysevent run --build=l", "--build=linux"),
        ("sysevent run -C l", "linux"),
        ("sysevent run -- --ker", "--ker"),
        ("sysevent layout diff debian:6.1 mach", "machine"),
        ("sysevent shell arm64-t", "arm64-tcg"),
        ("sysevent explain arm64.psci.system_off", "arm64.psci.system_off"),
        ("sysevent completion f", "fish"),
    ],
)
def test_on_a_terminal(terminal, typed, word):
    """One possible word is inserted; of several, as with l, what they have in common.

    zsh removes the slash behind a directory at the end of a line.
    """
    *before, last = terminal(typed)[1:]
    assert [*before, last.removesuffix("/")] == [*typed.split()[1:-1], word]


@pytest.mark.parametrize(
    ("typed", "found"),
    [("run --targets ", "lab.toml"), ("run --build ", "linux/"), ("run --kernel l", "lab.toml")],
)
def test_files_in_fish(script, place, typed, found):
    asked = 'source "$argv[1]"; complete -C "$argv[2]"'
    command = ["fish", "--no-config", "-c", asked, script("fish"), f"sysevent {typed}"]
    env = {"HOME": str(place), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=place, env=env, timeout=30, check=True)
    assert found in [line.partition("\t")[0] for line in done.stdout.splitlines()]


def test_every_verb_has_its_entries():
    """Each option once, in every verb, and a value for all but flags."""
    for path, _ in words.paths():
        spelled = [word for entry in words.entries(path) for word in entry.spellings]
        assert len(spelled) == len(set(spelled))
        assert all(entry.metavar for entry in words.entries(path) if entry.values is not None)


def test_names_of_claims_without_their_architecture():
    """Only if they name one claim."""
    assert claim_names(["arm64.a.b", "x86_64.a.b", "arm64.c", "layout.c"]) == [
        *("arm64.a.b", "x86_64.a.b", "arm64.c", "layout.c"),
        "c",
    ]
