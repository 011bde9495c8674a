#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Speed of adaround's two solvers on single layers: seconds of an iteration of the relaxation against the arithmetic it
takes (a forward pass and the gradient of the weights) at a peak, and against the whole exact solver.

usage: adaround.py --peak GF/S [--batch N] [--samples N] [--threads N] [--torch] [LAYER...]

A LAYER is CHANNELS>CHANNELS:KERNEL@SIZE or depthwise, CHANNELS:KERNEL@SIZE; weights and inputs are random. The peak is that
of fused multiply-adds on all threads, which the benchmark `kernels` prints. --torch times the same loop in torch, with as
many threads. HALFTONE names the command; unset OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE."""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LAYERS = ["64>64:3@56", "128>128:3@28", "256>256:3@14", "512>512:3@7", "96>576:1@14", "576>96:1@14", "320>1280:1@7", "64>64:3@28", "576:3@14"]


class Layer:
    def __init__(self, text):
        parts = re.fullmatch(r"(?:(\d+)>)?(\d+):(\d+)@(\d+)", text) or sys.exit(f"'{text}' is no LAYER")
        self.n_out, self.kernel, self.size = (int(parts[i]) for i in (2, 3, 4))
        self.n_in = int(parts[1] or self.n_out)
        self.groups = 1 if parts[1] else self.n_out

    def weight(self, rng):
        shape = (self.n_out, self.n_in // self.groups, self.kernel, self.kernel)
        return (rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)

    def flops(self, batch):
        """Of a forward pass and the gradient of the weights."""
        return 4 * batch * self.size ** 2 * self.n_out * self.n_in // self.groups * self.kernel ** 2

    def write(self, path, weight):
        pad = self.kernel // 2
        nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="layer", pads=[pad] * 4, group=self.groups), helper.make_node("Relu", ["y"], ["z"])]
        value = lambda name, channels: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, self.size, self.size])
        graph = helper.make_graph(nodes, "layer", [value("x", self.n_in)], [value("z", self.n_out)], [numpy_helper.from_array(weight, "w")])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def run(folder, options, settings):
    """Seconds of the step adaround."""
    out = os.path.join(folder, "out")
    recipe = {"recipe": "1.0", "name": "layer", "model": os.path.join(folder, "layer.onnx"),
              "data": {"calibration": {"path": os.path.join(folder, "x.npy"), "batch": options.batch}},
              "quantization": {"weights": {"bits": 4}, "activations": {"bits": 16}}, "pipeline": [{"adaround": {"input": "float", **settings}}],
              "output": {"directory": out, "formats": ["onnx"], "report": ["json"]}}
    path = os.path.join(folder, "recipe.yaml")
    with open(path, "w") as file:
        json.dump(recipe, file)
    done = subprocess.run([os.environ.get("HALFTONE", "halftone"), "run", "--json", "--threads", str(options.threads), path], capture_output=True, text=True)
    if done.returncode not in (0, 4):
        sys.exit(done.stderr)
    return json.loads(done.stdout)["timings"]["steps"]["adaround"]


def time_torch(layer, weight, inputs, options, iterations):
    import torch
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../python"))
    from torch_relaxation import relax
    torch.set_num_threads(options.threads)
    weight, inputs = torch.from_numpy(weight), torch.from_numpy(inputs)
    forward = lambda x, w: torch.relu(torch.nn.functional.conv2d(x, w, None, 1, layer.kernel // 2, 1, layer.groups))
    with torch.no_grad():
        targets = forward(inputs, weight)
    scale = weight.abs().amax((1, 2, 3), keepdim=True) / 7
    start = time.monotonic()
    relax(weight, scale, forward, inputs, targets, iterations)
    return (time.monotonic() - start) / iterations


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--peak", type=float, required=True)
    options.add_argument("--batch", type=int, default=32)
    options.add_argument("--samples", type=int, default=128)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--torch", action="store_true")
    options.add_argument("layers", nargs="*", metavar="LAYER")
    chosen = options.parse_args()
    print("| layer | GFLOP an iteration | relaxation ms | of the peak | 10,000 iterations s | exact s | ratio |" + (" torch ms |" if chosen.torch else ""))
    print("|---" * (8 if chosen.torch else 7) + "|")
    for text in chosen.layers or LAYERS:
        layer, rng = Layer(text), np.random.default_rng(1)
        weight = layer.weight(rng)
        inputs = np.maximum(rng.standard_normal((chosen.samples, layer.n_in, layer.size, layer.size)), 0).astype(np.float32)
        with tempfile.TemporaryDirectory() as folder:
            layer.write(os.path.join(folder, "layer.onnx"), weight)
            np.save(os.path.join(folder, "x.npy"), inputs)
            iterations = int(np.clip(60e9 / layer.flops(chosen.batch), 10, 300))
            # What is not iterations, such as running the network, takes the same in both.
            few, many = (min(run(folder, chosen, {"solver": "relaxation", "iterations": n}) for _ in range(3)) for n in (iterations, 3 * iterations))
            exact = min(run(folder, chosen, {}) for _ in range(3))
        seconds = (many - few) / (2 * iterations)
        flops = layer.flops(chosen.batch)
        torch_time = f" {1e3 * time_torch(layer, weight, inputs, chosen, iterations):.1f} |" if chosen.torch else ""
        print(f"| {text} | {flops / 1e9:.2f} | {1e3 * seconds:.2f} | {100 * flops / seconds / 1e9 / chosen.peak:.0f} % | {10000 * seconds:.0f} | {exact:.3f} |"
              f" {10000 * seconds / exact:.0f} |{torch_time}", flush=True)


if __name__ == "__main__":
    main()
