"""Upper bounds of this machine: the disk through hand-written `sqlite3`, the socket through a bare echo."""
