#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The simulation at 8 bits against the same network in floating point, both ours: time of a forward pass as a ratio.

simulated.py [--batch N] [--light FOLDER] [--threads N] [--rounds N] [--seconds S] [MODEL...]; needs numpy and onnx,
HALFTONE naming the command and HALFTONE_BENCH the program forward-loop of the build. Networks are those with
convolutions of the assets and, with --light, of that folder (at a quarter of the batch). Batch norms are folded,
weights quantized per channel; ranges come from four random samples, which no time depends on."""
import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx

from forward import mean, take_turns

COMMAND = os.environ.get("HALFTONE", "halftone").split()


def quantize(path, folder):
    """(folded network, its encodings), or None where there is nothing to time."""
    graph = onnx.load(path).graph
    if not any(node.op_type == "Conv" for node in graph.node):
        return None
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != 1:
        return None
    shape = [d.dim_value or 1 for d in inputs[0].type.tensor_type.shape.dim]
    data = f"{folder}/x.npy"
    np.save(data, np.random.default_rng(1).standard_normal([4] + shape[1:]).astype(np.float32))
    recipe = {"recipe": "1.0", "name": "q", "model": path,
              "data": {"calibration": {"path": data, "samples": 4, "batch": 1}, "evaluation": {"path": data, "batch": 1}},
              "quantization": {"weights": {"bits": 8, "granularity": "channel"}, "activations": {"bits": 8}},
              "pipeline": ["batchnorm-folding"], "output": {"directory": folder, "formats": ["onnx", "encodings-1.0.0"]}}
    with open(f"{folder}/recipe.yaml", "w") as file:
        json.dump(recipe, file)
    run = subprocess.run(COMMAND + ["run", f"{folder}/recipe.yaml"], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{path}: {run.stderr}")
    return f"{folder}/q.onnx", f"{folder}/q.encodings"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--light")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("models", nargs="*")
    chosen = parser.parse_args()
    program = os.environ.get("HALFTONE_BENCH")
    if program is None:
        sys.exit("HALFTONE_BENCH does not name the program forward-loop: ninja -C BUILD tests/bench/forward-loop")
    for pinned in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(pinned, None)
    root = os.environ.get("HALFTONE_ASSETS", os.path.join(os.path.dirname(__file__), "../../../shared/assets"))
    models = chosen.models or sorted(glob.glob(f"{root}/models/*.onnx"))
    models += sorted(glob.glob(f"{chosen.light}/*.onnx")) if chosen.light else []
    print(f"batch {chosen.batch}, a quarter for light networks ({chosen.threads} threads, quickest of {chosen.rounds} x {chosen.seconds} s)")
    print(f"{'network':31} {'batch':>5} {'float ms':>9} {'8 bit ms':>9} {'time':>6}")
    ratios = []
    for path in models:
        name = os.path.basename(path)[:-5]
        batch = max(1, chosen.batch // 4) if name.startswith("light_") else chosen.batch
        with tempfile.TemporaryDirectory() as folder:
            quantized = quantize(path, folder)
            if quantized is None:
                continue
            sides = [[program, quantized[0], str(batch), str(chosen.threads)],
                     [program, quantized[0], str(batch), str(chosen.threads), quantized[1]]]
            plain, simulated = take_turns(path, sides, chosen)
        ratios.append(simulated[0] / plain[0])
        print(f"{name:31} {batch:5} {plain[0]:9.3f} {simulated[0]:9.3f} {ratios[-1]:6.2f}", flush=True)
    print(f"geometric mean {mean(ratios):49.2f}")


if __name__ == "__main__":
    main()
