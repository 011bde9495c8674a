# SPDX-License-Identifier: MIT
"""Compares the executor with onnxruntime on every network of the assets, and times both. A development tool: needs
numpy, onnx and onnxruntime.

usage: compare_ort.py [--batch N] [--threads N] [--time] [MODEL or FOLDER...]

A folder stands for the networks in it, such as those of make_light.py. Inputs are drawn from a normal distribution, so values leave the usual range and differences show. Prints the largest
difference over the largest output, and with --time the milliseconds of a run and their ratio."""
import argparse
import glob
import os
import sys
import time

import numpy as np
import onnx
import onnxruntime as ort

import halftone_ctypes as ht


def feeds_for(session, batch, seed=1):
    rng = np.random.default_rng(seed)
    feeds = {}
    for value in session.get_inputs():
        shape = [d if isinstance(d, int) else 576 if d == "sequence" else batch for d in value.shape]
        if value.type == "tensor(float)":
            feeds[value.name] = rng.standard_normal(shape).astype(np.float32)
        else:
            feeds[value.name] = np.full(shape, 16000, np.int64)
    return feeds


def best_time(function, budget=1.5):
    times, end = [], time.perf_counter() + budget
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--limit", type=float, default=1e-4,
                        help="of the difference; two levels of optimization of onnxruntime differ by 2e-5 on deep networks")
    parser.add_argument("models", nargs="*")
    arguments = parser.parse_args()
    root = os.environ.get("HALFTONE_ASSETS",
                          os.path.join(os.path.dirname(__file__), "..", "..", "..", "shared", "assets"))
    models = [path for given in arguments.models or [os.path.join(root, "models")]
              for path in (sorted(glob.glob(os.path.join(given, "*.onnx"))) if os.path.isdir(given) else [given])]
    options = ort.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    options.log_severity_level = 3
    worst = 0.0
    for path in models:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        feeds = feeds_for(session, arguments.batch)
        expected = session.run(None, feeds)
        executor = ht.Executor(path)
        runs = []
        for threads in (1, 2, 3):
            ht.set_threads(threads)
            runs.append(executor.run(feeds))
        same = all(a.tobytes() == b.tobytes() for run in runs[1:] for a, b in zip(runs[0], run))
        difference = max(float(np.abs(a.astype(np.float64) - b).max() / max(np.abs(b).max(), 1e-30))
                         for a, b in zip(runs[0], expected))
        worst = max(worst, difference if same else np.inf)
        line = f"{os.path.basename(path):38} {difference:9.2e} {'same bytes' if same else 'BYTES DIFFER'}"
        if arguments.time:
            ht.set_threads(arguments.threads)
            ours = best_time(lambda: executor.run(feeds))
            theirs = best_time(lambda: session.run(None, feeds))
            line += f"  {ours:9.2f} ms, onnxruntime {theirs:9.2f} ms, ratio {ours / theirs:5.2f}"
        print(line, flush=True)
    return 1 if worst > arguments.limit else 0


if __name__ == "__main__":
    sys.exit(main())
