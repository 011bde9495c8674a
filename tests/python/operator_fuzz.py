#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random models of one node, run here and by a judge. A development tool: needs numpy, onnx, onnxruntime, ml_dtypes.

usage: operator_fuzz.py [--cases N] [--seed N] [--show N] [--hostile] [OPERATOR...]

For each operator N models are drawn: attributes, opset version, shapes (empty and broadcast ones too), element types, and
which inputs are constants. onnxruntime judges; where it lacks a floating-point type, it judges with float32; and what it
does not run either way is judged by the reference evaluator of the onnx package. A difference prints the node, the
shapes and the seed that draws it again. Where a judge is known to leave the specification, the generator says so and does
not draw the case.

With --hostile every case is damaged (shapes, types, attributes, indices, missing inputs), nobody judges, and what counts is
that it is run or refused with an error that names the operator: no crash and no hang."""
import argparse
import multiprocessing
import os
import tempfile
import traceback

import ml_dtypes
import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

F = [np.float32, np.float32, np.float64, np.float16]
BF = F + [ml_dtypes.bfloat16]
SIGNED = [np.int8, np.int16, np.int32, np.int64]
UNSIGNED = [np.uint8, np.uint16, np.uint32, np.uint64]
INTS = SIGNED + UNSIGNED
NUMBERS = F + INTS
ANY = NUMBERS + [np.bool_]
GENERATORS = {}


class Case:
    """What a generator returns: the node and its inputs."""

    def __init__(self, op, opset, inputs, n_outputs=1, tolerance=None, **attributes):
        self.op, self.opset, self.inputs, self.n_outputs = op, opset, inputs, n_outputs
        self.tolerance = tolerance
        self.attributes = {k: v for k, v in attributes.items() if v is not None}


def generator(*ops):
    def register(function):
        for op in ops:
            GENERATORS[op] = function
        return function
    return register


def pick(r, *choices):
    return choices[r.integers(len(choices))]


def kind(r, types):
    return types[r.integers(len(types))]


def dims(r, low=0, high=4, empty=0.04, largest=6):
    return tuple(0 if r.random() < empty else int(r.integers(1, largest)) for _ in range(r.integers(low, high + 1)))


def values(r, shape, dtype, low=None, high=None):
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return r.integers(0, 2, shape).astype(np.bool_)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        low, high = max(info.min, -9 if low is None else low), min(info.max, 9 if high is None else high)
        return r.integers(low, high, shape, endpoint=True).astype(dtype)
    array = np.asarray(r.standard_normal(shape) * 2)
    if low is not None:
        array = np.asarray(r.uniform(low, high, shape))
    return array.astype(dtype)


def stretched(r, shape):
    """A shape that broadcasts to `shape`."""
    out = [1 if r.random() < 0.3 else d for d in shape]
    return tuple(out[r.integers(0, len(out) + 1):] if r.random() < 0.4 else out)


def two_shapes(r):
    full = dims(r)
    a, b = stretched(r, full), stretched(r, full)
    return (a, full) if r.random() < 0.3 else (full, b) if r.random() < 0.5 else (a, b)


def opset(r, *versions):
    """A version at which the operator changed, or one behind it."""
    version = int(pick(r, *versions))
    return int(min(23, max(version, 7) + r.integers(0, 2)))


def some_axes(r, rank, least=0):
    chosen = r.permutation(rank)[:r.integers(least, rank + 1)]
    return np.array([int(a) - (rank if r.random() < 0.4 else 0) for a in chosen], np.int64)


# Elementwise

def unary(op, versions, types=BF, low=None, high=None, **draws):
    def draw(r):
        attributes = {k: v(r) for k, v in draws.items()}
        x = values(r, dims(r), kind(r, types), low, high)
        return Case(op, opset(r, *versions), [x], **attributes)
    GENERATORS[op] = draw


def maybe(low, high):
    return lambda r: None if r.random() < 0.4 else float(r.uniform(low, high))


for _op in ["Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Sin", "Cos", "Tan", "Atan", "Sinh", "Cosh", "Asinh",
            "Floor", "Ceil", "Exp", "Erf", "Reciprocal"]:
    unary(_op, [9, 13, 22])
unary("Relu", [14], BF + SIGNED)
unary("Erf", [13], BF)
unary("Abs", [13], BF + INTS)
unary("Neg", [13], BF + SIGNED)
unary("Sign", [13], BF + INTS)
unary("Round", [11, 22])
unary("Sqrt", [13], BF, 0, 9)
unary("Log", [13], BF, 0.01, 9)
unary("Asin", [9, 22], BF, -1, 1)
unary("Acos", [9, 22], BF, -1, 1)
unary("Atanh", [9, 22], BF, -0.99, 0.99)
unary("Acosh", [9, 22], BF, 1, 9)
unary("LeakyRelu", [7, 16], alpha=maybe(-1, 1))
unary("Elu", [7, 22], alpha=maybe(-1, 2))
unary("Celu", [12], [np.float32], alpha=maybe(0.1, 2))
unary("Selu", [7, 22], alpha=maybe(0.1, 2), gamma=maybe(0.1, 2))
unary("HardSigmoid", [7, 22], alpha=maybe(0.1, 1), beta=maybe(0, 1))
unary("HardSwish", [14, 22])
unary("Mish", [18, 22])
unary("Gelu", [20], F, approximate=lambda r: pick(r, None, "none", "tanh"))
unary("ThresholdedRelu", [10, 22], alpha=maybe(-1, 1))
unary("Shrink", [9], NUMBERS, bias=maybe(-1, 1), lambd=maybe(0, 2))


@generator("Add", "Sub", "Mul", "Div")
def arithmetic(r, op):
    t = kind(r, BF + INTS)
    a, b = two_shapes(r)
    y = values(r, b, t, *([1, 9] if op == "Div" and np.dtype(t).kind in "iu" else []))
    return Case(op, opset(r, 7, 13, 14), [values(r, a, t), y])


@generator("Mod")
def mod(r, op):
    t = kind(r, F + INTS)
    a, b = two_shapes(r)
    fmod = 1 if np.dtype(t).kind == "f" or r.random() < 0.5 else None
    y = values(r, b, t, 1, 9)
    if np.dtype(t).kind == "i" and r.random() < 0.5:
        y = -y
    return Case(op, opset(r, 10, 13), [values(r, a, t), y], fmod=fmod)


@generator("Pow")
def power(r, op):
    t, u = kind(r, F + [np.int32, np.int64]), kind(r, NUMBERS)
    a, b = two_shapes(r)
    if r.random() < 0.4:
        b = pick(r, (), (1,))
    e = values(r, b, u, 0, 4) if np.dtype(t).kind in "iu" or r.random() < 0.8 else values(r, b, u, -2, 2)
    x = values(r, a, t, 1, 4) if np.dtype(u).kind == "f" else values(r, a, t, -4, 4)
    return Case(op, opset(r, 12, 13, 15), [x, e])


@generator("Sum", "Mean", "Min", "Max")
def variadic(r, op):
    t = kind(r, BF + INTS if op in ("Min", "Max") else BF)
    full = dims(r)
    n = r.integers(1, 5)
    return Case(op, opset(r, 8, 12, 13), [values(r, stretched(r, full), t) for _ in range(n)])


@generator("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual")
def compare(r, op):
    t = kind(r, BF + INTS + ([np.bool_] if op == "Equal" else []))
    a, b = two_shapes(r)
    low = [0, 3] if np.dtype(t).kind != "f" else []
    return Case(op, opset(r, *([12, 16] if "Or" in op else [9, 11, 13])), [values(r, a, t, *low), values(r, b, t, *low)])


@generator("And", "Or", "Xor")
def logic(r, op):
    a, b = two_shapes(r)
    return Case(op, opset(r, 7), [values(r, a, np.bool_), values(r, b, np.bool_)])


@generator("Not")
def negate(r, op):
    return Case(op, opset(r, 7), [values(r, dims(r), np.bool_)])


@generator("Where")
def where(r, op):
    t, full = kind(r, ANY), dims(r)
    return Case(op, opset(r, 9, 16), [values(r, stretched(r, full), np.bool_), values(r, stretched(r, full), t),
                                      values(r, stretched(r, full), t)])


@generator("IsNaN", "IsInf")
def is_special(r, op):
    x = values(r, dims(r), kind(r, F if op == "IsNaN" else [np.float32, np.float64]))
    x = np.where(r.random(x.shape) < 0.3, pick(r, np.nan, np.inf, -np.inf), x).astype(x.dtype)
    more = {} if op == "IsNaN" else {"detect_negative": pick(r, None, 0, 1), "detect_positive": pick(r, None, 0, 1)}
    return Case(op, opset(r, 10, 13, 20), [x], **more)


@generator("Clip")
def clip(r, op):
    version = opset(r, 7, 11, 12, 13)
    t = kind(r, F + INTS if version >= 12 else [np.float32])
    x = values(r, dims(r), t)
    low, high = (None if r.random() < 0.3 else np.array(v, t)
                 for v in (pick(r, 0 if np.dtype(t).kind == "u" else -1, 0, 5), pick(r, 1, 3)))
    if version < 11:
        return Case(op, version, [x], min=None if low is None else float(low), max=None if high is None else float(high))
    return Case(op, version, [x, low, high])


@generator("PRelu")
def prelu(r, op):
    version, x = opset(r, 7, 9, 16), dims(r, 1)
    t = kind(r, F)
    slope = [1 if r.random() < 0.4 else d for d in x][r.integers(0, len(x)):]
    return Case(op, version, [values(r, x, t), values(r, slope, t)])


@generator("Cast")
def cast(r, op):
    a, b = kind(r, ANY + [ml_dtypes.bfloat16]), kind(r, ANY + [ml_dtypes.bfloat16])
    low = [0, 100] if np.dtype(b).kind == "u" else []
    x = values(r, dims(r), a, *low)
    return Case(op, opset(r, 9, 13, 19, 21), [x], to=helper.np_dtype_to_tensor_dtype(np.dtype(b)))


@generator("CastLike")
def cast_like(r, op):
    a, b = kind(r, ANY), kind(r, ANY)
    x = values(r, dims(r), a, *([0, 100] if np.dtype(b).kind == "u" else []))
    return Case(op, opset(r, 15, 19), [x, values(r, dims(r, 0, 2), b)])


# Shapes and moves

@generator("Reshape")
def reshape(r, op):
    x, version = dims(r), opset(r, 7, 13, 14)
    factors = list(x)
    allow = int(version >= 14 and r.random() < 0.3)
    n = int(np.prod(x))
    target = []
    rest = n
    for _ in range(r.integers(0, 4)):
        divisors = [d for d in range(1, rest + 1) if rest % d == 0] or [0]
        d = int(divisors[r.integers(len(divisors))])
        target.append(d)
        rest = rest // d if d else 0
    if n and rest != 1:
        target.append(rest)
    if not n and 0 not in target:
        target.append(0)
        allow = int(version >= 14)
        if not allow:
            target = [0] * len(factors)
    if n and target and r.random() < 0.5:
        target[r.integers(len(target))] = -1
    if n and not allow:
        for i, d in enumerate(target):
            if i < len(x) and d == x[i] and r.random() < 0.3:
                target[i] = 0
    return Case(op, version, [values(r, x, kind(r, ANY)), np.array(target, np.int64)], allowzero=allow or None)


@generator("Flatten")
def flatten(r, op):
    x = dims(r)
    version = opset(r, 9, 11, 13)
    axis = int(r.integers(-len(x) if version >= 11 else 0, len(x) + 1))
    return Case(op, version, [values(r, x, kind(r, ANY))], axis=pick(r, axis, None if len(x) else axis))


@generator("Squeeze", "Unsqueeze")
def squeeze(r, op):
    version, x = opset(r, 7, 11, 13), list(dims(r))
    if op == "Squeeze":
        x = [1 if r.random() < 0.5 else d for d in x]
        ones = [i for i, d in enumerate(x) if d == 1]
        axes = [i for i in ones if r.random() < 0.7]
        rank = len(x)
        given = bool(axes) and r.random() < 0.8
    else:
        n = int(r.integers(1, 3))
        rank = len(x) + n
        axes, given = [int(a) for a in r.permutation(rank)[:n]], True
    axes = [a - (rank if version >= 11 and r.random() < 0.4 else 0) for a in axes]
    data = values(r, x, kind(r, ANY))
    if version < 13:
        return Case(op, version, [data], axes=axes if given else None)
    return Case(op, version, [data, np.array(axes, np.int64)] if given else [data])


@generator("Transpose")
def transpose(r, op):
    x = dims(r)
    return Case(op, opset(r, 7, 13), [values(r, x, kind(r, ANY))],
                perm=None if r.random() < 0.2 or not x else [int(i) for i in r.permutation(len(x))])


@generator("Shape")
def shape(r, op):
    version = opset(r, 7, 13, 15, 19)
    more = {} if version < 15 else {k: pick(r, None, int(r.integers(-5, 6))) for k in ("start", "end")}
    return Case(op, version, [values(r, dims(r), kind(r, ANY))], **more)


@generator("Size", "Identity")
def size(r, op):
    return Case(op, opset(r, 7, 13, 19), [values(r, dims(r), kind(r, ANY))])


@generator("Concat")
def concat(r, op):
    x, t = list(dims(r, 1)), kind(r, ANY)
    axis = int(r.integers(len(x)))
    parts = []
    for _ in range(r.integers(1, 5)):
        x[axis] = int(r.integers(0, 4))
        parts.append(values(r, x, t))
    version = opset(r, 7, 11, 13)
    return Case(op, version, parts, axis=axis - (len(x) if version >= 11 and r.random() < 0.4 else 0))


@generator("Split")
def split(r, op):
    version, x = opset(r, 7, 11, 13, 18), list(dims(r, 1))
    axis, n = int(r.integers(len(x))), int(r.integers(1, 4))
    sizes = [int(r.integers(0 if version >= 11 else 1, 4)) for _ in range(n)]
    even = r.random() < 0.4
    x[axis] = n * int(r.integers(1, 4)) if even else sum(sizes)
    more, inputs = {}, []
    if not even and version < 13:
        more["split"] = sizes
    elif not even:
        inputs = [np.array(sizes, np.int64)]
    elif version >= 18:
        more["num_outputs"] = n
        x[axis] = max(n, x[axis] - int(r.integers(0, 2))) if x[axis] > n else x[axis]
        if -(-x[axis] // n) * (n - 1) >= x[axis]:
            x[axis] = n
    data = values(r, x, kind(r, NUMBERS))
    return Case(op, version, [data] + inputs, n_outputs=n,
                axis=axis - (len(x) if version >= 11 and r.random() < 0.4 else 0), **more)


@generator("Slice")
def slice_(r, op):
    x, version = dims(r, 1), opset(r, 7, 10, 11, 13)
    rank = len(x)
    axes = [int(a) for a in r.permutation(rank)[:r.integers(1, rank + 1)]]
    far = lambda: int(pick(r, int(r.integers(-9, 10)), int(r.integers(-9, 10)), 2 ** 31 - 2, 2 - 2 ** 31))
    steps = [int(pick(r, 1, 2, 3, -1, -2, 100, -100)) if version >= 10 else 1 for _ in axes]
    starts, ends = [far() for _ in axes], [far() for _ in axes]
    if version < 10:
        starts, ends = ([int(np.clip(v, -99, 99)) for v in vs] for vs in (starts, ends))
        return Case(op, version, [values(r, x, kind(r, ANY))], starts=starts, ends=ends, axes=axes)
    t = pick(r, np.int64, np.int64, np.int32)
    limits = np.iinfo(t)
    as_t = lambda v: np.clip(np.array(v, object), limits.min, limits.max).astype(t)
    inputs = [values(r, x, kind(r, ANY)), as_t(starts), as_t(ends),
              np.array([a - (rank if r.random() < 0.4 else 0) for a in axes], t), np.array(steps, t)]
    if r.random() < 0.3:
        inputs = inputs[:4]
    return Case(op, version, inputs)


@generator("Expand")
def expand(r, op):
    full = dims(r)
    x = stretched(r, full)
    target = [d if r.random() < 0.8 or i >= len(x) or x[-1 - i] != d else 1 for i, d in enumerate(reversed(full))][::-1]
    return Case(op, opset(r, 8, 13), [values(r, x, kind(r, ANY)), np.array(target, np.int64)])


@generator("Tile")
def tile(r, op):
    x = dims(r)
    return Case(op, opset(r, 7, 13), [values(r, x, kind(r, NUMBERS)), r.integers(0, 4, len(x)).astype(np.int64)])


@generator("Pad")
def pad(r, op):
    version = opset(r, 7, 11, 13, 18, 19, 21)
    x = dims(r, 1, 4, empty=0.01)
    mode = pick(r, None, "constant", "reflect", "edge", *(["wrap"] if version >= 19 else []))
    t = kind(r, F + [np.int8, np.uint8, np.int32, np.int64] if version >= 13 else F[:3])
    axes = some_axes(r, len(x), 1) if version >= 18 and r.random() < 0.5 else None
    where = [int(a) for a in axes] if axes is not None else range(len(x))
    pads = [[], []]
    for a in where:
        if mode in ("reflect", "wrap", "edge"):
            top = max(x[a] - 1, 0)
            if x[a] == 0:
                top = 0
            b, e = int(r.integers(0, top + 1)), int(r.integers(0, top + 1))
        else:
            b = int(r.integers(-(x[a] // 2), 4))
            e = int(r.integers(-(x[a] // 2), 4))
        pads[0].append(b)
        pads[1].append(e)
    pads = pads[0] + pads[1]
    data = values(r, x, t)
    value = pick(r, None, 3)
    if version < 11:
        return Case(op, version, [data], mode=mode, pads=pads, value=None if value is None else 1.5)
    inputs = [data, np.array(pads, np.int64), None if value is None else np.array(value, t), axes]
    return Case(op, version, inputs, mode=mode)


@generator("Gather", "GatherElements")
def gather(r, op):
    x = dims(r, 1, 4, empty=0.02)
    axis = int(r.integers(len(x)))
    t = pick(r, np.int32, np.int64)
    n = x[axis]
    if op == "Gather":
        where = dims(r, 0, 2) if n else (0,)
    else:
        where = [int(r.integers(1, d + 1)) if d and i != axis else (int(r.integers(1, 5)) if d else 0) for i, d in enumerate(x)]
    index = r.integers(-n, n, where).astype(t) if n else np.zeros(where, t)
    version = opset(r, *([11, 13] if op == "GatherElements" else [11, 13]))
    return Case(op, version, [values(r, x, kind(r, ANY)), index], axis=axis - (len(x) if r.random() < 0.4 else 0))


@generator("GatherND")
def gather_nd(r, op):
    x = dims(r, 2, 4, empty=0)
    batch = int(r.integers(0, len(x) - 1))
    depth = int(r.integers(1, len(x) - batch + 1))
    where = list(x[:batch]) + list(dims(r, 0, 2, empty=0))
    index = np.stack([r.integers(-x[batch + k], x[batch + k], where) for k in range(depth)], -1).astype(np.int64)
    return Case(op, opset(r, 12, 13), [values(r, x, kind(r, ANY)), index], batch_dims=batch or None)


@generator("DepthToSpace", "SpaceToDepth")
def depth_space(r, op):
    b = int(r.integers(1, 4))
    n, c, h, w = (int(v) for v in r.integers(1, 4, 4))
    x = (n, c * b * b, h, w) if op == "DepthToSpace" else (n, c, h * b, w * b)
    more = {"mode": pick(r, None, "DCR", "CRD")} if op == "DepthToSpace" else {}
    return Case(op, opset(r, 11, 13), [values(r, x, kind(r, F[:3]))], blocksize=b, **more)


@generator("OneHot")
def one_hot(r, op):
    depth = int(r.integers(1, 6))
    x = dims(r, 0, 3)
    kinds = [(np.int64, np.int64, np.int64), (np.float32, np.float32, np.float32), (np.int64, np.float32, np.int64),
             (np.int32, np.float32, np.int32), (np.int32, np.float32, np.float32)]
    index_type, out, depth_type = kind(r, kinds)
    index = np.floor(values(r, x, np.int64, -depth, depth - 1)).astype(index_type)
    return Case(op, opset(r, 9, 11), [index, np.array(depth if r.random() < 0.5 else [depth], depth_type), values(r, (2,), out)],
                axis=pick(r, None, int(r.integers(-len(x) - 1, len(x) + 1))))


@generator("NonZero")
def non_zero(r, op):
    x = values(r, dims(r, 1), kind(r, [np.float32, np.int32, np.int64, np.uint8, np.bool_]))
    return Case(op, opset(r, 9, 13), [np.where(r.random(x.shape) < 0.5, 0, x).astype(x.dtype)])


@generator("Range")
def range_(r, op):
    t = kind(r, [np.float32, np.float64, np.int16, np.int32, np.int64])
    delta = values(r, (), t, 1, 3)
    if r.random() < 0.3:
        delta = -delta
    return Case(op, opset(r, 11), [values(r, (), t), values(r, (), t), delta])


@generator("ConstantOfShape")
def constant_of_shape(r, op):
    t = kind(r, NUMBERS + [np.bool_])
    value = None if r.random() < 0.3 else numpy_helper.from_array(values(r, (1,), t))
    return Case(op, opset(r, 9, 20), [np.array(dims(r, 0, 4, 0.1), np.int64)], value=value)


@generator("CumSum")
def cum_sum(r, op):
    x = dims(r, 1)
    return Case(op, opset(r, 11, 14), [values(r, x, kind(r, [np.float32, np.float64, np.int32, np.int64])),
                                       np.array(r.integers(-len(x), len(x)), pick(r, np.int32, np.int64))],
                exclusive=pick(r, None, 1), reverse=pick(r, None, 1))


@generator("Trilu")
def trilu(r, op):
    x = dims(r, 2)
    k = pick(r, None, np.array(r.integers(-5, 6), np.int64))
    return Case(op, opset(r, 14), [values(r, x, kind(r, [np.float32, np.float64, np.int64]))] + ([] if k is None else [k]),
                upper=pick(r, None, 0, 1))


# Reductions

@generator("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSumSquare", "ReduceL1", "ReduceL2",
           "ReduceLogSum", "ReduceLogSumExp")
def reduce(r, op):
    version, x = opset(r, 7, 11, 13, 18, 20), dims(r)
    types = [np.float32, np.float64, np.float16, np.int32, np.int64]
    if op in ("ReduceMax", "ReduceMin") and version >= 12:
        types = types + [np.int8, np.uint8]
    if version >= 20 and op in ("ReduceMax", "ReduceMin"):
        types = types + [np.bool_]
    t = kind(r, types[:3] if "Log" in op else types)
    if op == "ReduceMean":  # of nothing: not specified
        x = tuple(max(d, 1) for d in x)
    data = values(r, x, t)
    if op == "ReduceLogSum":
        data = values(r, x, t, 1, 5)
    if op == "ReduceProd":
        data = values(r, x, t, 1, 2 if np.dtype(t).kind == "f" else 1)
    axes = some_axes(r, len(x))
    if version < 11:
        axes = axes % max(len(x), 1)
    more = {"keepdims": pick(r, None, 0, 1)}
    as_input = version >= 18 or (op == "ReduceSum" and version >= 13)
    if as_input:
        more["noop_with_empty_axes"] = pick(r, None, None, 0, 1)
        return Case(op, version, [data] + ([] if r.random() < 0.2 else [axes]), **more)
    return Case(op, version, [data], axes=[int(a) for a in axes] if len(axes) else None, **more)


@generator("ArgMax", "ArgMin")
def arg_extreme(r, op):
    version, x = opset(r, 7, 11, 12, 13), dims(r, 1, 4, 0)
    axis = int(r.integers(-len(x) if version >= 11 else 0, len(x)))
    more = {"select_last_index": pick(r, None, 0, 1)} if version >= 12 else {}
    t = kind(r, [np.float32, np.float64, np.int32, np.int8, np.uint8] if version >= 13 else [np.float32])
    data = values(r, x, t, -2, 2)
    if np.dtype(t).kind == "f":
        data = np.round(data)
    return Case(op, version, [data], axis=pick(r, None, axis), keepdims=pick(r, None, 0, 1), **more)


@generator("TopK")
def top_k(r, op):
    x = dims(r, 1, 4, 0)
    axis = int(r.integers(-len(x), len(x)))
    k = np.array([r.integers(0, x[axis] + 1)], np.int64)
    t = kind(r, [np.float32, np.float64, np.int32, np.int64])
    data = r.permutation(int(np.prod(x))).reshape(x).astype(t)
    return Case(op, opset(r, 11), [data, k], n_outputs=2, axis=axis, largest=pick(r, None, 0, 1), sorted=pick(r, None, 1))


@generator("Softmax", "LogSoftmax")
def softmax(r, op):
    version, x = opset(r, 7, 11, 13), dims(r, 1)
    axis = int(r.integers(-len(x) if version >= 11 else 0, len(x)))
    return Case(op, version, [values(r, x, kind(r, BF if version >= 13 else F))], axis=axis if len(x) < 2 or r.random() < 0.7 else None)


# Products

@generator("Gemm")
def gemm(r, op):
    m, n, k = (int(v) for v in r.integers(1, 9, 3))
    if r.random() < 0.05:
        m, n, k = (0 if r.random() < 0.5 else v for v in (m, n, k))
    t = kind(r, F)
    ta, tb = (int(v) for v in r.integers(0, 2, 2))
    a = values(r, (k, m) if ta else (m, k), t)
    b = values(r, (n, k) if tb else (k, n), t)
    c = pick(r, None, (m, n), (1, n), (m, 1), (n,), (1,), (), (1, 1))
    version = opset(r, 7, 9, 11, 13)
    if c is None and version < 11:
        c = (n,)
    return Case(op, version, [a, b] + ([] if c is None else [values(r, c, t)]), alpha=maybe(-2, 2)(r),
                beta=maybe(-2, 2)(r), transA=ta or None, transB=tb or None)


@generator("MatMul")
def matmul(r, op):
    t = kind(r, F + [np.int32, np.uint32, np.int64, np.uint64])
    m, n, k = (int(v) for v in r.integers(1, 6, 3))
    if r.random() < 0.05:
        m, n, k = (0 if r.random() < 0.5 else v for v in (m, n, k))
    full = dims(r, 0, 2, 0.02, 4)
    a, b = list(stretched(r, full)) + [m, k], list(stretched(r, full)) + [k, n]
    if r.random() < 0.1:
        a = [k]
    if r.random() < 0.1:
        b = [k]
    return Case(op, opset(r, 9, 13), [values(r, a, t), values(r, b, t)])


# Windows

def window(r, n, x, kernel, pool):
    more, dilation = {}, [int(pick(r, 1, 1, 2, 3)) for _ in range(n)]
    if r.random() < 0.6:
        more["strides"] = [int(v) for v in r.integers(1, 4, n)]
    if r.random() < 0.6:
        more["dilations"] = dilation
    else:
        dilation = [1] * n
    auto = pick(r, None, None, "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
    if auto:
        more["auto_pad"] = auto
    if pool and auto in ("SAME_UPPER", "SAME_LOWER"):  # onnxruntime forgets the dilation, and pads by less than nothing
        more.pop("dilations", None)
        more["strides"] = [min(s, k) for s, k in zip(more.get("strides", [1] * n), kernel)]
        dilation = [1] * n
    pads = [0] * 2 * n
    if auto in (None, "NOTSET") and r.random() < 0.7:
        tops = [(kernel[i] - 1 if pool else 3) for i in range(n)] * 2
        pads = [int(r.integers(0, t + 1)) for t in tops]
        more["pads"] = pads
    for i in range(n):
        x[i] = max(x[i], (kernel[i] - 1) * dilation[i] + 1 - (0 if pool else 0))
    return more


@generator("Conv", "ConvTranspose")
def conv(r, op):
    n = int(r.integers(1, 4))
    x, kernel = [int(v) for v in r.integers(1, 8, n)], [int(v) for v in r.integers(1, 5, n)]
    group = int(pick(r, 1, 1, 2, 3))
    c, m = int(r.integers(1, 4)), int(r.integers(1, 4))
    more = window(r, n, x, kernel, False)
    if pick(r, True, False):
        more["kernel_shape"] = kernel
    t = kind(r, F)
    batch = int(pick(r, 0, 1, 1, 2, 3)) if op == "Conv" else int(r.integers(1, 4))
    if r.random() < 0.2 and op == "Conv":
        group, c = int(r.integers(2, 20)), 1
    if op == "Conv":
        w = values(r, (m * group, c, *kernel), t)
    else:
        w = values(r, (c * group, m, *kernel), t)
        if r.random() < 0.3:
            more["output_padding"] = [int(r.integers(0, max(s, d))) for s, d in
                                      zip(more.get("strides", [1] * n), more.get("dilations", [1] * n))]
        if more.get("auto_pad") in ("SAME_UPPER", "SAME_LOWER"):
            more.pop("output_padding", None)
            more.pop("dilations", None)
            strides = more.get("strides", [1] * n)
            if any(s > k for s, k in zip(strides, kernel)):
                more.pop("auto_pad")
        elif r.random() < 0.2:
            more.pop("pads", None)
            full = [s * (i - 1) + (k - 1) * d + 1 + o for s, i, k, d, o in zip(
                more.get("strides", [1] * n), x, kernel, more.get("dilations", [1] * n),
                more.get("output_padding", [0] * n))]
            more["output_shape"] = [int(r.integers(max(1, f - 4), f + 1)) for f in full]
            more.pop("auto_pad", None)
    inputs = [values(r, (batch, c * group, *x), t), w]
    if r.random() < 0.5:
        inputs.append(values(r, (m * group,), t))
    return Case(op, opset(r, 7, 11, 22), inputs, group=group if group > 1 or r.random() < 0.2 else None, **more)


@generator("MaxPool", "AveragePool")
def pool(r, op):
    n = int(r.integers(1, 4))
    x, kernel = [int(v) for v in r.integers(1, 9, n)], [int(v) for v in r.integers(1, 5, n)]
    more = window(r, n, x, kernel, True)
    version = opset(r, 7, 10, 11, 12, 19, 22)
    if op == "AveragePool":
        if version < 19:
            more.pop("dilations", None)
        if r.random() < 0.5:
            more["count_include_pad"] = int(r.integers(0, 2))
        t = kind(r, F)
    else:
        t = kind(r, F + ([np.int8, np.uint8] if version >= 12 else []))
        if version < 10:
            more.pop("dilations", None)
    if version >= 10 and r.random() < 0.5:
        more["ceil_mode"] = 1
    outputs = 1
    if op == "MaxPool" and version >= 8 and r.random() < 0.4:
        outputs = 2
        if r.random() < 0.4:
            more["storage_order"] = 1
    shape = (int(r.integers(1, 3)), int(r.integers(1, 4)), *x)
    data = values(r, shape, t)
    if outputs == 2:  # no ties, whose index is not specified
        data = r.permutation(data.size).reshape(shape).astype(t)
        if np.dtype(t).itemsize == 1:
            data = data.astype(np.float32)
    return Case(op, version, [data], n_outputs=outputs, kernel_shape=kernel, **more)


@generator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(r, op):
    return Case(op, opset(r, 7, 22), [values(r, dims(r, 3, 5, 0), kind(r, F))])


# Normalization

@generator("BatchNormalization")
def batch_norm(r, op):
    version, x = opset(r, 7, 9, 14, 15), dims(r, 2, 5, 0.02)
    t = kind(r, F[:3] if version < 15 else F)
    c = x[1]
    inputs = [values(r, x, t), values(r, (c,), t), values(r, (c,), t), values(r, (c,), t), values(r, (c,), t, 0.1, 3)]
    if version >= 14 and r.random() < 0.3 and t == np.float32 and 0 not in x:
        return Case(op, version, inputs, n_outputs=3, training_mode=1, epsilon=maybe(1e-5, 0.1)(r), momentum=maybe(0, 1)(r))
    return Case(op, version, inputs, epsilon=maybe(1e-5, 0.1)(r), momentum=maybe(0, 1)(r))


@generator("LayerNormalization")
def layer_norm(r, op):
    x = dims(r, 1, 4, 0.0)
    axis = int(r.integers(-len(x), len(x)))
    t = kind(r, F)
    shape = x[axis:] if axis < 0 else x[axis:]
    inputs = [values(r, x, t), values(r, shape, t)] + ([values(r, shape, t)] if r.random() < 0.6 else [])
    return Case(op, opset(r, 17), inputs, n_outputs=int(pick(r, 1, 1, 3)) if t == np.float32 else 1, axis=axis,
                epsilon=maybe(1e-5, 0.1)(r))


@generator("InstanceNormalization", "GroupNormalization")
def instance_norm(r, op):
    x = list(dims(r, 3, 5, 0.0))
    t = kind(r, F)
    if op == "InstanceNormalization":
        return Case(op, opset(r, 7, 22), [values(r, x, t), values(r, x[1:2], t), values(r, x[1:2], t)],
                    epsilon=maybe(1e-5, 0.1)(r))
    groups = int(r.integers(1, 4))
    x[1] *= groups
    return Case(op, 21, [values(r, x, t), values(r, x[1:2], t), values(r, x[1:2], t)], num_groups=groups,
                epsilon=maybe(1e-5, 0.1)(r))


# Quantization

@generator("QuantizeLinear", "DequantizeLinear")
def quantize(r, op):
    version, x = opset(r, 10, 13, 19, 21, 23), list(dims(r, 1, 4, 0.02))
    codes = [np.int8, np.uint8] + ([np.int16, np.uint16, ml_dtypes.int4, ml_dtypes.uint4] if version >= 21 else [])
    codes += [ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2] if version >= 19 else []
    q, t = kind(r, codes), kind(r, [np.float32, np.float32, np.float16] if version >= 19 else [np.float32])
    axis, form = int(r.integers(len(x))), pick(r, "tensor", "axis", "block" if version >= 21 else "axis")
    more = {}
    if form == "tensor" or (form == "axis" and version < 13):
        shape = pick(r, (), (1,)) if version < 13 else ()
    elif form == "axis":
        shape = (x[axis],)
    else:
        more["block_size"] = block = int(r.integers(1, 4))
        x[axis] = max(x[axis], 1)
        shape = list(x)
        shape[axis] = -(-x[axis] // block)
    if form != "tensor" and version >= 13:
        more["axis"] = axis - (len(x) if r.random() < 0.4 else 0)
    scale = values(r, shape, np.float32, 0.05, 2).astype(t)
    floating = np.dtype(q).name.startswith("float8")
    if floating and version < 23 and op == "QuantizeLinear":  # the reference divides in half precision
        t = np.float32
    zero = np.zeros(shape, q) if floating else values(r, shape, np.int64, 0, 7).astype(q)
    if op == "QuantizeLinear":
        data = values(r, x, t)
        more["saturate"] = pick(r, None, 0, 1) if floating and r.random() < 0.5 else None
    elif floating:
        data = values(r, x, np.float32).astype(q)
    else:
        low = -7 if np.dtype(q).name.startswith("int") else 0
        data = values(r, x, np.int64, low, 7).astype(q)
    inputs = [data, scale, zero]
    if r.random() < 0.2 and (op == "DequantizeLinear" or q == np.uint8):
        inputs.pop()
    elif r.random() < 0.1 and version >= 21 and op == "QuantizeLinear":
        inputs.pop()
        more["output_dtype"] = helper.np_dtype_to_tensor_dtype(np.dtype(q))
    return Case(op, version, inputs, tolerance=1 if op == "QuantizeLinear" and not floating else None, **more)


# Resize

@generator("Resize")
def resize(r, op):
    version = opset(r, 10, 11, 13, 18, 19)
    rank = int(r.integers(1, 5))
    mode = pick(r, "nearest", "linear", "cubic") if version >= 11 else pick(r, "nearest", "linear")
    if mode == "cubic":
        rank = pick(r, 2, 4)
    if mode == "linear":
        rank = pick(r, 1, 2, 3, 4)
    x = [int(v) for v in r.integers(1, 8, rank)]
    t = kind(r, [np.float32, np.float32, np.float64, np.float16, np.uint8, np.int8, np.int32])
    data = values(r, x, t)
    changing = list(range(rank))
    if rank == 4 and (mode != "nearest" or r.random() < 0.6):
        changing = [2, 3]
    if rank == 3 and mode == "linear":
        changing = pick(r, [1, 2], [0, 1, 2])
    scales = [float(np.float32(pick(r, 0.5, 0.6, 0.8, 1.0, 1.3, 1.5, 2.0, 3.0, 0.3))) if i in changing else 1.0 for i in range(rank)]
    scales = [s if int(np.floor(np.float32(d) * np.float32(s))) >= 1 else 1.0 for s, d in zip(scales, x)]
    if version < 11:
        return Case(op, version, [data, np.array(scales, np.float32)], mode=mode,
                    tolerance=1 if mode != "nearest" else None)
    more = {"mode": mode}
    transforms = ["half_pixel", "asymmetric", "pytorch_half_pixel", "align_corners"]
    if version >= 19:
        transforms.append("half_pixel_symmetric")
    if version < 13 and mode == "nearest":
        transforms.append("tf_half_pixel_for_nn")
    if mode != "cubic" and rank == 4:
        transforms.append("tf_crop_and_resize")
    more["coordinate_transformation_mode"] = transform = kind(r, transforms)
    if mode == "nearest":
        more["nearest_mode"] = pick(r, None, "round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    if mode == "cubic":
        more["cubic_coeff_a"] = pick(r, None, -0.5)
        more["exclude_outside"] = pick(r, None, 1)
    roi = None
    if transform == "tf_crop_and_resize":
        begin = [float(r.uniform(0, 0.4)) if i in changing else 0.0 for i in range(rank)]
        end = [float(r.uniform(0.6, 1.2)) if i in changing else 1.0 for i in range(rank)]
        roi = np.array(begin + end, np.float32)
        more["extrapolation_value"] = maybe(-3, 3)(r)
    sizes = [max(1, int(r.integers(1, 12))) if i in changing else d for i, d in enumerate(x)]
    by_size = r.random() < 0.5
    if version >= 18 and roi is None and len(changing) < rank and r.random() < 0.5:
        more["axes"] = changing
        sizes, scales = [sizes[i] for i in changing], [scales[i] for i in changing]
    if version >= 18 and by_size and roi is None:
        more["keep_aspect_ratio_policy"] = pick(r, None, None, "stretch", "not_larger", "not_smaller")
    if version >= 18 and mode != "nearest" and rank in (2, 4) and r.random() < 0.4 and roi is None:
        more["antialias"] = 1
    if version < 13 and roi is None:
        roi = np.zeros(0, np.float32)
    inputs = [data, roi, None if by_size else np.array(scales, np.float32), np.array(sizes, np.int64) if by_size else None]
    if by_size and version < 13:
        inputs[2] = np.zeros(0, np.float32)
    return Case(op, version, inputs, tolerance=1 if mode != "nearest" else None, **more)


@generator("Upsample")
def upsample(r, op):
    x, version = [int(v) for v in r.integers(1, 6, 4)], int(pick(r, 7, 8, 9))
    scales = [1.0, 1.0] + [float(pick(r, 1.0, 1.5, 2.0, 3.0)) for _ in range(2)]
    mode = pick(r, "nearest", "linear")
    data = values(r, x, np.float32)
    if version < 9:
        return Case(op, version, [data], mode=mode, scales=scales)
    return Case(op, version, [data, np.array(scales, np.float32)], mode=mode)


# Recurrent

@generator("RNN", "GRU", "LSTM")
def recurrent(r, op):
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[op]
    direction = pick(r, None, "forward", "reverse", "bidirectional")
    d = 2 if direction == "bidirectional" else 1
    time, batch, n, h = (int(v) for v in r.integers(1, 5, 4))
    t = kind(r, [np.float32, np.float32, np.float64])
    version = opset(r, 7, 14, 22)
    inputs = [values(r, (time, batch, n), t), values(r, (d, gates * h, n), t), values(r, (d, gates * h, h), t)]
    inputs.append(pick(r, None, values(r, (d, 2 * gates * h), t)))
    inputs.append(pick(r, None, None, r.integers(1, time + 1, batch).astype(np.int32)))
    inputs.append(pick(r, None, values(r, (d, batch, h), t)))
    if op == "LSTM":
        inputs.append(pick(r, None, values(r, (d, batch, h), t)))
        inputs.append(pick(r, None, values(r, (d, 3 * h), t)))
    more = {"hidden_size": h, "direction": direction, "clip": pick(r, None, None, 1.5)}
    if op == "GRU":
        more["linear_before_reset"] = pick(r, None, 1)
    if op == "LSTM":
        more["input_forget"] = pick(r, None, None, 1)
    per = {"RNN": 1, "GRU": 2, "LSTM": 3}[op]
    if r.random() < 0.4:
        more["activations"] = [str(pick(r, "Relu", "Tanh", "Sigmoid", "Softsign", "HardSigmoid")) for _ in range(per * d)]
    return Case(op, version, inputs, n_outputs=3 if op == "LSTM" else 2, **more)


@generator("Dropout")
def dropout(r, op):
    version = opset(r, 7, 10, 12, 13)
    x = values(r, dims(r), kind(r, F))
    if version < 12:
        return Case(op, version, [x], ratio=maybe(0, 0.9)(r))
    inputs = [x, pick(r, None, np.array(0.3, np.float32)), pick(r, None, np.array(False))]
    return Case(op, version, inputs, n_outputs=int(pick(r, 1, 2)))


# Running

def made(op, inputs, opset, attributes=None, outputs=1):
    return Case(op, opset, [np.asarray(x) for x in inputs], outputs, **(attributes or {}))


def sides(r, low, high, largest=6, empty=True):
    sizes = r.integers(1, largest + 1, r.integers(low, high + 1)).tolist()
    if empty and sizes and r.random() < 0.05:
        sizes[r.integers(len(sizes))] = 0
    return sizes


def broadcast_pair(r):
    dims = sides(r, 0, 4)
    other = [d if r.random() < 0.7 else 1 for d in dims[r.integers(len(dims) + 1):]]
    return (dims, other) if r.random() < 0.5 else (other, dims)


@generator("LRN")
def draw_lrn(r, op):
    dims = [int(r.integers(1, 4)), int(r.integers(1, 40)), int(r.integers(1, 30)), int(r.integers(1, 30))]
    attributes = {"size": int(kind(r, [1, 3, 5, 7])), "alpha": float(r.random()), "bias": float(1 + r.random())}
    if r.random() < 0.5:
        attributes["beta"] = float(kind(r, [0.5, 1.0, 0.6, 0.75]))
    return made(op, [values(r, dims, np.float32)], kind(r, [7, 13]), attributes)


def codes(r, dims, dtype=None):
    return values(r, dims, dtype or kind(r, [np.int8, np.uint8]), -128, 255)


def small_scale(r, dims=()):
    return np.asarray(r.random(dims) * 0.02 + 0.001, np.float32)


def product_dims(r):
    """Shapes of both sides, and of a parameter for each row and each column."""
    m, k, n = (int(d) for d in r.integers(1, 40, 3))
    batch = sides(r, 0, 2, 3, False)
    return batch + [m, k], (batch if r.random() < 0.5 else []) + [k, n], m, n


@generator("MatMulInteger")
def draw_matmul_integer(r, op):
    a, b, m, n = product_dims(r)
    x, y = codes(r, a), codes(r, b)
    inputs = [x, y]
    if r.random() < 0.8:
        inputs.append(codes(r, [], x.dtype))
        if r.random() < 0.8:
            inputs.append(codes(r, kind(r, [[], [n]]), y.dtype))
    return made(op, inputs, 10)


@generator("QLinearMatMul")
def draw_qlinear_matmul(r, op):
    a, b, m, n = product_dims(r)
    x, y, out = codes(r, a), codes(r, b), kind(r, [np.int8, np.uint8])
    parameter = kind(r, [[], [n]])
    return made(op, [x, small_scale(r), codes(r, [], x.dtype), y, small_scale(r, parameter), codes(r, parameter, y.dtype),
                 small_scale(r) * 30, codes(r, [], x.dtype)], kind(r, [10, 21]))


def integer_conv_dims(r):
    axes, group = int(r.integers(1, 4)), int(r.integers(1, 4))
    kernel = r.integers(1, 4, axes).tolist()
    x = [int(r.integers(1, 3)), group * int(r.integers(1, 4))] + r.integers(7, 14, axes).tolist()
    w = [group * int(r.integers(1, 5)), x[1] // group] + kernel
    attributes = {"group": group, "strides": r.integers(1, 4, axes).tolist(),
                  "dilations": r.integers(1, 3, axes).tolist()}
    if r.random() < 0.5:
        attributes["pads"] = r.integers(0, 3, 2 * axes).tolist()
    else:
        attributes["auto_pad"] = kind(r, ["VALID", "SAME_UPPER", "SAME_LOWER"])
        attributes["dilations"] = [1] * axes
    return x, w, attributes


@generator("ConvInteger")
def draw_conv_integer(r, op):
    x, w, attributes = integer_conv_dims(r)
    data, weight = codes(r, x, np.uint8), codes(r, w)
    inputs = [data, weight]
    if r.random() < 0.8:
        inputs.append(codes(r, [], data.dtype))
        if r.random() < 0.8:
            inputs.append(codes(r, [], weight.dtype))
    return made(op, inputs, 10, attributes)


@generator("QLinearConv")
def draw_qlinear_conv(r, op):
    x, w, attributes = integer_conv_dims(r)
    data, weight = codes(r, x), codes(r, w)
    many = kind(r, [[], [w[0]]])
    zero = np.zeros(many, weight.dtype) if many else codes(r, [], weight.dtype)
    inputs = [data, small_scale(r), codes(r, [], data.dtype), weight, small_scale(r, many), zero, small_scale(r) * 30,
              codes(r, [], data.dtype)]
    if r.random() < 0.5:
        inputs.append(values(r, [w[0]], np.int32, -5000, 5000))
    return made(op, inputs, 10, attributes)


@generator("DynamicQuantizeLinear")
def draw_dynamic(r, op):
    return made(op, [values(r, sides(r, 0, 4, empty=False), np.float32) + np.float32(r.integers(-4, 5))], 11,
                outputs=3)


@generator("BitwiseNot")
def draw_bitwise_not(r, op):
    return made(op, [values(r, sides(r, 0, 4), kind(r, INTS))], 18)


@generator("BitwiseAnd", "BitwiseOr", "BitwiseXor")
def draw_bitwise(r, op):
    dtype = kind(r, INTS)
    return made(op, [values(r, dims, dtype) for dims in broadcast_pair(r)], 18)


@generator("BitShift")
def draw_shift(r, op):
    a, b = broadcast_pair(r)
    dtype = kind(r, UNSIGNED)
    return made(op, [values(r, a, dtype), values(r, b, dtype, 0, 7)], 11, {"direction": kind(r, ["LEFT", "RIGHT"])})


def scatter_reduction(r, version):
    return kind(r, ["none", "add", "mul", "max", "min"][:5 if version >= 18 else 3 if version >= 16 else 1])


@generator("ScatterElements")
def draw_scatter_elements(r, op):
    version = kind(r, [11, 13, 16, 18])
    dims = sides(r, 1, 4, empty=False)
    axis = int(r.integers(-len(dims), len(dims)))
    taken = [int(r.integers(1, d + 1)) for d in dims]
    dtype, how = kind(r, F[1:3] + INTS), scatter_reduction(r, version)
    if how == "none":  # without a reduction, indices must not repeat
        order = np.argsort(r.random(taken[:axis % len(dims)] + [dims[axis]] + taken[axis % len(dims) + 1:]), axis)
        indices = np.take(order, range(taken[axis]), axis)
        indices = np.where(r.random(indices.shape) < 0.3, indices - dims[axis], indices)
    else:
        indices = r.integers(-dims[axis], dims[axis], taken)
    attributes = {"axis": axis} if version < 16 else {"axis": axis, "reduction": how}
    return made(op, [values(r, dims, dtype, -5, 5), indices.astype(kind(r, [np.int32, np.int64])),
                 values(r, taken, dtype, -5, 5)], version, attributes)


@generator("ScatterND")
def draw_scatter_nd(r, op):
    version = kind(r, [11, 13, 16, 18])
    dims = sides(r, 1, 4, empty=False)
    depth = int(r.integers(1, len(dims) + 1))
    rows, how = sides(r, 0, 2, 3, False), scatter_reduction(r, version)
    if how == "none":
        rows = []
    indices = np.stack([r.integers(-d, d, rows) for d in dims[:depth]], -1)
    dtype = kind(r, F[1:3] + INTS)
    return made(op, [values(r, dims, dtype, -5, 5), indices, values(r, rows + dims[depth:], dtype, -5, 5)], version,
                {} if version < 16 else {"reduction": how})


@generator("Compress")
def draw_compress(r, op):
    dims = sides(r, 1, 4, empty=False)
    axis = int(r.integers(-len(dims), len(dims))) if r.random() < 0.7 else None
    length = int(np.prod(dims)) if axis is None else dims[axis]
    condition = values(r, [int(r.integers(1, length + 1))], np.bool_)
    return made(op, [values(r, dims, kind(r, F + INTS)), condition], kind(r, [9, 11]),
                {} if axis is None else {"axis": axis if axis >= 0 else axis + len(dims)})


@generator("Unique")
def draw_unique(r, op):
    dims = sides(r, 1, 3, empty=False)
    attributes = {"sorted": int(r.integers(2))}
    if r.random() < 0.6:
        attributes["axis"] = int(r.integers(-len(dims), len(dims)))
    x = np.round(values(r, dims, kind(r, [np.float32, np.float64, np.int64, np.int8]), -2, 2) / 2)
    return made(op, [x.astype(kind(r, [np.float32, np.float64, np.int64, np.int8]))], 11, attributes, 4)


@generator("Hardmax")
def draw_hardmax(r, op):
    dims = sides(r, 2, 4)
    return made(op, [np.round(values(r, dims, kind(r, F)))], kind(r, [11, 13]),
                {"axis": int(r.integers(-len(dims), len(dims)))} if r.random() < 0.8 else {})


@generator("EyeLike")
def draw_eye_like(r, op):
    attributes = {"k": int(r.integers(-7, 8))}
    if r.random() < 0.5:
        attributes["dtype"] = int(kind(r, [1, 6, 7, 11, 13]))
    return made(op, [values(r, sides(r, 2, 2), kind(r, [np.float32, np.int64]))], 9, attributes)


@generator("HannWindow", "HammingWindow", "BlackmanWindow")
def draw_window(r, op):
    attributes = {"periodic": int(r.integers(2)), "output_datatype": 1}
    return made(op, [np.asarray(r.integers(2, 60), kind(r, [np.int32, np.int64]))], 17, attributes)


@generator("LpNormalization")
def draw_lp_normalization(r, op):
    dims = sides(r, 1, 4)
    return made(op, [values(r, dims, kind(r, F[1:3]))], 1 + 6,
                {"axis": int(r.integers(-len(dims), len(dims))), "p": int(kind(r, [1, 2]))})


@generator("LpPool")
def draw_lp_pool(r, op):
    axes, opset = int(r.integers(1, 4)), kind(r, [11, 18])
    x = [int(r.integers(1, 4)), int(r.integers(1, 4))] + r.integers(7, 14, axes).tolist()
    attributes = {"kernel_shape": r.integers(1, 4, axes).tolist(), "strides": r.integers(1, 4, axes).tolist(),
                  "p": int(r.integers(1, 4))}
    if r.random() < 0.5:
        attributes["pads"] = [int(r.integers(0, k)) for k in attributes["kernel_shape"] * 2]
    else:
        attributes["auto_pad"] = kind(r, ["VALID", "SAME_UPPER", "SAME_LOWER"])
        attributes["strides"] = [1] * axes  # onnxruntime crops where the kernel is smaller than the stride
    if opset >= 18:
        attributes["ceil_mode"] = int("pads" in attributes and r.integers(2))
        if "pads" in attributes:
            attributes["dilations"] = r.integers(1, 3, axes).tolist()
    return made(op, [values(r, x, np.float32)], opset, attributes)


@generator("GlobalLpPool")
def draw_global_lp_pool(r, op):
    return made(op, [values(r, sides(r, 3, 5, empty=False), np.float32)], 7, {"p": int(r.integers(1, 4))})


@generator("Det")
def draw_det(r, op):
    n = int(r.integers(1, 6))
    return made(op, [values(r, sides(r, 0, 2) + [n, n], np.float32)], 11)


@generator("ReverseSequence")
def draw_reverse_sequence(r, op):
    dims = sides(r, 2, 4, empty=False)
    time = int(r.integers(2))
    lengths = r.integers(1, dims[time] + 1, dims[1 - time])
    return made(op, [values(r, dims, kind(r, F + INTS)), lengths], 10,
                {"time_axis": time, "batch_axis": 1 - time})


@generator("GridSample")
def draw_grid_sample(r, op):
    opset = kind(r, [16, 20])
    axes = int(kind(r, [2, 3])) if opset >= 20 else 2
    x = r.integers(1, 7, 2 + axes).tolist()
    grid = [x[0]] + r.integers(1, 7, axes).tolist() + [axes]
    modes = ["nearest", "linear", "cubic"][:2 if axes == 3 else 3] if opset >= 20 else ["nearest", "bilinear", "bicubic"]
    attributes = {"mode": kind(r, modes), "padding_mode": kind(r, ["zeros", "border", "reflection"]),
                  "align_corners": int(r.integers(2))}
    return made(op, [values(r, x, np.float32), (r.random(grid) * 3 - 1.5).astype(np.float32)], opset, attributes)


@generator("MeanVarianceNormalization")
def draw_mvn(r, op):
    dims = [d + 1 for d in sides(r, 1, 4, empty=False)]  # of one element onnxruntime makes 0 / 0
    axes = sorted(r.choice(len(dims), int(r.integers(1, len(dims) + 1)), False).tolist())
    if len(dims) == 4 and r.random() < 0.5:
        return made(op, [values(r, dims, np.float32)], kind(r, [9, 13]))
    return made(op, [values(r, dims, np.float32)], kind(r, [9, 13]), {"axes": axes})


@generator("RMSNormalization")
def draw_rms(r, op):
    dims = sides(r, 1, 4, 40, empty=False)
    axis = int(r.integers(-len(dims), len(dims)))
    dtype = kind(r, F)
    return made(op, [values(r, dims, dtype), values(r, dims[axis:], dtype)], 23,
                {"axis": axis, "epsilon": float(kind(r, [1e-5, 1e-2]))})


@generator("Einsum")
def draw_einsum(r, op):
    equation = kind(r, ["ij->ji", "ii->i", "ii", "ij,jk->ik", "bij,bjk->bik", "bij,bjk", "i,i", "i,j->ij", "...ij,...jk->...ik",
                          "a...b,b...->a...", "abc,cd,de->abe", "ab,ac,ad->bcd", "abc->", "abc->c", "bhid,bhjd->bhij",
                          "...,...", "ij , jk", "XaY,aY->Xa", "...a->...", "ab,cb->ca", "ijk,jil->kl"])
    letters = {c: int(r.integers(1, 7)) for c in equation if c.isalpha()}
    batch = sides(r, 0, 2, 4, False)
    inputs, dtype = [], kind(r, F[1:3] + [np.int32, np.int64])
    for term in equation.replace(" ", "").split("->")[0].split(","):
        dims = []
        for part in term.replace("...", "."):
            dims += batch if part == "." else [letters[part]]
        inputs.append(values(r, dims, dtype, -5, 5))
    return made(op, inputs, 12, {"equation": equation})


def build(case, r):
    feeds, inputs, initializers, names = {}, [], [], []
    for i, array in enumerate(case.inputs):
        if array is None:
            names.append("")
            continue
        array = np.asarray(array)
        name = f"x{i}"
        names.append(name)
        tensor = numpy_helper.from_array(array, name)
        small = i > 0 and array.dtype == np.int64 and array.ndim <= 1
        if r.random() < (0.6 if small else 0.2):
            initializers.append(tensor)
        else:
            shape = [None if r.random() < 0.2 else d for d in array.shape]
            inputs.append(helper.make_tensor_value_info(name, tensor.data_type, shape))
            feeds[name] = array
    while names and names[-1] == "":
        names.pop()
    outputs = [f"y{i}" for i in range(case.n_outputs)]
    node = helper.make_node(case.op, names, outputs, name="node", **case.attributes)
    graph = helper.make_graph([node], "g", inputs, [helper.make_empty_tensor_value_info(o) for o in outputs],
                              initializer=initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", case.opset)], ir_version=10)
    return model, feeds


def damaged_number(r):
    return int(pick(r, -1, 0, 1, 2, 7, -2 ** 31, 2 ** 31 - 1, 2 ** 31, 2 ** 40, 2 ** 63 - 1, -2 ** 63, int(r.integers(-9, 10))))


def damaged_value(r, value):
    if isinstance(value, list) and value and not isinstance(value[0], str):
        value = list(value)
        what = r.integers(4)
        if what == 0:
            value[r.integers(len(value))] = damaged_number(r) if isinstance(value[0], int) else float(pick(r, np.nan, -1.0, 1e30))
        elif what == 1:
            value.append(value[0])
        elif what == 2:
            value.pop()
        else:
            value = [-v for v in value]
        return value or None
    if isinstance(value, (int, np.integer)):
        return damaged_number(r)
    if isinstance(value, float):
        return float(pick(r, np.nan, np.inf, -1.0, 0.0, 1e30))
    return "nonsense" if isinstance(value, str) else None


def damaged_array(r, array):
    array = np.asarray(array)
    what = r.integers(4)
    if what == 0:
        return values(r, dims(r, 0, 6), array.dtype if not is_exotic(array.dtype) else np.float32)
    if what == 1:
        return array.astype(kind(r, ANY), copy=True)
    if array.size == 0 or is_exotic(array.dtype) or array.dtype == np.bool_:
        return np.zeros(dims(r), np.float32)
    array = array.copy()
    place = r.integers(array.size)
    if array.dtype.kind == "f":
        array.flat[place] = pick(r, np.nan, np.inf, -np.inf, 6e4)
    else:
        info = np.iinfo(array.dtype)
        array.flat[place] = int(np.clip(damaged_number(r), info.min, info.max))
    return array


def damage(case, r):
    inputs, attributes, version = list(case.inputs), dict(case.attributes), case.opset
    for _ in range(r.integers(1, 3)):
        what = r.integers(6)
        if what <= 2:
            i = int(r.integers(len(inputs)))
            inputs[i] = None if inputs[i] is None else damaged_array(r, inputs[i])
        elif what == 3 and attributes:
            name = sorted(attributes)[r.integers(len(attributes))]
            attributes[name] = damaged_value(r, attributes[name])
        elif what == 4:
            version = int(r.integers(7, 24))
        elif len(inputs) > 1 and r.random() < 0.5:
            inputs.pop()
        else:
            inputs[r.integers(len(inputs))] = None
    return Case(case.op, version, inputs, case.n_outputs, **attributes)


def is_exotic(dtype):
    return dtype.kind == "V" or dtype.name.startswith(("bfloat", "float8", "int4", "uint4"))


def run_onnxruntime(model, feeds):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if any(is_exotic(v.dtype) for v in feeds.values()):
        raise TypeError("no numpy type")
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def judge(case, model, feeds):
    """The outputs, and who computed them."""
    try:
        return run_onnxruntime(model, feeds), "onnxruntime"
    except Exception as error:
        failure = str(error).strip().splitlines()[0][:200]
    floats = [a.dtype for a in case.inputs if a is not None and np.asarray(a).dtype.kind in "fV"]
    narrow = set(floats) - {np.dtype(np.float32)}
    if narrow and not case.op.startswith(("Cast", "Quantize", "Dequantize")):
        wide = Case(case.op, case.opset, [np.asarray(a).astype(np.float32) if a is not None and a.dtype in narrow else a
                                          for a in case.inputs], case.n_outputs, case.tolerance, **case.attributes)
        try:
            found = run_onnxruntime(*build(wide, np.random.default_rng(0)))
            kind = floats[0]
            return [f.astype(kind) if f.dtype == np.float32 else f for f in found], "onnxruntime in float32"
        except Exception as error:
            failure = str(error).strip().splitlines()[0][:200]
    return reference(model, feeds), f"reference ({failure})"


def reference(model, feeds):
    with np.errstate(all="ignore"):
        return [np.asarray(v) for v in ReferenceEvaluator(model).run(None, feeds)]


def difference(expected, found, case, who):
    expected, found = np.asarray(expected), np.asarray(found)
    if expected.shape != found.shape:
        return f"shape {found.shape}, expected {expected.shape}"
    if found.dtype.name.startswith("float8") and expected.dtype == np.uint8:
        expected = expected.view(found.dtype)
    if expected.dtype != found.dtype:
        return f"type {found.dtype}, expected {expected.dtype}"
    if expected.size == 0:
        return None
    a, b = expected.astype(np.float64), found.astype(np.float64)
    name = expected.dtype.name
    if expected.dtype.kind in "iub" and not name.startswith("bfloat"):
        gap = np.abs(a - b).max()
        return None if gap <= (case.tolerance or 0) else f"integers differ by {gap}"
    relative = 3e-2 if name == "bfloat16" else 5e-3 if name == "float16" else 1e-4 if name == "float32" else 1e-6
    if who.endswith("float32") or case.op == "GroupNormalization":  # a function of float32 statistics in onnxruntime
        relative = max(relative, 1e-4)
    with np.errstate(all="ignore"):
        same = (np.isnan(a) & np.isnan(b)) | (a == b)
        scale = np.abs(a[np.isfinite(a)]).max() if np.isfinite(a).any() else 1.0
        near = np.abs(a - b) <= relative * np.abs(a) + relative * 0.1 * min(scale, 1e3) + 1e-6
    if (same | near).all():
        return None
    bad = np.argwhere(~(same | near))[0]
    return f"{tuple(int(i) for i in bad)}: {b[tuple(bad)]!r}, expected {a[tuple(bad)]!r}"


def describe(case, model, feeds):
    shapes = [None if a is None else f"{np.asarray(a).dtype.name}{list(np.asarray(a).shape)}" for a in case.inputs]
    fixed = [i.name for i in model.graph.initializer]
    small = {f"x{i}": np.asarray(a).tolist() for i, a in enumerate(case.inputs)
             if a is not None and i > 0 and np.asarray(a).size <= 8}
    return f"{case.op} {case.opset} {case.attributes} {shapes} constants {fixed} {small}"


def run_hostile(op, seed, folder):
    import halftone_ctypes as ht
    r = np.random.default_rng([seed, 77, sum(map(ord, op))])
    with np.errstate(all="ignore"):
        case = damage(draw(op, r), r)
        model, feeds = build(case, r)
    path = os.path.join(folder, "model.onnx")
    onnx.save(model, path)
    try:
        ht.Executor(path).run(feeds)
        return "run", "", case
    except MemoryError:  # run, but too large to look at
        return "run", "", case
    except RuntimeError as error:
        text = str(error)
        about = "'x" in text and ("executor" in text or "Running" in text)
        return ("refused" if op in text or about else "POOR MESSAGE"), f"{text}\n    {describe(case, model, feeds)}", case


def draw(op, r):
    function = GENERATORS[op]
    return function(r) if function.__code__.co_argcount == 1 else function(r, op)


def run_one(op, seed, folder):
    import halftone_ctypes as ht
    r = np.random.default_rng([seed, sum(map(ord, op))])
    case = draw(op, r)
    model, feeds = build(case, r)
    try:
        expected, who = judge(case, model, feeds)
    except Exception as error:
        expected, who = None, f"nobody ({str(error).strip().splitlines()[0][:200] if str(error).strip() else error!r})"
    path = os.path.join(folder, "model.onnx")
    onnx.save(model, path)
    try:
        found, failure = ht.Executor(path).run(feeds), None
    except RuntimeError as error:
        found, failure = None, str(error)
    if expected is None:
        return ("refused", who + " | " + failure, case) if failure else ("unjudged", who, case)
    if failure:
        return "FAILED", f"{failure} | judge {who}\n    {describe(case, model, feeds)}", case
    for i, (e, f) in enumerate(zip(expected, found)):
        text = difference(e, f, case, who)
        if text is None:
            continue
        second = ""
        if who.startswith("onnxruntime"):
            try:
                other = difference(reference(model, feeds)[i], f, case, who)
                if other is None:
                    return "onnxruntime alone differs", f"{text}\n    {describe(case, model, feeds)}", case
                second = f", reference: {other}"
            except Exception as error:
                second = f", reference fails: {str(error)[:80]}"
        return "DIFFERENT", f"output {i} {text} | judge {who}{second}\n    {describe(case, model, feeds)}", case
    return "right", who, case


def run_operator(op, first, end, hostile, queue):
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, end):
            queue.put((seed, "BEGIN", ""))
            try:
                verdict, text, _ = (run_hostile if hostile else run_one)(op, seed, folder)
            except Exception:
                verdict, text = "BROKEN", traceback.format_exc()
            queue.put((seed, verdict, text))


def watch(op, first, end, hostile, hang):
    """Yields (seed, verdict, text); a child that dies is followed by another one behind the case that killed it."""
    while first < end:
        queue = multiprocessing.Queue()
        child = multiprocessing.Process(target=run_operator, args=(op, first, end, hostile, queue))
        child.start()
        seed, waited, begun = first, 0, True
        while begun or seed + 1 < end:
            try:
                seed, verdict, text = queue.get(timeout=1)
                waited, begun = 0, verdict == "BEGIN"
                if not begun:
                    yield seed, verdict, text
            except Exception:
                waited += 1
                if waited > hang or not child.is_alive() and queue.empty():
                    break
        if begun:
            yield seed, "CRASHED" if waited <= hang else "HUNG", f"exit code {child.exitcode}"
        if child.is_alive() and begun:
            child.kill()
        child.join()
        first = seed + 1


BAD = ("FAILED", "DIFFERENT", "BROKEN", "CRASHED", "HUNG", "POOR MESSAGE")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=3)
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    arguments, operators = parser.parse_known_args()
    total_bad = 0
    for op in operators or sorted(GENERATORS):
        counts, shown = {}, []
        for seed, verdict, text in watch(op, arguments.seed, arguments.seed + arguments.cases, arguments.hostile, 30):
            name = "by the reference" if verdict == "right" and text.startswith("reference") else verdict
            counts[name] = counts.get(name, 0) + 1
            total_bad += verdict in BAD
            if verdict in BAD or arguments.verbose and verdict not in ("right", "run"):
                shown.append(f"  seed {seed} {verdict}: {text}")
        print(op, counts, flush=True)
        for line in shown[:arguments.show]:
            print(line, flush=True)
    return 1 if total_bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
