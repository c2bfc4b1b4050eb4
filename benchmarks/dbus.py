"""What a desktop's own bus does: dbus-daemon relaying method calls of the size of a small message.

`python -m benchmarks.dbus SECONDS` prints a line of JSON: calls without an answer and calls with one, a
second, and for each second of the daemon's CPU. The two clients are bare sockets with messages made before,
so the daemon is what is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from shutil import which
from time import perf_counter

__all__ = ["dbus_is_missing"]

_CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="false"/><allow own="*"/></policy>
</busconfig>"""

_CALL, _RETURN = 1, 2
_PATH, _INTERFACE, _MEMBER, _REPLY_SERIAL, _DESTINATION, _SIGNATURE = 1, 2, 3, 5, 6, 8
_NO_REPLY = 1
_FIXED = 16
"""Bytes of a message before the array of its fields."""

_AT_ONCE = 10
_TEXT = "x" * 100
_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def dbus_is_missing() -> bool:
    """Whether there is no dbus-daemon here."""
    return which("dbus-daemon") is None


def _text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode() + b"\0"


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def _field(code: int, signature: str, value: bytes) -> bytes:
    return bytes((code, len(signature))) + signature.encode() + b"\0" + value


def _message(kind: int, flags: int, fields: list[bytes], text: str | None = None) -> Callable[[int], bytes]:
    """Return what makes the message with a serial number."""
    body = b"" if text is None else _text(text)
    if text is not None:
        fields = [*fields, _field(_SIGNATURE, "g", b"\x01s\0")]
    listed = b""
    for field in fields:
        listed = _padded(listed) + field
    begun = struct.pack("<cBBBI", b"l", kind, flags, 1, len(body))
    # Twelve bytes stand before the fields, and the body begins at a multiple of eight.
    whole = _padded(bytes(12) + struct.pack("<I", len(listed)) + listed)[12:] + body
    return lambda serial: begun + struct.pack("<I", serial) + whole


def _call(
    destination: str, member: str, *, flags: int = 0, text: str | None = None
) -> Callable[[int], bytes]:
    bus = "org.freedesktop.DBus"
    return _message(
        _CALL,
        flags,
        [
            _field(_PATH, "o", _text("/org/freedesktop/DBus")),
            _field(_DESTINATION, "s", _text(destination)),
            _field(_INTERFACE, "s", _text(bus)),
            _field(_MEMBER, "s", _text(member)),
        ],
        text,
    )


def _answer(serial: int, destination: str) -> Callable[[int], bytes]:
    number = struct.pack("<I", serial)
    to = _field(_DESTINATION, "s", _text(destination))
    return _message(_RETURN, _NO_REPLY, [_field(_REPLY_SERIAL, "u", number), to], _TEXT)


class _Client:
    """One connection to the bus."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.serial = 0

    @classmethod
    async def connect(cls, socket: Path) -> _Client:
        """Connect, and say who we are."""
        client = cls(*await asyncio.open_unix_connection(socket))
        uid = str(os.getuid()).encode().hex()
        client.writer.write(f"\0AUTH EXTERNAL {uid}\r\n".encode())
        await client._reader.readline()
        client.writer.write(b"BEGIN\r\n")
        client.say(_call("org.freedesktop.DBus", "Hello"))
        await client.hear()
        client.name = ":1." + str(cls._count)
        cls._count += 1
        return client

    _count = 0
    name = ""

    def say(self, make: Callable[[int], bytes]) -> int:
        """Send a message; return its serial number."""
        self.serial += 1
        self.writer.write(make(self.serial))
        return self.serial

    async def hear(self) -> tuple[int, int]:
        """Return the kind and the serial number of the next message."""
        head = await self._reader.readexactly(_FIXED)
        _, kind, _, _, body, serial, fields = struct.unpack("<cBBBIII", head)
        await self._reader.readexactly(fields + -fields % 8 + body)
        return kind, serial


async def _notify(sender: _Client, receiver: _Client, seconds: float) -> int:
    """Send calls that want no answer, a hundred under way at most; return how many have come."""
    message = _call(receiver.name, "Notify", flags=_NO_REPLY, text=_TEXT)
    sent = seen = 0
    begun = perf_counter()
    while perf_counter() - begun < seconds:
        while sent - seen < 100:
            sender.say(message)
            sent += 1
        await _next_call(receiver)
        seen += 1
    for _ in range(sent - seen):
        await _next_call(receiver)
    return sent


async def _call_and_answer(sender: _Client, receiver: _Client, seconds: float) -> int:
    """Send calls, ten under way, and answer them; return how many were answered."""
    message = _call(receiver.name, "Call", text=_TEXT)
    begun = perf_counter()
    done = 0
    stopping = False

    async def answer() -> None:
        while True:
            serial = await _next_call(receiver)
            receiver.say(_answer(serial, sender.name))

    answering = asyncio.create_task(answer())
    for _ in range(_AT_ONCE):
        sender.say(message)
    open_calls = _AT_ONCE
    while open_calls:
        kind, _ = await sender.hear()
        if kind != _RETURN:
            continue
        done += 1
        stopping = perf_counter() - begun >= seconds
        if stopping:
            open_calls -= 1
        else:
            sender.say(message)
    answering.cancel()
    return done


async def _next_call(client: _Client) -> int:
    while True:
        kind, serial = await client.hear()
        if kind == _CALL:
            return serial


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


async def _measure(seconds: float, socket: Path, pid: int) -> dict[str, float]:
    sender, receiver = await _Client.connect(socket), await _Client.connect(socket)
    seen: dict[str, float] = {}
    for name, work in (("notify", _notify), ("call", _call_and_answer)):
        cpu, begun = _cpu_seconds(pid), perf_counter()
        done = await work(sender, receiver, seconds)
        taken, used = perf_counter() - begun, _cpu_seconds(pid) - cpu
        seen |= {name: done / taken, f"{name} per CPU s": done / used if used else 0.0}
    for client in (sender, receiver):
        client.writer.close()
    return seen


def main() -> None:
    """Measure with a daemon of our own, and print the outcome."""
    seconds = float(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="asyncsamp-dbus-") as folder:
        socket, configuration = Path(folder, "bus"), Path(folder, "bus.conf")
        configuration.write_text(_CONFIGURATION.format(socket=socket))
        daemon = subprocess.Popen(
            ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--print-address"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert daemon.stdout is not None
            daemon.stdout.readline()  # it listens
            print(json.dumps(asyncio.run(_measure(seconds, socket, daemon.pid))))
        finally:
            daemon.terminate()
            daemon.wait()


if __name__ == "__main__":
    main()
