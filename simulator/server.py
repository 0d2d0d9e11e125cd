"""The HTTP server that simulated workspaces stand behind."""

import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import Any, Self

from simulator.wire import Answer, answer
from simulator.workspace import Workspace

OnAnswer = Callable[[str, str, float, float], None]

_STOP_WITHIN = 0.02
_NO_WORKSPACE = Answer(404, {"Content-Type": "text/html; charset=utf-8"}, b"<h1>Not Found</h1>\n")


class Server:
    """Serves one workspace or several, each connection in a thread of its own.

    Use it as a context manager, or call `start()` and `close()`. The port is bound at once.

    Args:
        workspaces: a workspace, or several by the prefix of their paths (`""`, `"/globex"`).
        host: the address to bind.
        port: the port; 0 takes a free one.
        latency: seconds by which every answer is delayed.
        on_answer: is called after each answer of a workspace, in the thread of its connection, with
            the workspace's prefix, the path within it, and when it was asked and answered, in
            seconds of `time.monotonic`.

    Attributes:
        url: the base URL, without a slash at the end; a workspace's prefix comes after it.

    Raises:
        OSError: the port cannot be bound.
    """

    def __init__(
        self,
        workspaces: Workspace | Mapping[str, Workspace],
        host: str = "127.0.0.1",
        port: int = 0,
        latency: float = 0.0,
        on_answer: OnAnswer | None = None,
    ) -> None:
        if isinstance(workspaces, Workspace):
            workspaces = {"": workspaces}
        self._http = _HTTPServer((host, port), dict(workspaces), latency, on_answer)
        self._thread: threading.Thread | None = None
        self.url = f"http://{host}:{self._http.server_address[1]}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(_STOP_WITHIN,), name="simulator"
        )
        self._thread.start()

    def close(self) -> None:
        """Stop at once, in the middle of answers too; no thread of the server is left."""
        if self._thread is not None:
            self._http.shutdown()
            self._thread.join()
            self._thread = None
        self._http.hang_up()
        self._http.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _HTTPServer(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = False
    request_queue_size = 128
    allow_reuse_port = False  # later Pythons would share a port that is taken

    def __init__(
        self,
        address: tuple[str, int],
        workspaces: dict[str, Workspace],
        latency: float,
        on_answer: OnAnswer | None,
    ) -> None:
        self.workspaces = workspaces
        self.latency = latency
        self.on_answer = on_answer
        self.closing = threading.Event()
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own looks the host's name up, which can take seconds.
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End all connections, so that their threads end too."""
        self.closing.set()
        with self._connections_lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the client hung up first

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a client that hung up is no error
            super().handle_error(request, client_address)

    def find(self, path: str) -> tuple[str, str] | None:
        """The longest prefix of a workspace that fits, and the path within it."""
        prefix = path
        while prefix:
            prefix = prefix.rpartition("/")[0]
            if prefix in self.workspaces:
                return prefix, path.removeprefix(prefix)
        return None


class _Handler(BaseHTTPRequestHandler):
    server: _HTTPServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet for head and body

    def _respond(self) -> None:
        if length := self.headers.get("Content-Length", ""):
            self.rfile.read(int(length) if length.isdigit() else 0)
        asked_at = time.monotonic()
        path, _, query = self.path.partition("?")
        if self.server.latency:
            self.server.closing.wait(self.server.latency)
        found = self.server.find(path)
        answered = _NO_WORKSPACE
        if found is not None:
            prefix, path = found
            workspace = self.server.workspaces[prefix]
            headers = dict(self.headers.items())
            client_ip = self.client_address[0]
            answered = answer(workspace, self.command, path, query, headers, client_ip)
        self.send_response_only(answered.status)
        for name, value in answered.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answered.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answered.body)
        if found is not None and self.server.on_answer is not None:
            self.server.on_answer(*found, asked_at, time.monotonic())

    def do_GET(self) -> None:
        """Answer a GET."""
        self._respond()

    def do_HEAD(self) -> None:
        """Answer a HEAD."""
        self._respond()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._respond()

    def do_PUT(self) -> None:
        """Answer a PUT."""
        self._respond()

    def do_DELETE(self) -> None:
        """Answer a DELETE."""
        self._respond()

    def log_message(self, *_args: object, **_more: object) -> None:
        """Say nothing: whoever wants to know asks `Workspace.requests`."""
