"""A threaded server of JSON lines on the standard library's socketserver. It knows no inventory.

One thread per connection reads frames, has a handler answer each, and sends the answers in order. Handlers
come from a factory that is called with each peer. Every wait has a deadline, and every count a cap.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from inventory_server.config import Settings
from inventory_server.connection import Connection
from inventory_server.listener import Address, Listener
from inventory_server.peer import Peer, Reply
from pos_client.errors import ErrorCode, RequestError
from pos_client.wire import encode_error
