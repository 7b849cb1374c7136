"""`python -m tests.attack.generator NAME TARGET SECONDS`: carries out one attack, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.attack.catalogue import ATTACKS
from tests.attack.target import Target


def main(name: str, target: str, seconds: str) -> None:
    """Attack, and print what was done."""
    print(ATTACKS[name].run(Target.load(Path(target)), float(seconds)))


if __name__ == "__main__":
    main(*sys.argv[1:])
