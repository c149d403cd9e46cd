"""Storage: a compressed network in one file, decoded bit for bit, and networks as ONNX graphs."""

from pruneedu.storage.errors import DamagedFile
from pruneedu.storage.file import decode, encode
from pruneedu.storage.inspecting import Inspection, Sizes, inspect
from pruneedu.storage.networks import contents_of, network
from pruneedu.storage.onnx_graphs import export_onnx, onnx_function
from pruneedu.storage.onnx_int8 import quantize_onnx
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
    "export_onnx",
    "inspect",
    "network",
    "onnx_function",
    "quantize_onnx",
    "sort_units",
]
