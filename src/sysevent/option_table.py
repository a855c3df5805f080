"""Every option of the sysevent command and of the pytest plugin, once, as data. No I/O.

A verb is named as it is typed: "run", "images fetch". "pytest" stands for the plugin. A row of OPTIONS is one
meaning: --json, which writes to stdout in some verbs and to a file in others, has two rows, in different verbs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from sysevent.arches import ABIS, ARCHITECTURES, NATIVE

# fmt: off
PathKind = Literal[
    "file", "directory", "output", "created", "export", "results", "path", "kernel", "command", "vmm",
]
# fmt: on
Kind = Literal["flag", "text", "number", "origin", "arch", "abi", "url", "target", "claim"] | PathKind
"""What a value is. An architecture can be given by its other names; a target and a claim by a glob. What is in PATHS
names something on disk, relative to the current directory: a file that is read, a directory that exists, a file that is
written, one whose directory is created as well, such a file behind its format (junit=FILE), a directory that is
created, a file or directory, a kernel, which can also be the name of a track, such as debian:6.12, a command of the
shell that does so, or a VMM, which can also be one of VMMS alone."""
PATHS: tuple[Kind, ...] = get_args(PathKind)

PYTEST = "pytest"
# The verbs that hand these options on to pytest, which checks their values and knows their defaults.
RELAYING = ("run", "vmms")


class Use(NamedTuple):
    """How one verb takes an option, where that differs from its row."""

    # True: of several values the last one counts, although the option is repeatable elsewhere.
    once: bool = False
    default: str | None = None
    help: str = ""


class Option(NamedTuple):
    """One option, or one positional argument: then flag has no dashes."""

    flag: str
    metavar: str
    help: str
    uses: Mapping[str, Use]
    kind: Kind = "text"
    repeatable: bool = False
    choices: tuple[str, ...] = ()
    default: str | int | tuple[str, ...] | None = None
    # For a positional argument that may be left out ("?"), or given any number of times ("*").
    nargs: Literal["", "?", "*"] = ""
    # Another spelling, with one dash; "" for none. pytest keeps those for itself.
    short: str = ""
    # True: the command that repeats one test for the same verdict has it. False only if it cannot change a verdict.
    again: bool = True
    # The least and the largest value of a number.
    least: int = 1
    most: int = 1_000_000
    # True: an empty word is a value as well.
    free: bool = False

    @property
    def name(self) -> str:
        """The attribute that holds its value after parsing, in argparse's and in pytest's namespace."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def positional(self) -> bool:
        """Whether it is recognised by its position on the command line, not by a flag."""
        return not self.flag.startswith("--")

    @property
    def spellings(self) -> tuple[str, ...]:
        """The words that select it on a command line, the short one first."""
        return (self.short, self.flag) if self.short else (self.flag,)

    def many(self, verb: str) -> bool:
        """Whether a verb takes it several times, so that its value is a list."""
        return self.repeatable and not self.uses[verb].once


def _in(*verbs: str, **more: Use) -> Mapping[str, Use]:
    """The uses of an option: verbs that take it as its row says, and others that do not."""
    return {**dict.fromkeys(verbs, Use()), **{verb.replace("_", " "): use for verb, use in more.items()}}


# The formats of reports: what `--NAME FILE` of `report` and `run` writes. What makes them: report/renderers.py.
FORMATS: Mapping[str, str] = {
    "text": "the report that is shown without any format",
    "json": "all records as one JSON array",
    "junit": "JUnit XML, for GitLab, Jenkins and others,",
    "ktap": "KTAP, the kernel's format of test results,",
    "kcidb": "a report for KernelCI's database",
    "lava": "signals of LAVA's test shell",
    "html": "one self-contained page of HTML",
}

# The real VMMs with a name, and where they come from: what `--vmm NAME` takes. How each is made: images/rootfs/kits. A
# user can give a program of any other name.
VMMS: Mapping[str, str] = {
    "qemu-5.2": "Debian bullseye",
    "qemu-7.2": "Debian bookworm",
    "qemu-10": "Debian trixie",
    "qemu-11": "Debian forky",
    "kvm-ioctls": "Debian's crates and this machine's Rust",
    "kvm-ioctls-0.25": "Debian's crates and this machine's Rust",
    "kvmtool": "--vmm kvmtool=DIR",
    "crosvm": "--vmm crosvm=PATH",
    "cloud-hypervisor": "--vmm cloud-hypervisor=PATH",
    "firecracker": "--vmm firecracker=PATH",
}

# Boots of each kernel that a bisection asks.
DEFAULT_BOOTS = 2

_SUITE = (PYTEST, "run")
# The verbs that may fetch what Debian publishes, besides the suite.
_FETCHING = ("images", "layout", "bisect", "shell", "sensitivity", "explore", "vmms", "peers")
_ARCHES = ", ".join(ARCHITECTURES)
_ONCE = Use(once=True)
_BOOTING = Use(once=True, help="target that boots the kernels; default: ARCH-tcg")
_HEADERS = "kernel whose headers are read: debian:6.12 (or 6.12), tree:PATH, or machine"
_TRACK = "debian:6.12"
_VMM = "real VMM, such as qemu-10, that runs in the guests beside this project's own: its claims are asked as well"

# fmt: off
OPTIONS: tuple[Option, ...] = (
    # What is asked, and where.
    Option("--target", "GLOB", "targets whose name matches",
           _in(*_SUITE, "targets", "vmms", "diff", "bench", "peers", "explore", bisect=_BOOTING, sensitivity=_BOOTING),
           "target", repeatable=True),
    Option("--arch", "ARCH", f"only this architecture: {_ARCHES}",
           _in(*_SUITE, "targets", "vmms", "diff", "images", "list", "peers", "explore", bisect=_ONCE,
               sensitivity=_ONCE), "arch", repeatable=True),
    Option("--targets", "FILE", "TOML file with more targets, such as a lab's",
           _in(*_SUITE, "targets", "diff", "bisect", "shell", "sensitivity", "peers", "explore"), "file",
           repeatable=True),
    Option("--kernel", "SPEC", "kernel to boot: debian:6.12, the path of an image, or tree:PATH",
           _in(*_SUITE, "targets", "vmms", "peers", "explore",
               shell=_ONCE, bench=Use(once=True, default=_TRACK), images=Use(help="kernel track: debian:6.12"),
               bisect=Use(once=True, help="with `run`: this kernel, instead of a build of the tree here"),
               layout_show=Use(once=True, default=_TRACK, help=_HEADERS)),
           "kernel", repeatable=True),
    Option("--build", "DIR", "build this kernel tree first, with its edits, and ask that kernel; it is only read",
           _in("run", "explore", pytest=Use(help="the kernel tree that `sysevent run` has built")), "directory",
           short="-C"),
    Option("--modules", "DIR", "directory of kernel modules for a --kernel that is a path",
           _in(*_SUITE, "shell", "bisect", "peers", "explore"), "directory"),
    Option("--abi", "ABI", "ABI of the VMM: native, or i386 on x86_64",
           _in(*_SUITE, "diff", bisect=Use(once=True, default=NATIVE)), "abi", repeatable=True),
    Option("--abi", "ABI", f"userspace ABI: {', '.join(ABIS)}; default: all, for show x86_64 and i386", _in("layout"),
           "abi", repeatable=True),
    Option("--require", "GLOB", "targets that must be asked: a SKIP of the whole target, or a MISS, fails the run",
           _in(*_SUITE), "target", repeatable=True),
    Option("--test", "PATTERN", "claims by name, glob or part of a name, such as arm64.psci.off; default: all",
           _in("bisect"), "claim", repeatable=True),
    # How it is judged.
    Option("--floor", "RELEASE", "require what mainline RELEASE has, whatever release the kernel reports",
           _in(*_SUITE, "bisect")),
    Option("--strict-observed", "", "also fail on a change of behaviour that the kernel never promised",
           _in(*_SUITE, "bisect"), "flag"),
    Option("--strict-errata", "", "also fail on a known defect of a kernel (docs/errata.md)",
           _in(*_SUITE, "bisect"), "flag"),
    Option("--boots", "N", "boots of each kernel that must agree", _in("bisect"), "number", default=DEFAULT_BOOTS),
    Option("--boot-failure", "", "what a kernel counts as that does not boot", _in("bisect"),
           choices=("skip", "bad"), default="skip"),
    # What a bisection searches.
    Option("--tree", "DIR", "git repository of a kernel; it is only read",
           _in("bisect", sensitivity=Use(help="source of a kernel; it is only read"),
               peers=Use(help="source of a --kernel that is a path; it is only read")), "directory"),
    Option("--packages", "", "search a distribution's kernels instead", _in("bisect"), choices=("debian",)),
    Option("--good", "REV", "a commit, or a version such as 6.12, where the claims hold", _in("bisect")),
    Option("--bad", "REV", "a commit or version where they fail", _in("bisect")),
    Option("--layout", "", "ask the exported headers only: builds no kernel", _in("bisect"), "flag"),
    Option("--config", "FILE", "more kernel configuration", _in("bisect", "sensitivity"), "file", repeatable=True),
    Option("--jobs", "N", "jobs of make; default: one for each CPU",
           _in("bisect", "sensitivity", "run", "peers", "explore"), "number"),
    Option("--resume", "", "continue the latest bisection that has not ended", _in("bisect"), "flag"),
    Option("--anew", "", "begin again, and ignore the steps that are on disk", _in("bisect"), "flag"),
    # Where things come from and go to.
    Option("--results", "DIR", "directory for the results; default: results/<time>",
           _in(*_SUITE, "peers", "explore",
               bisect=Use(help="directory for state, logs and report; default: results/bisect-ARCH-KEY"),
               sensitivity=Use(help="directory for state and reports; default: results/sensitivity"),
               vmms=Use(help="directory for the results of all runs; default: results/vmms-<time>")), "results",
           again=False),
    *(Option(f"--{name}", "FILE", f"write {content} to FILE",
             _in("report", run=Use(help=f"at the end, write {content} to FILE")), "created")
      for name, content in FORMATS.items()),
    Option("--export", "FORMAT=FILE", f"the same by the name of a format: {', '.join(FORMATS)}", _in(*_SUITE),
           "export", repeatable=True, again=False),
    Option("--kcidb-origin", "NAME", "the name under which KernelCI knows who sends it: a-z, 0-9 and _",
           _in("report", *_SUITE), "origin", default="sysevent", again=False),
    Option("--json", "", "print JSON", _in("diff", "layout"), "flag"),
    Option("--html", "FILE", "file for the difference as one page of HTML", _in("diff"), "output"),
    Option("--json", "FILE", "file for all values, as JSON",
           _in("bench", bisect=Use(help="file for the report as JSON; - prints it instead of the text"),
               sensitivity=Use(help="file for the reports as JSON")), "output"),
    Option("--svg", "FILE", "file for a picture of the milestones", _in("bench"), "output"),
    Option("--mirror", "URL", "Debian mirror; default: this machine's apt's", _in(*_SUITE, "doctor", *_FETCHING),
           "url"),
    Option("--keyring", "FILE", "OpenPGP certificates that may sign Debian's release files",
           _in(*_SUITE, "doctor", *_FETCHING), "file"),
    Option("--offline", "", "use only the cache, never the network", _in(*_SUITE, "diff", *_FETCHING), "flag"),
    Option("--refresh", "", "ask the mirror even if it was asked within a day", _in("images fetch"), "flag"),
    Option("--install-deps", "", "first install a missing QEMU with the package manager (as root, or with sudo)",
           _in("run", "doctor"), "flag"),
    # Real VMMs in guests.
    Option("--vmm", "NAME", f"real VMM: {', '.join(VMMS)}, or NAME=PATH, a program of yours",
           _in("images fetch", pytest=Use(once=True, help=_VMM), run=Use(once=True, help=_VMM),
               sensitivity=Use(help="also compare what a user of this VMM gets on each mutant"),
               vmms=Use(help="VMM to run, such as qemu-10; default: each QEMU of Debian")), "vmm", repeatable=True),
    Option("--kvmtool", "DIR", "source tree of the VMM kvmtool, which is only read", _in("images fetch"), "directory"),
    # How guests start and end.
    Option("--fresh", "", "boot every guest; default: restore a guest that was ready before from its snapshot",
           _in(*_SUITE), "flag"),
    Option("--keep", "WHEN", "leave guests running for inspection: never, "
           "failed (those with a FAIL, ERROR or MISS), or always (all that answered to the end)",
           _in(*_SUITE), choices=("never", "failed", "always"), default="never", again=False),
    Option("--keep-for", "SECONDS", "when a kept guest is ended, counted from its start", _in(*_SUITE),
           "number", default=3600, again=False),
    Option("--gdb", "", "stop the one target before its first instruction, print the command for gdb, "
           "and wait without deadlines", _in(*_SUITE), "flag"),
    Option("--attach", "DIR", "connect to the guest that a run with --keep left there", _in("shell"), "directory"),
    Option("--timeout", "SECONDS", "limit for commands from a pipe; a terminal has none", _in("shell"),
           "number", default=600),

    # What one verb alone takes.
    Option("--function", "NAME", "function: its name, a glob, or PATH:FUNCTION", _in("sensitivity"), repeatable=True),
    Option("--survivors", "", "ask those no more that were caught once, although claims have changed since",
           _in("sensitivity"), "flag"),
    Option("--sample", "N", "only one mutant of N, always the same", _in("sensitivity"), "number", default=1),
    Option("--kvm-unit-tests", "DIR", "tree of kvm-unit-tests, which are run as well; it is only read",
           _in("peers", sensitivity=Use(help="with --peers: tree of kvm-unit-tests, which are run as well")),
           "directory"),
    Option("--peers", "", "also run the kernel's selftests on each mutant", _in("sensitivity"), "flag"),
    Option("--explore", "SECONDS", "also ask each mutant random sequences, for so long", _in("sensitivity"), "number"),
    Option("--list", "", "only list the mutants", _in("sensitivity"), "flag"),
    Option("--budget", "SECONDS", "how long each kernel is asked", _in("explore"), "number", default=60),
    Option("--seed", "N", "the same seed draws the same sequences", _in("explore"), "number", default=1, least=0),
    Option("--max-examples", "N", "sequences that each kernel is asked, at most", _in("explore"), "number"),
    Option("--replay", "FILE", "ask only the sequences of this file", _in("explore"), "file", repeatable=True),
    Option("--coverage", "", "with KCOV: say which lines are reached, and ask more of what reaches new ones; "
           "with --build, that kernel has it", _in("explore"), "flag"),
    Option("--unguided", "", "with --coverage: only say which lines are reached", _in("explore"), "flag"),
    Option("--on-end", "COMMAND", "command of the shell, run at the end with SYSEVENT_RESULTS and other variables, and "
           "the report on its standard input", _in(*_SUITE), "command", again=False),
    Option("--newest", "N", "runs that stay, however old they are", _in("results prune"), "number", default=50),
    Option("--days", "N", "runs of the last N days stay", _in("results prune"), "number", default=7, least=0),
    Option("--dry-run", "", "only say what would be deleted", _in("results prune"), "flag"),
    Option("--repeat", "N", "run everything N times, and compare the verdicts: a verdict that differs fails",
           _in("run"), "number"),
    Option("--check", "", "log in to lab machines, and ask labgrid for places; their KVM is not asked",
           _in("targets"), "flag"),
    Option("--history", "", "claims over kernels and days, from many runs: with --html; RUN can be a directory of runs",
           _in("report"), "flag"),
    Option("--reader", "NAME", "only this reader, event by event", _in("report")),
    Option("--padding", "", "list implicit padding as well", _in("layout scan"), "flag"),
    Option("--runs", "N", "runs of every measurement", _in("bench"), "number", default=7),
    Option("--most", "N", "scenarios in a warm guest, at most", _in("bench"), "number", default=1000),
    Option("--suite", "WORDS", 'time `pytest WORDS`, such as "suites -k reset"', _in("bench"), repeatable=True),
    Option("--verify-snapshots", "N", "only compare N restored guests with booted ones, byte for byte; exit code 1 if "
           "they differ", _in("bench"), "number"),
    Option("--compare", "PEER", "virtme-ng or tuxrun", _in("bench"), repeatable=True, choices=("virtme-ng", "tuxrun")),
    Option("--root", "PATH", "what a peer boots into: a directory or an image; {arch} in it is replaced",
           _in("bench"), "path"),

    # Positional arguments.
    Option("step", "", "one step only, for `git bisect run sysevent bisect run …`", _in("bisect"),
           choices=("run",), nargs="?"),
    Option("glob", "GLOB", "claims by name, glob or part of a name", _in("list"), "claim", nargs="?", default="*"),
    Option("claim", "CLAIM", "name of a claim, or its end, such as psci.reset2", _in("explain"), "claim"),
    Option("before", "RUN", "first run or kernel, such as results/latest or debian:6.1", _in("diff"), "kernel"),
    Option("after", "RUN", "second run or kernel", _in("diff"), "kernel"),
    Option("run", "RUN", "results directories, merged if there are several; default: results/latest", _in("report"),
           "path", nargs="*"),
    Option("folder", "DIR", "directory with results directories in it; default: results", _in("results"), "directory",
           nargs="?"),
    Option("target", "TARGET", "name of a target, or a glob that matches one", _in("shell"), "target", nargs="?"),
    Option("struct", "STRUCT", "structure, such as kvm_xen_exit, or a member that is one",
           _in("layout show"), nargs="?", default="kvm_run.system_event"),
    Option("kernel", "SPEC", _HEADERS, _in("layout scan"), "kernel", nargs="*", default=(_TRACK,)),
    Option("shell", "SHELL", "bash, zsh or fish", _in("completion"), choices=("bash", "zsh", "fish")),
    Option("old", "OLD", _HEADERS, _in("layout diff"), "kernel"),
    Option("new", "NEW", _HEADERS, _in("layout diff"), "kernel"),
)

# Headings in the --help of a verb whose options are many, in this order.
GROUPS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "bisect": {
        "what is searched": ("--tree", "--packages", "--good", "--bad", "--layout", "--kernel", "--modules"),
        "what is asked": ("--test", "--arch", "--abi", "--target", "--targets", "--floor",
                          "--strict-observed", "--strict-errata", "--boots", "--boot-failure"),
        "how": ("--config", "--jobs", "--resume", "--anew", "--results", "--json", "--mirror", "--keyring",
                "--offline"),
    },
}
# fmt: on
