"""A network between a program and a server of a test's, that can be cut: connections end and new ones are refused, or bytes vanish without a word."""

import selectors
import socket
import threading
from types import TracebackType
from typing import Self

from streams.ports import free_port


class Cable:
    """Forwards a port of its own to ``target`` until it is cut, and again once it is mended. A thread of its own moves the bytes."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target, self.port = target, free_port()
        self.pairs: dict[socket.socket, socket.socket] = {}
        self.lock = threading.Lock()
        self.listener: socket.socket | None = None
        self.silent = self.ended = False
        self.selector = selectors.DefaultSelector()
        self.thread = threading.Thread(target=self._run, name="cable", daemon=True)

    def __enter__(self) -> Self:
        self.mend()
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.cut()
        self.ended = True
        self.thread.join(10)
        self.selector.close()

    def mend(self) -> None:
        """Bytes flow again, and new connections are taken. What was cut stays cut."""
        with self.lock:
            self.silent = False
            if self.listener is None:
                self.listener = socket.create_server(("127.0.0.1", self.port))
                self.selector.register(self.listener, selectors.EVENT_READ)

    def cut(self) -> None:
        """Every connection ends, new ones are refused."""
        with self.lock:
            if self.listener is not None:
                self.selector.unregister(self.listener)
                self.listener.close()
                self.listener = None
            for end in list(self.pairs):
                self._close(end)

    def mute(self) -> None:
        """Nothing ends, and nothing comes through: as where a switch loses every packet. Bytes wait and come once it is mended, as TCP repeats them."""
        with self.lock:
            self.silent = True

    def _run(self) -> None:
        while not self.ended:
            for key, _ in self.selector.select(0.05):
                with self.lock:
                    if self.silent:
                        continue
                    if key.fileobj is self.listener:
                        self._accept()
                    elif key.fileobj in self.pairs:
                        self._forward(key.fileobj)  # type: ignore[arg-type]
            if self.silent:
                threading.Event().wait(0.05)

    def _accept(self) -> None:
        assert self.listener is not None
        near, _ = self.listener.accept()
        try:
            far = socket.create_connection(self.target, 5)
        except OSError:
            near.close()
            return
        for one, other in ((near, far), (far, near)):
            self.pairs[one] = other
            self.selector.register(one, selectors.EVENT_READ)

    def _forward(self, end: socket.socket) -> None:
        try:
            some = end.recv(65_536)
            if some:
                self.pairs[end].sendall(some)
                return
        except OSError:
            pass
        self._close(end)

    def _close(self, end: socket.socket) -> None:
        other = self.pairs.pop(end, None)
        for one in filter(None, (end, other)):
            self.pairs.pop(one, None)
            if one.fileno() >= 0:
                self.selector.unregister(one)
                one.close()
