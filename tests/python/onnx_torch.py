# SPDX-License-Identifier: MIT
"""A small interpreter of ONNX graphs in torch, for gradients to compare with: the operators of the networks that the
tests and benchmarks train, and no others."""
import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper


def _pads(attributes, x, rank):
    """Symmetric padding as a list, after padding x by hand where the sides differ."""
    pads = attributes.get("pads", [0] * 2 * rank)
    if pads[:rank] == pads[rank:]:
        return x, pads[:rank]
    return F.pad(x, [p for i in reversed(range(rank)) for p in (pads[i], pads[rank + i])]), [0] * rank


def _window(attributes, x):
    rank = x.dim() - 2
    return rank, attributes.get("strides", [1] * rank), attributes.get("dilations", [1] * rank)


def _conv(net, a, x, w, b=None):
    rank, strides, dilations = _window(a, x)
    x, pads = _pads(a, x, rank)
    convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[rank]
    return convolve(x, w, b, strides, pads, dilations, a.get("group", 1))


def _batch_norm(net, a, x, scale, shift, mean, variance):
    return F.batch_norm(x, mean.clone(), variance.clone(), scale, shift, net.batch_statistics, 0.1, a.get("epsilon", 1e-5))


def _max_pool(net, a, x):
    rank, strides, dilations = _window(a, x)
    pads = a.get("pads", [0] * 2 * rank)
    if pads[:rank] != pads[rank:]:
        x, pads = F.pad(x, [p for i in reversed(range(rank)) for p in (pads[i], pads[rank + i])], value=-np.inf), [0] * rank
    return F.max_pool2d(x, a["kernel_shape"], strides, pads[:rank], dilations, bool(a.get("ceil_mode", 0)))


def _average_pool(net, a, x):
    rank, strides, _ = _window(a, x)
    return F.avg_pool2d(x, a["kernel_shape"], strides, a.get("pads", [0] * rank)[:rank], False, bool(a.get("count_include_pad", 0)))


def _gemm(net, a, x, w, b=None):
    y = (x.t() if a.get("transA") else x) @ (w.t() if a.get("transB") else w) * a.get("alpha", 1.0)
    return y if b is None else y + a.get("beta", 1.0) * b


def _slice(net, a, x, starts, ends, axes=None, steps=None):
    index = [slice(None)] * x.dim()
    starts, ends = starts.tolist(), ends.tolist()
    for i, axis in enumerate(axes.tolist() if axes is not None else range(len(starts))):
        index[axis] = slice(starts[i], min(ends[i], x.shape[axis]), steps.tolist()[i] if steps is not None else 1)
    return x[tuple(index)]


def _pad(net, a, x, pads=None, value=None):
    pads = pads.tolist() if pads is not None else a["pads"]
    n = len(pads) // 2
    return F.pad(x, [p for i in reversed(range(n)) for p in (pads[i], pads[n + i])], value=float(value) if value is not None else 0.0)


def _resize(net, a, x, roi=None, scales=None, sizes=None):
    assert a["mode"] == b"nearest" and a["nearest_mode"] == b"floor"
    return F.interpolate(x, scale_factor=[float(s) for s in scales[2:]], mode="nearest")


def _clip(net, a, x, low=None, high=None):
    return torch.clamp(x, None if low is None else float(low), None if high is None else float(high))


def _unsqueeze(net, a, x, axes=None):
    for axis in sorted(axes.tolist() if axes is not None else a["axes"]):
        x = x.unsqueeze(axis)
    return x


def _reduce_mean(net, a, x, axes=None):
    return x.mean(a["axes"] if axes is None else axes.tolist(), keepdim=bool(a.get("keepdims", 1)))


def _reshape(net, a, x, shape):
    return x.reshape([x.shape[i] if d == 0 else d for i, d in enumerate(shape.tolist())])


OPERATORS = {
    "Add": lambda net, a, x, y: x + y,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": lambda net, a, x: x.to({1: torch.float32, 7: torch.int64}[a["to"]]),
    "Clip": _clip,
    "Concat": lambda net, a, *xs: torch.cat(xs, a["axis"]),
    "Constant": lambda net, a: torch.from_numpy(numpy_helper.to_array(a["value"]).copy()),
    "Conv": _conv,
    "Div": lambda net, a, x, y: x / y,
    "Dropout": lambda net, a, x, *_: x,
    "Expand": lambda net, a, x, shape: x.expand(torch.broadcast_shapes(x.shape, tuple(shape.tolist()))),
    "Flatten": lambda net, a, x: x.flatten(a.get("axis", 1)),
    "Gather": lambda net, a, x, i: x.index_select(a.get("axis", 0), i.reshape(-1)).reshape(
        x.shape[:a.get("axis", 0)] + i.shape + x.shape[a.get("axis", 0) + 1:]),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda net, a, x: x.mean(tuple(range(2, x.dim())), keepdim=True),
    "Identity": lambda net, a, x: x,
    "LayerNormalization": lambda net, a, x, g, b=None: F.layer_norm(x, g.shape, g, b, a.get("epsilon", 1e-5)),
    "MatMul": lambda net, a, x, y: x @ y,
    "MaxPool": _max_pool,
    "Mul": lambda net, a, x, y: x * y,
    "Pad": _pad,
    "Pow": lambda net, a, x, y: x ** y,
    "ReduceMean": _reduce_mean,
    "Relu": lambda net, a, x: F.relu(x),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": lambda net, a, x: torch.tensor(x.shape),
    "Sigmoid": lambda net, a, x: torch.sigmoid(x),
    "Slice": _slice,
    "Softmax": lambda net, a, x: torch.softmax(x, a.get("axis", 1 if net.opset < 13 else -1)),
    "Sqrt": lambda net, a, x: torch.sqrt(x),
    "Sub": lambda net, a, x, y: x - y,
    "Sum": lambda net, a, *xs: sum(xs[1:], xs[0]),
    "Unsqueeze": _unsqueeze,
    "Tanh": lambda net, a, x: torch.tanh(x),
    "Transpose": lambda net, a, x: x.permute(a.get("perm", list(reversed(range(x.dim()))))),
    "Where": lambda net, a, c, x, y: torch.where(c, x, y),
}


class Network:
    """`parameters` are the floating-point initializers that a gradient makes sense for."""

    def __init__(self, path, batch_statistics=False, dtype=torch.float32):
        model = onnx.load(path)
        self.graph, self.opset = model.graph, next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self.batch_statistics = batch_statistics
        self.values = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in self.graph.initializer}
        self.values = {n: v.to(dtype) if v.is_floating_point() else v for n, v in self.values.items()}
        self.inputs = [i.name for i in self.graph.input if i.name not in self.values]
        self.nodes = [(OPERATORS[n.op_type], list(n.input), n.output[0],
                       {a.name: onnx.helper.get_attribute_value(a) for a in n.attribute}) for n in self.graph.node]
        trained = {"Conv": (1, 2), "Gemm": (1, 2), "MatMul": (0, 1), "BatchNormalization": (1, 2), "LayerNormalization": (1, 2),
                   "Add": (0, 1), "Expand": (0,)}
        names = {n.input[i] for n in self.graph.node for i in trained.get(n.op_type, ()) if i < len(n.input)}
        self.parameters = sorted(n for n in names if n in self.values and self.values[n].is_floating_point() and self.values[n].dim() > 0)
        for name in self.parameters:
            self.values[name].requires_grad_(True)

    def output(self, without_softmax=True):
        """The name of the logits: what the final Softmax reads, if there is one."""
        last = self.graph.node[-1]
        return last.input[0] if without_softmax and last.op_type == "Softmax" else self.graph.output[0].name

    def run(self, feeds, output):
        values = dict(self.values)
        values.update(feeds)
        for function, inputs, made, attributes in self.nodes:
            values[made] = function(self, attributes, *[values[name] if name else None for name in inputs])
            if made == output:
                break
        return values[output]
