"""What is read from the output of labgrid-client, which shows what other users of a lab have written."""

import time

import pytest

from sysevent.errors import NotLeased
from sysevent.targets.leases import client

HEAD = "Acquired resource 'NetworkService' (host/rack1/NetworkService/NetworkService):\n"


def test_a_service():
    body = "  {'params': {'address': '10.0.0.1', 'username': 'root', 'port': 22}}\n"
    assert client.parse_service(HEAD + body) == client.Service("10.0.0.1", 22, "root", "")


@pytest.mark.parametrize(
    "body",
    [
        "  {'params': {}}",
        "  {'params': {'address': 1, 'port': 'x'}}",
        "  {'params': {'address': 1, 'port': 1e999}}",
        "  [",
        "  " + "[" * 10_000,
        "  " + "-" * 10_000 + "1",
        "  '" + "x" * 100_000 + "'",
        "  \0",
        "  9" + "9" * 5000,
    ],
)
def test_a_service_that_cannot_be_read(body):
    """The message is short, and has no cause that would hold the whole output."""
    with pytest.raises(NotLeased, match="NetworkService cannot be read") as caught:
        client.parse_service(HEAD + body)
    assert len(str(caught.value)) < 600
    assert caught.value.__cause__ is None


def test_long_lines_take_time_in_proportion_to_their_length():
    begin = time.process_time()
    assert client.parse_service("Acquired resource '" + "' (/NetworkService/" * 10_000 + "\n") is None
    client.parse_places("Place '" + "':\n  tags: a" * 10_000)
    assert time.process_time() - begin < 2
