"""The HTTP server of a fleet: one thread, whatever the number of workspaces and connections."""

import asyncio
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import format_datetime
from http import HTTPStatus
from typing import TextIO

from simulator.fleet import MAX_SIZE, Fleet
from simulator.responses import Response, respond

_NO_WORKSPACE = Response(404, {"Content-Type": "text/html; charset=utf-8"}, b"<h1>Not Found</h1>\n")


class FleetServer:
    """Serves a fleet; the workspace with the number 7 has the prefix `/w7`.

    Args:
        fleet: the fleet.
        latency: seconds by which every response is delayed.
        jitter: by how much a delay can be shorter or longer, in seconds.
        log: where to write a line for each request: its begin and end (Unix time), the
            workspace's number, the endpoint and the status, which is 0 without a response.

    Attributes:
        requests: the number of requests to workspaces.
        overlaps: how many of them began while another to the same workspace had not ended.
    """

    def __init__(
        self, fleet: Fleet, *, latency: float = 0.0, jitter: float = 0.0, log: TextIO | None = None
    ) -> None:
        self.fleet = fleet
        self.latency = latency
        self.jitter = jitter
        self.log = log
        self.requests = 0
        self.overlaps = 0
        self._in_progress: set[int] = set()

    async def serve(self, host: str, port: int, on_start: Callable[[str], None]) -> None:
        """Serve until SIGINT or SIGTERM; `on_start` gets the base URL.

        Raises:
            OSError: the port cannot be bound.
        """
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connect, host, port, backlog=1024)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        on_start(f"http://{host}:{server.sockets[0].getsockname()[1]}")
        await stop.wait()
        server.close()
        # `asyncio.run` cancels the tasks of the connections.

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Respond to the requests of a connection."""
        peer = writer.get_extra_info("peername")[0]
        # The client or this server closes the connection.
        with suppress(OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
            while response := await self._respond(reader, peer):
                writer.write(response)
                await writer.drain()
        writer.transport.abort()

    async def _respond(self, reader: asyncio.StreamReader, peer: str) -> bytes | None:
        """Read a request and return its response, None for none."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        started = time.time()
        request, *lines = head.rstrip("\r\n").split("\r\n")
        method, _, target = request.partition(" ")
        headers = dict(line.split(": ", 1) for line in lines if ": " in line)
        # A body would be taken for the next request.
        if method != "GET" or "Content-Length" in headers:
            return None
        number, path, query = self._split(target.rpartition(" ")[0])
        if number is None:
            return _encode(_NO_WORKSPACE)
        is_overlap = number in self._in_progress
        self.requests += 1
        self.overlaps += is_overlap
        self._in_progress.add(number)
        status = 0
        try:
            if self.latency:
                await asyncio.sleep(self.latency + random.uniform(-self.jitter, self.jitter))
            failure = self.fleet.failure(number)
            if failure == "hanging":
                await reader.read()
            if failure in ("hanging", "unreachable"):
                return None
            workspace = self.fleet.workspace(number)
            workspace.outage = 500 if failure == "500" else None
            if failure == "401":
                workspace.users.clear()
            response = respond(workspace, method, path, query, headers, peer)
            status = response.status
            return _encode(response, Date=format_datetime(workspace.server_time(), usegmt=True))
        finally:
            if not is_overlap:
                self._in_progress.discard(number)
            if self.log is not None:
                endpoint = path.rpartition("/")[2]
                self.log.write(f"{started:.6f} {time.time():.6f} {number} {endpoint} {status}\n")

    def _split(self, target: str) -> tuple[int | None, str, str]:
        """Return a workspace's number, None if there is none, the path within it and the query."""
        path, _, query = target.partition("?")
        prefix, slash, rest = path.removeprefix("/").partition("/")
        digits = prefix.removeprefix("w")
        if prefix != f"w{digits}" or not digits.isdecimal() or len(digits) > len(str(MAX_SIZE)):
            return None, path, query
        number = int(digits)
        return (number if number < self.fleet.size else None), f"{slash}{rest}", query


def _encode(response: Response, **more: str) -> bytes:
    headers = {**more, **response.headers, "Content-Length": str(len(response.body))}
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + response.body


def run(
    fleet: Fleet,
    host: str,
    port: int,
    *,
    latency: float = 0.0,
    jitter: float = 0.0,
    log: TextIO | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; print the settings, and at the end the number of requests.

    Raises:
        OSError: the port cannot be bound.
    """
    server = FleetServer(fleet, latency=latency, jitter=jitter, log=log)

    def print_settings(url: str) -> None:
        sys.stdout.write(
            f"{fleet.size:,} workspaces of Rocket.Chat {fleet.era.version}, simulated, at "
            f"{url}/w0 to {url}/w{fleet.size - 1} (stop with Ctrl-C)\n"
            f"export FLEET_URL={url}\n"
            f"export FLEET_SIZE={fleet.size}\n"
            f"export FLEET_USER_ID={fleet.user_id}\n"
            f"export FLEET_AUTH_TOKEN={fleet.token}\n"
            'IMPORTMONITOR["WORKSPACES"] = "simulator.fleet_settings.workspaces"\n'
        )
        sys.stdout.flush()

    # Before the first request, which would wait for them.
    _ = fleet.courses
    asyncio.run(server.serve(host, port, print_settings))
    sys.stdout.write(
        f"{server.requests:,} requests, {server.overlaps:,} of which overlapped another to the "
        "same workspace\n"
    )
