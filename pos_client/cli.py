"""The entry point of `pos-client`; without the `cli` extra it prints which package is missing."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line and return its exit code."""
    try:
        from pos_client.commands.main import main as run
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        print(f"pos-client: {error.name} is missing: pip install 'tillwire[cli]'", file=sys.stderr)
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
