"""A server that is told to stop hears it, however busy its threads are at that moment."""

import subprocess
import sys

from tests.support.waiting import HANG_SECONDS

ROUNDS = 120
BUSY = f"""
import os, random, signal, threading, time
from inventory_server.commands.signals import stop_signals

def compute():
    while True:
        sum(range(1_000))

def tell(after):
    time.sleep(after)
    os.kill(os.getpid(), signal.SIGTERM)

for _ in range(2):
    threading.Thread(target=compute, daemon=True).start()
for _ in range({ROUNDS}):
    wait = stop_signals()
    threading.Thread(target=tell, args=(random.uniform(0, 0.003),), daemon=True).start()
    time.sleep(random.uniform(0, 0.002))
    wait()
print("heard", flush=True)
os._exit(0)
"""


def test_no_signal_is_missed_between_two_instructions() -> None:
    """With an Event that a handler sets, the main thread slept on after 18 rounds; with a queue after 134."""
    told = subprocess.run(
        [sys.executable, "-c", BUSY], capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert (told.stdout, told.stderr) == ("heard\n", "")
