"""A JSON server, as a library: it knows no inventory, and needs the standard library and msgspec alone.

`ServerFactory` gives each client a `JsonHandler`, and a thread unless handlers are shared; `ThreadedServer` serves one
client at a time, `RequestServer` one request per connection. docs/json-server.md is the tutorial.
"""

from inventory_server.jsonserver.certificate_end import OPENSSL, certificate_end
from inventory_server.jsonserver.factory import ServerFactory, ThreadedServer
from inventory_server.jsonserver.first_bytes import TlsNotServed
from inventory_server.jsonserver.handler import (
    AnsweredTwice,
    ConnectionLimitReached,
    EncodedReply,
    EndReason,
    JsonHandler,
    MemoryLimitReached,
    NewcomerEvicted,
    Notice,
    NotIdentified,
    Peer,
    RefusalEncoder,
    SendReply,
    ServerBusy,
    ServerRefusal,
    ShownCertificate,
)
from inventory_server.jsonserver.limits import LOOPBACK_NETWORKS, NetworkLimits, limit
from inventory_server.jsonserver.listener import (
    CannotListen,
    ListenTarget,
    address_of,
    close_listener,
    listen_on_all,
)
from inventory_server.jsonserver.networks import Networks, site_of
from inventory_server.jsonserver.pool import WorkerPool
from inventory_server.jsonserver.request_server import RequestServer
from inventory_server.jsonserver.service import ClientInfo
from inventory_server.jsonserver.tls import ServerTls
from inventory_server.jsonserver.turn import InterpreterTurn
from inventory_server.jsonserver.turns import Handlers

__all__ = [
    "LOOPBACK_NETWORKS",
    "OPENSSL",
    "AnsweredTwice",
    "CannotListen",
    "ClientInfo",
    "ConnectionLimitReached",
    "EncodedReply",
    "EndReason",
    "Handlers",
    "InterpreterTurn",
    "JsonHandler",
    "ListenTarget",
    "MemoryLimitReached",
    "NetworkLimits",
    "Networks",
    "NewcomerEvicted",
    "NotIdentified",
    "Notice",
    "Peer",
    "RefusalEncoder",
    "RequestServer",
    "SendReply",
    "ServerBusy",
    "ServerFactory",
    "ServerRefusal",
    "ServerTls",
    "ShownCertificate",
    "ThreadedServer",
    "TlsNotServed",
    "WorkerPool",
    "address_of",
    "certificate_end",
    "close_listener",
    "limit",
    "listen_on_all",
    "site_of",
]
