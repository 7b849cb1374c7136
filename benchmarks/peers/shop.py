"""The shop of the SQLAlchemy peers: models, engine and one operation, `record`, as in the ORM's tutorial.

Durable like Tillwire (WAL, synchronous=FULL) and exactly-once as far as a primary key ensures it. Transactions begin
IMMEDIATE, as SQLAlchemy's page on SQLite advises: otherwise concurrent requests fail with "database is locked".
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, ForeignKey, Index, create_engine, event, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from benchmarks import trade

BUSY_SECONDS = 60


class Base(DeclarativeBase):
    pass


class Line(Base):
    __tablename__ = "line"
    id: Mapped[int] = mapped_column(primary_key=True)
    sale_id: Mapped[str] = mapped_column(ForeignKey("sale.id"))
    sku: Mapped[str]
    quantity: Mapped[int]
    __table_args__ = (Index("ix_line_sale_id", "sale_id"),)


class Sale(Base):
    __tablename__ = "sale"
    id: Mapped[str] = mapped_column(primary_key=True)
    terminal: Mapped[str]
    location: Mapped[str]
    occurred_at: Mapped[datetime]
    reference: Mapped[str]
    lines: Mapped[list[Line]] = relationship()


class Stock(Base):
    __tablename__ = "stock"
    location: Mapped[str] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(primary_key=True)
    on_hand: Mapped[int]


def open_engine(path: str | Path) -> Engine:
    """An engine with durable commits."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_SECONDS}, pool_timeout=BUSY_SECONDS)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def create(path: Path) -> None:
    """Create the tables, with stock of every SKU at every location."""
    engine = open_engine(path)
    Base.metadata.create_all(engine)
    rows = [
        {"location": location, "sku": sku, "on_hand": trade.OPENING_STOCK}
        for location in trade.LOCATIONS
        for sku in trade.SKUS
    ]
    with engine.begin() as connection:
        connection.execute(insert(Stock), rows)
        connection.exec_driver_sql("ANALYZE")
    engine.dispose()  # closing the last connection checkpoints the WAL


def record(session: Session, sale: dict[str, Any]) -> str:
    """Record one sale and commit it; an existing sale is left unchanged."""
    if session.get(Sale, sale["id"]) is not None:
        return "duplicate"
    occurred_at = datetime.fromisoformat(sale["occurred_at"])
    row = Sale(
        id=sale["id"],
        terminal=sale["terminal"],
        location=sale["location"],
        occurred_at=occurred_at,
        reference=sale["reference"],
    )
    for line in sale["lines"]:
        row.lines.append(Line(sku=line["sku"], quantity=line["quantity"]))
    session.add(row)
    quantities: dict[str, int] = {}
    for line in sale["lines"]:
        quantities[line["sku"]] = quantities.get(line["sku"], 0) + line["quantity"]
    wanted = (Stock.location == sale["location"], Stock.sku.in_(quantities))
    for stock in session.scalars(select(Stock).where(*wanted)):
        stock.on_hand -= quantities[stock.sku]
    session.commit()
    return "posted"
