#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Forward passes against onnxruntime: time and peak memory of each network of the assets, as ratios of one run.

forward.py [--batch N] [--threads N] [--pairs N] [MODEL...]; needs numpy and onnxruntime, and HALFTONE_LIBRARY (see
tests/python/halftone_ctypes.py). Each side runs in a process of its own, in turn; memory is what a process needs at its
peak beyond its imports."""
import argparse
import glob
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "python"))


def feeds_for(path, batch):
    import onnx
    rng = np.random.default_rng(1)
    graph = onnx.load(path, load_external_data=False).graph
    weights = {i.name for i in graph.initializer}
    feeds = {}
    for value in graph.input:
        if value.name in weights:
            continue
        tensor = value.type.tensor_type
        shape = [d.dim_value or (576 if d.dim_param == "sequence" else batch) for d in tensor.shape.dim]
        feeds[value.name] = rng.standard_normal(shape).astype(np.float32) if tensor.elem_type == 1 else np.full(shape, 16000, np.int64)
    return feeds


def status(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key))


def side(name, path, batch, threads):
    """One side's median milliseconds and mebibytes, printed as JSON."""
    feeds = feeds_for(path, batch)
    if name == "onnxruntime":
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        before = status("VmRSS")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        run = lambda: session.run(None, feeds)
    else:
        import halftone_ctypes
        halftone_ctypes.set_threads(threads)
        before = status("VmRSS")
        executor = halftone_ctypes.Executor(path)
        run = lambda: executor.run(feeds)
    run()
    times, end = [], time.perf_counter() + 1.0
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([1e3 * float(np.median(times)), (peak - before) / 1024]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--side")
    parser.add_argument("models", nargs="*")
    chosen = parser.parse_args()
    for pinned in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(pinned, None)
    if chosen.side:
        return side(chosen.side, chosen.models[0], chosen.batch, chosen.threads)
    root = os.environ.get("HALFTONE_ASSETS", os.path.join(os.path.dirname(__file__), "../../../shared/assets"))
    print(f"batch {chosen.batch} (1 where the network fixes it), {chosen.threads} threads, median of {chosen.pairs} pairs")
    print(f"{'network':31} {'ours ms':>9} {'ort ms':>9} {'time':>6} {'ours MiB':>9} {'ort MiB':>9} {'memory':>6}")
    for path in chosen.models or sorted(glob.glob(f"{root}/models/*.onnx")):
        runs = {"halftone": [], "onnxruntime": []}
        for _ in range(chosen.pairs):
            for name, found in runs.items():
                arguments = [sys.executable, __file__, "--side", name, "--batch", str(chosen.batch), "--threads", str(chosen.threads), path]
                found.append(json.loads(subprocess.check_output(arguments)))
        ours, theirs = np.median(runs["halftone"], 0), np.median(runs["onnxruntime"], 0)
        ratio = np.median([a[0] / b[0] for a, b in zip(runs["halftone"], runs["onnxruntime"])])
        print(f"{os.path.basename(path)[:-5]:31} {ours[0]:9.2f} {theirs[0]:9.2f} {ratio:6.2f} {ours[1]:9.1f} {theirs[1]:9.1f} {ours[1] / max(theirs[1], 0.1):6.2f}", flush=True)


if __name__ == "__main__":
    main()
