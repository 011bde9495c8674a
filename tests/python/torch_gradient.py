#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Gradients of whole networks against torch: cross-entropy with respect to every parameter, with the stored statistics
of batch norms and with those of the batch.

torch_gradient.py [MODEL...]; needs numpy, onnx and torch, and HALFTONE_LIBRARY (see halftone_ctypes.py). Exits
with 77 (skipped) where a package or the models are missing, with 1 where a gradient differs from torch's in double by
more than 1e-4 of its norm. Where rounding decides on which side of a kink some activations lie, torch's own gradient in
float is further off than that; then so may ours be."""
import os
import sys

try:
    import numpy as np
    import onnx  # noqa: F401
    import torch
    import torch.nn.functional as F
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

sys.path.insert(0, os.path.dirname(__file__))

LIMIT = 1e-4
MODELS = os.path.join(os.environ.get("HALFTONE_ASSETS", os.path.join(os.path.dirname(__file__), "../../../shared/assets")), "models")
NETWORKS = ["resnet20_cifar10", "mobilenetv1_100_trunk_cifar10", "kwt1_speechcommands12_op17", "dscnn_kws_mlperftiny", "squeezenet1_1_imagenet"]


def feeds_for(network, batch, rng):
    feeds = {}
    for value in network.graph.input:
        if value.name in network.inputs:
            shape = [d.dim_value or batch for d in value.type.tensor_type.shape.dim]
            feeds[value.name] = rng.standard_normal(shape).astype(np.float32)
    return feeds


def run_torch(path, batch_statistics, batch, dtype):
    """The network with gradients, its inputs, and the name, value and gradient of its logits."""
    import onnx_torch
    rng = np.random.default_rng(5)
    network = onnx_torch.Network(path, batch_statistics, dtype)
    feeds, output = feeds_for(network, batch, rng), network.output()
    logits = network.run({n: torch.from_numpy(x).to(dtype) for n, x in feeds.items()}, output)
    logits.retain_grad()
    F.cross_entropy(logits, torch.from_numpy(rng.integers(0, logits.shape[1], logits.shape[0]))).backward()
    return network, feeds, output, logits


def find_worst(found, expected):
    """The largest error of a gradient relative to its norm, and whose it is. What is zero but for rounding (a bias before
    a batch norm) is measured by the largest gradient."""
    norms = {name: np.linalg.norm(value) for name, value in expected.items()}
    floor = 1e-4 * max(norms.values())
    return max((np.linalg.norm(found[name] - value) / max(norms[name], floor), name) for name, value in expected.items())


def compare(path, batch_statistics, batch):
    import halftone_ctypes
    gradients = lambda network: {name: network.values[name].grad.double().numpy() for name in network.parameters}
    exact, feeds, output, logits = run_torch(path, batch_statistics, batch, torch.float64)
    rounded, _, _, _ = run_torch(path, batch_statistics, batch, torch.float32)
    gradient = halftone_ctypes.Gradient(path, exact.parameters, batch_statistics)
    found, outputs = gradient.run(feeds, {output: logits.grad.float().numpy()}, [output])
    worst, where = find_worst(found, gradients(exact))
    torchs, _ = find_worst(gradients(rounded), gradients(exact))
    forward = np.abs(outputs[output] - logits.detach().numpy()).max() / np.abs(logits.detach().numpy()).max()
    kind = "batch" if batch_statistics else "stored"
    print(f"{os.path.basename(path)[:-5]:31} {kind:7} {len(exact.parameters):4} parameters  forward {forward:.1e}  "
          f"worst {worst:.1e} ({where}), torch in float {torchs:.1e}", flush=True)
    return worst <= max(LIMIT, torchs)


def main():
    paths = sys.argv[1:] or [os.path.join(MODELS, name + ".onnx") for name in NETWORKS]
    if not all(os.path.exists(path) for path in paths):
        print(f"skipped: no models in '{MODELS}'; set HALFTONE_ASSETS")
        sys.exit(77)
    fine = True
    for path in paths:
        has_norms = any(n.op_type == "BatchNormalization" for n in onnx.load(path).graph.node)
        for batch_statistics in ((False, True) if has_norms else (False,)):
            fine = compare(path, batch_statistics, 2 if "imagenet" in path else 4) and fine
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
