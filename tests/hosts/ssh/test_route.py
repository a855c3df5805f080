"""The route to a target: its row takes precedence over ~/.ssh/config, and that over ssh's defaults."""

import getpass
import re
import shutil
from pathlib import Path

import msgspec
import pytest
from lab_hosts import knows_sessiontype

from sysevent.errors import HostUnreachable
from sysevent.hosts.ssh import config
from sysevent.hosts.ssh.route import route
from sysevent.targets.spec import TargetSpec

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed")
SYSTEM = [Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2")]


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
        *SYSTEM,
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
    assert hop.known_hosts == (tmp_path / "a", Path("/b"), *SYSTEM)
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


@pytest.mark.parametrize(
    "include", ["Include {}/.ssh/boards", "include={}/.ssh/board*", '  Include /none "{}/.ssh/boards"']
)
def test_included(way, tmp_path, include):
    """Lines after an Include apply to all hosts again."""
    (hop,) = way(f"{include.format(tmp_path)}\nUser me\nHost other\n User you\n")
    assert (hop.address, hop.port, hop.user) == ("10.0.0.7", 2222, "me")


def test_included_below_a_section(way, tmp_path):
    """The included lines, and those after the Include, apply to that host only."""
    config = f"Host board\n Include {tmp_path}/.ssh/plain\n HostName 10.0.0.8\n"
    assert [(hop.address, hop.user) for hop in way(config)] == [("10.0.0.8", "them")]
    assert [hop.user for hop in way(config, address="other")] != ["them"]
    config = f"Host somethingelse\n User x\nMatch all\nInclude {tmp_path}/.ssh/boards\n"
    assert [(hop.address, hop.port) for hop in way(config)] == [("10.0.0.7", 2222)]
    assert [hop.address for hop in way(config.replace("Match all", "Host other"))] == ["board"]


def test_brackets_around_an_address(way):
    (hop,) = way(address="[::1]", port=2222)
    assert (hop.address, hop.known_as) == ("::1", "[::1]:2222")
    assert way("Host board\n HostName ::1\n")[0].known_as == "::1"


@pytest.mark.parametrize(
    ("config", "row", "words"),
    [
        ("", {"address": ""}, "has no address"),
        ("Host board\n ProxyJump board\n", {}, "loop"),
        ("Host board\n ProxyJump door\nHost door\n ProxyJump board\n", {}, "a loop"),
        ("gibberish\n", {}, "cannot be used for board: ssh refuses it: "),
        ("Port many\n", {}, "many"),
        ("", {"jump": "a:b"}, "is not [user@]host[:port]"),
        ("Include {home}/.ssh/config\n", {}, "Too many recursive"),
        ("Host other\n Include boards\n", {}, "line 2: .*give an absolute path there"),
        ("Match sessiontype sftp\n User uploads\n", {}, "cannot be used"),
        ("ProxyUseFdpass yes\nProxyCommand x\n", {}, "ProxyUseFdpass is not supported"),
        ("IdentityFile /k/%Z\n", {}, "%Z is not supported here"),
        ("IdentityFile ${{NO_SUCH}}/k\n", {}, "has no NO_SUCH"),
    ],
)
def test_no_route(way, tmp_path, config, row, words):
    if "sessiontype" in config and knows_sessiontype():
        pytest.skip("this ssh understands it")
    with pytest.raises(HostUnreachable) as caught:
        way(config.format(home=tmp_path), **row)
    assert re.search(words, str(caught.value)) or words in str(caught.value)


def test_words_of_ssh(way, tmp_path, monkeypatch):
    """Comments at the end of a line, other encodings, tokens, quotes, agents and certificates are as ssh reads them."""
    monkeypatch.setenv("LAB_AGENT", "/run/lab")
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_bytes(
        b'# Serverraum B\xfcro 3\nHost labbox\n  HostName 127.0.0.1\n  Port 2222 # lab rack 3\n  User "root"\n'
        b"  IdentityFile ~/.ssh/%n_%r\n  UserKnownHostsFile /khd/%n /k/%h-%p-%% \n  IdentityAgent /run/agent-%u\n"
        b"  CertificateFile /c/%h\n  RevokedHostKeys /r\n  ControlMaster auto\n  ControlPath /c/%C\n"
        b"Host none\n  IdentityAgent none\nHost variable\n  IdentityAgent $LAB_AGENT\n"
    )
    (hop,) = way(None, address="labbox")
    assert (hop.address, hop.port, hop.user) == ("127.0.0.1", 2222, "root")
    assert hop.identities == (tmp_path / ".ssh/labbox_root",)
    assert hop.known_hosts == (Path("/khd/labbox"), Path("/k/127.0.0.1-2222-%"), *SYSTEM)
    assert hop.agent_socket == f"/run/agent-{getpass.getuser()}"
    assert (hop.certificates, hop.revoked) == ((Path("/c/127.0.0.1"),), Path("/r"))
    assert way(None, address="none")[0].agent_socket == "none"
    assert way(None, address="variable")[0].agent_socket == "/run/lab"


def test_hash_of_the_connection(way):
    """%C is what ssh says it is, with its own ControlPath left alone."""
    (hop,) = way("IdentityFile /k/%C\nControlPath /c/%h\n")
    assert re.fullmatch(r"/k/[0-9a-f]{40}", str(hop.identities[0]))


def test_names_with_spaces(way, tmp_path):
    """ssh prints names of files without their quotes: the longest that exists is meant."""
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "known").touch()
    (hop,) = way(f'UserKnownHostsFile "{tmp_path}/a b/known" /c\n')
    assert hop.known_hosts[:2] == (tmp_path / "a b/known", Path("/c"))


def test_addresses(way):
    (hop,) = way("AddressFamily inet6\nBindAddress ::1\n")
    assert (hop.family, hop.bind) == ("inet6", "::1")
    assert (way("")[0].family, way("")[0].bind) == ("any", "")


UNDERSTOOD = [
    "Host board\n HostName 10.0.0.7\n User me\n ProxyCommand nc %h %p\n ControlMaster auto\n",
    "# B\xfcro\nHost board\n\tUserKnownHostsFile ~/khd/%n\nMatch all\n User you\n",
    "Host *\n Port=2222\nHost board !other\n IdentityFile ~/.ssh/lab\n IdentitiesOnly yes\n",
]


def test_known_hosts_command(way):
    """It is run without a shell, with what the configuration says; files in the row are instead of it."""
    (hop,) = way('Host board\n Port 2222\n KnownHostsCommand /bin/x "%H %p" %% %K\n')
    assert hop.known_command == ("/bin/x", "\0H 2222", "%", "\0K")
    (hop,) = way("Host board\n KnownHostsCommand none\n")
    assert hop.known_command == ()
    (hop,) = way("Host board\n KnownHostsCommand /bin/x\n", known_hosts="/k")
    assert hop.known_command == ()
    with pytest.raises(HostUnreachable, match="absolute path"):
        way("Host board\n KnownHostsCommand x %H\n")


@pytest.mark.parametrize("text", UNDERSTOOD)
def test_without_an_ssh_client(way, tmp_path, monkeypatch, text):
    """paramiko reads what it reads as ssh does."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_bytes(text.encode("latin-1"))
    spec = TargetSpec(name="lab", arch="arm64", where="ssh", address="board")
    alone = route(spec, tmp_path, lambda *words: config.lookup(*words, ssh=None))
    # The defaults are in ssh, and in hosts/ssh/certificates.py and key_order.py.
    default = {"ca_algorithms": (), "key_algorithms": ()}
    first, second = (
        [msgspec.structs.replace(hop, known_hosts=hop.known_hosts[:1], **default) for hop in hops]
        for hops in (alone, way(None))
    )
    assert first == second


@pytest.mark.parametrize(
    "line",
    [
        "Match sessiontype sftp",
        "Match exec true",
        "Include boards",
        "IdentityAgent /x",
        "Port 2222 # lab rack 3",
        'User "a b"',
        "NoSuchOption yes",
        "gibberish",
    ],
)
def test_refused_without_an_ssh_client(tmp_path, line):
    """A line that paramiko would leave out, or apply where ssh does not, is refused by name."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text(f"Host labbox\n{line}\n User uploads\n")
    with pytest.raises(ValueError, match=r"line 2: only ssh understands .*openssh-client"):
        config.lookup("labbox", "", 0, tmp_path, ssh=None)
