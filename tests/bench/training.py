#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Training steps against torch: forward and backward, cross-entropy, gradients of all parameters, batch norms on the
statistics of the batch.

training.py [--threads N] [--pairs N] [MODEL BATCH]...; needs numpy, onnx and torch, and HALFTONE_LIBRARY (see
tests/python/halftone_ctypes.py). Without models: resnet20 of the assets at batch 64, and ResNet-50 as
tests/python/make_light.py makes it at batch 8. Each side runs in a process of its own, in turn; the quickest step of
each counts."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "python"))


def make_feeds(network, batch, rng):
    return {v.name: rng.standard_normal([d.dim_value or batch for d in v.type.tensor_type.shape.dim]).astype(np.float32)
            for v in network.graph.input if v.name in network.inputs}


def side(name, path, batch, threads, seconds):
    """Milliseconds of one side's quickest step, and its loss, printed as JSON."""
    import torch
    import torch.nn.functional as F
    import onnx_torch
    torch.set_num_threads(threads)
    rng = np.random.default_rng(1)
    network = onnx_torch.Network(path, True)
    feeds, output = make_feeds(network, batch, rng), network.output()
    labels = rng.integers(0, 10, batch)
    if name == "torch":
        inputs, target = {n: torch.from_numpy(x) for n, x in feeds.items()}, torch.from_numpy(labels)

        def run():
            for parameter in network.parameters:
                network.values[parameter].grad = None
            loss = F.cross_entropy(network.run(inputs, output), target)
            loss.backward()
            return float(loss.detach())
    else:
        import halftone_ctypes
        halftone_ctypes.set_threads(threads)
        run = halftone_ctypes.Gradient(path, network.parameters, True).prepare(feeds, output, labels)
    loss = run()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    print(json.dumps([1000 * min(times), loss]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--side")
    parser.add_argument("models", nargs="*")
    chosen = parser.parse_args()
    for pinned in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(pinned, None)
    if chosen.side:
        return side(chosen.side, chosen.models[0], int(chosen.models[1]), chosen.threads, chosen.seconds)
    root = os.environ.get("HALFTONE_ASSETS", os.path.join(os.path.dirname(__file__), "../../../shared/assets"))
    light = os.path.join(tempfile.gettempdir(), "halftone-light", "light_resnet50.onnx")
    models = chosen.models or [f"{root}/models/resnet20_cifar10.onnx", "64", light, "8"]
    print(f"{chosen.threads} threads, {chosen.pairs} pairs")
    print(f"{'network':31} {'batch':>5} {'ours ms':>9} {'torch ms':>9} {'time':>6}")
    for path, batch in zip(models[0::2], models[1::2]):
        runs = {"halftone": [], "torch": []}
        for _ in range(chosen.pairs):
            for name, found in runs.items():
                arguments = [sys.executable, __file__, "--side", name, "--threads", str(chosen.threads),
                             "--seconds", str(chosen.seconds), path, batch]
                found.append(json.loads(subprocess.check_output(arguments)))
        (ours, our_loss), (theirs, their_loss) = min(runs["halftone"]), min(runs["torch"])
        assert abs(our_loss - their_loss) < 1e-3 * abs(their_loss), f"losses differ: {our_loss}, {their_loss}"
        print(f"{os.path.basename(path)[:-5]:31} {batch:>5} {ours:9.2f} {theirs:9.2f} {ours / theirs:6.2f}", flush=True)


if __name__ == "__main__":
    main()
