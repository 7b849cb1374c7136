"""Why a posting can never be posted: signs, limits, rights, and the rules of voids and merges."""

from __future__ import annotations

from tests.support.model.book import Book
from tests.support.model.postings import UNITS, Document, Sender

LINE_MAX = 10**9 * UNITS
TILL_LINE_MAX = 10**6 * UNITS
SIGNED = {"sale", "adjustment"}


def refusal(id_: str, document: Document, sender: Sender, location: str, book: Book) -> str | None:
    """What forbids a posting, in a word; None where nothing does."""
    quantities = [line.quantity for line in document.lines]
    if any(abs(quantity) > (LINE_MAX if sender.operator else TILL_LINE_MAX) for quantity in quantities):
        return "quantity"
    if document.type not in SIGNED and any(quantity < 0 for quantity in quantities):
        return "sign"
    if not sender.may_post_at(location):
        return "location"
    if document.other_location == location:
        return "other location"
    if document.type == "merge":
        return _merge_refused(document, sender, book)
    if document.type == "void":
        return _void_refused(id_, document, sender, book)
    return None


def _merge_refused(document: Document, sender: Sender, book: Book) -> str | None:
    ended, into, names = str(document.merge), str(document.into), book.names()
    if not sender.operator:
        return "operators only"
    if names.at(ended) != ended:
        return "merged already"
    if names.at(into) == ended:
        return "circle"
    return None


def _void_refused(id_: str, document: Document, sender: Sender, book: Book) -> str | None:
    if document.voids == id_:
        return "void of a void"
    target = book.find(document.voids)
    earlier = [each for each in book.standing("void") if each.document.voids == document.voids]
    if target is None:
        return "voided already" if _covered(sender, [each.sender for each in earlier]) else None
    if target.type == "void":
        return "void of a void"
    if not sender.may_post_at(target.location):
        return "another location's"
    return None if book.stands(target) else "voided already"


def _covered(sender: Sender, others: list[Sender]) -> bool:
    """True where `others` have voided early whatever `sender` could."""
    if sender.operator:
        return any(other.operator for other in others)
    return all(any(other.may_post_at(place) for other in others) for place in {sender.home, *sender.earlier})
