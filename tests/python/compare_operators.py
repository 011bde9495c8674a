# SPDX-License-Identifier: MIT
"""Compares single operators with onnxruntime on random shapes, element types and attributes. A development tool: needs
numpy, onnx and onnxruntime.

usage: compare_operators.py [--rounds N] [--seed N] [OPERATOR...]

Each operator has a function that draws a case. What onnxruntime refuses is skipped and counted; results at one and two
threads must be the same bytes."""
import argparse
import collections
import os
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

import halftone_ctypes as ht

FLOATS = (np.float32, np.float64, np.float16)
INTEGERS = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)

Case = collections.namedtuple("Case", "inputs attributes opset outputs exact")
DRAW = {}


def draws(*operators):
    def register(function):
        for operator in operators:
            DRAW[operator] = function
        return function
    return register


def case(inputs, opset, attributes=None, outputs=1, exact=False):
    arrays = [None if x is None else np.asarray(x) for x in inputs]
    return Case(arrays, attributes or {}, opset, outputs, exact)


def shape(rng, low, high, largest=6, empty=True):
    dims = rng.integers(1, largest + 1, rng.integers(low, high + 1)).tolist()
    if empty and dims and rng.random() < 0.05:
        dims[rng.integers(len(dims))] = 0
    return dims


def values(rng, dims, dtype, low=-100, high=100):
    if np.issubdtype(dtype, np.floating):
        return np.asarray(rng.standard_normal(dims) * 2, dtype)
    if dtype == np.bool_:
        return np.asarray(rng.integers(0, 2, dims), dtype)
    info = np.iinfo(dtype)
    return np.asarray(rng.integers(max(low, info.min), min(high, info.max), dims, endpoint=True), dtype)


def pick(rng, options):
    return options[rng.integers(len(options))]


def broadcast_pair(rng):
    dims = shape(rng, 0, 4)
    other = [d if rng.random() < 0.7 else 1 for d in dims[rng.integers(len(dims) + 1):]]
    return (dims, other) if rng.random() < 0.5 else (other, dims)


@draws("LRN")
def draw_lrn(rng, op):
    dims = [int(rng.integers(1, 4)), int(rng.integers(1, 40)), int(rng.integers(1, 30)), int(rng.integers(1, 30))]
    attributes = {"size": int(pick(rng, [1, 3, 5, 7])), "alpha": float(rng.random()), "bias": float(1 + rng.random())}
    if rng.random() < 0.5:
        attributes["beta"] = float(pick(rng, [0.5, 1.0, 0.6, 0.75]))
    return case([values(rng, dims, np.float32)], pick(rng, [7, 13]), attributes)


def codes(rng, dims, dtype=None):
    return values(rng, dims, dtype or pick(rng, [np.int8, np.uint8]), -128, 255)


def scale(rng, dims=()):
    return np.asarray(rng.random(dims) * 0.02 + 0.001, np.float32)


def product_dims(rng):
    """Shapes of both sides, and of a parameter for each row and each column."""
    m, k, n = (int(d) for d in rng.integers(1, 40, 3))
    batch = shape(rng, 0, 2, 3, False)
    return batch + [m, k], (batch if rng.random() < 0.5 else []) + [k, n], m, n


@draws("MatMulInteger")
def draw_matmul_integer(rng, op):
    a, b, m, n = product_dims(rng)
    x, y = codes(rng, a), codes(rng, b)
    inputs = [x, y]
    if rng.random() < 0.8:
        inputs.append(codes(rng, [], x.dtype))
        if rng.random() < 0.8:
            inputs.append(codes(rng, pick(rng, [[], [n]]), y.dtype))
    return case(inputs, 10)


@draws("QLinearMatMul")
def draw_qlinear_matmul(rng, op):
    a, b, m, n = product_dims(rng)
    x, y, out = codes(rng, a), codes(rng, b), pick(rng, [np.int8, np.uint8])
    parameter = pick(rng, [[], [n]])
    return case([x, scale(rng), codes(rng, [], x.dtype), y, scale(rng, parameter), codes(rng, parameter, y.dtype),
                 scale(rng) * 30, codes(rng, [], x.dtype)], pick(rng, [10, 21]))


def conv_dims(rng):
    axes, group = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    kernel = rng.integers(1, 4, axes).tolist()
    x = [int(rng.integers(1, 3)), group * int(rng.integers(1, 4))] + rng.integers(7, 14, axes).tolist()
    w = [group * int(rng.integers(1, 5)), x[1] // group] + kernel
    attributes = {"group": group, "strides": rng.integers(1, 4, axes).tolist(),
                  "dilations": rng.integers(1, 3, axes).tolist()}
    if rng.random() < 0.5:
        attributes["pads"] = rng.integers(0, 3, 2 * axes).tolist()
    else:
        attributes["auto_pad"] = pick(rng, ["VALID", "SAME_UPPER", "SAME_LOWER"])
        attributes["dilations"] = [1] * axes
    return x, w, attributes


@draws("ConvInteger")
def draw_conv_integer(rng, op):
    x, w, attributes = conv_dims(rng)
    data, weight = codes(rng, x, np.uint8), codes(rng, w)
    inputs = [data, weight]
    if rng.random() < 0.8:
        inputs.append(codes(rng, [], data.dtype))
        if rng.random() < 0.8:
            inputs.append(codes(rng, [], weight.dtype))
    return case(inputs, 10, attributes)


@draws("QLinearConv")
def draw_qlinear_conv(rng, op):
    x, w, attributes = conv_dims(rng)
    data, weight = codes(rng, x), codes(rng, w)
    many = pick(rng, [[], [w[0]]])
    zero = np.zeros(many, weight.dtype) if many else codes(rng, [], weight.dtype)
    inputs = [data, scale(rng), codes(rng, [], data.dtype), weight, scale(rng, many), zero, scale(rng) * 30,
              codes(rng, [], data.dtype)]
    if rng.random() < 0.5:
        inputs.append(values(rng, [w[0]], np.int32, -5000, 5000))
    return case(inputs, 10, attributes)


@draws("DynamicQuantizeLinear")
def draw_dynamic(rng, op):
    return case([values(rng, shape(rng, 0, 4, empty=False), np.float32) + np.float32(rng.integers(-4, 5))], 11,
                outputs=3)


@draws("BitwiseNot")
def draw_bitwise_not(rng, op):
    return case([values(rng, shape(rng, 0, 4), pick(rng, INTEGERS))], 18)


@draws("BitwiseAnd", "BitwiseOr", "BitwiseXor")
def draw_bitwise(rng, op):
    dtype = pick(rng, INTEGERS)
    return case([values(rng, dims, dtype) for dims in broadcast_pair(rng)], 18)


@draws("BitShift")
def draw_shift(rng, op):
    a, b = broadcast_pair(rng)
    dtype = pick(rng, (np.uint8, np.uint16, np.uint32, np.uint64))
    return case([values(rng, a, dtype), values(rng, b, dtype, 0, 7)], 11, {"direction": pick(rng, ["LEFT", "RIGHT"])})


def reduction(rng, opset):
    return pick(rng, ["none", "add", "mul", "max", "min"][:5 if opset >= 18 else 3 if opset >= 16 else 1])


@draws("ScatterElements")
def draw_scatter_elements(rng, op):
    opset = pick(rng, [11, 13, 16, 18])
    dims = shape(rng, 1, 4, empty=False)
    axis = int(rng.integers(-len(dims), len(dims)))
    taken = [int(rng.integers(1, d + 1)) for d in dims]
    dtype, kind = pick(rng, FLOATS[:2] + INTEGERS), reduction(rng, opset)
    if kind == "none":  # without a reduction, indices must not repeat
        order = np.argsort(rng.random(taken[:axis % len(dims)] + [dims[axis]] + taken[axis % len(dims) + 1:]), axis)
        indices = np.take(order, range(taken[axis]), axis)
        indices = np.where(rng.random(indices.shape) < 0.3, indices - dims[axis], indices)
    else:
        indices = rng.integers(-dims[axis], dims[axis], taken)
    attributes = {"axis": axis} if opset < 16 else {"axis": axis, "reduction": kind}
    return case([values(rng, dims, dtype, -5, 5), indices.astype(pick(rng, [np.int32, np.int64])),
                 values(rng, taken, dtype, -5, 5)], opset, attributes)


@draws("ScatterND")
def draw_scatter_nd(rng, op):
    opset = pick(rng, [11, 13, 16, 18])
    dims = shape(rng, 1, 4, empty=False)
    depth = int(rng.integers(1, len(dims) + 1))
    rows, kind = shape(rng, 0, 2, 3, False), reduction(rng, opset)
    if kind == "none":
        rows = []
    indices = np.stack([rng.integers(-d, d, rows) for d in dims[:depth]], -1)
    dtype = pick(rng, FLOATS[:2] + INTEGERS)
    return case([values(rng, dims, dtype, -5, 5), indices, values(rng, rows + dims[depth:], dtype, -5, 5)], opset,
                {} if opset < 16 else {"reduction": kind})


@draws("Compress")
def draw_compress(rng, op):
    dims = shape(rng, 1, 4, empty=False)
    axis = int(rng.integers(-len(dims), len(dims))) if rng.random() < 0.7 else None
    length = int(np.prod(dims)) if axis is None else dims[axis]
    condition = values(rng, [int(rng.integers(1, length + 1))], np.bool_)
    return case([values(rng, dims, pick(rng, FLOATS + INTEGERS)), condition], pick(rng, [9, 11]),
                {} if axis is None else {"axis": axis if axis >= 0 else axis + len(dims)})


@draws("Unique")
def draw_unique(rng, op):
    dims = shape(rng, 1, 3, empty=False)
    attributes = {"sorted": int(rng.integers(2))}
    if rng.random() < 0.6:
        attributes["axis"] = int(rng.integers(-len(dims), len(dims)))
    x = np.round(values(rng, dims, pick(rng, [np.float32, np.float64, np.int64, np.int8]), -2, 2) / 2)
    return case([x.astype(pick(rng, [np.float32, np.float64, np.int64, np.int8]))], 11, attributes, 4)


@draws("Hardmax")
def draw_hardmax(rng, op):
    dims = shape(rng, 1, 4)
    return case([np.round(values(rng, dims, pick(rng, FLOATS)))], pick(rng, [11, 13]),
                {"axis": int(rng.integers(-len(dims), len(dims)))} if rng.random() < 0.8 else {})


@draws("EyeLike")
def draw_eye_like(rng, op):
    attributes = {"k": int(rng.integers(-7, 8))}
    if rng.random() < 0.5:
        attributes["dtype"] = int(pick(rng, [1, 6, 7, 11, 13]))
    return case([values(rng, shape(rng, 2, 2), pick(rng, [np.float32, np.int64]))], 9, attributes)


@draws("HannWindow", "HammingWindow", "BlackmanWindow")
def draw_window(rng, op):
    attributes = {"periodic": int(rng.integers(2)), "output_datatype": 1}
    return case([np.asarray(rng.integers(2, 60), pick(rng, [np.int32, np.int64]))], 17, attributes)


@draws("LpNormalization")
def draw_lp_normalization(rng, op):
    dims = shape(rng, 1, 4)
    return case([values(rng, dims, pick(rng, FLOATS[:2]))], 1 + 6,
                {"axis": int(rng.integers(-len(dims), len(dims))), "p": int(pick(rng, [1, 2]))})


@draws("LpPool")
def draw_lp_pool(rng, op):
    axes, opset = int(rng.integers(1, 4)), pick(rng, [11, 18])
    x = [int(rng.integers(1, 4)), int(rng.integers(1, 4))] + rng.integers(7, 14, axes).tolist()
    attributes = {"kernel_shape": rng.integers(1, 4, axes).tolist(), "strides": rng.integers(1, 4, axes).tolist(),
                  "p": int(rng.integers(1, 4))}
    if rng.random() < 0.5:
        attributes["pads"] = [int(rng.integers(0, k)) for k in attributes["kernel_shape"] * 2]
    else:
        attributes["auto_pad"] = pick(rng, ["VALID", "SAME_UPPER", "SAME_LOWER"])
        attributes["strides"] = [1] * axes  # onnxruntime crops where the kernel is smaller than the stride
    if opset >= 18:
        attributes["ceil_mode"] = int("pads" in attributes and rng.integers(2))
        if "pads" in attributes:
            attributes["dilations"] = rng.integers(1, 3, axes).tolist()
    return case([values(rng, x, np.float32)], opset, attributes)


@draws("GlobalLpPool")
def draw_global_lp_pool(rng, op):
    return case([values(rng, shape(rng, 3, 5, empty=False), np.float32)], 7, {"p": int(rng.integers(1, 4))})


@draws("Det")
def draw_det(rng, op):
    n = int(rng.integers(1, 6))
    return case([values(rng, shape(rng, 0, 2) + [n, n], np.float32)], 11)


@draws("ReverseSequence")
def draw_reverse_sequence(rng, op):
    dims = shape(rng, 2, 4, empty=False)
    time = int(rng.integers(2))
    lengths = rng.integers(1, dims[time] + 1, dims[1 - time])
    return case([values(rng, dims, pick(rng, FLOATS + INTEGERS)), lengths], 10,
                {"time_axis": time, "batch_axis": 1 - time})


@draws("GridSample")
def draw_grid_sample(rng, op):
    opset = pick(rng, [16, 20])
    axes = int(pick(rng, [2, 3])) if opset >= 20 else 2
    x = rng.integers(1, 7, 2 + axes).tolist()
    grid = [x[0]] + rng.integers(1, 7, axes).tolist() + [axes]
    modes = ["nearest", "linear", "cubic"][:2 if axes == 3 else 3] if opset >= 20 else ["nearest", "bilinear", "bicubic"]
    attributes = {"mode": pick(rng, modes), "padding_mode": pick(rng, ["zeros", "border", "reflection"]),
                  "align_corners": int(rng.integers(2))}
    return case([values(rng, x, np.float32), (rng.random(grid) * 3 - 1.5).astype(np.float32)], opset, attributes)


@draws("MeanVarianceNormalization")
def draw_mvn(rng, op):
    dims = [d + 1 for d in shape(rng, 1, 4, empty=False)]  # of one element onnxruntime makes 0 / 0
    axes = sorted(rng.choice(len(dims), int(rng.integers(1, len(dims) + 1)), False).tolist())
    if len(dims) == 4 and rng.random() < 0.5:
        return case([values(rng, dims, np.float32)], pick(rng, [9, 13]))
    return case([values(rng, dims, np.float32)], pick(rng, [9, 13]), {"axes": axes})


@draws("RMSNormalization")
def draw_rms(rng, op):
    dims = shape(rng, 1, 4, 40, empty=False)
    axis = int(rng.integers(-len(dims), len(dims)))
    dtype = pick(rng, FLOATS)
    return case([values(rng, dims, dtype), values(rng, dims[axis:], dtype)], 23,
                {"axis": axis, "epsilon": float(pick(rng, [1e-5, 1e-2]))})


@draws("Einsum")
def draw_einsum(rng, op):
    equation = pick(rng, ["ij->ji", "ii->i", "ii", "ij,jk->ik", "bij,bjk->bik", "bij,bjk", "i,i", "i,j->ij", "...ij,...jk->...ik",
                          "a...b,b...->a...", "abc,cd,de->abe", "ab,ac,ad->bcd", "abc->", "abc->c", "bhid,bhjd->bhij",
                          "...,...", "ij , jk", "XaY,aY->Xa", "...a->...", "ab,cb->ca", "ijk,jil->kl"])
    letters = {c: int(rng.integers(1, 7)) for c in equation if c.isalpha()}
    batch = shape(rng, 0, 2, 4, False)
    inputs, dtype = [], pick(rng, FLOATS[:2] + (np.int32, np.int64))
    for term in equation.replace(" ", "").split("->")[0].split(","):
        dims = []
        for part in term.replace("...", "."):
            dims += batch if part == "." else [letters[part]]
        inputs.append(values(rng, dims, dtype, -5, 5))
    return case(inputs, 12, {"equation": equation})


def model(op, drawn, path):
    names = ["" if x is None else f"in{i}" for i, x in enumerate(drawn.inputs)]
    outputs = [f"out{i}" for i in range(drawn.outputs)]
    node = helper.make_node(op, names, outputs, **drawn.attributes)
    given = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
             for n, x in zip(names, drawn.inputs) if n]
    graph = helper.make_graph([node], "g", given, [onnx.ValueInfoProto(name=n) for n in outputs])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", drawn.opset)], ir_version=9)
    onnx.save(made, path)
    return {n: x for n, x in zip(names, drawn.inputs) if n}, made


def differs(drawn, found, expected):
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return f"{found.dtype}{found.shape} instead of {expected.dtype}{expected.shape}"
    if not np.issubdtype(expected.dtype, np.floating):
        return "" if np.array_equal(found, expected) else f"{found.ravel()[:8]} instead of {expected.ravel()[:8]}"
    tolerance = 0 if drawn.exact else {2: 4e-3, 4: 2e-5, 8: 1e-9}[expected.itemsize]
    if np.allclose(found.astype(np.float64), expected.astype(np.float64), tolerance, tolerance, equal_nan=True):
        return ""
    return f"{found.ravel()[:8]} instead of {expected.ravel()[:8]}"


def run_one(op, drawn, path):
    """None: onnxruntime refuses it; else what differs."""
    feeds, made = model(op, drawn, path)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        expected = ort.InferenceSession(made.SerializeToString(), options).run(None, feeds)
    except Exception:
        return None
    runs = []
    try:
        executor = ht.Executor(path)
        for threads in (1, 2):
            ht.set_threads(threads)
            runs.append(executor.run(feeds))
    except RuntimeError as error:
        return str(error)
    if any(a.tobytes() != b.tobytes() for a, b in zip(*runs)):
        return "other bytes with two threads"
    return next(filter(None, (differs(drawn, a, b) for a, b in zip(runs[0], expected))), "")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("operators", nargs="*")
    arguments = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for op in arguments.operators or sorted(DRAW):
            rng = np.random.default_rng(arguments.seed)
            skipped, wrong = 0, []
            for _ in range(arguments.rounds):
                drawn = DRAW[op](rng, op)
                problem = run_one(op, drawn, os.path.join(folder, "model.onnx"))
                skipped += problem is None
                if problem:
                    kinds = [None if x is None else f"{x.dtype}{x.shape}" for x in drawn.inputs]
                    wrong.append(f"    opset {drawn.opset} {kinds} {drawn.attributes}: {problem}")
            print(f"{op:24} {arguments.rounds - skipped - len(wrong)} right, {len(wrong)} wrong, {skipped} skipped")
            print(*wrong[:5], sep="\n", end="\n" if wrong else "")
            bad += len(wrong)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
