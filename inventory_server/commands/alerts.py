"""`inventory-server alerts`: what was noticed, who is told of it, and having a paused target tried again."""

from __future__ import annotations

from pathlib import Path

import click

from inventory_server.clock import now_microseconds
from inventory_server.commands.observe import targets_of, targets_option
from inventory_server.commands.options import checked, db_option, json_option, office_of, told, when
from inventory_server.domain.alerts import ADVICE, AlertRow, ObserverState, TargetName, TargetState
from inventory_server.domain.limits import ALERTS_DEFAULT, ALERTS_MAX
from inventory_server.domain.requests import ListAlerts, RemoveTarget, ResumeTarget, ShowObserver
from inventory_server.observer.events import trial_event
from inventory_server.observer.sending import send
from inventory_server.observer.targets import shown_targets
from pos_client.commands import console
from pos_client.protocol.nearest import nearest

_COLUMNS = {"number": True, "kind": False, "said": False, "opened": False, "closed": False, "what to do": False}
_TARGET_COLUMNS = {
    "target": False,
    "state": False,
    "waiting": True,
    "delivered": True,
    "last delivery": False,
    "next try": False,
    "last error": False,
}
_TARGET_EXPECTED = "a target of 1 to 64 letters, digits, '.', '_' and '-'"


@click.group("alerts")
def alerts() -> None:
    """What the observer has noticed, and who is told of it."""


@alerts.command("list")
@click.option("--all", "with_closed", is_flag=True, help="Closed alerts, too; they are kept for a year.")
@click.option(
    "--limit",
    type=click.IntRange(1, ALERTS_MAX),
    default=ALERTS_DEFAULT,
    show_default=True,
    help="Show at most this many, the latest.",
)
@db_option
@json_option
def list_command(with_closed: bool, limit: int, db: str, as_json: bool) -> int:
    """List the alerts that are open, the latest first; exit code 1 if there is any."""
    with office_of(db) as office:
        rows: list[AlertRow] = office.ask(ListAlerts(not with_closed, limit))
        observer: ObserverState = office.ask(ShowObserver())
    if as_json:
        console.print_json([told(row) | {"what_to_do": ADVICE[row.kind]} for row in rows])
    elif observer.position is None:
        console.say("This ledger was never observed; run: inventory-server observe")
    elif not rows:
        console.say("No alert is open.")
    else:
        console.print_table(_COLUMNS, [_row(row) for row in rows])
    return console.FOUND_PROBLEMS if any(row.closed_at is None for row in rows) else console.OK


def _row(row: AlertRow) -> list[str]:
    return [str(row.number), row.kind, row.said, when(row.opened_at), when(row.closed_at), ADVICE[row.kind]]


@alerts.command("targets")
@db_option
@json_option
def targets_command(db: str, as_json: bool) -> int:
    """List the targets of deliveries with what waits for each; exit code 1 if one fails or is paused."""
    with office_of(db) as office:
        observer: ObserverState = office.ask(ShowObserver())
    if as_json:
        console.print_json(told(observer))
    elif not observer.targets:
        console.say("Nothing was queued for any target yet.")
    else:
        console.print_table(_TARGET_COLUMNS, [_target_row(each) for each in observer.targets])
    is_failing = any(each.failures for each in observer.targets)
    return console.FOUND_PROBLEMS if is_failing else console.OK


def _target_row(one: TargetState) -> list[str]:
    state = "paused" if one.paused_at is not None else "failing" if one.failures else "in order"
    figures = [f"{one.waiting:,}", f"{one.delivered:,}", when(one.delivered_at), when(one.next_at)]
    return [one.target, state, *figures, one.last_error or ""]


@alerts.command("test")
@click.argument("name", required=False)
@targets_option
@json_option
def test_command(name: str | None, targets_file: Path | None, as_json: bool) -> int:
    """Send a test event to the target NAME, or to all in the file of targets; exit code 1 if one does not take it."""
    if targets_file is None:
        raise console.CommandError("Name the file of targets with --targets, the same as of observe.")
    targets = targets_of(targets_file)
    if name is not None and name not in targets:
        near = nearest(name, targets)
        hint = f"did you mean {near!r}?" if near else f"it has {', '.join(targets) or 'none'}."
        raise console.CommandError(f"{targets_file} has no target {name!r}; {hint}")
    shown, results = shown_targets(targets), []
    for each in targets if name is None else [name]:
        now = now_microseconds()
        refusal = send(targets[each], trial_event(each, now), now)
        results.append(
            {"target": each, "is_taken": refusal is None, "error": None if refusal is None else refusal.error}
        )
        if not as_json:
            console.say(f"{each} ({shown[each]}): {'taken' if refusal is None else refusal.error}")
    if as_json:
        console.print_json(results)
    return console.OK if all(each["is_taken"] for each in results) else console.FOUND_PROBLEMS


@alerts.command("resume")
@click.argument("target")
@db_option
@json_option
def resume_command(target: str, db: str, as_json: bool) -> int:
    """Have a TARGET that is paused or failing tried again at once; what waits for it was kept."""
    checked(target, TargetName, _TARGET_EXPECTED)
    with office_of(db) as office:
        waiting: int = office.change(ResumeTarget(target))
    sentence = f"{target} is tried again at once; deliveries waiting: {waiting:,}."
    console.say_or_json(as_json, sentence, target=target, waiting=waiting)
    return console.OK


@alerts.command("remove")
@click.argument("target")
@db_option
@json_option
def remove_command(target: str, db: str, as_json: bool) -> int:
    """Forget a TARGET that is in the file no more, with what waits for it."""
    checked(target, TargetName, _TARGET_EXPECTED)
    with office_of(db) as office:
        dropped: int = office.change(RemoveTarget(target))
    console.say_or_json(
        as_json, f"{target} is forgotten; deliveries dropped: {dropped:,}.", target=target, dropped=dropped
    )
    return console.OK
