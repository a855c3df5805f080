"""The command line of ssh for a lab machine."""

import os
import pwd
import shlex

import pytest

from sysevent.interactive import ssh_command
from sysevent.targets.spec import TargetSpec


@pytest.fixture(autouse=True)
def usual_home(monkeypatch):
    """HOME is that of the password database, which ssh takes; with another one, there are more words."""
    monkeypatch.setenv("HOME", pwd.getpwuid(os.getuid()).pw_dir)


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
    """The words of the row, and none for what it leaves to ~/.ssh/config."""
    assert shlex.join(ssh_command.argv(lab(**row), terminal=True)) == words
    assert "-t" not in ssh_command.argv(lab(**row), terminal=False)


def test_ssh_through_a_machine_with_the_same_key():
    """The key is for the machine in between as well, and neither the shell nor ssh interprets a part of it."""
    row = lab(jump="first,me@gate:2200", identity="/k/my %key")
    words = ssh_command.argv(row, terminal=False)
    proxy = words[words.index("-o") + 1].removeprefix("ProxyCommand=")
    inner = 'ssh -i "/k/my %%key" -J first -W %h:%p -- ssh://me@gate:2200'
    assert shlex.split(proxy) == shlex.split(inner)
    assert words[-2:] == ["--", "board"]


def test_home_that_differs_from_the_password_database(tmp_path, monkeypatch):
    """ssh would read the home directory of the password database, and a run does not."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").touch()
    (tmp_path / ".ssh" / "id_ed25519").touch()
    words = ssh_command.argv(lab(), terminal=False)
    mine = tmp_path / ".ssh"
    known = f"UserKnownHostsFile={mine}/known_hosts {mine}/known_hosts2"
    options = ["-F", f"{mine}/config", "-o", known, "-i", f"{mine}/id_ed25519"]
    assert words == ["ssh", "-T", *options, "--", "board"]


def test_tilde():
    assert "~" not in " ".join(ssh_command.argv(lab(identity="~/id", known_hosts="~/a ~/b"), terminal=False))
