#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Accuracy on the networks of the assets: floating point against the published top-1, 8 bits per channel against floating
point, and the exported Q/DQ file in onnxruntime against our simulation.

accuracy.py [--granularity channel|tensor] [--bits N] [--pipeline A;B] [NETWORK...]; needs numpy and onnxruntime; HALFTONE names the command."""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime

from networks import NETWORKS, data_path, preprocess, recipe

COMMAND = os.environ.get("HALFTONE", "halftone").split()


def halftone(*arguments):
    run = subprocess.run(COMMAND + list(arguments), capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"halftone {' '.join(arguments)} failed ({run.returncode}):\n{run.stderr}")
    return run.stdout


def in_onnxruntime(path, x):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    spec = session.get_inputs()[0]
    batch = spec.shape[0] if isinstance(spec.shape[0], int) else 64
    parts = [session.run(None, {spec.name: x[i:i + batch]}) for i in range(0, len(x), batch)]
    return [np.concatenate([p[k] for p in parts]) for k in range(len(parts[0]))]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--granularity", default="channel")
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--pipeline", default="batchnorm-folding")
    chosen = parser.parse_args()
    pipeline = [json.loads(step) if step.startswith("{") else step for step in chosen.pipeline.split(";") if step]
    print(f"weights {chosen.bits} bits per {chosen.granularity}, activations 8 bits, pipeline {pipeline}")
    print(f"{'network':31} {'published':>9} {'float':>7} {'after':>7} {'naive':>7} {'result':>7} {'SQNR':>6} {'q/dq':>7} {'same':>7}")
    for name in chosen.networks:
        (evaluation, labels, _, _), _, published = NETWORKS[name]
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/recipe.yaml", "w") as file:
                file.write(recipe(name, folder, {"bits": chosen.bits, "granularity": chosen.granularity}, {"bits": 8}, pipeline,
                                  ("onnx", "onnx-qdq", "encodings-1.0.0")))
            metrics = json.loads(halftone("run", f"{folder}/recipe.yaml", "--json"))["results"]["metrics"]
            x = preprocess(name, np.load(data_path(evaluation)))
            outputs = in_onnxruntime(f"{folder}/{name}-qdq.onnx", x)
            np.save(f"{folder}/x.npy", x)
            fixed = NETWORKS[name][0][0] in ("mnist_test_x.npy", "face240x320_x.npy")
            halftone("infer", f"{folder}/{name}.onnx", "--encodings", f"{folder}/{name}.encodings", "--input", f"{folder}/x.npy",
                     "--output", f"{folder}/simulated", "--batch", "1" if fixed else "64")
            simulated = sorted(os.listdir(f"{folder}/simulated"))
            ours = np.load(f"{folder}/simulated/{simulated[0]}") if len(simulated) == 1 else np.load(f"{folder}/simulated/scores.npy")
            same = np.mean(outputs[0].reshape(-1, outputs[0].shape[-1]).argmax(-1) == ours.reshape(-1, ours.shape[-1]).argmax(-1))
            top1 = np.mean(outputs[0].argmax(-1) == np.load(data_path(labels))) if labels else float("nan")
        show = lambda stage, key="top1", factor=100: f"{metrics[stage][key] * factor:7.2f}" if stage in metrics and key in metrics[stage] and not isinstance(metrics[stage][key], str) else "      -"
        print(f"{name:31} {published or float('nan'):9.2f} {show('float')} {show('float-after-pipeline')} {show('naive')} {show('result')} "
              f"{show('result', 'sqnr', 1)} {top1 * 100:7.2f} {same * 100:7.2f}", flush=True)


if __name__ == "__main__":
    main()
