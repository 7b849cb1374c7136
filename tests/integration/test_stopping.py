"""A server that is told to stop hears it, however busy its threads are at that moment."""

import subprocess
import sys

import pytest

from tests.support.waiting import HANG_SECONDS

ROUNDS, MANY_ROUNDS = 40, 300
BUSY = """
import os, random, signal, sys, threading, time
from inventory_server.commands.signals import stop_signals

def compute():
    while True:
        sum(range(1_000))

def tell(after):
    time.sleep(after)
    os.kill(os.getpid(), signal.SIGTERM)

for _ in range(2):
    threading.Thread(target=compute, daemon=True).start()
for _ in range(int(sys.argv[1])):
    wait = stop_signals()
    threading.Thread(target=tell, args=(random.uniform(0, 0.003),), daemon=True).start()
    time.sleep(random.uniform(0, 0.002))
    wait()
print("heard", flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("rounds", [ROUNDS, pytest.param(MANY_ROUNDS, marks=pytest.mark.long)])
def test_no_signal_is_missed_between_two_instructions(rounds: int) -> None:
    """With an Event that a handler sets, the main thread slept on after 18 rounds; with a queue after 134."""
    command = [sys.executable, "-c", BUSY, str(rounds)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)
    assert (told.stdout, told.stderr) == ("heard\n", "")
