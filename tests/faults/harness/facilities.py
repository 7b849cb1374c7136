"""What a machine must offer for a kind of fault, and the reason to print where it does not."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.faults.harness.disk import Disk


@cache
def loop_disk() -> str | None:
    """A file system of our own on a loop device, which may be shut down under its users."""
    if os.geteuid() != 0:
        return "needs root, to mount a file system"
    if shutil.which("mkfs.ext4") is None:
        return "needs mkfs.ext4"
    with tempfile.TemporaryDirectory() as folder:
        try:
            disk = Disk(Path(folder))
        except subprocess.CalledProcessError as error:
            return f"cannot mount a loop device: {error.stderr.decode().strip()}"
        try:
            disk.cut_power()
        except OSError as error:
            return f"cannot shut a file system down: {error.strerror}"
        finally:
            disk.close()
    return None


@cache
def error_trigger() -> str | None:
    """An ext4 that can be told to fail, which makes it read-only under its users."""
    reason = loop_disk()
    if reason is not None:
        return reason
    with tempfile.TemporaryDirectory() as folder:
        disk = Disk(Path(folder))
        try:
            return None if disk.trigger.exists() else "this kernel's ext4 has no trigger_fs_error"
        finally:
            disk.close()


@cache
def compiler() -> str | None:
    """A C compiler, for the shim that fails and records disk operations."""
    return None if shutil.which("cc") or shutil.which("gcc") else "needs a C compiler for the disk shim"


@cache
def namespaces() -> str | None:
    """Network namespaces with a link of our own between them."""
    from tests.faults.harness.link import LossyLink

    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    if shutil.which("ip") is None or not Path("/dev/net/tun").exists():
        return "needs iproute2 and /dev/net/tun"
    try:
        LossyLink(random.Random(0)).close()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"cannot make network namespaces: {error}"
    return None
