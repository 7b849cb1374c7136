"""Every limit of the web process, defined once: its unit and reason."""

from __future__ import annotations

WEB_THREADS = 16
"""Requests that are worked on at a time: twice the connections for questions, as some wait for the server instead."""
REQUESTS_WAITING_MAX = 1_100
"""Requests that are worked on or wait for a thread: all feeds, which are opened anew at once after a restart, and
some more; above this it is `busy`. Feeds that are open do not count."""
BUSY_RETRY_MS = 1_000
"""How long a program waits before it asks again after `busy`."""
LONG_QUESTIONS_MAX = 1
"""Proofs and catalogues that are read at a time: each reads most of the ledger."""
STORY_ENTRIES_MAX = 2_000
"""Postings of a product that its page looks at: what is shown of them is some hundred kilobytes."""
STORY_WINDOWS_DAYS = (30, 7, 1)
"""Days that the page of a product looks back, the most that have no more than `STORY_ENTRIES_MAX` postings."""
PLOT_DAYS = 30
"""Days of the plot of a product: each is two questions about the past."""
COUNTED_SECONDS = 2.0
"""How long the counts of the filters are kept: of 100,000 levels they take as long as the page itself."""
COUNTED_KEPT_MAX = 256
"""Searches whose counts are kept: more than people type in that time."""
ORDER_KEPT_SECONDS = 30.0
"""How long the order list is kept: of 100,000 levels it takes seconds."""
ORDER_LINES_SHOWN = 500
"""Lines on the page Order: more than anybody orders in a morning; the export has all."""
COUNT_DAYS = 30
"""Days that the page Counts looks back: a month's stock-taking."""
COUNTS_SHOWN_MAX = 500
"""Counts that the page judges: each is read with what changed it later."""
CAUSES_SHOWN_MAX = 200
"""Causes on the page Exceptions: more than a person settles in a day."""
FEED_SHOWN = 50
"""Postings on the page of the feed."""
AUDIT_SHOWN = 100
"""Changes on the page of the audit trail."""
FORM_FIELDS_MAX = 32
"""Fields of a form: the longest of ours has a dozen."""
LANGUAGE_COOKIE_SECONDS = 365 * 86_400
"""How long a browser keeps the language that was chosen: a year, as it is a preference."""
BACKLOG_MAX = 512
"""Connections that the kernel keeps until they are accepted."""
KEEP_ALIVE_SECONDS = 20
"""How long a connection without a request stays open: a page is looked at before the next one is asked for."""
HEADER_BYTES_MAX = 16 << 10
"""Longest head of a request: a browser's are a tenth of it."""
HASHES_AT_A_TIME_MAX = 2
"""Passwords that are checked at a time: each takes 64 MiB and a tenth of a second of a processor."""
HASH_WAIT_SECONDS = 5.0
"""How long a sign-in waits for one of these places before it is `busy`."""
ARGON2_MEMORY_KIB = 65_536
"""Memory of one Argon2id hash: RFC 9106's second recommended choice."""
ARGON2_ITERATIONS = 3
"""Passes over that memory."""
ARGON2_LANES = 4
"""Lanes of it."""
PASSWORD_LENGTH_MIN = 10
"""Shortest password: length is the only rule, since others make people choose worse ones."""
PASSWORD_LENGTH_MAX = 200
"""Longest one."""
SESSION_SECONDS = 12 * 3_600
"""How long one stays signed in: a working day."""
KEY_BYTES = 32
"""Random bytes of a session, an API token or a link: 256 bits cannot be guessed."""
KEY_LENGTH_MAX = 100
"""Longest text that is looked up as one, in characters: ours have 43."""
ATTEMPTS_SECONDS = 900
"""How long a wrong password counts."""
ATTEMPTS_OF_PAIR_MAX = 5
"""Wrong passwords for a user from a peer in that time; then both have to wait: somebody has forgotten it."""
ATTEMPTS_OF_USER_MAX = 50
"""The same for a user from anywhere: guesses from many peers."""
ATTEMPTS_OF_PEER_MAX = 20
"""The same from a peer for anybody: a password tried with many names."""
ATTEMPTS_REMEMBERED_MAX = 8_192
"""Users, peers and pairs whose wrong passwords are counted; the one counted longest ago is forgotten for a new one."""
SIGN_IN_BYTES_MAX = 4_096
"""Longest body of a sign-in."""
BODY_BYTES_MAX = 700 << 10
"""Longest body: in base64 it fits a frame of the control socket."""
BODY_SECONDS = 20.0
"""How long a body may take to arrive: half a megabyte over a bad line."""
CORS_SECONDS = 600
"""How long a browser keeps which origins may call the API."""
FENCED_ATTEMPTS_MAX = 5
"""How often a post is made while its terminal says hello elsewhere: HTTP has no epoch, so being fenced passes."""
FEEDS_MAX = 1_000
"""Feeds that are open at a time; above this it is `busy`."""
FEEDS_OF_USER_MAX = 200
"""Those of one user: a token that went astray leaves room for the others. A browser has one for all its tabs."""
FEED_SECONDS = 120.0
"""How long a feed stays open: whoever goes on reading is recognised anew, so that a revoked token ends."""
STALL_SECONDS = 30.0
"""Who takes no bytes of an answer for so long is cut off; a reader of the feed goes on where it was."""
FEED_PIECE_BYTES = 16 << 10
"""Bytes handed to a connection at a time; it keeps a few of them until the reader takes them."""
FEED_UNSENT_BYTES_MAX = 64 << 20
"""Bytes of all feeds that wait for their readers; until some have been taken nobody who waits gets more."""
FEED_RETRY_MS = 2_000
"""How long a browser waits before it opens a feed again."""
POSITION_DIGITS = 18
"""Digits of a position that is looked up: more than any ledger has."""
CONNECTIONS_MAX = 1_500
"""Open connections: all feeds and as many others again; beyond this the one that has waited longest gives way."""
HEAD_SECONDS = 25.0
"""How long a connection may be without a whole head of a request: longer than it is kept open for the next one."""
WATCH_SECONDS = 2.0
"""How often each connection is looked at for that."""
UNSENT_BYTES_MAX = 128 << 20
"""Bytes of answers that wait for their readers; above this it is `busy`. A large page is some megabytes."""
REQUESTS_PER_SECOND = 50.0
"""Requests a second with the same token or session, on average; a page asks for a few of them at once."""
REQUESTS_BURST_MAX = 200.0
"""Requests at once after a pause."""
PEER_REQUESTS_PER_SECOND = 400.0
"""Requests a second from an address, whatever token they have: a proxy's, too, so it is no tight limit."""
PEER_REQUESTS_BURST_MAX = 1_600.0
"""Those at once after a pause."""
CALLERS_REMEMBERED_MAX = 8_192
"""Tokens, sessions and addresses whose requests are counted; the one seen longest ago is forgotten for a new one."""
SERVER_REPLY_SECONDS = 2.0
"""How long each server process may take to tell its counters: Prometheus gives all of them ten seconds."""
