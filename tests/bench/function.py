#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What folding and equalization leave of the floating-point function: onnxruntime runs the given file and the one that
Halftone wrote, on real samples where the assets have any. Prints max |difference| / max |output| for each network.

function.py [--pipeline A;B] [--samples N] [MODEL...]; needs numpy, onnx and onnxruntime; HALFTONE names the command."""
import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime

from networks import ASSETS, NETWORKS, data_path, preprocess, random_feeds

COMMAND = os.environ.get("HALFTONE", "halftone").split()


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def batches(name, given, samples):
    if name not in NETWORKS:
        return [random_feeds(given, 16)]
    rows = preprocess(name, np.load(data_path(NETWORKS[name][0][0]))[:samples])
    spec = given.get_inputs()[0]
    step = spec.shape[0] if isinstance(spec.shape[0], int) else 64
    return [{spec.name: rows[i:i + step]} for i in range(0, len(rows), step)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pipeline", default="batchnorm-folding;cross-layer-equalization")
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("models", nargs="*")
    chosen = parser.parse_args()
    worst = 0.0
    for path in chosen.models or sorted(glob.glob(f"{ASSETS}/models/*.onnx")):
        name = os.path.basename(path)[:-5]
        with tempfile.TemporaryDirectory() as folder:
            # A pipeline alone: nothing is measured and no activation is quantized, so that no data is needed.
            recipe = {"recipe": "1.0", "name": name, "model": path, "pipeline": chosen.pipeline.split(";"),
                      "quantization": {"rules": [{"match": {"name": "*"}, "skip": True}]},
                      "output": {"directory": folder, "formats": ["onnx"], "report": ["json"]}}
            given = session(path)
            feeds = batches(name, given, chosen.samples)
            arrays = {key: value for key, value in feeds[0].items()}
            for key, value in arrays.items():
                np.save(f"{folder}/{len(os.listdir(folder))}.npy", value)
            files = sorted(f for f in os.listdir(folder) if f.endswith(".npy"))
            recipe["data"] = {"calibration": {"path": {key: f"{folder}/{file}" for key, file in zip(arrays, files)}}}
            if any(value.ndim == 0 or value.shape[0] != next(iter(arrays.values())).shape[0] for value in arrays.values()):
                recipe["quantization"] = {"rules": [{"match": {"name": "*"}, "skip": True}]}
                del recipe["data"]
            with open(f"{folder}/recipe.yaml", "w") as file:
                json.dump(recipe, file)
            run = subprocess.run(COMMAND + ["run", f"{folder}/recipe.yaml"], capture_output=True, text=True)
            if run.returncode:
                print(f"{name:31} {run.stderr.strip()}")
                worst = np.inf
                continue
            changed = session(f"{folder}/{name}.onnx")
            top = gap = 0.0
            for feed in feeds:
                for a, b in zip(given.run(None, feed), changed.run(None, feed)):
                    top = max(top, float(np.abs(a).max()))
                    gap = max(gap, float(np.abs(a.astype(np.float64) - b).max()))
            worst = max(worst, gap / top)
            print(f"{name:31} {gap / top:9.2e}", flush=True)
    return 1 if worst > 1e-4 else 0


if __name__ == "__main__":
    sys.exit(main())
