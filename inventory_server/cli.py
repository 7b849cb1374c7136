"""The entry point of `inventory-server`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; prints one sentence if the extra `server` is not installed."""
    try:
        from inventory_server.commands.main import main as run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("inventory_server", "pos_client"):
            raise
        print(f"inventory-server: {error.name} is missing: pip install 'tillwire[server]'", file=sys.stderr)
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
