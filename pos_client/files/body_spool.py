"""`BodySpool`: the bodies of many postings, in a temporary file as soon as they are more than memory should hold."""

from __future__ import annotations

import tempfile
import threading
import weakref

from pos_client.files.limits import BODY_BYTES_IN_MEMORY
from pos_client.files.problems import FileError


class BodySpool:
    """Keeps bodies until they are sent. The temporary file has no name and is gone with this object."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(BODY_BYTES_IN_MEMORY)  # noqa: SIM115 - closed by the finalizer
        self._end = 0
        self._lock = threading.Lock()
        """Guards the place in the file: several threads read, each a body at a time."""
        weakref.finalize(self, self._file.close)

    def add(self, body: bytes) -> int:
        """Keep `body`; return where. FileError if there is no space left."""
        at = self._end
        try:
            self._file.write(body)
        except OSError as error:
            raise FileError(
                f"The folder for temporary files ({tempfile.gettempdir()}) cannot take the postings: {error.strerror}. "
                "Make space, or name another one with TMPDIR."
            ) from error
        self._end += len(body)
        return at

    def read(self, at: int, size: int) -> bytes:
        """The body of `size` bytes that was kept there; nothing is added any more from the first one on."""
        with self._lock:
            self._file.seek(at)
            return self._file.read(size)
