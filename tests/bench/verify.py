#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""halftone verify over the networks of the assets: each layer of the exported file against the simulation, and the outputs of the
whole file without and with the runtime's graph optimizations.

verify.py [--bits N] [--granularity channel|tensor] [--samples N] [--runtime NAME] [NETWORK...]; HALFTONE names the command,
HALFTONE_ONNXRUNTIME the library of onnxruntime. Batch norms are folded; activations have 8 bits."""
import argparse
import json
import os
import subprocess
import sys
import tempfile

from networks import NETWORKS, recipe

COMMAND = os.environ.get("HALFTONE", "halftone").split()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--granularity", default="channel")
    parser.add_argument("--samples", default="64")
    parser.add_argument("--runtime", default="onnxruntime")
    chosen = parser.parse_args()
    print("| network | tensors | constants | max steps | mean steps | whole file: max steps | same class | optimized: same class | agrees |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in chosen.networks:
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/recipe.yaml", "w") as file:
                how = json.loads(recipe(name, folder, {"bits": chosen.bits, "granularity": chosen.granularity}, {"bits": 8},
                                        ["batchnorm-folding"], ("onnx", "onnx-qdq", "encodings-1.0.0")))
                for role in how["data"].keys() & {"calibration", "evaluation"}:
                    how["data"][role]["samples"] = min(int(chosen.samples), how["data"][role].get("samples", 1 << 30))
                json.dump(how, file)
            run = subprocess.run(COMMAND + ["run", f"{folder}/recipe.yaml"], capture_output=True, text=True)
            if run.returncode:
                sys.exit(f"{name}: {run.stderr}")
            run = subprocess.run(COMMAND + ["verify", folder, "--json", "--samples", chosen.samples, "--runtime", chosen.runtime],
                                 capture_output=True, text=True)
            if run.returncode > 1:
                sys.exit(f"{name}: {run.stderr}")
            result = json.loads(run.stdout)
        layers = [t for t in result["tensors"] if not t["constant"]]
        number = lambda row, key: float(str(row.get(key, "nan")).replace("infinite", "inf"))
        largest = lambda key: max(number(t, key) for t in layers)
        percent = lambda key: f"{100 * result[key]['same-choice']:.2f} %" if "same-choice" in result.get(key, {}) else ""
        mean = sum(number(t, "mean-steps") for t in layers) / len(layers)
        first = "" if "first-difference" not in result else " (" + result["first-difference"]["tensor"] + ")"
        print(f"| {name} | {len(layers)} | {len(result['tensors']) - len(layers)} | {largest('max-steps'):.3g} | {mean:.1e} "
              f"| {largest('whole-max-steps'):.3g} | {percent('outputs')} | {percent('optimized-outputs')} "
              f"| {'yes' if result['agrees'] else 'no'}{first} |", flush=True)


if __name__ == "__main__":
    main()
