#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Forward passes against onnxruntime with its default options: time and peak memory of each network, as ratios.

forward.py [--batch N,...] [--light FOLDER] [--threads N] [--rounds N] [--seconds S] [MODEL...]; needs numpy, onnx and
onnxruntime, and HALFTONE_BENCH naming the program forward-loop of the build (default: build*/tests/bench/).

Networks: those named, else those of the assets and, with --light, those that tests/python/make_light.py wrote; the
light ones run at a quarter of the batch. Each side lives in a process of its own and both take turns of S seconds, the
other one waiting (asleep, after a pause); a side's time is its quickest run of all rounds. Both sides are given their inputs and make their
outputs in every run; memory is the peak beyond what the process had before it opened the network."""
import argparse
import glob
import math
import os
import subprocess
import sys
import time

from networks import random_feeds

PAUSE = 0.2  # idle threads of the side before may still spin
HERE = os.path.dirname(os.path.abspath(__file__))


def status(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key)) / 1024


def serve_onnxruntime(path, batch, threads):
    """What forward-loop.c does, for the other side."""
    import onnxruntime
    before = status("VmRSS")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in random_feeds(session, batch).items():
        binding.bind_cpu_input(name, array)
    for value in session.get_outputs():
        binding.bind_output(value.name)
    for line in sys.stdin:
        quickest, turns, end = math.inf, 0, time.perf_counter() + float(line)
        while turns < 3 or time.perf_counter() < end:
            n, turns = (20 if quickest < 1e-3 else 1), turns + 1
            start = time.perf_counter()
            for _ in range(n):
                session.run_with_iobinding(binding)
            quickest = min(quickest, (time.perf_counter() - start) / n)
        print(f"{1e3 * quickest:.6f} {status('VmHWM') - before:.3f}", flush=True)


def take_turns(path, sides, chosen):
    """[milliseconds, mebibytes] of each side, a command that answers as forward-loop.c does."""
    pipes = [subprocess.Popen(side, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for side in sides]
    best = [[math.inf, 0.0] for _ in sides]
    try:
        for turn in range(chosen.rounds + 1):
            for pipe, found in zip(pipes, best):
                time.sleep(PAUSE)
                pipe.stdin.write(f"{chosen.seconds if turn else 0}\n")
                pipe.stdin.flush()
                answer = pipe.stdout.readline().split()
                if not answer:
                    raise RuntimeError(f"{path}: a side failed")
                found[0], found[1] = min(found[0], float(answer[0])), float(answer[1])
    finally:
        for pipe in pipes:
            pipe.stdin.close()
            pipe.wait()
    return best


def measure(program, path, batch, chosen):
    sides = [[program, path, str(batch), str(chosen.threads)],
             [sys.executable, os.path.abspath(__file__), "--serve", path, "--batch", str(batch), "--threads", str(chosen.threads)]]
    return take_turns(path, sides, chosen)


def mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", default="32,1")
    parser.add_argument("--light")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("models", nargs="*")
    chosen = parser.parse_args()
    for pinned in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(pinned, None)
    if chosen.serve:
        return serve_onnxruntime(chosen.models[0], int(chosen.batch), chosen.threads)
    program = os.environ.get("HALFTONE_BENCH") or next(iter(glob.glob(f"{HERE}/../../build*/tests/bench/forward-loop")), None)
    if program is None:
        sys.exit("forward-loop is not built: ninja -C BUILD tests/bench/forward-loop, or name it by HALFTONE_BENCH")
    root = os.environ.get("HALFTONE_ASSETS", f"{HERE}/../../../shared/assets")
    models = chosen.models or sorted(glob.glob(f"{root}/models/*.onnx"))
    models += sorted(glob.glob(f"{chosen.light}/*.onnx")) if chosen.light else []
    for batch in map(int, chosen.batch.split(",")):
        print(f"\nbatch {batch}, a quarter for light networks ({chosen.threads} threads, quickest of {chosen.rounds} x {chosen.seconds} s)")
        print(f"{'network':31} {'batch':>5} {'ours ms':>9} {'ort ms':>9} {'time':>6} {'ours MiB':>9} {'ort MiB':>9} {'memory':>6}")
        ratios = []
        for path in models:
            name = os.path.basename(path)[:-5]
            n = max(1, batch // 4) if name.startswith("light_") else batch
            ours, theirs = measure(program, path, n, chosen)
            ratios.append((ours[0] / theirs[0], max(ours[1], 0.1) / max(theirs[1], 0.1)))
            print(f"{name:31} {n:5} {ours[0]:9.3f} {theirs[0]:9.3f} {ratios[-1][0]:6.2f} {ours[1]:9.1f} {theirs[1]:9.1f} {ratios[-1][1]:6.2f}", flush=True)
        print(f"geometric mean {mean([r[0] for r in ratios]):39.2f} {mean([r[1] for r in ratios]):26.2f}")


if __name__ == "__main__":
    main()
