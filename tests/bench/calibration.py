#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The time of a calibration against that of plain forward passes over the same samples, of AIMET's beside it, and the
peak memory at 64 and at more samples.

calibration.py [--samples N] [--threads N] [--rounds N] [--batch N] [--calibrator ID] [--aimet PYTHON] [NETWORK...]; needs
numpy and onnx, HALFTONE naming the command and HALFTONE_BENCH the program calibration of the build; with --aimet, an
interpreter that has aimet-onnx calibrates the same folded network on the same samples (tf-enhanced or min-max). Smaller
sets are gone through again and again. Batch norms are folded; a network with a batch of one runs samples one by one.
Leaves with 1 where a calibration takes more than 1.5 times as long as the passes, or memory grows with the samples."""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx

from forward import mean
from networks import ASSETS, NETWORKS, data_path, preprocess

COMMAND = os.environ.get("HALFTONE", "halftone").split()
LIMIT = 1.5
SLACK = 8.0  # MiB: threads, allocator

AIMET = r"""
import sys, time
import numpy as np, onnx
from aimet_onnx import qtype
from aimet_onnx.common.defs import QuantScheme
from aimet_onnx.quantsim import QuantizationSimModel
path, data, samples, batch, scheme = sys.argv[1:6]
arrays = {k: np.load(f) for k, f in (pair.split("=") for pair in data.split(","))}
n, b = int(samples), int(batch)
batches = [{k: v if v.ndim == 0 else v[np.arange(i, min(i + b, n)) % len(v)] for k, v in arrays.items()} for i in range(0, n, b)]
sim = QuantizationSimModel(onnx.load(path), param_type=qtype.int(8), activation_type=qtype.int(8),
                           quant_scheme=QuantScheme.min_max if scheme == "min-max" else QuantScheme.post_training_tf_enhanced,
                           config_file="default")
start = time.perf_counter()
sim.compute_encodings(batches)
print("seconds", time.perf_counter() - start)
"""


def call(arguments, **more):
    run = subprocess.run(arguments, capture_output=True, text=True, **more)
    if run.returncode:
        sys.exit(f"{' '.join(arguments[:3])}: {run.stderr[-2000:]}")
    return run.stdout


def fold(path, folder):
    recipe = f"recipe: '1.0'\nname: folded\nmodel: {path}\nquantization: {{rules: [{{match: {{name: '*'}}, skip: true}}]}}\npipeline: [batchnorm-folding]\n"
    with open(f"{folder}/fold.yaml", "w") as file:
        file.write(recipe + "output: {formats: [onnx], report: []}\n")
    call(COMMAND + ["run", f"{folder}/fold.yaml", "-o", folder])
    return f"{folder}/folded.onnx"


def save_data(name, path, folder):
    """INPUT=FILE of every input: real samples where there are any, else normal ones."""
    graph = onnx.load(path).graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if name in NETWORKS:
        calibration, samples = NETWORKS[name][0][2:4]
        np.save(f"{folder}/0.npy", preprocess(name, np.load(data_path(calibration))[:samples]))
        return f"{inputs[0].name}={folder}/0.npy"
    pairs = []
    for i, value in enumerate(inputs):
        shape = [d.dim_value or (576 if d.dim_param == "sequence" else 1) for d in value.type.tensor_type.shape.dim]
        if value.type.tensor_type.elem_type != 1:
            array = np.full(shape, 16000, np.int64)
        else:
            if value.name == "state":  # [2, batch, 128]: with two samples at a time its rows count as samples, too
                shape[1] = 2
            array = np.random.default_rng(1).standard_normal([64] + shape[1:]).astype(np.float32)
        np.save(f"{folder}/{i}.npy", array)
        pairs.append(f"{value.name}={folder}/{i}.npy")
    return ",".join(pairs)


def choose_batch(name, path, wanted):
    first = onnx.load(path).graph.input[0].type.tensor_type.shape.dim[0].dim_value
    return 1 if first == 1 else 2 if name.startswith("silero") else wanted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--calibrator", default="tf-enhanced")
    parser.add_argument("--aimet")
    chosen = parser.parse_args()
    program = os.environ.get("HALFTONE_BENCH")
    if program is None:
        sys.exit("HALFTONE_BENCH does not name the program calibration: ninja -C BUILD tests/bench/calibration")
    for pinned in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(pinned, None)
    names = chosen.networks or sorted(file[:-5] for file in os.listdir(f"{ASSETS}/models") if file.endswith(".onnx"))
    print("| network | passes ms | calibration ms | of it search ms | time | AIMET ms | AIMET's / ours | MiB at 64 | MiB |\n|---|---|---|---|---|---|---|---|---|")
    ratios, failed = [], False
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            path = fold(f"{ASSETS}/models/{name}.onnx", folder)
            data = save_data(name, path, folder)
            batch = choose_batch(name, path, chosen.batch)
            run = lambda samples, rounds: [float(word) for word in call(
                [program, path, data, str(samples), str(batch), str(chosen.threads), str(rounds), chosen.calibrator]).split()]
            plain, whole, search, _, peak = run(chosen.samples, chosen.rounds)
            small = run(64, 1)[4]
            aimet = None
            if chosen.aimet:
                environment = dict(os.environ, OMP_NUM_THREADS=str(chosen.threads))
                done = subprocess.run([chosen.aimet, "-c", AIMET, path, data, str(chosen.samples), str(batch), chosen.calibrator],
                                      capture_output=True, text=True, env=environment)
                if done.returncode == 0:
                    aimet = 1000 * float(done.stdout.split()[-1])
                else:
                    print(f"{name}: AIMET fails: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        ratios.append(whole / plain)
        failed |= ratios[-1] > LIMIT or peak > small + SLACK
        theirs = f"{aimet:.0f} | {aimet / whole:.1f}" if aimet else "- | -"
        print(f"| {name} | {plain:.1f} | {whole:.1f} | {search:.1f} | {ratios[-1]:.2f} | {theirs} | {small:.1f} | {peak:.1f} |", flush=True)
    print(f"geometric mean {mean(ratios):.2f}, worst {max(ratios):.2f}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
