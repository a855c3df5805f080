"""Snapshots, and the memory of a guest."""

import os
import tempfile

import pytest
from snapshot_fakes import HELLO, PAGE, Monitor, rested

from sysevent.hosts.qemu.snapshots import Snapshots


@pytest.fixture
def snapshots(tmp_path):
    return Snapshots(tmp_path)


@pytest.fixture
def memory():
    """The file descriptor of 2 MiB of memory, zero but for one page in the second MiB."""
    with tempfile.TemporaryFile() as file:
        file.truncate(2 << 20)
        os.pwrite(file.fileno(), b"page" * 1024, PAGE)
        yield file.fileno()


@pytest.fixture
def take(memory):
    """take(snapshots, key): saves a snapshot."""

    def now(snapshots, name):
        snapshots.take(name, Monitor(), memory, HELLO, on_console=False, settle=rested)

    return now
