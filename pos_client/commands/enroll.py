"""`pos-client enroll`: gets a till its token with a one-time code."""

from __future__ import annotations

from pathlib import Path

import click

from pos_client.commands import console
from pos_client.commands.options import json_option, outbox_option
from pos_client.commands.server_options import ServerAddress
from pos_client.protocol.address import Address
from pos_client.protocol.enrolment import read_code
from pos_client.till.enrolled_files import EnrolledFiles
from pos_client.transport.enrolling import enrol


@click.command("enroll")
@click.argument("server", type=ServerAddress(), metavar="HQ")
@click.argument("code")
@outbox_option
@json_option
def enroll(server: Address, code: str, outbox: Path, as_json: bool) -> int:
    """Enrol this till at HQ with the CODE that the operator has made (inventory-server terminal add --code).

    HQ has to prove that it knows the code, too. The token, and the certificate of the authority that the till trusts
    from then on, are kept beside the outbox.
    """
    if (read := read_code(code)) is None:
        raise console.CommandError(f"Expected a code of 10 letters and digits 2 to 7, got {code!r}: type it again.")
    files = EnrolledFiles(outbox)
    try:
        done = enrol(server, read, files.prepare)
    except BaseException:
        files.forget()
        raise
    files.keep(done.token)
    sentence = (
        f"Enrolled as the {done.role} {done.terminal} at {done.location}. "
        f"Its token is in {files.token}, HQ's authority in {files.authority}."
    )
    told = {"token_file": str(files.token), "authority": str(files.authority)}
    console.say_or_json(as_json, sentence, terminal=done.terminal, role=done.role, location=done.location, **told)
    return console.OK
