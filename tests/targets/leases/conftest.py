"""A real labgrid on loopback: coordinator, exporter, and two places with tags."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sysevent.targets.leases import client

EXPORTED = """
host1:
  NetworkService: {address: 127.0.0.1, username: root, port: 2301}
host2:
  NetworkService: {address: 127.0.0.2, username: tester, port: 2302}
"""


def program(name):
    """Return the path of a program of labgrid; skip the test, with the command that installs it, if there is none."""
    beside = Path(sys.executable).with_name(name)
    found = shutil.which(name) or (str(beside) if beside.exists() else None)
    if found is None:
        pytest.skip(f"{name} is not installed: {client.INSTALL}")
    return found


class Lab:
    """One coordinator and one exporter, until stop()."""

    def __init__(self, folder):
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.address = f"127.0.0.1:{server.getsockname()[1]}"
        (folder / "exported.yaml").write_text(EXPORTED)
        self._running = {}
        self.start()
        for place, host in (("one", "host1"), ("two", "host2")):
            self.call("-p", place, "create")
            self.call("-p", place, "set-tags", "arch=x86_64", "kvm=yes", f"row={place}")
            self.call("-p", place, "add-match", f"lab/{host}/NetworkService")
        self.call("-p", "bare", "create")
        self.call("-p", "bare", "set-tags", "arch=riscv64")

    def start(self):
        self._start("labgrid-coordinator", "-l", self.address)
        self._until(lambda: self.client("places").returncode == 0)
        self._start("labgrid-exporter", "-n", "lab", "--hostname", "lab", "exported.yaml")
        self._until(lambda: self.client("resources").stdout.count("lab/") == 2)

    def _start(self, name, *words):
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", "--", program(name), *words],
                cwd=self.folder,
                env=os.environ | {"LG_COORDINATOR": self.address},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _until(self, is_ready):
        deadline = time.monotonic() + 60
        while not is_ready():
            assert time.monotonic() < deadline, [
                path.read_text() for path in self.folder.glob("labgrid-*.log")
            ]
            time.sleep(0.2)

    def client(self, *words):
        return subprocess.run(
            [program("labgrid-client"), *words],
            env=os.environ | {"LG_COORDINATOR": self.address, "LG_USERNAME": "test", "LG_HOSTNAME": "test"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def call(self, *words):
        done = self.client(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def owners(self):
        return {place.name: place.acquired for place in client.parse_places(self.call("-v", "places"))}

    def reservations(self):
        return client.parse_reservations(self.call("reservations"))

    def stop(self):
        for process in self._running.values():
            process.kill()
            process.wait(10)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    program("labgrid-coordinator")
    found = Lab(tmp_path_factory.mktemp("lab"))
    yield found
    found.stop()
