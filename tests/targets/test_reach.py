"""Whether an SSH server answers where a target file says."""

import socket
import threading
import time

import pytest

from sysevent.targets import reach
from sysevent.targets.spec import TargetSpec


@pytest.fixture
def server():
    """server(said, close): a port of loopback that says something to who connects."""
    open_ = []

    def start(said, *, close=False):
        listening = socket.create_server(("127.0.0.1", 0))
        open_.append(listening)

        def serve():
            connection, _ = listening.accept()
            open_.append(connection)
            connection.sendall(said)
            if close:
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        return listening.getsockname()[1]

    yield start
    for each in open_:
        each.close()


def at(port, connect=1):
    return TargetSpec(
        name=f"at-{port}", arch="arm64", where="ssh", address="127.0.0.1", port=port, connect=connect
    )


@pytest.mark.parametrize(
    ("said", "close", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", False, ""),
        (b"Authorised use only\r\nSSH-2.0-dropbear\r\n", False, ""),
        (b"220 mail ESMTP\r\n", True, "is no SSH server"),
        (b"", True, "is no SSH server"),
        (b"SSH-2.0", False, "says nothing within 1 s|does not answer within 1 s"),
        (b"x" * (1 << 17), False, "is no SSH server"),
    ],
    ids=range(6),
)
def test_what_a_server_says(server, said, close, words):
    begin = time.monotonic()
    found = reach.unreached(at(server(said, close=close)))
    assert any(word in found for word in words.split("|"))
    assert bool(found) == bool(words)
    assert time.monotonic() - begin < 5


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert "Connection refused" in reach.unreached(at(port))


def test_all_at_once(server):
    """Ten silent machines take as long as one."""
    specs = [at(server(b"")) for _ in range(10)]
    begin = time.monotonic()
    found = reach.all_at_once(specs)
    assert all(found[spec.id] for spec in specs)
    assert time.monotonic() - begin < 6
