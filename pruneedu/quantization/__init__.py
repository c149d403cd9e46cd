"""Quantization: ranges of weights and inputs, grids laid over them, and networks on these grids."""

from pruneedu.quantization.affine import QParams, round_to_grid, to_floats, to_integers
from pruneedu.quantization.aware import convert, learned_step, straight_through
from pruneedu.quantization.calibration import Range, kl, minmax, moving_average, mse, percentile
from pruneedu.quantization.few_levels import binary, ternary
from pruneedu.quantization.folding import fold_batchnorm
from pruneedu.quantization.freezing import distance_to_grid, freeze_incrementally
from pruneedu.quantization.integer import IntegerLayer, integer_layer, run_numpy, run_torch
from pruneedu.quantization.integer_onnx import run_onnx
from pruneedu.quantization.mixed import bit_sensitivity, choose_bits, packed_bytes
from pruneedu.quantization.ranges import as_rows, input_ranges, weight_ranges
from pruneedu.quantization.rewriting import Plan, plan_grids, quantize
from pruneedu.quantization.schemes import asymmetric, symmetric, textbook

__all__ = [
    "IntegerLayer",
    "Plan",
    "QParams",
    "Range",
    "as_rows",
    "asymmetric",
    "binary",
    "bit_sensitivity",
    "choose_bits",
    "convert",
    "distance_to_grid",
    "fold_batchnorm",
    "freeze_incrementally",
    "input_ranges",
    "integer_layer",
    "kl",
    "learned_step",
    "minmax",
    "moving_average",
    "mse",
    "packed_bytes",
    "percentile",
    "plan_grids",
    "quantize",
    "round_to_grid",
    "run_numpy",
    "run_onnx",
    "run_torch",
    "straight_through",
    "symmetric",
    "ternary",
    "textbook",
    "to_floats",
    "to_integers",
    "weight_ranges",
]
