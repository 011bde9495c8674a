#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Q/DQ files in onnxruntime against the simulation: predictions that agree, over all networks with labels, weights of 8
and 4 bits per channel and per tensor.

qdq.py [--configurations 8-channel,...] [--weights integer|float] [NETWORK...]; needs numpy and onnxruntime; HALFTONE names
the command. Columns: top-1 in floating point, of the simulation and of onnxruntime without optimizations; then the share of
images that get the same class: onnxruntime without optimizations and with its defaults, each against the simulation (sums
of integers where a device has them) and against the file in our own executor (sums of floats); and onnxruntime with itself.
"""
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


def open_session(path, level=onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    options.graph_optimization_level = level
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def batch_of(session):
    size = session.get_inputs()[0].shape[0]
    return size if isinstance(size, int) else 64


def in_onnxruntime(path, x, level):
    session = open_session(path, level)
    spec, batch = session.get_inputs()[0], batch_of(session)
    parts = [session.run(None, {spec.name: x[i:i + batch]})[0] for i in range(0, len(x), batch)]
    return np.concatenate(parts)


def in_halftone(folder, model, *arguments):
    halftone("infer", f"{folder}/{model}", "--input", f"{folder}/x.npy", "--output", f"{folder}/found", *arguments)
    files = sorted(os.listdir(f"{folder}/found"))
    result = np.load(f"{folder}/found/{files[0]}")
    for file in files:
        os.remove(f"{folder}/found/{file}")
    return result


def classes(scores):
    return scores.reshape(len(scores), -1).argmax(-1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=[name for name in NETWORKS if NETWORKS[name][0][1]])
    parser.add_argument("--configurations", default="8-channel,8-tensor,4-channel,4-tensor")
    parser.add_argument("--weights", default="integer", choices=("integer", "float"))
    parser.add_argument("--pipeline", default="batchnorm-folding")
    parser.add_argument("--limit", type=int, default=0, help="images of the evaluation set, 0 for all")
    chosen = parser.parse_args()
    levels = onnxruntime.GraphOptimizationLevel
    print(f"onnxruntime {onnxruntime.__version__}, weights as {chosen.weights}, pipeline {chosen.pipeline}")
    print(f"{'network':31} {'weights':>9} {'float':>6} {'sim':>6} {'ort':>6} | {'off=sim':>8} {'off=file':>8} "
          f"{'def=sim':>8} {'def=file':>8} {'off=def':>8} {'images':>6}")
    for name in chosen.networks:
        (evaluation, labels, _, _), _, _ = NETWORKS[name]
        x = preprocess(name, np.load(data_path(evaluation)))
        truth = np.load(data_path(labels))
        if chosen.limit:
            x, truth = x[:chosen.limit], truth[:chosen.limit]
        for configuration in chosen.configurations.split(","):
            bits, granularity = configuration.split("-")
            with tempfile.TemporaryDirectory() as folder:
                text = json.loads(recipe(name, folder, {"bits": int(bits), "granularity": granularity}, {"bits": 8},
                                         chosen.pipeline.split(",") if chosen.pipeline else [],
                                         ("onnx", "onnx-qdq", "encodings-1.0.0")))
                text["output"]["qdq"] = {"weights": chosen.weights}
                del text["data"]["evaluation"]
                with open(f"{folder}/recipe.json", "w") as file:
                    json.dump(text, file)
                halftone("run", f"{folder}/recipe.json", "--json")
                np.save(f"{folder}/x.npy", x)
                batch = ("--batch", str(batch_of(open_session(f"{folder}/{name}.onnx"))))
                plain = classes(in_halftone(folder, f"{name}.onnx", *batch))
                simulated = classes(in_halftone(folder, f"{name}.onnx", "--encodings", f"{folder}/{name}.encodings", *batch))
                file = classes(in_halftone(folder, f"{name}-qdq.onnx", *batch))
                off = classes(in_onnxruntime(f"{folder}/{name}-qdq.onnx", x, levels.ORT_DISABLE_ALL))
                default = classes(in_onnxruntime(f"{folder}/{name}-qdq.onnx", x, levels.ORT_ENABLE_ALL))
            top1 = lambda found: 100 * np.mean(found == truth)
            same = lambda a, b: 100 * np.mean(a == b)
            print(f"{name:31} {configuration:>9} {top1(plain):6.2f} {top1(simulated):6.2f} {top1(off):6.2f} | "
                  f"{same(off, simulated):8.2f} {same(off, file):8.2f} {same(default, simulated):8.2f} "
                  f"{same(default, file):8.2f} {same(off, default):8.2f} {len(x):6}", flush=True)


if __name__ == "__main__":
    main()
