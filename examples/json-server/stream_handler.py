"""A program for `socketserver`, ported; comments show its lines. Run: python stream_handler.py [localhost:9999]"""

import sys

from inventory_server.jsonserver import EncodedReply, JsonHandler, SendReply, ServerFactory


class Upper(JsonHandler):  # class Upper(socketserver.StreamRequestHandler):
    """Answers each line in upper case; a line needs not be JSON."""

    def setup(self) -> None:  # def setup(self):
        """Called once the connection stands."""
        # super().setup()                         # not needed: nothing is to be prepared
        print("from", self.peer.address)  # print("from", "%s:%d" % self.client_address)

    def handle_frame(self, line: bytes, answer: SendReply) -> None:  # def handle(self): for line in self.rfile:
        """Called for each line, without its end."""
        # line = line.rstrip(b"\n")
        answer(EncodedReply(line.upper() + b"\n", close=line == b"quit"))  # self.wfile.write(line.upper() + b"\n")
        # if line == b"quit": return

    def finish(self) -> None:  # def finish(self):
        """Called once the connection has ended."""
        # super().finish()
        print("gone", self.peer.address, flush=True)  # print("gone", "%s:%d" % self.client_address)


# with socketserver.ThreadingTCPServer(("localhost", 9999), Upper) as server:
with ServerFactory(Upper, *sys.argv[1:] or ["localhost:9999"]) as server:
    print("serving on", server.addresses[0], flush=True)
    server.serve_forever()  # server.serve_forever()
