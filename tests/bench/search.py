#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The shipped recipe of a search on every labelled network: one command, no label but for the figure.

usage: search.py HALFTONE [--recipe FILE] [--set KEY=VALUE ...] [--keep FOLDER] [NETWORK ...]

Held-out calibration samples choose; the evaluation set is used once. Prints FP32 and the figure of the best, the time,
how many steps were carried out, and what the best is made of.
"""
import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

import numpy as np
from networks import ASSETS, NETWORKS, data_path, preprocess


def main():
    here = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser()
    parser.add_argument("halftone")
    parser.add_argument("--recipe", default=str(here / "recipes" / "search-ptq.yaml"))
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--keep", help="a folder for the outputs")
    parser.add_argument("networks", nargs="*", default=[name for name in NETWORKS if NETWORKS[name][0][1]])
    chosen = parser.parse_intermixed_args()
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    print(f"{'network':34} {'FP32':>7} {'best':>7} {'loss':>6} {'s':>7} {'done':>5} {'samples':>8}  combination")
    for name in chosen.networks:
        (evaluation, labels, calibration, samples), _, _ = NETWORKS[name]
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(chosen.keep or scratch) / name
            scratch.mkdir(parents=True, exist_ok=True)
            np.save(scratch / "calibration.npy", preprocess(name, np.load(data_path(calibration))[:samples]))
            np.save(scratch / "evaluation.npy", preprocess(name, np.load(data_path(evaluation))))
            command = [chosen.halftone, "search", chosen.recipe, "--model", f"{ASSETS}/models/{name}.onnx", "--raw",
                       "--calibration", str(scratch / "calibration.npy"), "--evaluation", str(scratch / "evaluation.npy"),
                       "--labels", str(data_path(labels)), "--output", str(scratch / "out")]
            for setting in chosen.set:
                command += ["--set", setting]
            began = time.monotonic()
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            seconds = time.monotonic() - began
            if done.returncode not in (0, 4):
                print(f"{name:34} exit {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
                continue
            report = json.loads((scratch / "out" / "report.json").read_text())
            search = report["search"]
            figure = search["evaluation"]
            before, after = 100 * figure["float"]["top1"], 100 * figure["result"]["top1"]
            best = search["candidates"][search["best"] - 1]
            print(f"{name:34} {before:7.2f} {after:7.2f} {before - after:6.2f} {seconds:7.1f} {report['timings']['computed']:5} "
                  f"{search['samples-scored']:8}  {best['description']}", flush=True)


if __name__ == "__main__":
    main()
