"""Values reach the database as they are, whatever is in them and however many rows there are."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, Connection, Engine, Integer, LargeBinary, MetaData, Table, create_engine
from sqlalchemy.pool import StaticPool

from inventory_server.store.database.url import database_of
from inventory_server.store.ledger.sql import Insert, Lookup
from inventory_server.store.ledger.tables import TEXT
from tests.support.postgres import Cluster

TABLE = Table(
    "anything",
    MetaData(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("text", TEXT),
    Column("large", BigInteger),
    Column("raw", LargeBinary),
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
VALUES = st.tuples(
    st.none() | TEXTS | st.sampled_from(['"', "\\", "{}", ",", "NULL", "", '\\"x', " a "]),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.binary(max_size=12),
)


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    if request.param == "sqlite":
        engine = create_engine("sqlite://", poolclass=StaticPool)
    else:
        cluster: Cluster = request.getfixturevalue("postgres")
        engine = database_of(cluster.url(cluster.database())).writing_engine()
    yield from _with_table(engine)
    engine.dispose()


def _with_table(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        TABLE.create(connection)
        yield connection
        connection.rollback()


@given(values=st.lists(VALUES, min_size=1, max_size=40))
def test_what_is_written_is_found_again(
    connection: Connection, values: list[tuple[str | None, int | None, bytes | None]]
) -> None:
    rows = [(number, *each) for number, each in enumerate(values)]
    connection.execute(TABLE.delete())
    Insert(TABLE)(connection, rows)
    found = Lookup(TABLE, [TABLE.c.number])(connection, [(number,) for number, *_ in rows])
    assert sorted(found, key=lambda row: int(row[0])) == rows
    for number, text, large, raw in rows:
        if text is not None and large is not None and raw is not None:
            lookup = Lookup(TABLE, [TABLE.c.text, TABLE.c.large, TABLE.c.raw], TABLE.c.number)
            assert (number,) in lookup(connection, [(text, large, raw)])
