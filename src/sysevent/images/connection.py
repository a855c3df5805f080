"""HTTP connections with a deadline for everything: handshake, headers, redirects and body.

A timeout of a socket counts from the last byte, so that a server which sends a byte every few seconds holds a
connection without end.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Mapping
from typing import IO, Any

# Redirects that are followed for one request.
_REDIRECTS_MAX = 5


class Deadline:
    """Ends the connections of one download when its time is over. It is a context manager."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._shut_down)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for watched in self._watched:
                watched.close()
            self._watched.clear()

    @property
    def passed(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._end

    def watch(self, connection: socket.socket) -> None:
        """End this connection, too: reading from it then returns that it has ended."""
        # A file descriptor of our own: TLS takes over the other one.
        copy = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            self._watched.append(copy)
        if self.passed:
            self._shut_down()

    def _shut_down(self) -> None:
        with self._lock:
            for watched in self._watched:
                with contextlib.suppress(OSError):
                    watched.shutdown(socket.SHUT_RDWR)


class _Connection(http.client.HTTPConnection):
    deadline: Deadline

    def connect(self) -> None:
        super().connect()
        self.deadline.watch(self.sock)


# HTTPSConnection.connect() calls the one above before the handshake.
class _TlsConnection(http.client.HTTPSConnection, _Connection):
    pass


class _Handler(urllib.request.HTTPSHandler):
    """Opens http and https."""

    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._plain: Any = type("_Plain", (_Connection,), {"deadline": deadline})
        self._tls: Any = type("_Tls", (_TlsConnection,), {"deadline": deadline})

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(self._plain, request)

    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(self._tls, request)

    http_request = urllib.request.AbstractHTTPHandler.do_request_


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = _REDIRECTS_MAX

    def http_error_302(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> Any | None:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError:
            # The new location is not a URL. urllib would leave the connection open.
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def opener(proxies: Mapping[str, str] | None, deadline: Deadline) -> urllib.request.OpenerDirector:
    """Return what opens URLs of http and https only; proxies as for ProxyHandler, None: those of the environment."""
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(None if proxies is None else dict(proxies)),
        _Handler(deadline),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        director.add_handler(handler)
    return director
