"""sysevent shell: which way it goes, ssh's words, and a terminal that is as it was."""

import os
import pty
import shlex
import signal
import termios

import pytest

from sysevent.cli import main, terminal
from sysevent.cli.shell import ssh_command
from sysevent.targets.spec import TargetSpec


def lab(**row):
    return TargetSpec(**{"name": "lab", "arch": "arm64", "where": "ssh", "address": "board"} | row)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({}, "ssh -t -- board"),
        ({"user": "me", "port": 2222}, "ssh -t -p 2222 -- me@board"),
        ({"jump": "gate:22,inner"}, "ssh -t -J gate:22,inner -- board"),
        (
            {"identity": "/k/id", "known_hosts": "/k/known"},
            "ssh -t -i /k/id -o 'UserKnownHostsFile=\"/k/known\"' -o GlobalKnownHostsFile=/dev/null -- board",
        ),
    ],
)
def test_ssh(row, words):
    """What the row says, and nothing that it leaves to ~/.ssh/config."""
    assert shlex.join(ssh_command(lab(**row), terminal=True)) == words
    assert "-t" not in ssh_command(lab(**row), terminal=False)


def test_ssh_through_a_machine_with_the_same_key():
    """The key is for the way there as well, and no word of it is the shell's or ssh's to interpret."""
    row = lab(jump="first,me@gate:2200", identity="/k/my %key")
    words = ssh_command(row, terminal=False)
    proxy = words[words.index("-o") + 1].removeprefix("ProxyCommand=")
    assert shlex.split(proxy) == [
        *("ssh", "-i", "/k/my %%key", "-J", "first", "-W", "%h:%p", "--", "ssh://me@gate:2200"),
    ]
    assert words[-2:] == ["--", "board"]


def test_a_home_of_ones_own(tmp_path, monkeypatch):
    """ssh would look into the one of the password database, where a run does not."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").touch()
    (tmp_path / ".ssh" / "id_ed25519").touch()
    words = ssh_command(lab(), terminal=False)
    mine = tmp_path / ".ssh"
    assert words == [
        *(
            "ssh",
            "-T",
            "-F",
            f"{mine}/config",
            "-o",
            f"UserKnownHostsFile={mine}/known_hosts {mine}/known_hosts2",
        ),
        *("-i", f"{mine}/id_ed25519", "--", "board"),
    ]


def test_a_kept_guest_takes_no_commands_from_a_pipe(tmp_path, capfd):
    assert main(["shell", "--attach", str(tmp_path)]) == 2
    assert "--attach is for a person at a terminal" in capfd.readouterr().err


def test_a_home_directory():
    assert "~" not in " ".join(ssh_command(lab(identity="~/id", known_hosts="~/a ~/b"), terminal=False))


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["local"], 2, "local is this machine"),
        (["mips-tcg"], 2, "--target mips-tcg matches none"),
        (["*-tcg"], 2, "*-tcg is more than one target: arm64-tcg, riscv64-tcg, x86_64-tcg"),
        (["local", "--kernel", "debian:6.12"], 2, "cannot boot it"),
    ],
)
def test_no_guest(words, code, told, capfd):
    assert main(["shell", *words]) == code
    assert told in capfd.readouterr().err


def test_a_place_of_labgrid_s(tmp_path, capfd):
    (tmp_path / "lab.toml").write_text(
        '[[target]]\nname = "board"\narch = "arm64"\nwhere = "labgrid"\ntags = {kvm = "yes"}\n'
    )
    assert main(["shell", "board", "--targets", str(tmp_path / "lab.toml")]) == 2
    assert "labgrid-client" in capfd.readouterr().err


@pytest.mark.parametrize("ending", [None, signal.SIGTERM, signal.SIGHUP, ValueError])
def test_the_terminal_is_as_it_was(ending):
    """Whatever ends it, and the signals' handlers, too."""
    other, ours = pty.openpty()
    try:
        before, handler = termios.tcgetattr(ours), signal.getsignal(signal.SIGTERM)

        def doing():
            with terminal.raw(ours):
                assert not termios.tcgetattr(ours)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
                if ending is ValueError:
                    raise ValueError("ours")
                if ending is not None:
                    os.kill(os.getpid(), ending)

        if ending is None:
            doing()
        elif ending is ValueError:
            with pytest.raises(ValueError, match="ours"):
                doing()
        else:
            with pytest.raises(SystemExit) as end:
                doing()
            assert end.value.code == 128 + ending
        assert termios.tcgetattr(ours) == before
        assert signal.getsignal(signal.SIGTERM) == handler
    finally:
        os.close(other)
        os.close(ours)
