"""How a bug is planted: a piece of production code is replaced for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

Plant = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted bug: its name, what is wrong with it, and whether it does without the database's unique ids.

    `thoroughly` where nothing but flags is wrong: they are not looked at in every run.
    """

    name: str
    fault: str
    plant: Plant
    unique_ids: bool = True
    thoroughly: bool = False


@contextmanager
def replaced(owner: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Put `make(original)` in the place of an attribute."""
    original = owner.__dict__[name]
    setattr(owner, name, make(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


def together(*planted: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
    stack = ExitStack()
    for each in planted:
        stack.enter_context(each)
    return stack


def never(*_: Any) -> None:
    """Leave out what should be done here."""
