"""Reads what a scanner sends: barcodes with a GTIN, GS1 2D codes and Digital Links, and the labels of scales."""

from pos_client.barcodes.patterns import ScalePattern, load_patterns
from pos_client.barcodes.reader import BarcodeReader
from pos_client.barcodes.scan import BarcodeError, Scan, ext_of

__all__ = ["BarcodeError", "BarcodeReader", "ScalePattern", "Scan", "ext_of", "load_patterns"]
