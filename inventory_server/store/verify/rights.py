"""Where each till could post: where it had been by a position, and where those had been that it had adopted."""

from __future__ import annotations

from sqlalchemy import Connection, select

from inventory_server.store.ledger import tables as t

_terminal, _former, _adoption = t.terminal.c, t.former_location.c, t.adoption.c
_terminals = select(_terminal.terminal, _terminal.role, _terminal.location)
_moves = select(_former.terminal, _former.location, _former.position).order_by(_former.until_at)
_adoptions = select(_adoption.terminal, _adoption.adopted, _adoption.position)


class TillRights:
    """Where each till could post, and behind which position; memory grows with terminals, moves and adoptions.

    No right is ever taken back.
    """

    def __init__(self, connection: Connection) -> None:
        terminals = connection.execute(_terminals).all()
        own: dict[str, dict[str, int]] = {}
        arrived: dict[str, int] = {}
        for terminal, location, position in connection.execute(_moves):
            _give(own.setdefault(terminal, {}), location, arrived.get(terminal, 0))
            arrived[terminal] = position
        for terminal, _, location in terminals:
            _give(own.setdefault(terminal, {}), location, arrived.get(terminal, 0))
        self._behind = {terminal: dict(own[terminal]) for terminal, role, _ in terminals if role == "till"}
        for terminal, adopted, position in connection.execute(_adoptions):
            for location, since in own.get(adopted, {}).items():
                _give(self._behind.get(terminal, {}), location, max(since, position))

    def at(self, terminal: str, position: int) -> set[str] | None:
        """Where a till could post at a position; None for any other terminal: it may post anywhere."""
        if terminal not in self._behind:
            return None
        return {location for location, behind in self._behind[terminal].items() if behind < position}


def _give(places: dict[str, int], location: str, position: int) -> None:
    places[location] = min(position, places.get(location, position))
