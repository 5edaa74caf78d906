"""Load at a fixed rate, without coordinated omission: each payment has its instant, and its time runs from then.

    .venv/bin/python bench/open_loop.py --port 8400 --bodies FILE --first 0 --rate 266 --seconds 20 --ids FILE

One thread sends on time, whatever was answered; another reads the answers. A payment for which no connection is free
opens one more, so that a slow answer delays no other payment. Prints one line of JSON.
"""

import argparse
import itertools
import json
import selectors
import socket
import sys
import threading
import time
from collections import Counter, deque
from pathlib import Path

_CONNECTIONS_AT_START = 8
_CONNECTIONS_MAX = 1_000
_ANSWER_BYTES_MAX = 65_536
_DRAIN_S = 5.0


class Connection:
    """A kept connection and the payment that is under way on it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due_s = 0.0
        self.sent_s = 0.0
        self.received = b""

    def read(self) -> tuple[int, bytes] | None:
        """Take in what has come; returns (status, body) once the answer is whole."""
        piece = self.socket.recv(_ANSWER_BYTES_MAX)
        if not piece:
            raise ConnectionError("the server hung up")
        self.received += piece
        head, blank, body = self.received.partition(b"\r\n\r\n")
        if not blank:
            return None
        lines = head.split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.lower().startswith(b"content-length:"))
        if len(body) < length:
            return None
        self.received = b""
        return int(lines[0].split()[1]), body


class Load:
    """Sends payments on time and keeps what came of them."""

    def __init__(self, port: int) -> None:
        self.from_due_s: list[float] = []
        self.from_sent_s: list[float] = []
        self.late_s: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.ids: list[str] = []
        self.opened = 0
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._free: deque[Connection] = deque()
        self._under_way = 0
        self._sending = True
        for _ in range(_CONNECTIONS_AT_START):
            self._free.append(self._open())

    def run(self, requests: list[bytes], *, rate: float) -> None:
        """Send all requests at a rate per second and wait for their answers."""
        reader = threading.Thread(target=self._read_answers)
        reader.start()
        start_s = time.perf_counter() + 0.05
        for number, request in enumerate(requests):
            due_s = start_s + number / rate
            while (left_s := due_s - time.perf_counter()) > 0:
                time.sleep(left_s)
            self._send(request, due_s)
        self._sending = False
        reader.join()

    def _send(self, request: bytes, due_s: float) -> None:
        connection = self._free.popleft() if self._free else self._open()
        connection.due_s, connection.sent_s = due_s, time.perf_counter()
        self._under_way += 1
        self.late_s.append(connection.sent_s - due_s)
        connection.socket.sendall(request)

    def _open(self) -> Connection:
        if self.opened >= _CONNECTIONS_MAX:
            raise RuntimeError(f"{_CONNECTIONS_MAX} payments wait for their answers; the server does not keep up")
        self.opened += 1
        connection = Connection(self._port)
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        return connection

    def _read_answers(self) -> None:
        last_s = time.perf_counter()
        while self._sending or len(self.from_due_s) < self._under_way:
            events = self._selector.select(0.05)
            now_s = time.perf_counter()
            if events:
                last_s = now_s
            elif now_s - last_s > _DRAIN_S and not self._sending:
                return
            for key, _ in events:
                self._take(key.data, now_s)

    def _take(self, connection: Connection, now_s: float) -> None:
        answer = connection.read()
        if answer is None:
            return
        status, body = answer
        self.statuses[status] += 1
        self.from_due_s.append(now_s - connection.due_s)
        self.from_sent_s.append(now_s - connection.sent_s)
        if status == 201:
            self.ids.append(json.loads(body)["transaction_id"])
        self._free.append(connection)


def as_request(body: bytes, port: int) -> bytes:
    """Return a payment as bytes on the wire."""
    head = (
        f"POST /transaction HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def quantiles_us(values_s: list[float]) -> dict[str, int]:
    """Return quantiles in µs by name."""
    ordered = sorted(values_s) or [0.0]
    named = {"p50_us": 0.5, "p99_us": 0.99, "p999_us": 0.999, "max_us": 1.0}
    return {name: int(ordered[min(len(ordered) - 1, int(len(ordered) * q))] * 1e6) for name, q in named.items()}


def main() -> None:
    """Send the load and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bodies", type=Path, required=True, help="one JSON body per line")
    parser.add_argument("--first", type=int, default=0, help="line to begin with, from 0")
    parser.add_argument("--rate", type=float, default=266.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--ids", type=Path, required=True, help="where the ids of those answered with 201 go")
    options = parser.parse_args()
    sys.setswitchinterval(0.0005)  # the reader shall not keep the sender from its instants
    count = int(options.rate * options.seconds)
    with options.bodies.open("rb") as file:
        lines = [line.rstrip(b"\n") for line in itertools.islice(file, options.first, options.first + count)]
    load = Load(options.port)
    load.run([as_request(line, options.port) for line in lines], rate=options.rate)
    options.ids.write_text("".join(f"{transaction_id}\n" for transaction_id in load.ids), encoding="ascii")
    others = {str(status): count for status, count in load.statuses.items() if status != 201}
    print(
        json.dumps(
            {
                "created": len(load.ids),
                "duration_us": int(options.seconds * 1e6),
                **quantiles_us(load.from_due_s),
                "from_sent": quantiles_us(load.from_sent_s),
                "late": quantiles_us(load.late_s),
                "connections": load.opened,
                "others": others,
                "socket_errors": count - sum(load.statuses.values()),
            }
        )
    )


if __name__ == "__main__":
    main()
