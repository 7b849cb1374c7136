"""Every limit and timeout of a client's connection, once: its unit, and the reason."""

CONNECT_SECONDS = 10.0
"""How long connecting may take: a line that is slower is as good as none."""
REPLY_SECONDS = 30.0
"""How long a reply may take; past it the outcome of the request is unknown."""
REPLY_BYTES_MAX = 64 << 20
"""Longest reply that is read: far above any page of stock levels, far below a till's memory."""
READ_BYTES = 1 << 16
"""Bytes asked for at a time: a page of stock levels takes few reads."""
KEEPALIVE_IDLE_SECONDS = 30
"""Silence after which TCP keepalive probes the server: a server that is gone is noticed before the next sale."""
KEEPALIVE_INTERVAL_SECONDS = 10
"""Time between two probes."""
KEEPALIVE_PROBES = 3
"""Unanswered probes that end a connection: one or two may be lost on a bad line."""
UNIX_PATH_BYTES_MAX = 107
"""Longest path in the address of a Unix socket (Linux); a longer one is reached through its folder's descriptor."""
FEED_SILENCE_SECONDS = 90.0
"""A feed that tells nothing for so long has lost its connection: HQ tells its place every 30 seconds."""
FEED_BACKOFF_FIRST_SECONDS = 0.5
"""Upper end of the first pause before a feed connects again; doubled with each failure."""
FEED_BACKOFF_MAX_SECONDS = 30.0
"""Upper end of the longest one: all screens of a chain must not overrun an HQ that comes back."""
