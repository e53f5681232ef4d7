"""The cable that long tests cut does what a network does."""

import contextlib
import socket
import socketserver
import threading

import pytest

from tests.cable import Cable


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):
            while some := self.request.recv(1000):
                self.request.sendall(some.upper())


@pytest.fixture
def server():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as made:
        made.daemon_threads = True
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield made.server_address
        made.shutdown()


def asked(connection, what=b"hello"):
    connection.sendall(what)
    return connection.recv(1000)


def test_what_is_cut_ends_and_is_refused_until_it_is_mended(server):
    with Cable(server) as cable:
        with socket.create_connection(("127.0.0.1", cable.port), 5) as connection:
            assert asked(connection) == b"HELLO"
            cable.cut()
            with contextlib.suppress(ConnectionError):
                assert asked(connection) == b""
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", cable.port), 5)
        cable.mend()
        with socket.create_connection(("127.0.0.1", cable.port), 5) as connection:
            assert asked(connection) == b"HELLO"


def test_what_is_muted_says_nothing_and_comes_later(server):
    with Cable(server) as cable, socket.create_connection(("127.0.0.1", cable.port), 5) as connection:
        assert asked(connection) == b"HELLO"
        cable.mute()
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            asked(connection, b"still")
        cable.mend()
        connection.settimeout(5)
        assert connection.recv(1000) == b"STILL"


def test_a_server_that_is_away_ends_the_connection():
    with Cable(("127.0.0.1", 9)) as cable, socket.create_connection(("127.0.0.1", cable.port), 5) as connection, contextlib.suppress(ConnectionError):
        assert connection.recv(10) == b""
