"""The route to a target: its row takes precedence over ~/.ssh/config, and that over ssh's defaults."""

import getpass
from pathlib import Path

import pytest

from sysevent.errors import HostUnreachable
from sysevent.hosts.ssh.route import route
from sysevent.targets.spec import TargetSpec


@pytest.fixture
def way(tmp_path):
    """way(text of ~/.ssh/config, **row): the hops."""

    def find(config="", **row):
        (tmp_path / ".ssh").mkdir(exist_ok=True)
        (tmp_path / ".ssh" / "boards").write_text(BOARDS)
        (tmp_path / ".ssh" / "plain").write_text("User them\n")
        if config is not None:
            (tmp_path / ".ssh" / "config").write_text(config)
        spec = TargetSpec(**{"name": "lab", "arch": "arm64", "where": "ssh", "address": "board"} | row)
        return route(spec, tmp_path)

    return find


def test_defaults(way, tmp_path):
    (hop,) = way(None)
    assert (hop.address, hop.port, hop.user) == ("board", 22, getpass.getuser())
    assert (hop.identities, hop.agent, hop.command, hop.alias) == ((), True, "", "")
    assert hop.known_hosts == (
        tmp_path / ".ssh" / "known_hosts",
        tmp_path / ".ssh" / "known_hosts2",
        Path("/etc/ssh/ssh_known_hosts"),
    )
    assert hop.known_as == "board"


BOARDS = "Host board\n HostName 10.0.0.7\n Port 2222\n"

CONFIG = """
Host board
    HostName 10.0.0.7
    Port 2222
    User kvm
    IdentityFile ~/.ssh/lab
    IdentityFile /keys/%r
    IdentitiesOnly yes
    UserKnownHostsFile ~/a /b
    HostKeyAlias rack
"""


def test_config(way, tmp_path):
    (hop,) = way(CONFIG)
    assert (hop.address, hop.port, hop.user) == ("10.0.0.7", 2222, "kvm")
    assert hop.identities[0].name == "lab"
    assert not hop.agent
    assert hop.known_hosts == (tmp_path / "a", Path("/b"), Path("/etc/ssh/ssh_known_hosts"))
    assert hop.known_as == "rack"


def test_row_takes_precedence(way, tmp_path):
    (hop,) = way(CONFIG, port=22, user="root", identity="~/mine", known_hosts="/lab/known")
    assert (hop.address, hop.port, hop.user) == ("10.0.0.7", 22, "root")
    assert hop.identities == (tmp_path / "mine",)
    assert hop.known_hosts == (Path("/lab/known"),)


@pytest.mark.parametrize(("port", "name"), [(0, "board"), (22, "board"), (2222, "[board]:2222")])
def test_name_in_known_hosts(way, port, name):
    assert way(port=port, address="Board")[0].known_as == name


@pytest.mark.parametrize(
    ("jump", "hops"),
    [
        ("door", [("door", 22)]),
        ("me@door:2200", [("door", 2200)]),
        ("a:1,b:2", [("a", 1), ("b", 2)]),
        ("[fe80::1]:22", [("fe80::1", 22)]),
        ("none", []),
    ],
)
def test_jump(way, jump, hops):
    assert [(hop.address, hop.port) for hop in way(jump=jump)[:-1]] == hops
    assert [(hop.address, hop.port) for hop in way(f"Host board\n ProxyJump {jump}\n")[:-1]] == hops


def test_jump_of_the_row_takes_precedence(way):
    config = "Host board\n ProxyJump elsewhere\n"
    assert [hop.address for hop in way(config, jump="door")] == ["door", "board"]
    assert [hop.address for hop in way(config, jump="none")] == ["board"]


def test_jump_host_has_its_own_configuration(way):
    """Its user, port and jump host come from the configuration, not from the target's row."""
    config = "Host door\n HostName gate\n User guard\n Port 2200\n ProxyJump fence\n"
    fence, door, board = way(config, jump="door", user="root", port=2222)
    assert fence.address == "fence"
    assert (door.address, door.user, door.port) == ("gate", "guard", 2200)
    assert (board.address, board.user, board.port) == ("board", "root", 2222)


def test_proxy_command(way):
    config = "Host board\n HostName 10.0.0.7\n ProxyCommand nc %h %p as %r\n"
    (hop,) = way(config, port=2222, user="root")
    assert hop.command == "nc 10.0.0.7 2222 as root"
    assert way("Host board\n ProxyCommand none\n")[0].command == ""
    assert way(config, jump="door")[-1].command == ""


@pytest.mark.parametrize("include", ["Include boards", "include=~/.ssh/board*", '  Include none "boards"'])
def test_included(way, include):
    """Included files are read, which paramiko does not do; lines after an Include apply to all hosts again."""
    (hop,) = way(f"{include}\nUser me\nHost other\n User you\n")
    assert (hop.address, hop.port, hop.user) == ("10.0.0.7", 2222, "me")


def test_included_below_a_host(way):
    """The included lines, and those after the Include, apply to that host only."""
    config = "Host board\n Include plain\n HostName 10.0.0.8\n"
    assert [(hop.address, hop.user) for hop in way(config)] == [("10.0.0.8", "them")]
    assert [hop.user for hop in way(config, address="other")] != ["them"]


@pytest.mark.parametrize(
    ("config", "row", "words"),
    [
        ("", {"address": ""}, "has no address"),
        ("Host board\n ProxyJump board\n", {}, "a loop"),
        ("gibberish\n", {}, "cannot be used for board: Unparsable line"),
        ("Port many\n", {}, "many"),
        ("", {"jump": "a:b"}, "is not [user@]host[:port]"),
        ("Include ~/.ssh/config\n", {}, "includes itself"),
        ("Host other\n Include boards\n", {}, "move the Include above the first Host"),
    ],
)
def test_no_route(way, config, row, words):
    with pytest.raises(HostUnreachable) as caught:
        way(config, **row)
    assert words in str(caught.value)
