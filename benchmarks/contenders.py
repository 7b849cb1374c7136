"""Who is measured, and what they are called in tables and plots."""

CONTENDERS = {
    "live": "**Tillwire**, 64 tills, one sale in flight each",
    "drain": "**Tillwire**, 8 tills draining, 250 sales a frame",
    "R1": "R1 FastAPI + SQLAlchemy ORM + uvicorn, a commit per request, 64 clients",
    "R2": "R2 Flask + SQLAlchemy ORM + waitress, a commit per request, 64 clients",
    "R3": "R3 stock jsocket `ServerFactory` + SQLAlchemy ORM, 64 clients",
    "R4": "R4 the tutorial's loop: one socket, one commit per message",
    "L1_1": "L1 `sqlite3` by hand, 1 sale a commit",
    "L1_100": "L1 `sqlite3` by hand, 100 sales a commit",
    "L1_1000": "L1 `sqlite3` by hand, 1,000 sales a commit",
    "L2": "L2 bare echo through the same threaded server, 64 clients (frames/s)",
}
SHORT = {
    "live": "Tillwire, 64 live tills",
    "drain": "Tillwire, 8 tills draining",
    "R1": "R1 FastAPI + ORM",
    "R2": "R2 Flask + ORM",
    "R3": "R3 jsocket + ORM",
    "R4": "R4 tutorial loop",
    "L1_1": "L1 sqlite3, 1 a commit",
    "L1_100": "L1 sqlite3, 100 a commit",
    "L1_1000": "L1 sqlite3, 1,000 a commit",
    "L2": "L2 bare echo",
}
