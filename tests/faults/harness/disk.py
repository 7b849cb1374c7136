"""A small ext4 on a loop device that can lose its power, fill up, or turn read-only under its users."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import subprocess
import time
from pathlib import Path

from tests.support.waiting import HANG_SECONDS

_FS_IOC_SHUTDOWN = (2 << 30) | (4 << 16) | (ord("X") << 8) | 125
_WITHOUT_FLUSH = 2
MEGABYTES = 24
ALL_EXT4 = Path("/sys/fs/ext4")


class Disk:
    """A mounted file system of its own; `path` is where."""

    def __init__(self, folder: Path, megabytes: int = MEGABYTES) -> None:
        self.path = folder / "disk"
        self._image = folder / "disk.img"
        self.path.mkdir(parents=True)
        with self._image.open("wb") as image:
            image.truncate(megabytes << 20)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))
        self._device = ""
        self._mount()

    @property
    def trigger(self) -> Path:
        """Whatever is written here makes the file system fail."""
        return ALL_EXT4 / self._device / "trigger_fs_error"

    def cut_power(self) -> None:
        """Nothing that has not reached the device by now ever will; whoever writes gets EIO."""
        directory = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(directory, _FS_IOC_SHUTDOWN, struct.pack("I", _WITHOUT_FLUSH))
        finally:
            os.close(directory)

    def turn_read_only(self) -> None:
        """Let the file system find an error: it is mounted with errors=remount-ro."""
        self.trigger.write_text("1")

    def fill(self) -> None:
        """Leave no room at all."""
        for block in (1 << 20, 1 << 12, 1):
            self._fill(block)

    def _fill(self, block_bytes: int) -> None:
        with (self.path / "filler").open("ab", buffering=0) as filler:
            try:
                while filler.write(b"\0" * block_bytes) == block_bytes:
                    continue
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        """Give back what `fill` took."""
        (self.path / "filler").unlink(missing_ok=True)

    def restart(self) -> None:
        """Mount it anew, as after a power cut: the journal is replayed. Nobody may use it meanwhile."""
        self._unmount()
        subprocess.run(["e2fsck", "-p", str(self._image)], check=False, capture_output=True)
        self._mount()

    def close(self) -> None:
        """Unmount and delete it."""
        self._unmount()
        self._image.unlink()

    def _mount(self) -> None:
        _run("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.path))
        for line in Path("/proc/self/mounts").read_text().splitlines():
            device, where, *_ = line.split(" ")
            if where == str(self.path):
                self._device = Path(device).name

    def _unmount(self) -> None:
        """Unmount it, and wait until it is gone: another mount namespace may hold on to it for a moment."""
        deadline = time.monotonic() + HANG_SECONDS
        while subprocess.run(["umount", str(self.path)], check=False, capture_output=True).returncode:
            if time.monotonic() > deadline:
                _run("umount", "--lazy", str(self.path))
                break
            time.sleep(0.02)
        while (ALL_EXT4 / self._device).exists() and time.monotonic() < deadline:
            time.sleep(0.005)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
