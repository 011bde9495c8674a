#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The relaxation of adaround against a loop written in torch from the publication (Nagel et al. 2020, equations 16 to 24):
single layers of trained networks, 4 bits, the same weights, grids, samples and settings. Batches come in another order.

torch_relaxation.py [--iterations N] [--all]; needs numpy, onnx and torch, and HALFTONE, the command, with its plugins. Exits with
77 (skipped) where a package or the models are missing, with 1 where the errors of the hard-rounded layers, on samples
that were trained on or on others, differ by more than 2 %, or where a layer is not better than nearest rounding."""
import argparse
import json
import math
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import torch
    import torch.nn.functional as F
    from onnx import TensorProto, helper, numpy_helper
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../bench")]
LIMIT = 0.02
SAMPLES, BATCH = 256, 32
# Networks and convolutions that a batch norm follows, with and without an activation; the last, depthwise, with --all.
LAYERS = [("resnet20_cifar10", "/layer2/layer2.2/conv1/Conv_output_0"), ("resnet20_cifar10", "/layer3/layer3.1/conv2/Conv_output_0"),
          ("mobilenetv1_100_trunk_cifar10", "/f/f.17/c/Conv_output_0")]


def read_layer(path, output):
    """A convolution with its batch norm folded: node, weight, bias, and the activations behind it."""
    graph = onnx.load(path).graph
    values = {i.name: numpy_helper.to_array(i).astype(np.float64) for i in graph.initializer}
    node = next(n for n in graph.node if n.output[0] == output)
    weight = values[node.input[1]]
    bias = values[node.input[2]] if len(node.input) > 2 else np.zeros(len(weight))
    norm = next(n for n in graph.node if output in n.input)
    epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
    scale, shift, mean, variance = (values[name] for name in norm.input[1:5])
    factor = scale / np.sqrt(variance + epsilon)
    readers = [n for n in graph.node if norm.output[0] in n.input]
    activated = len(readers) == 1 and readers[0].op_type == "Relu"
    return node, (weight * factor[:, None, None, None]).astype(np.float32), ((bias - mean) * factor + shift).astype(np.float32), activated


def read_inputs(path, tensor, name):
    """What the layer reads, of images that are trained on and of others."""
    import networks
    import onnx_torch
    network = onnx_torch.Network(path, False, torch.float32)
    found = []
    for file, first in (("cifar10_calib_x.npy", 0), ("cifar10_test_x.npy", 0)):
        images = networks.preprocess(name, np.load(networks.data_path(file))[first:first + SAMPLES])
        with torch.no_grad():
            parts = [network.run({network.inputs[0]: torch.from_numpy(images[i:i + 64])}, tensor) for i in range(0, SAMPLES, 64)]
        found.append(torch.cat(parts).contiguous())
    return found


def write_model(path, node, weight, bias, shape, activated):
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["y"], name="layer", **attributes)]
    nodes += [helper.make_node("Relu", ["y"], ["z"])] if activated else []
    output = "z" if activated else "y"
    graph = helper.make_graph(nodes, "layer", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])],
                              [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", None, None, None])],
                              [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return attributes


def run_halftone(folder, iterations):
    recipe = {"recipe": "1.0", "name": "layer", "model": os.path.join(folder, "layer.onnx"),
              "data": {"calibration": {"path": os.path.join(folder, "x.npy"), "batch": BATCH}},
              "quantization": {"weights": {"bits": 4}, "activations": {"bits": 16}},
              "pipeline": [{"adaround": {"solver": "relaxation", "iterations": iterations, "input": "float", "samples": SAMPLES}}],
              "output": {"directory": os.path.join(folder, "out"), "formats": ["onnx", "encodings-1.0.0"], "report": ["json"]}}
    with open(os.path.join(folder, "recipe.yaml"), "w") as file:
        json.dump(recipe, file)
    done = subprocess.run([os.environ.get("HALFTONE", "halftone"), "run", os.path.join(folder, "recipe.yaml")], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"halftone run: {done.stderr}")
    out = os.path.join(folder, "out")
    model = onnx.load(os.path.join(out, next(f for f in sorted(os.listdir(out)) if f.endswith(".onnx"))))
    weight = next(numpy_helper.to_array(i) for i in model.graph.initializer if i.name == "w")
    with open(os.path.join(out, next(f for f in sorted(os.listdir(out)) if f.endswith(".encodings")))) as file:
        encoding = next(e for e in json.load(file)["param_encodings"] if e["name"] == "w")
    return torch.from_numpy(weight.copy()), torch.tensor(encoding["scale"], dtype=torch.float32).reshape(-1, 1, 1, 1)


def relax(weight, scale, forward, inputs, targets, iterations):
    """The published loop: rectified sigmoid, annealed regularizer, Adam."""
    zeta, gamma = 1.1, -0.1
    down = torch.floor(weight / scale)
    rest = weight / scale - down
    alpha = (-torch.log((zeta - gamma) / (rest - gamma) - 1)).requires_grad_()
    optimizer = torch.optim.Adam([alpha], lr=1e-3)
    warm = 0.2 * iterations
    order = np.random.default_rng(3)
    for iteration in range(iterations):
        if iteration % (len(inputs) // BATCH) == 0:
            chosen = torch.from_numpy(order.permutation(len(inputs)))
        part = chosen[iteration % (len(inputs) // BATCH) * BATCH:][:BATCH]
        h = torch.clamp(torch.sigmoid(alpha) * (zeta - gamma) + gamma, 0, 1)
        found = forward(inputs[part], scale * torch.clamp(down + h, -8, 7))
        loss = ((found - targets[part]) ** 2).sum(1).mean()
        if iteration >= warm:
            beta = 2 + 0.5 * (20 - 2) * (1 + math.cos(math.pi * (iteration - warm) / (iterations - warm)))
            loss = loss + 0.01 * (1 - (2 * h - 1).abs() ** beta).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return scale * torch.clamp(down + (alpha >= 0), -8, 7)


def compare(name, output, iterations):
    import networks
    path = networks.model_path(name)
    node, weight, bias, activated = read_layer(path, output)
    trained, others = read_inputs(path, node.input[0], name)
    with tempfile.TemporaryDirectory() as folder:
        attributes = write_model(os.path.join(folder, "layer.onnx"), node, weight, bias, trained.shape[1:], activated)
        np.save(os.path.join(folder, "x.npy"), trained.numpy())
        ours, scale = run_halftone(folder, iterations)
    weight, bias = torch.from_numpy(weight), torch.from_numpy(bias)
    pads, strides = attributes.get("pads", [0] * 4), attributes.get("strides", [1, 1])

    def forward(x, w):
        x = F.pad(x, (pads[1], pads[3], pads[0], pads[2]))
        y = F.conv2d(x, w, bias, strides, 0, attributes.get("dilations", [1, 1]), attributes.get("group", 1))
        return F.relu(y) if activated else y

    def error(w, inputs):
        with torch.no_grad():
            return sum(float(((forward(x, w) - forward(x, weight)) ** 2).sum(1).mean()) for x in inputs.split(BATCH)) / (len(inputs) / BATCH)

    with torch.no_grad():
        targets = torch.cat([forward(x, weight) for x in trained.split(BATCH)])
    # A quarter of the samples only judges in the command: here, too, three quarters are enough.
    theirs = relax(weight, scale, forward, trained, targets, iterations)
    nearest = scale * torch.clamp(torch.round(weight / scale), -8, 7)
    fine = True
    for kind, inputs in (("trained", trained), ("others", others)):
        a, b, c = error(nearest, inputs), error(theirs, inputs), error(ours, inputs)
        fine &= abs(c - b) <= LIMIT * b and c < a
        print(f"{name} {output} on {kind}: nearest {a:.5f}, torch {b:.5f}, halftone {c:.5f}, ratio {c / b:.4f}")
    return fine


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--iterations", type=int, default=250)
    options.add_argument("--all", action="store_true")
    chosen = options.parse_args()
    import networks
    layers = [(name, output) for name, output in LAYERS[:None if chosen.all else 2] if os.path.exists(networks.model_path(name))]
    if not layers:
        print("skipped: there are no models")
        sys.exit(77)
    torch.manual_seed(1)
    results = [compare(name, output, chosen.iterations) for name, output in layers]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
