"""R1: FastAPI, the SQLAlchemy ORM, uvicorn; a session and a commit per request, as in FastAPI's tutorial."""

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.peers import shop


class LineIn(BaseModel):
    sku: str
    quantity: int


class SaleIn(BaseModel):
    id: str
    terminal: str
    location: str
    occurred_at: datetime
    reference: str
    lines: list[LineIn]


def make_app(database: str) -> FastAPI:
    """The application with its one route."""
    app = FastAPI()
    sessions = sessionmaker(shop.open_engine(database))

    def session() -> Iterator[Session]:
        with sessions() as opened:
            yield opened

    @app.post("/sales", status_code=201)
    def post_sale(sale: SaleIn, db: Annotated[Session, Depends(session)]) -> dict[str, str]:
        return {"id": sale.id, "status": shop.record(db, sale.model_dump(mode="json"))}

    return app


if __name__ == "__main__":
    uvicorn.run(make_app(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
