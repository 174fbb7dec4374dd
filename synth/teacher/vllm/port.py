"""A port for a server that starts slowly: found free, and kept from others until it listens."""

from __future__ import annotations

import random
import socket
import sys
from contextlib import closing, suppress
from dataclasses import dataclass

from synth.errors import TeacherFault

# below the ports that the kernel gives to outgoing connections: a client that tries to reach a
# server which is just starting again could be given its very port, and keep it from listening
PORTS = range(21_000, 29_000)
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Port:
    """A port of this machine that is ours.

    On Linux a bound socket that does not listen keeps it from those who look for a free one, and a
    server that allows reuse, as vLLM's does, can still listen there. Elsewhere it could not.
    """

    number: int
    held: socket.socket | None = None

    def listening(self) -> bool:
        """Whether anybody listens there."""
        with suppress(OSError), closing(socket.create_connection((HOST, self.number), 1)):
            return True
        return False

    def release(self) -> None:
        """It is anybody's again."""
        if self.held is not None:
            self.held.close()


def take_port() -> Port:
    """A free port, drawn at random. Raises `TeacherFault` when all are taken."""
    for number in random.SystemRandom().sample(PORTS, len(PORTS)):
        free = socket.socket()
        try:
            free.bind((HOST, number))  # without reuse: fails where anyone holds it
        except OSError:
            free.close()
            continue
        if sys.platform != "linux":
            free.close()
            return Port(number)
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return Port(number, free)
    raise TeacherFault(f"no free port between {PORTS.start} and {PORTS.stop - 1} on this machine")
