"""Alembic's entry: the caller passes the connection, the tables are those of the store."""

from alembic import context

from inventory_server.store.ledger.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
