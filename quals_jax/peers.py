"""Processes that score side by side, each its own rows: who misses another ends, and can be started again.

Nothing that they compute would tell them, and JAX's own watch ends a process by an abort after half a minute, or has it wait for days.
So they leave JAX's service once they know their numbers, and hold a plain connection to the first of them, which the system closes when
a process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import secrets
import selectors
import socket
import threading
from collections.abc import Callable, Iterator

DONE, GONE = b"d", b"g"
TOKEN_BYTES, TOLD_BYTES = 16, 1024
CONNECT_SECONDS = 60.0
# A machine that is gone without a word is noticed after this many silent seconds, and as many more between few attempts.
SILENT_SECONDS, ATTEMPT_SECONDS, ATTEMPTS = 10, 5, 3


class Peers:
    """The connections of one process: those of the first lead to all others, those of another to the first.

    `gone()` is called, in a thread of its own, when a process has ended that had not said it is done. Once this one is `done()`, nothing
    is called any more.
    """

    def __init__(self, connections: list[socket.socket], gone: Callable[[], None]):
        self._connections, self._gone, self._done = connections, gone, threading.Event()
        for connection in connections:
            keep_alive(connection)
        if connections:
            threading.Thread(target=self._watch, name="peers", daemon=True).start()

    def done(self) -> None:
        """Says that this process has ended its work, and no longer minds what others do."""
        self._done.set()
        self._tell(DONE)

    def _tell(self, word: bytes) -> None:
        for connection in self._connections:
            with contextlib.suppress(OSError):  # who is not there need not be told
                connection.sendall(word)

    def _watch(self) -> None:
        with selectors.DefaultSelector() as selector:
            for connection in self._connections:
                selector.register(connection, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select():
                    word = received(key.fileobj)
                    if word == DONE:
                        selector.unregister(key.fileobj)
                    elif not self._done.is_set():
                        self._tell(GONE)  # the first passes it on
                        self._gone()
                        return
                    else:
                        selector.unregister(key.fileobj)


def received(connection: socket.socket) -> bytes:
    """The next word; GONE where the connection is closed or broken."""
    try:
        return connection.recv(1) or GONE
    except OSError:
        return GONE


def listen(count: int) -> tuple[socket.socket, bytes, bytes]:
    """What the first of `count` processes is reached by: the socket, where it listens (hosts and port, in words), and a secret."""
    server = socket.create_server(("", 0), backlog=count)
    hosts = dict.fromkeys([*outward_hosts(), socket.gethostname(), "localhost"])
    return server, " ".join([*hosts, str(server.getsockname()[1])]).encode(), secrets.token_bytes(TOKEN_BYTES)


def accept(server: socket.socket, secret: bytes, count: int) -> list[socket.socket]:
    """The connections of the `count - 1` others.

    Raises:
        TimeoutError: if they do not come.
    """
    found: list[socket.socket] = []
    server.settimeout(CONNECT_SECONDS)
    with server:
        while len(found) < count - 1:
            connection, _ = server.accept()
            connection.settimeout(CONNECT_SECONDS)
            with contextlib.suppress(OSError):
                if secrets.compare_digest(connection.recv(TOKEN_BYTES, socket.MSG_WAITALL), secret):
                    found.append(connection)
                    connection.settimeout(None)
                    continue
            connection.close()  # a stranger
    return found


def join(place: bytes, secret: bytes) -> socket.socket:
    """The connection to the first process.

    Raises:
        OSError: if it is not reached.
    """
    *hosts, port = place.decode().split()
    failed: OSError = OSError("no host was named")
    for host in hosts:
        try:
            connection = socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS / len(hosts))
        except OSError as error:
            failed = error
            continue
        connection.settimeout(None)
        connection.sendall(secret)
        return connection
    raise failed


def outward_hosts() -> Iterator[str]:
    """The address that others see this machine by, where it has a way out; no packet is sent."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # of no machine: reserved for documentation
        yield probe.getsockname()[0]


def keep_alive(connection: socket.socket) -> None:
    """Has the system notice a machine that is gone without closing its connections."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {"TCP_KEEPIDLE": SILENT_SECONDS, "TCP_KEEPINTVL": ATTEMPT_SECONDS, "TCP_KEEPCNT": ATTEMPTS}
    for name, value in wanted.items():
        if hasattr(socket, name):  # macOS lacks the first
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def watch(gone: Callable[[], None], *, leave: bool) -> Peers:
    """Has the processes that JAX's service brought together watch each other by themselves. All must call it.

    leave: that service, so that nobody waits there for others, or is ended by it.

    Raises:
        OSError: if the first process is not reached, or (TimeoutError) not all come to it.
    """
    import jax
    import numpy as np
    from jax.experimental import multihost_utils

    index, count = jax.process_index(), jax.process_count()
    if count == 1:
        return Peers([], gone)
    told = np.zeros(TOLD_BYTES, np.uint8)
    if index == 0:
        server, place, secret = listen(count)
        words = secret + place
        told[: len(words)] = np.frombuffer(words, np.uint8)
    told = multihost_utils.broadcast_one_to_all(told).astype(np.uint8).tobytes()
    secret, place = told[:TOKEN_BYTES], told[TOKEN_BYTES:].rstrip(b"\0")
    connections = accept(server, secret, count) if index == 0 else [join(place, secret)]
    if leave:
        jax.distributed.shutdown()
    return Peers(connections, gone)
