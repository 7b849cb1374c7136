"""Two network namespaces and a cable between them that loses, repeats and delays packets, from a seed.

Each namespace has one end of a TUN device; a thread carries the packets across. It needs no module of the kernel
beside TUN, and the seed decides the fate of every packet.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import random
import select
import struct
import subprocess
import threading
from pathlib import Path

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_PACKET_BYTES = 65_536
SERVER_HOST, TILL_HOST = "10.66.0.1", "10.66.0.2"
_numbers = itertools.count()


class LossyLink:
    """A cable between two fresh namespaces; `loss` (0 to 1) of the packets vanish, 1 is a cable that is cut."""

    def __init__(self, rng: random.Random) -> None:
        self.loss = 0.0
        self.lost = 0
        self._random = rng
        number = next(_numbers)
        mark = f"{os.getpid() % 100_000}n{number}"
        self._names = [f"tw{mark}s", f"tw{mark}t"]
        self._files: list[int] = []
        self._wake_reader, self._wake_writer = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True, name="lossy link")
        try:
            for name, own, peer in zip(self._names, (SERVER_HOST, TILL_HOST), (TILL_HOST, SERVER_HOST), strict=True):
                self._files.append(_tun(name))
                _ip("netns", "add", name)
                _ip("link", "set", name, "netns", name)
                _ip("-n", name, "addr", "add", own, "peer", peer, "dev", name)
                for device in ("lo", name):
                    _ip("-n", name, "link", "set", device, "up")
        except BaseException:
            self.close()
            raise
        self._thread.start()

    @property
    def server_namespace(self) -> Path:
        """Where the server's end is."""
        return Path("/run/netns", self._names[0])

    @property
    def till_namespace(self) -> Path:
        """Where the tills' end is."""
        return Path("/run/netns", self._names[1])

    def close(self) -> None:
        """Take everything away."""
        os.write(self._wake_writer, b"x")
        if self._thread.is_alive():
            self._thread.join()
        for file in (*self._files, self._wake_reader, self._wake_writer):
            os.close(file)
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def _carry(self) -> None:
        server, till = self._files
        across = {server: till, till: server}
        while True:
            ready, _, _ = select.select([server, till, self._wake_reader], [], [])
            if self._wake_reader in ready:
                return
            for file in ready:
                packet = os.read(file, _PACKET_BYTES)
                if self._random.random() < self.loss:
                    self.lost += 1
                    continue
                copies = 2 if self._random.random() < self.loss / 4 else 1
                for _ in range(copies):
                    os.write(across[file], packet)


def _tun(name: str) -> int:
    file = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH14s", name.encode(), _IFF_TUN | _IFF_NO_PI, b""))
    return file


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
