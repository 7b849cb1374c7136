"""Shows what an import of a catalogue would change."""

from __future__ import annotations

from typing import Any

from inventory_server.commands.options import counted
from inventory_server.config import CHANGES_SHOWN
from inventory_server.imports.catalog_changes import CatalogChanges, FieldChange
from pos_client.commands import console
from pos_client.protocol.units import unscaled

_COLUMNS = {"of": False, "location": False, "field": False, "before": False, "after": False}
_QUANTITIES = ("reorder_point", "pack_size", "minimum")


def show_changes(told: CatalogChanges, wrong_barcodes: int, as_json: bool) -> None:
    """Print what would be added, changed and cleared."""
    changed = [each for each in told.changes if not each.clears]
    cleared = [each for each in told.changes if each.clears]
    if as_json:
        facts = {"added": told.added, "changed": list(map(_facts, changed)), "cleared": list(map(_facts, cleared))}
        console.print_json({**facts, "unchanged": told.unchanged, "wrong_barcodes": wrong_barcodes})
        return
    if told.changes:
        rows = [_row(each) for each in told.changes]
        console.print_table(_COLUMNS, rows[:CHANGES_SHOWN])
        if len(rows) > CHANGES_SHOWN:
            console.say(f"… and {counted(len(rows) - CHANGES_SHOWN, 'more change')}; --json has all of them.")
    new = ", ".join(told.added[:CHANGES_SHOWN]) + (", …" if len(told.added) > CHANGES_SHOWN else "")
    console.say(f"Added: {len(told.added):,}{': ' if new else ''}{new}.")
    console.say(f"Changed: {counted(len(changed), 'field')}. Cleared: {counted(len(cleared), 'field')}.")
    console.say(f"Unchanged: {told.unchanged:,}. Nothing was imported.")


def _facts(change: FieldChange) -> dict[str, Any]:
    values = {"before": _value(change.field, change.before), "after": _value(change.field, change.after)}
    return {"of": change.of, "location": change.location, "field": change.field, **values}


def _row(change: FieldChange) -> list[str]:
    before, after = (_text(_value(change.field, value)) for value in (change.before, change.after))
    return [change.of, change.location or "", change.field, before, after]


def _value(name: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return unscaled(value) if name in _QUANTITIES and value is not None else value


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)
