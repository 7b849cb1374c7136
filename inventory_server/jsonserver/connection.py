"""The server side of one connection: frames in order to a handler, replies in order back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from inventory_server.jsonserver.handler import EncodedReply, EndReason, Handler, Notice, Peer, ServerRefusal
from inventory_server.jsonserver.limits import BULK_READ_BYTES, READ_BYTES, NetworkLimits
from inventory_server.jsonserver.stream import ServerStream
from pos_client.protocol.framing import FrameTooLong, LineFramer

log = logging.getLogger("tillwire.connection")


class ServerConnection:
    """An accepted connection, used by its own thread alone, but for `stop_reading` and `close_by_force`.

    A reply that another thread has ready is sent by that thread: waking this one would cost more than sending.
    """

    def __init__(
        self, stream: ServerStream, peer: Peer, limits: NetworkLimits, encode_refusal: Callable[[ServerRefusal], bytes]
    ) -> None:
        self.peer = peer
        self._stream = stream
        self._limits = limits
        self._encode_refusal = encode_refusal
        self._since = time.monotonic()
        self._frame_deadline: float | None = None
        self._parting = False
        self._stopping = False
        # Why another thread has ended the connection.
        self._broken_off: EndReason | None = None
        self._thread_id = 0
        # Held while a frame is being answered.
        self._answering = threading.Lock()
        self._is_sending_rest = False

    def serve(self, handler: Handler) -> EndReason:
        """Answer frames until either side ends the connection or a deadline passes; return why it ended."""
        self._thread_id = threading.get_ident()
        log.debug("event=client_connected peer=%s", self.peer.address)
        return self._run_to_end(lambda: self._serve(handler))

    def turn_away(self, refusal: ServerRefusal) -> EndReason:
        """Send the line for `refusal` and end the connection."""

        def refuse() -> EndReason:
            self._stream.configure()
            self._refuse(refusal)
            return EndReason.connection_limit_reached

        return self._run_to_end(refuse)

    def stop_reading(self) -> None:
        """Have the connection end once what has arrived is answered; called by another thread."""
        self._stopping = True
        self._stream.stop_reading()

    def close_by_force(self) -> None:
        """End the connection now; called by another thread."""
        self._break_off(EndReason.closed_by_force)

    def close(self) -> None:
        """Close the stream; a reply that comes later is dropped."""
        self._stream.close()

    def _run_to_end(self, talk: Callable[[], EndReason]) -> EndReason:
        """Run `talk` and log how the connection ended; a handler's exception passes through."""
        reason, cause = EndReason.handler_failed, "-"
        try:
            reason = talk()
        except TimeoutError as error:
            reason, cause = EndReason.timed_out, str(error)
        except OSError as error:
            reason, cause = EndReason.connection_lost, str(error)
        finally:
            reason = self._broken_off or reason
            self._log_end(reason, cause)
        return reason

    def _log_end(self, reason: EndReason, cause: str) -> None:
        level = logging.INFO if reason is EndReason.timed_out else logging.DEBUG
        seconds = time.monotonic() - self._since
        event = "event=client_disconnected peer=%s reason=%s seconds=%.1f error=%s"
        log.log(level, event, self.peer.address, reason, seconds, cause)

    def _serve(self, handler: Handler) -> EndReason:
        self._stream.configure()
        try:
            self._handle_frames(handler)
            self._await_answer()
        except FrameTooLong as error:
            self._await_answer()
            self._refuse(error)
            return EndReason.frame_too_long
        if self._parting:
            self._stream.linger()
            return EndReason.handler_closed
        return EndReason.server_stopped if self._stopping else EndReason.client_closed

    def _handle_frames(self, handler: Handler) -> None:
        """Pass frame after frame to the handler, until the client or a reply ends the connection."""
        framer = LineFramer(self._limits.max_frame_bytes)
        read, size = self._stream.read, READ_BYTES
        while data := read(size):
            size = BULK_READ_BYTES if len(data) == size else READ_BYTES
            for frame in framer.feed(data):
                if not self._take_turn():
                    return
                handler.handle(frame, self._answer)
                if self._parting:
                    return
                if self._frame_deadline is not None:
                    self._end_frame()
            if framer.pending_bytes:
                self._await_rest_of_frame()

    def _take_turn(self) -> bool:
        """Wait until the previous frame is answered; False where that reply has ended the connection."""
        self._await_answer()
        if self._parting:
            self._answering.release()
        return not self._parting

    def _await_answer(self) -> None:
        """Acquire `_answering` once the last frame is answered; TimeoutError where the client may be gone by then.

        A client that has stopped sending may still be reading, or be gone: TCP does not tell which. A client that is
        gone must not hold a thread and a descriptor for as long as a database hangs.
        """
        while not self._answering.acquire(timeout=self._limits.half_closed_seconds):
            if not self._stopping and not self._is_sending_rest and self._stream.has_hung_up():
                raise TimeoutError("no reply in time for a client that may be gone")

    def _answer(self, reply: EncodedReply | Notice | None) -> None:
        if isinstance(reply, Notice):
            self._write_or_break_off(reply.data)
            return
        if reply is not None:
            self._parting = reply.close
            if threading.get_ident() == self._thread_id:
                self._stream.write(reply.data)
            elif rest := self._send_from_elsewhere(reply):
                self._send_later(rest)
                return
        self._answering.release()

    def _send_from_elsewhere(self, reply: EncodedReply) -> memoryview | None:
        """Send without waiting, and return what did not fit into the socket's buffer."""
        if reply.close:
            self._stream.shutdown()
            return None
        try:
            sent = self._stream.try_write(reply.data)
        except OSError:
            return None  # the connection's own thread notices when it reads
        return memoryview(reply.data)[sent:]

    def _send_later(self, rest: memoryview) -> None:
        """Send the rest to a slow reader on a thread of its own; a connection has at most one."""
        self._is_sending_rest = True
        try:
            threading.Thread(
                target=self._send_rest, args=(rest,), name=f"answer {self.peer.address}", daemon=True
            ).start()
        except RuntimeError as error:
            log.error("event=thread_start_failed peer=%s error=%s", self.peer.address, error)
            self._break_off(EndReason.thread_start_failed)
            self._answering.release()

    def _send_rest(self, rest: memoryview) -> None:
        try:
            self._write_or_break_off(rest)
        finally:
            self._is_sending_rest = False
            self._answering.release()

    def _write_or_break_off(self, data: bytes | memoryview) -> None:
        try:
            self._stream.write(data)
        except TimeoutError:
            self._break_off(EndReason.timed_out)
        except OSError:
            self._break_off(EndReason.connection_lost)

    def _break_off(self, reason: EndReason) -> None:
        """End the connection now, without raising."""
        self._broken_off = self._broken_off or reason
        self._stream.shutdown()

    def _await_rest_of_frame(self) -> None:
        now = time.monotonic()
        if self._frame_deadline is None:
            self._frame_deadline = now + self._limits.frame_seconds
        self._stream.set_read_timeout(self._frame_deadline - now)

    def _end_frame(self) -> None:
        self._frame_deadline = None
        self._stream.set_read_timeout(self._limits.idle_seconds)

    def _refuse(self, refusal: ServerRefusal) -> None:
        self._stream.write(self._encode_refusal(refusal))
        self._stream.linger()
