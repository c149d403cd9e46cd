"""Storage: a compressed network as one file with few bytes, decoded bit for bit."""

from pruneedu.storage.errors import DamagedFile
from pruneedu.storage.file import decode, encode
from pruneedu.storage.inspecting import Inspection, Sizes, inspect
from pruneedu.storage.networks import contents_of, network
from pruneedu.storage.ordering import sort_units
from pruneedu.storage.parts import Contents, Plain, Quantized, Shared, eighth_power

__all__ = [
    "Contents",
    "DamagedFile",
    "Inspection",
    "Plain",
    "Quantized",
    "Shared",
    "Sizes",
    "contents_of",
    "decode",
    "eighth_power",
    "encode",
    "inspect",
    "network",
    "sort_units",
]
