"""What nothing on this machine can beat: the disk through `sqlite3` by hand, the socket through a bare echo."""
