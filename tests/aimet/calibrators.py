#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the calibrators with the native library of aimet-onnx, which is given the same values.

usage: calibrators.py HALFTONE ASSETS

Weights: each model is calibrated on a few random samples, per channel and per tensor, and each weight's grid is compared
with AIMET's grid of the same weight. Activations: streams of batches (the weights of each model, cut up, with and without
their negative part) are calibrated as the input of a network of one node. With `histogram: aimet` scales have to agree
within 1e-5 and offsets have to be equal; with the default histogram, the ends of the range are compared in bins of
AIMET's histogram, and so are the errors that both grids make on the values, apart where AIMET's histogram drops values.
The exit status is 1 where any grid of weights, or of streams with `histogram: aimet`, differs.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnx
from aimet_onnx.common import _libpymo as pymo
from onnx import numpy_helper

SCHEMES = {"tf-enhanced": pymo.QuantizationMode.QUANTIZATION_TF_ENHANCED,
           "percentile": pymo.QuantizationMode.QUANTIZATION_PERCENTILE}
PERCENT = 99.5


def aimet(name, batches, shape, symmetric, bits):
    quantizer = pymo.BlockTensorQuantizer(shape, bits, SCHEMES[name])
    if name == "percentile":
        quantizer.setPercentileValue(PERCENT)
    for batch in batches:
        quantizer.updateStats(numpy.ascontiguousarray(batch))
    return [(e.delta, e.offset) for e in quantizer.computeEncodings(symmetric)]


def calibrator(name, histogram):
    parameters = {"histogram": histogram}
    if name == "percentile":
        parameters["value"] = PERCENT
    return {name: parameters}


def halftone(command, folder, model, data, batch, weights, activations):
    recipe = {"recipe": "1.0", "name": "compared", "model": str(model),
              "data": {"calibration": {"path": data, "batch": batch}},
              "quantization": {"weights": weights, "activations": activations}, "pipeline": [],
              "output": {"directory": "out", "formats": ["encodings-1.0.0"]}}
    (folder / "r.json").write_text(json.dumps(recipe))
    done = subprocess.run([command, "run", str(folder / "r.json")], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip().splitlines()[0])
    report = json.loads((folder / "out" / "report.json").read_text())
    encodings = json.loads((folder / "out" / "compared.encodings").read_text())
    grids = {e["name"]: list(zip(e["scale"], e["offset"]))
             for e in encodings["param_encodings"] + encodings["activation_encodings"]}
    return grids, report["results"]["unquantized"]


class Tally:
    def __init__(self):
        self.count = self.off = 0
        self.worst = 0.0

    def add(self, ours, theirs):
        for (scale, offset), (delta, other) in zip(ours, theirs):
            difference = abs(scale / delta - 1)
            self.count += 1
            self.worst = max(self.worst, difference)
            self.off += difference > 1e-5 or offset != other

    def __str__(self):
        return f"{self.count} grids, {self.off} differ, largest difference of a scale {self.worst:.1e}"


def compare_weights(command, path, folder):
    graph = onnx.load(path).graph
    values = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    inputs = [i for i in graph.input if i.name not in values]
    arrays = {}
    random = numpy.random.default_rng(1)
    for i in inputs:
        dims = [d.dim_value or 1 for d in i.type.tensor_type.shape.dim]
        if i.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            return "skipped: an input that is not float", 0
        arrays[i.name] = random.standard_normal([4 if dims[:1] == [1] else dims[0]] + dims[1:]).astype(numpy.float32)
    paths = {}
    for number, (name, array) in enumerate(arrays.items()):
        numpy.save(folder / f"{number}.npy", array)
        paths[name] = f"{number}.npy"
    lines = []
    off = 0
    for name in SCHEMES:
        for granularity in ("channel", "tensor"):
            for bits in (8, 4):
                grids, notes = halftone(command, folder, path, paths, 4,
                                        {"bits": bits, "granularity": granularity,
                                         "calibrator": calibrator(name, "aimet")}, {})
                raised = " ".join(n for n in notes if "was raised" in n)
                tally = Tally()
                for node in graph.node:
                    weight = node.input[1] if node.op_type in ("Conv", "Gemm", "MatMul") and len(node.input) > 1 else ""
                    if weight not in values or weight not in grids or f"'{weight}'" in raised:
                        continue
                    value = values[weight]
                    rank = value.ndim
                    transposed = any(a.name == "transB" and a.i for a in node.attribute)
                    axis = 0 if node.op_type == "Conv" or transposed else rank - 1
                    shape = [] if granularity == "tensor" else [value.shape[d] if d == axis else 1 for d in range(rank)]
                    theirs = aimet(name, [value], shape, True, bits)
                    if len(theirs) == len(grids[weight]):
                        tally.add(grids[weight], theirs)
                lines.append(f"  {name}, {granularity}, {bits} bits: {tally}")
                off += tally.off
    return "\n" + "\n".join(lines), off


def streams(path):
    for initializer in onnx.load(path).graph.initializer:
        value = numpy_helper.to_array(initializer)
        if value.dtype == numpy.float32 and value.size >= 2048:
            flat = value.reshape(-1)[: 64 * (value.size // 64)][:65536].reshape(64, -1)
            yield flat
            yield numpy.maximum(flat, 0) * 7


def error_on_values(values, scale, offset):
    """The mean of what tf-enhanced minimizes, on the values themselves: squared errors, clipped ones three times."""
    values = values.astype(numpy.float64)
    error = values - scale * (numpy.clip(numpy.floor(values / scale - offset + 0.5), 0, 255) + offset)
    clipped = (values < scale * offset) | (values > scale * (offset + 255))
    return float((error**2 * numpy.where(clipped, 3, 1)).mean())


def lies_beyond(batches, bin_width):
    """Whether AIMET's histogram, laid out for the first batch, drops any value."""
    low, high = float(batches[0].min()), float(batches[0].max())
    left = numpy.floor(((low + high) / 2 - 1.5 * (high - low)) / bin_width) * bin_width
    return any(b.min() < left or b.max() >= left + 1536 * bin_width for b in batches)


class Gaps:
    def __init__(self):
        self.bins, self.ratios = [], []

    def add(self, bins, ratio):
        self.bins.append(bins)
        self.ratios.append(ratio)

    def __str__(self):
        if not self.bins:
            return "none"
        within = sum(b <= 1 for b in self.bins)
        return (f"{within} of {len(self.bins)} within one bin, median {numpy.median(self.bins):.2f}, most "
                f"{max(self.bins):.1f}; error on the values / AIMET's {min(self.ratios):.3g} to {max(self.ratios):.3g}")


def compare_streams(command, paths, folder):
    exact = {name: Tally() for name in SCHEMES}
    kept = {name: Gaps() for name in SCHEMES}
    dropped = {name: Gaps() for name in SCHEMES}
    for path in paths:
        for values in list(streams(path))[:6]:
            width = values.shape[1]
            graph = onnx.helper.make_graph(
                [onnx.helper.make_node("Relu", ["x"], ["y"], name="relu")], "one",
                [onnx.helper.make_tensor_value_info("x", 1, ["n", width])],
                [onnx.helper.make_tensor_value_info("y", 1, ["n", width])])
            model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
            onnx.save(model, folder / "one.onnx")
            numpy.save(folder / "x.npy", values)
            batches = [values[i : i + 16] for i in range(0, 64, 16)]
            for name in SCHEMES:
                (delta, offset), = aimet(name, batches, [], False, 8)
                for histogram in ("aimet", "doubling"):
                    grids, _ = halftone(command, folder, "one.onnx", "x.npy", 16, {},
                                        {"calibrator": calibrator(name, histogram)})
                    (scale, ours), = grids["x"]
                    if histogram == "aimet":
                        exact[name].add([(scale, ours)], [(delta, offset)])
                    else:
                        bin_width = (float(batches[0].max()) - float(batches[0].min())) / 512
                        gaps = dropped if lies_beyond(batches, bin_width) else kept
                        gaps[name].add(max(abs(scale * ours - delta * offset),
                                           abs(scale * (ours + 255) - delta * (offset + 255))) / bin_width,
                                       error_on_values(values, scale, ours) / error_on_values(values, delta, offset))
    for name in SCHEMES:
        print(f"streams, {name}: {exact[name]}\n  default histogram: {kept[name]}\n"
              f"  where AIMET's drops values: {dropped[name]}")
    return sum(t.off for t in exact.values())


def main():
    command, assets = sys.argv[1], pathlib.Path(sys.argv[2])
    models = sorted((assets / "models").glob("*.onnx"))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        off = compare_streams(command, models, folder)
        for path in models:
            try:
                text, off_weights = compare_weights(command, path, folder)
                off += off_weights
                print(f"{path.stem}: {text}", flush=True)
            except RuntimeError as error:
                print(f"{path.stem}: skipped: {error}", flush=True)
    return 1 if off else 0


if __name__ == "__main__":
    sys.exit(main())
