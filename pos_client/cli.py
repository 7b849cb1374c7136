"""The entry point of `pos-client`: works with msgspec alone as far as to say what is missing."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; one sentence where the cli extra is not installed."""
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
