#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes cast-tables.h: what ONNX's reference implementation and ml_dtypes make of chosen values.

Run by hand where the tables should change: python3 cast-tables.py > cast-tables.h (needs numpy, ml_dtypes, onnx)."""
import ml_dtypes
import numpy as np
import onnx
from onnx import numpy_helper

FLOAT8 = ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"]
DECODED = FLOAT8 + ["float8_e8m0fnu", "float4_e2m1fn"]


def inputs():
    values = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 3.4028235e38, -3.4028235e38, 1.17549435e-38, 1e-45]
    for top in (6, 240, 448, 57344, 65504):  # the largest values, what rounds to them, what does not
        for factor in (1, 1.01, 1.03125, 1.03, 1.0625, 1.07, 1.1, 1.125, 1.2, 1.25, 1.5, 2):
            values += [top * factor, -top * factor]
    for smallest in (2.0**-10, 2.0**-9, 2.0**-17, 2.0**-16, 2.0**-24, 2.0**-14, 0.5, 2.0**-133):
        for factor in (0.25, 0.5, 0.5000001, 0.75, 1, 1.25, 1.5, 1.5000001, 2.5, 3.5):
            values += [smallest * factor, -smallest * factor]
    for one in (1.0, 3.0, 100.0, 0.1):  # ties and their neighbours at each width
        for bits in (1, 2, 3, 7, 10):
            tie = np.float32(one + 2.0 ** -(bits + 1))
            values += [tie, np.nextafter(tie, np.float32(np.inf)), np.nextafter(tie, np.float32(0))]
    values += list(np.random.default_rng(1).normal(0, 30, 60))
    return np.array(values, dtype=np.float32)


def codes(array):
    return np.asarray(array).view(np.uint16 if np.asarray(array).dtype.itemsize == 2 else np.uint8).tolist()


def emit(name, ctype, items):
    print(f"static const {ctype} {name}[] = {{")
    for i in range(0, len(items), 12):
        print("  " + ", ".join(str(item) for item in items[i : i + 12]) + ",")
    print("};")


def bits32(array):
    return [f"0x{int(v):08x}" for v in np.asarray(array, dtype=np.float32).view(np.uint32)]


def main():
    np.seterr(all="ignore")
    print("// SPDX-License-Identifier: MIT")
    print(f"// Written by cast-tables.py with onnx {onnx.__version__}, ml_dtypes {ml_dtypes.__version__}, numpy {np.__version__}")
    print("#pragma once\n#include <cstdint>\n// clang-format off")
    x = inputs()
    emit("cast_inputs", "uint32_t", bits32(x))
    emit("cast_float16", "uint16_t", codes(x.astype(np.float16)))
    emit("cast_bfloat16", "uint16_t", codes(x.astype(ml_dtypes.bfloat16)))
    emit("cast_float4e2m1", "uint8_t", codes(x.astype(ml_dtypes.float4_e2m1fn)))
    for name in FLOAT8:
        dtype = np.dtype(getattr(ml_dtypes, name))
        short = name.replace("_", "")
        emit(f"cast_{short}_saturated", "uint8_t", codes(numpy_helper.saturate_cast(x, dtype)))
        emit(f"cast_{short}_plain", "uint8_t", codes(x.astype(dtype)))
    for saturate in (True, False):
        for mode in ("up", "down", "nearest"):
            positive = np.abs(x)
            result = numpy_helper.to_float8e8m0(positive, saturate, mode)
            emit(f"cast_float8e8m0_{mode}_{'saturated' if saturate else 'plain'}", "uint8_t", codes(result))
    for name in DECODED:
        dtype = np.dtype(getattr(ml_dtypes, name))
        count = 16 if "float4" in name else 256
        values = np.arange(count, dtype=np.uint8).view(dtype).astype(np.float32)
        emit("decoded_" + name.replace("_", ""), "uint32_t", bits32(values))


main()
