"""Messages of bytes over a socket: a length, then as many bytes."""

import socket
from collections.abc import Iterator

_HEADER = 8  # bytes that hold the length


def send(connection: socket.socket, message: bytes) -> None:
    """Send one message whole.

    >>> here, there = socket.socketpair()
    >>> send(here, b"one"), send(here, b""), here.close()
    (None, None, None)
    >>> list(receive(there, limit=100)), there.close()
    ([b'one', b''], None)
    """
    connection.sendall(len(message).to_bytes(_HEADER, "big") + message)


def receive(connection: socket.socket, limit: int) -> Iterator[bytes]:
    """Yield each message that comes in whole, until the other end closes.

    Raises:
        OverflowError: more than `limit` bytes have come in all, whatever the lengths claim.
    """
    buffer, total = bytearray(), 0
    while chunk := connection.recv(1 << 16):
        buffer += chunk
        total += len(chunk)
        if total > limit:
            raise OverflowError(f"more than {limit:,} bytes came in")
        while len(buffer) >= _HEADER:
            end = _HEADER + int.from_bytes(buffer[:_HEADER], "big")
            if len(buffer) < end:
                break
            yield bytes(buffer[_HEADER:end])
            del buffer[:end]
