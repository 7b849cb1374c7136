"""The rules of stock as a slow program that shares no code with production: it replays all postings per question."""

from tests.support.model.clock import Tick
from tests.support.model.hq import Answer, Model, Stock
from tests.support.model.postings import Sender

__all__ = ["Answer", "Model", "Sender", "Stock", "Tick"]
