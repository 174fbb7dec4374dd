"""Three hosts of our own: network namespaces on one bridge, each with an address.

Where they cannot be made, `hosts` says why, and its processes share this machine's loopback.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

NAMES = ("main", "one", "two")


@dataclass
class Hosts:
    """The hosts, and the processes that were started on them."""

    folder: Path
    """For the logs."""
    prefix: str | None
    """Of the namespaces' names; None if the hosts are one machine."""
    why: str = ""
    """Why there are no namespaces."""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def address(self, host: str) -> str:
        """The address of a host."""
        return "127.0.0.1" if self.prefix is None else f"10.77.0.{NAMES.index(host) + 1}"

    def command(self, host: str, command: Sequence[str]) -> list[str]:
        """The command, to be started on the host."""
        inside = [] if self.prefix is None else ["ip", "netns", "exec", f"{self.prefix}-{host}"]
        return [*inside, *command]

    def start(
        self, host: str, log: str, command: Sequence[str], env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Starts a process in a session of its own, with its output in a log."""
        with (self.folder / f"{log}.log").open("wb") as file:
            process = subprocess.Popen(
                self.command(host, command),
                env=env,
                cwd=self.folder,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def cut_off(self, host: str, process: subprocess.Popen[bytes]) -> None:
        """Takes the host off the network; without namespaces, stops its process."""
        if self.prefix is None:
            os.killpg(process.pid, signal.SIGSTOP)
        else:
            _ip("-n", f"{self.prefix}-hub", "link", "set", f"to-{host}", "down")

    def join(self, host: str) -> None:
        """Puts a host back on the network."""
        if self.prefix is not None:
            _ip("-n", f"{self.prefix}-hub", "link", "set", f"to-{host}", "up")

    def end(self) -> None:
        """Ends all processes."""
        for process in self.processes:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and its children, as a power cut would."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@contextmanager
def hosts(folder: Path) -> Iterator[Hosts]:
    """The hosts, for the length of the block."""
    prefix = f"synth-{os.getpid()}"
    with ExitStack() as stack:
        try:
            _make(prefix, stack)
            made = Hosts(folder, prefix)
        except OSError as error:
            made = Hosts(folder, None, str(error))
        stack.callback(made.end)
        yield made


def _make(prefix: str, stack: ExitStack) -> None:
    for name in ("hub", *NAMES):
        _ip("netns", "add", f"{prefix}-{name}")
        stack.callback(_ip, "netns", "del", f"{prefix}-{name}")
        _ip("-n", f"{prefix}-{name}", "link", "set", "lo", "up")
    hub = ("-n", f"{prefix}-hub")
    _ip(*hub, "link", "add", "bridge", "type", "bridge")
    _ip(*hub, "link", "set", "bridge", "up")
    for number, name in enumerate(NAMES, 1):
        host, port = f"{prefix}-{name}", f"to-{name}"
        _ip(*hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", host)
        _ip(*hub, "link", "set", port, "master", "bridge", "up")
        _ip("-n", host, "address", "add", f"10.77.0.{number}/24", "dev", "eth0")
        _ip("-n", host, "link", "set", "eth0", "up")
