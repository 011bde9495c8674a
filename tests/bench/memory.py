#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The memory that `halftone inspect --batch N` foretells against the peak that a run takes.

memory.py [--batch N,...] [--light FOLDER] [MODEL...]; needs the programs halftone and forward-loop of the build, named by
HALFTONE and HALFTONE_BENCH (default: build*/core/cli/halftone, build*/tests/bench/forward-loop). The peak is that of
the runs, beyond what the process had before it opened the network. Networks of less than 8 MiB are shown and not judged: there the
library's own pages weigh. Leaves with 1 when one is off by more than 15 %."""
import argparse
import glob
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT, SMALL = 0.15, 8.0


def program(variable, path):
    found = os.environ.get(variable) or next(iter(sorted(glob.glob(os.path.join(HERE, "../../build*", path)))), None)
    if not found:
        sys.exit(f"{path} is not built; name it by {variable}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", default="1,32")
    parser.add_argument("--light")
    parser.add_argument("models", nargs="*")
    chosen = parser.parse_args()
    halftone, loop = program("HALFTONE", "core/cli/halftone"), program("HALFTONE_BENCH", "tests/bench/forward-loop")
    root = os.environ.get("HALFTONE_ASSETS", os.path.join(HERE, "../../../shared/assets"))
    models = chosen.models or sorted(glob.glob(f"{root}/models/*.onnx"))
    models += sorted(glob.glob(f"{chosen.light}/*.onnx")) if chosen.light else []
    worst = 0.0
    print(f"{'network':31} {'batch':>5} {'foretold':>9} {'peak MiB':>9} {'ratio':>6}")
    for path in models:
        for batch in map(int, chosen.batch.split(",")):
            name = os.path.basename(path)[:-5]
            batch = max(1, batch // 4) if name.startswith("light") else batch
            told = subprocess.run([halftone, "inspect", path, "--json", "--batch", str(batch)], capture_output=True, text=True)
            if told.returncode:
                print(f"{name:31} {batch:5} {told.stderr.strip()}")
                continue
            foretold = json.loads(told.stdout)["memory"]["peak"] / 2**20
            run = subprocess.run([loop, path, str(batch), "2"], input="0\n", capture_output=True, text=True, check=True)
            peak = float(run.stdout.split()[2])
            if peak >= SMALL:
                worst = max(worst, abs(foretold / peak - 1))
            print(f"{name:31} {batch:5} {foretold:9.1f} {peak:9.1f} {foretold / peak:6.2f}{'' if peak >= SMALL else '  small'}", flush=True)
    print(f"off by at most {100 * worst:.1f} %")
    return worst > LIMIT


if __name__ == "__main__":
    sys.exit(main())
