"""The command group `pos-client`."""

from __future__ import annotations

import click

from pos_client.commands import console
from pos_client.commands.deliver import deliver
from pos_client.commands.enroll import enroll
from pos_client.commands.faultkit import faultkit
from pos_client.commands.goods import count, receive
from pos_client.commands.outbox import outbox
from pos_client.commands.replay import replay
from pos_client.commands.sell import return_, sell
from pos_client.commands.status import status
from pos_client.commands.transfer import transfer
from pos_client.commands.void import void

PROGRAM = "pos-client"


@click.group(PROGRAM, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tillwire", prog_name=PROGRAM)
def pos_client() -> None:
    """Tillwire for tills: record postings, inspect the outbox, replay sales files, test a till program."""


_RECORDING = (sell, return_, receive, count, transfer, void)
for _command in (*_RECORDING, enroll, deliver, status, outbox, replay, faultkit, console.completion_command(PROGRAM)):
    pos_client.add_command(_command)


def main() -> int:
    """Run the command line and return its exit code."""
    return console.run(pos_client, PROGRAM)
