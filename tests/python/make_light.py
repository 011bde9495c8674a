#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes real networks of the light ones of the ONNX backend cases, whose weights are constants and whose batch is fixed.

make_light.py [FOLDER] [NAME...]; needs numpy, onnx and onnxruntime. FOLDER defaults to $TMPDIR/halftone-light.

Weights are drawn after He with a seed that follows from the network's name; batch norms take the statistics of random
images, and the last layer is scaled so that the logits spread by 2. The batch becomes the symbol N, in inner Reshapes
too. Each network is run in onnxruntime at two batches and checked before its path is printed."""
import glob
import os
import sys
import tempfile
import zlib

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

ASSETS = os.environ.get("HALFTONE_ASSETS", os.path.join(os.path.dirname(__file__), "../../../shared/assets"))
CASES = os.environ.get("HALFTONE_ONNX_CASES", os.path.join(ASSETS, "onnx-backend"))
WEIGHT_READERS = ("Conv", "Gemm")
LOGIT_SPREAD = 2.0


def folder():
    return os.path.join(tempfile.gettempdir(), "halftone-light")


def images(n, rng):
    """Coarse patches and noise: white noise alone would make all images alike after pooling."""
    coarse = rng.standard_normal((n, 3, 14, 14)).repeat(16, axis=2).repeat(16, axis=3)
    return (coarse + 0.5 * rng.standard_normal((n, 3, 224, 224))).astype(np.float32)


def session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        onnx.save(model, file.name)
        return onnxruntime.InferenceSession(file.name, options, providers=["CPUExecutionProvider"])


class Light:
    def __init__(self, path):
        self.model = onnx.load(path)
        self.graph = self.model.graph
        self.rng = np.random.default_rng(zlib.crc32(os.path.basename(path).encode()))
        self.values = {i.name: numpy_helper.to_array(i) for i in self.graph.initializer}

    def readers(self, name):
        """(operator, input index, output) of who reads the value, through operators that only reshape it."""
        for node in self.graph.node:
            for index, read in enumerate(node.input):
                if read == name and node.op_type in ("Reshape", "Unsqueeze"):
                    yield from self.readers(node.output[0])
                elif read == name:
                    yield node.op_type, index, node.output[0]

    def draw(self, name, shape):
        kinds = {(kind, index) for kind, index, _ in self.readers(name)}
        normal = self.rng.standard_normal(shape, dtype=np.float32)
        if any((reader, 1) in kinds for reader in WEIGHT_READERS):
            return normal * np.float32(np.sqrt(2.0 / np.prod(shape[1:])))
        if ("BatchNormalization", 1) in kinds or any(kind == "Mul" for kind, _ in kinds):
            return self.rng.uniform(0.8, 1.2, shape).astype(np.float32)
        if ("BatchNormalization", 4) in kinds:
            return np.ones(shape, np.float32)
        return np.float32(0.1) * normal

    def draw_weights(self):
        kept, given = [], set(self.values)
        for node in self.graph.node:
            if node.op_type == "ConstantOfShape" and node.input[0] in self.values:
                self.values[node.output[0]] = self.draw(node.output[0], self.values[node.input[0]].tolist())
            else:
                kept.append(node)
        for name, value in self.values.items():
            if value.dtype == np.float32 and name in given:
                self.values[name] = self.draw(name, list(value.shape))
        del self.graph.node[:]
        self.graph.node.extend(kept)

    def free_batch(self):
        for node in self.graph.node:
            if node.op_type == "Reshape" and node.input[0] not in self.values:
                shape = self.values[node.input[1]].copy()
                assert shape[0] in (1, 0), f"{node.output[0]}: the batch is not in front"
                shape[0] = 0
                self.values[node.input[1]] = shape
        for value in list(self.graph.input) + list(self.graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = "N"

    def store(self):
        """Initializers from the values that something reads; none of them is an input any more."""
        read = {name for node in self.graph.node for name in node.input}
        del self.graph.initializer[:]
        self.graph.initializer.extend(numpy_helper.from_array(np.ascontiguousarray(value), name)
                                      for name, value in self.values.items() if name in read)
        inputs = [i for i in self.graph.input if i.name not in self.values]
        del self.graph.input[:], self.graph.value_info[:]
        self.graph.input.extend(inputs)
        self.model.ir_version = 8

    def calibrate(self):
        """One run of a copy whose batch norms work on the statistics of the batch, and tell them."""
        copy = onnx.ModelProto()
        copy.CopyFrom(self.model)
        del copy.graph.node[:]
        norms = []
        for node in self.graph.node:
            if node.op_type != "BatchNormalization":
                copy.graph.node.append(node)
                continue
            x, scale, bias, mean, variance = node.input
            y = node.output[0]
            epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
            copy.graph.initializer.append(numpy_helper.from_array(np.float32(epsilon), y + "/e"))
            over = {"axes": [0, 2, 3], "keepdims": 1}
            step = lambda op, inputs, output, **attributes: copy.graph.node.append(
                helper.make_node(op, inputs, [y + output], **attributes))
            step("ReduceMean", [x], "/m", **over)
            step("Sub", [x, y + "/m"], "/d")
            step("Mul", [y + "/d", y + "/d"], "/dd")
            step("ReduceMean", [y + "/dd"], "/v", **over)
            step("Add", [y + "/v", y + "/e"], "/ve")
            step("Sqrt", [y + "/ve"], "/s")
            step("Div", [y + "/d", y + "/s"], "/n")
            step("Unsqueeze", [scale], "/g", axes=[1, 2])
            step("Unsqueeze", [bias], "/b", axes=[1, 2])
            step("Mul", [y + "/n", y + "/g"], "/ng")
            step("Add", [y + "/ng", y + "/b"], "")
            norms.append((y, mean, variance))
            copy.graph.output.extend(helper.make_tensor_value_info(y + end, onnx.TensorProto.FLOAT, None)
                                     for end in ("/m", "/v"))
        if norms:
            wanted = [y + end for y, _, _ in norms for end in ("/m", "/v")]
            found = session(copy).run(wanted, {self.graph.input[0].name: images(16, self.rng)})
            for (_, mean, variance), m, v in zip(norms, found[0::2], found[1::2]):
                self.values[mean], self.values[variance] = m.ravel(), v.ravel()
        self.store()

    def scale_logits(self):
        last = next(node for node in reversed(self.graph.node) if node.op_type in WEIGHT_READERS)
        copy = onnx.ModelProto()
        copy.CopyFrom(self.model)
        copy.graph.output.append(helper.make_tensor_value_info(last.output[0], onnx.TensorProto.FLOAT, None))
        logits, = session(copy).run([last.output[0]], {self.graph.input[0].name: images(4, self.rng)})
        weight = last.input[1]
        while weight not in self.values:  # behind a Reshape
            weight = next(node for node in self.graph.node if weight in node.output).input[0]
        self.values[weight] = self.values[weight] * np.float32(LOGIT_SPREAD / logits.std())
        self.store()

    def check(self, path):
        x = images(4, self.rng)
        runner = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        y, = runner.run(None, {self.graph.input[0].name: x})
        alone, = runner.run(None, {self.graph.input[0].name: x[1:2]})
        name = os.path.basename(path)
        assert y.shape[0] == 4 and alone.shape[0] == 1, f"{name}: the batch is not free: {y.shape}, {alone.shape}"
        assert np.isfinite(y).all(), f"{name}: activations explode"
        assert np.abs(y[1] - alone[0]).max() <= 1e-4 * np.abs(y).max(), f"{name}: images of a batch disturb each other"
        rows = y.reshape(4, -1)
        assert min(np.abs(a - b).max() for a, b in zip(rows, rows[1:])) > 1e-3 * np.abs(rows).max(), f"{name}: all images look alike"
        if any(node.op_type == "Softmax" for node in self.graph.node[-3:]):
            assert rows.max() < 0.99, f"{name}: the logits saturate"


def main():
    arguments = sys.argv[1:]
    target = arguments[0] if arguments else folder()
    os.makedirs(target, exist_ok=True)
    paths = [p for p in sorted(glob.glob(os.path.join(CASES, "light", "light_*.onnx")))
             if not arguments[1:] or os.path.basename(p)[6:-5] in arguments[1:]]
    if not paths:
        sys.exit(f"no light networks in '{CASES}/light'")
    for path in paths:
        light = Light(path)
        light.draw_weights()
        light.free_batch()
        light.store()
        light.calibrate()
        light.scale_logits()
        made = os.path.join(target, os.path.basename(path))
        onnx.save(light.model, made + ".tmp")
        light.check(made + ".tmp")
        os.replace(made + ".tmp", made)
        print(made, flush=True)


if __name__ == "__main__":
    main()
