"""sysevent layout: what it prints, what it gives programs, and its exit codes."""

import json
from pathlib import Path

import msgspec
import pytest

from sysevent import cli
from sysevent.cli import layout as verb
from sysevent.decode.structs import Layout, Member, Struct
from sysevent.errors import BuildFailed, NotApplicable

DATA = Path(__file__).parents[1] / "data" / "layout"


class Recorded:
    """Recorded layouts in place of headers and compilers; riscv64 has none in 5.10."""

    def __init__(self):
        self.more = {}

    def __call__(self, spec, arch, userspaces, settings):
        if spec == "5.10" and arch.name == "riscv64":
            raise NotApplicable("that kernel had no KVM there")
        found = {}
        for one in userspaces:
            path = DATA / f"{spec}-{one.name}.json"
            if path.exists():
                found[one.name] = msgspec.json.decode(path.read_bytes(), type=Layout)
                found[one.name].structs.update(self.more.get(one.name, {}))
        return found


def layout(*words, recorded=None):
    """The exit code of `sysevent layout` with recorded layouts."""

    def action():
        _, args = cli.parse(["layout", *words])
        return verb.run(args, recorded or Recorded())

    return cli.exit_code("layout", action)


def test_show_draws(capsys):
    assert layout("show", "kvm_xen_exit", "--kernel", "7.2") == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "kvm_xen_exit in the headers of 7.2"
    assert "x86_64  |type   |·······|longmo~|cpl    |" in out
    assert "i386    |type   |longmo~|cpl    |input" in out
    assert "\x1b" not in out


def test_show_of_nothing_is_a_usage_error(capsys):
    assert layout("show", "kvm_xen", "--kernel", "7.2") == 2
    assert "did you mean kvm_xen_exit?" in capsys.readouterr().err


def test_show_gives_json(capsys):
    assert layout("show", "--kernel", "5.10", "--abi", "i386", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert {leaf["path"]: leaf["offset"] for leaf in document["i386"]["leaves"]} == {
        "system_event.type": 32,
        "system_event.flags": 36,
    }


def test_scan_of_known_hazards_exits_with_0(capsys):
    assert layout("scan", "5.10", "7.2", "--abi", "i386", "--abi", "x32") == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()[1:5]]
    assert [(row[0], row[1], row[2], row[-1]) for row in rows] == [
        ("x86_64/i386", "5.10", "1", "kvm_run.system_event.flags"),
        ("x86_64/i386", "7.2", "1", "kvm_xen_exit"),
        ("x86_64/x32", "5.10", "0", "none"),
        ("x86_64/x32", "7.2", "0", "none"),
    ]


def test_scan_of_an_unknown_hazard_exits_with_1(capsys):
    recorded = Recorded()
    for abi, at in (("x86_64", 8), ("i386", 4)):
        members = (Member("type", 0, 4, "__u32"), Member("value", at, 8, "__u64"))
        recorded.more[abi] = {"kvm_new": Struct("kvm_new", "struct", at + 8, members)}
    assert layout("scan", "7.2", "--abi", "i386", recorded=recorded) == 1
    assert "struct kvm_new" in capsys.readouterr().out


def test_scan_says_where_there_was_no_kvm(capsys):
    assert layout("scan", "5.10", "--abi", "riscv32", "--padding") == 0
    captured = capsys.readouterr()
    assert "no KVM there" in captured.out
    assert "5.10, riscv64: that kernel had no KVM there" in captured.err


class Broken(Recorded):
    """Headers that do not compile for some ABIs."""

    def __init__(self, *names):
        super().__init__()
        self.names = names

    def __call__(self, spec, arch, userspaces, settings):
        for one in userspaces:
            if one.name in self.names:
                raise BuildFailed(
                    f"the KVM headers for {one.name} do not compile: kvm.h:9: error: __u128\nmore"
                )
        return super().__call__(spec, arch, userspaces, settings)


def test_an_abi_that_does_not_compile_takes_no_other_along(capsys):
    """Its first error is printed, the others are shown, and the exit code is not that of a success."""
    assert layout("scan", "7.2", recorded=Broken("arm")) == 1
    printed = capsys.readouterr()
    assert (
        "7.2, arm: the KVM headers for arm do not compile: kvm.h:9: error: __u128\n"
        in printed.out + printed.err
    )
    assert "i386" in printed.out
    assert layout("show", "--kernel", "7.2", recorded=Broken("i386")) == 1
    assert "x86_64  |" in capsys.readouterr().out


def test_headers_that_do_not_compile(capsys):
    assert layout("show", "--kernel", "7.2", recorded=Broken("i386", "x86_64")) not in (0, 1)
    assert "error: __u128" in capsys.readouterr().err


def test_scan_gives_json(capsys):
    assert layout("scan", "7.2", "--abi", "i386", "--json") == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert document["userspace"] == {"abi": {"name": "i386"}, "arch": "x86_64", "unreachable": ""}
    assert [hazard["struct"] for hazard in document["hazards"] if hazard["fate"] == "wrong"] == [
        "kvm_xen_exit"
    ]


@pytest.mark.parametrize(("abi", "code"), [("i386", 1), ("x86_64", 0), ("x32", 0), ("arm64", 0)])
def test_diff_finds_2022_on_i386_alone(abi, code, capsys):
    assert layout("diff", "5.10", "7.2", "--abi", abi) == code
    out = capsys.readouterr().out
    assert ("kvm_run.system_event.flags @36 (8 bytes) -> @40" in out) == (abi == "i386")


def test_diff_gives_json(capsys):
    assert layout("diff", "5.10", "7.2", "--abi", "i386", "--json") == 1
    first = json.loads(capsys.readouterr().out)["i386"]["changes"][0]
    assert (first["struct"], first["path"], first["kind"]) == ("kvm_run", "system_event.flags", "moved")


def test_an_abi_that_does_not_exist(capsys):
    assert layout("diff", "5.10", "7.2", "--abi", "vax") == 2
    assert "expected one of x86_64, i386, x32" in capsys.readouterr().err
