"""Processes that miss each other, as connections of one process."""

import socket
import threading

import pytest

from quals_jax import peers
from quals_jax.peers import Peers


def company(count):
    """The peers of `count` processes, and for each the event that another is gone."""
    server, place, secret = peers.listen(count)
    found = []
    waiting = threading.Thread(target=lambda: found.extend(peers.accept(server, secret, count)))
    waiting.start()
    joined = [peers.join(place, secret) for _ in range(count - 1)]
    waiting.join()
    gone = [threading.Event() for _ in range(count)]
    connections = [found, *([connection] for connection in joined)]
    return [Peers(own, event.set) for own, event in zip(connections, gone, strict=True)], gone, connections


def end(connections):
    """What the system does for a process that ends."""
    for connection in connections:
        connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("who", [0, 1, 2])
def test_who_ends_without_a_word_is_missed_by_all_others(who):
    _, gone, connections = company(3)
    end(connections[who])
    for number, event in enumerate(gone):
        if number != who:
            assert event.wait(600)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_who_is_done_may_end(first):
    found, gone, connections = company(3)
    found[first].done()
    end(connections[first])
    others = [number for number in range(3) if number != first]
    assert not any(gone[number].wait(0.2) for number in others)
    end(connections[others[-1]])  # not done: the last is told, unless the first of all, who would tell it, has ended
    assert gone[others[0]].wait(600 if first else 0.2) == bool(first)
    assert not gone[first].is_set()


def test_a_stranger_is_not_let_in():
    server, place, secret = peers.listen(2)
    found = []
    waiting = threading.Thread(target=lambda: found.extend(peers.accept(server, secret, 2)))
    waiting.start()
    stranger = peers.join(place, b"?" * peers.TOKEN_BYTES)
    friend = peers.join(place, secret)
    waiting.join(600)
    assert [connection.getpeername() for connection in found] == [friend.getsockname()]
    assert stranger.recv(1) == b""


def test_one_process_has_nobody_to_miss():
    Peers([], lambda: pytest.fail("gone")).done()
