"""The only place that knows SQLAlchemy: tables, the write path, the read side."""
