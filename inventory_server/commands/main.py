"""The command `inventory-server`, put together."""

from __future__ import annotations

import click

from inventory_server.commands.alerts import alerts
from inventory_server.commands.archive import archive_command
from inventory_server.commands.backup import backup_command, restore_command
from inventory_server.commands.catalog import catalog
from inventory_server.commands.clients import clients_command
from inventory_server.commands.close import close_command
from inventory_server.commands.copy import compare_command, copy_command, unmove_command
from inventory_server.commands.database import audit, db_group, postings, status, verify
from inventory_server.commands.demo import demo
from inventory_server.commands.doctor import doctor
from inventory_server.commands.exceptions import exceptions
from inventory_server.commands.health import health
from inventory_server.commands.location import location_group
from inventory_server.commands.observe import observe
from inventory_server.commands.order_list import order_list
from inventory_server.commands.partition import partition_command
from inventory_server.commands.pki import pki
from inventory_server.commands.product import product
from inventory_server.commands.reconcile import reconcile_command
from inventory_server.commands.serve import serve
from inventory_server.commands.stock import stock
from inventory_server.commands.terminal import terminal
from inventory_server.commands.user import user
from inventory_server.commands.web import web
from pos_client.commands import console

PROGRAM = "inventory-server"


@click.group(PROGRAM, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tillwire", prog_name=PROGRAM)
def inventory_server() -> None:
    """Tillwire headquarters (HQ): records the tills' postings, answers stock queries and proves the stock."""


for _command in (
    serve,
    web,
    user,
    terminal,
    location_group,
    catalog,
    verify,
    status,
    reconcile_command,
    postings,
    exceptions,
):
    inventory_server.add_command(_command)
for _command in (observe, alerts):
    inventory_server.add_command(_command)
for _command in (product, stock, order_list, clients_command, health, doctor, audit, db_group, pki, demo):
    inventory_server.add_command(_command)
for _command in (
    backup_command,
    restore_command,
    copy_command,
    unmove_command,
    compare_command,
    close_command,
    partition_command,
    archive_command,
):
    db_group.add_command(_command)
inventory_server.add_command(console.completion_command(PROGRAM, "stock-query"))


def main() -> int:
    """Run the command line and return its exit code."""
    return console.run(inventory_server, PROGRAM)
