"""The loop that serves everybody: no peer takes more than its share of it, and it does not end unnoticed."""

import pytest

from inventory_server.jsonserver import ServerFactory
from inventory_server.jsonserver.connection import ServerConnection
from inventory_server.jsonserver.incoming import Incoming
from inventory_server.jsonserver.limits import FRAMES_AT_ONCE
from inventory_server.jsonserver.loop import Loop
from pos_client.protocol.framing import jsocket_frame
from tests.support.lines import Echo, Start, connect, start
from tests.support.waiting import wait_until

__all__ = ["start"]


class AtOnce(Echo):
    """Answers on the loop."""

    def may_block(self, frame: bytes) -> bool:
        return False


class Shares:
    """How many frames were taken in each step of any loop, and what was read while others were unanswered."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.taken = [0]
        self.read_too_early = 0
        really_feed, really_take, really_step = Incoming.feed, Incoming.take, Loop._step

        def feed(incoming: Incoming, data: bytes) -> None:
            self.read_too_early += incoming.has_more
            really_feed(incoming, data)

        def take(incoming: Incoming, most: int) -> list[bytes]:
            frames = really_take(incoming, most)
            self.taken[-1] += len(frames)
            return frames

        def step(loop: Loop, deadline: float) -> None:
            self.taken.append(0)
            really_step(loop, deadline)

        patch.setattr(Incoming, "feed", feed)
        patch.setattr(Incoming, "take", take)
        patch.setattr(Loop, "_step", step)


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> Shares:
    monkeypatch.setattr("inventory_server.jsonserver.loop.READ_BYTES", 1_024)
    return Shares(monkeypatch)


@pytest.mark.parametrize("handlers", ["shared", "thread"])
@pytest.mark.parametrize("sent", [b"\n" * 3_000, b"silence\n" * 600, jsocket_frame(b"silence") * 300])
def test_nothing_is_read_and_no_more_than_a_share_answered_while_frames_wait(
    start: Start, shares: Shares, handlers: str, sent: bytes
) -> None:
    with connect(start(factory=AtOnce, handlers=handlers)) as client:
        last = jsocket_frame(b"last") if sent.startswith(b"JSN1") else b"last\n"
        client.send(sent + last)
        while b"last" not in client.socket.recv(1 << 16):
            pass
    assert shares.read_too_early == 0
    assert max(shares.taken) <= 2 * FRAMES_AT_ONCE  # the end of one read, and the beginning of the next


@pytest.mark.parametrize("handlers", ["shared", "thread"])
def test_the_longest_limit_is_no_longer_than_the_loop_can_wait(start: Start, handlers: str) -> None:
    with connect(start(factory=AtOnce, handlers=handlers, idle_seconds=10**9)) as client:
        for _ in range(2):  # the loop has waited for the next event by the second
            client.send(b"one\n")
            assert client.read_line() == b"one"


def test_a_loop_that_fails_hangs_up_on_everybody_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Exception] = []
    server = ServerFactory(AtOnce, "127.0.0.1:0", handlers="shared", on_failure=told.append)
    server.start()
    with connect(server) as client:
        client.send(b"one\n")
        assert client.read_line() == b"one"

        def fail(*_: object) -> None:
            raise MemoryError

        def closes_and_fails() -> None:
            stops_listening()
            fail()

        stops_listening = server._stop_listening
        monkeypatch.setattr(server, "_stop_listening", closes_and_fails)
        monkeypatch.setattr(ServerConnection, "on_failure", fail)
        assert server._service is not None
        server._service.loop.call(fail, next(iter(server._served)))
        assert client.read_line() == b""
    with pytest.raises(RuntimeError, match="loop that serves all clients has failed") as raised:
        server.serve_forever()
    assert isinstance(raised.value.__cause__, MemoryError)
    wait_until(lambda: [type(each) for each in told] == [MemoryError])
    assert "event=loop_failed" in caplog.text
    assert "event=close_failed" in caplog.text  # and everybody is hung up on all the same
    assert server.connections == 0
