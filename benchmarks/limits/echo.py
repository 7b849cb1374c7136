"""L2: Tillwire's own threaded server with a handler that echoes each frame. `… limits.echo PORT`."""

from __future__ import annotations

import signal
import sys

from inventory_server.jsonserver.handler import EncodedReply, EndReason, Peer, SendReply
from inventory_server.jsonserver.limits import NetworkLimits
from inventory_server.jsonserver.server import LineServer
from pos_client.protocol.address import Address


class Echo:
    """Echoes the frames of one connection."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def handle(self, frame: bytes, answer: SendReply) -> None:
        """Send the frame back."""
        answer(EncodedReply(frame + b"\n", close=False))

    def close(self, reason: EndReason) -> None:
        """Nothing to release."""


def main(port: int) -> None:
    """Serve until SIGTERM."""
    server = LineServer([Address("127.0.0.1", port)], Echo, NetworkLimits())
    server.start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.stop(1)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(int(sys.argv[1]))
