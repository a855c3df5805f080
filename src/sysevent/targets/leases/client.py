"""Runs labgrid-client: each call is a process with a deadline, whose printed text is parsed.

The labgrid library is not used: gRPC's threads and fork() race, and without a lab its thirty dependencies would
be installed for nothing.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sysevent.checkout import with_extra
from sysevent.errors import NotLeased, ToolMissing
from sysevent.process import die_with_parent
from sysevent.text import one_line, printable

INSTALL = f"{with_extra('labgrid')}, or labgrid itself, in a venv on PATH"
# Seconds for a call that usually takes 0.5 s; a loaded machine is ten times slower.
_CALL_TIMEOUT = 30

# Characters of a resource, which has a few hundred.
_RESOURCE_MAX = 1 << 14
# Characters of its first line, with the names of exporter, group and resource.
_HEAD_MAX = 1000
_SERVICE = r"Acquired resource '.*' \(.*/NetworkService/.*\):$"
# Characters of the output of a call; a place has 500.
_OUTPUT_MAX = 8 << 20


class Place(msgspec.Struct, frozen=True):
    """A labgrid place, as `labgrid-client -v places` and `show` print it."""

    name: str
    tags: Mapping[str, str]
    # Owner, as HOST/USER; "" if it is not acquired.
    acquired: str
    # Token of its reservation; "" without one.
    reservation: str


class Service(msgspec.Struct, frozen=True):
    """The NetworkService of a place: where to connect over SSH."""

    address: str
    # 0 if the service names none.
    port: int
    # "" if the service names none.
    user: str
    # Jump host, if the exporter requires one; else "".
    proxy: str


class Client:
    """labgrid-client for one coordinator and one user of labgrid."""

    def __init__(self, coordinator: str, user: str = "") -> None:
        """coordinator is HOST[:PORT]; "": LG_COORDINATOR, else labgrid's default. ToolMissing without the program."""
        self.coordinator = coordinator or os.environ.get("LG_COORDINATOR", "") or "127.0.0.1:20408"
        self.host = os.environ.get("LG_HOSTNAME") or socket.gethostname()
        self.user = user
        self._program = program()

    @property
    def owner(self) -> str:
        """The owner that the coordinator records for this client: HOST/USER."""
        return f"{self.host}/{self.user}"

    def start(self, *words: str, errors: int = subprocess.STDOUT) -> subprocess.Popen[str]:
        """Start a call and return its process, which the caller must end. It is killed when this process ends.

        ToolMissing if setpriv is not installed.
        """
        env = {name: value for name, value in os.environ.items() if not name.startswith("LG_")}
        env |= {"LG_COORDINATOR": self.coordinator, "LG_HOSTNAME": self.host, "PYTHONUNBUFFERED": "1"}
        if self.user:
            env["LG_USERNAME"] = self.user
        return subprocess.Popen(
            die_with_parent([self._program, *words]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            errors="replace",
            env=env,
            # Ctrl-C must not reach the client: this process releases its places in order.
            start_new_session=True,
        )

    def call(self, *words: str, seconds: float = _CALL_TIMEOUT) -> str:
        """Run a call and return its output; NotLeased when it fails or takes longer than seconds."""
        return self.finish(self.start(*words), words, seconds)

    def finish(
        self, process: subprocess.Popen[str], words: tuple[str, ...], seconds: float = _CALL_TIMEOUT
    ) -> str:
        """Wait for a started call and return its output; words are for messages. NotLeased as in call()."""
        line = f"labgrid-client {' '.join(words)}"
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            end(process)
            raise NotLeased(
                f"`{line}` did not end within {seconds:.0f} s; check the coordinator at {self.coordinator}"
            ) from None
        except BaseException:
            end(process)
            raise
        if len(output) > _OUTPUT_MAX:
            raise NotLeased(
                f"`{line}` of the coordinator at {self.coordinator} printed {len(output)} characters"
            )
        if process.returncode != 0:
            last = (output.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
            raise NotLeased(f"`{line}` of the coordinator at {self.coordinator}: {printable(last)}")
        return output

    def places(self) -> list[Place]:
        """Return every place of the coordinator; NotLeased as in call()."""
        return parse_places(self.call("-v", "places"))

    def show(self, place: str) -> tuple[Place, Service | None]:
        """Return one place, and its NetworkService if this user has acquired it; NotLeased if it does not exist."""
        output = self.call("-p", place, "show")
        found = [row for row in parse_places(output) if row.name == place]
        if not found:
            raise NotLeased(f"labgrid's coordinator at {self.coordinator} has no place {place!r} any more")
        return found[0], parse_service(output)

    def reservations(self) -> dict[str, str]:
        """Return token -> owner of every reservation; NotLeased as in call()."""
        return parse_reservations(self.call("reservations"))


def program() -> str:
    """Return the path of labgrid-client; ToolMissing, with the command that installs it, if there is none."""
    beside = Path(sys.executable).with_name("labgrid-client")
    found = shutil.which("labgrid-client") or (str(beside) if os.access(beside, os.X_OK) else None)
    if found is None:
        raise ToolMissing(f"labgrid-client is not installed: {INSTALL}")
    return found


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process, wait for its end, and close its output."""
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    if process.stdout:
        process.stdout.close()


def parse_places(output: str) -> list[Place]:
    """Return the places in the output of `-v places` or `show`."""
    found = []
    for block in re.split(r"^(?=Place ')", output, flags=re.MULTILINE):
        name = re.match(r"Place '(.*)':$", block, flags=re.MULTILINE)
        if name is None:
            continue
        tags = dict(pair.partition("=")[::2] for pair in _line(block, "tags").split(", ") if pair)
        acquired = _line(block, "acquired")
        found.append(
            Place(name[1], tags, "" if acquired == "None" else acquired, _line(block, "reservation"))
        )
    return found


def parse_service(output: str) -> Service | None:
    """Return the NetworkService of an acquired place, from the output of `show`; None if it has none.

    NotLeased when it cannot be parsed.
    """
    blocks = re.split(r"^(?=\S)", output, flags=re.MULTILINE)
    for block in blocks:
        head, _, body = block.partition("\n")
        # The expression takes time in proportion to a power of the length.
        if len(head) > _HEAD_MAX or not re.match(_SERVICE, head):
            continue
        text = body.strip()
        try:
            if len(text) > _RESOURCE_MAX:
                raise ValueError(f"{len(text)} characters")
            entry = ast.literal_eval(text)
            params = entry["params"]
            extra = params.get("extra") or {}
            return Service(
                address=str(params["address"]),
                port=int(params.get("port") or 0),
                user=str(params.get("username") or ""),
                proxy=str(extra.get("proxy") or "") if extra.get("proxy_required") else "",
            )
        # literal_eval() raises the last two for deeply nested text.
        except (
            ValueError,
            SyntaxError,
            KeyError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
            MemoryError,
        ) as error:
            raise NotLeased(
                f"labgrid's NetworkService cannot be read: {type(error).__name__}: {one_line(error)[:100]} "
                f"in {text[:200]!r}"
            ) from None
    return None


def parse_reservations(output: str) -> dict[str, str]:
    """Return token -> owner of the reservations in the output of `reservations`."""
    return {
        token[1]: _line(block, "owner")
        for block in re.split(r"^(?=Reservation ')", output, flags=re.MULTILINE)
        if (token := re.match(r"Reservation '(\w+)':$", block, flags=re.MULTILINE))
    }


def _line(block: str, key: str) -> str:
    """Return the value of a key at the first level of a block; "" if it is missing."""
    found = re.search(rf"^  {key}: (.*)$", block, flags=re.MULTILINE)
    return found[1].strip() if found else ""
