#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One simulation for each layer of a network, with that layer quantized and with all but that layer: run one after the
other, and run as a group that does common steps once.

sensitivity.py [--batch N] [--threads N] [--rounds N] [NETWORK...]; HALFTONE names the command and HALFTONE_BENCH the program
sensitivity of the build. Networks are quantized to 8 bits, weights per channel, batch norms folded."""
import argparse
import os
import subprocess
import sys
import tempfile

from networks import recipe

COMMAND = os.environ.get("HALFTONE", "halftone").split()
DEFAULT = ["resnet20_cifar10", "resnet32_cifar10", "mobilenetv1_025_vww96", "dscnn_kws_mlperftiny", "kwt1_speechcommands12"]


def call(arguments):
    run = subprocess.run(arguments, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(arguments)}: {run.stderr}")
    return run.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=DEFAULT)
    parser.add_argument("--batch", default="32")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--rounds", default="5")
    chosen = parser.parse_args()
    program = os.environ.get("HALFTONE_BENCH")
    if program is None:
        sys.exit("HALFTONE_BENCH does not name the program sensitivity: ninja -C BUILD tests/bench/sensitivity")
    print("| network | simulations | | alone ms | as a group ms | times quicker | steps |\n|---|---|---|---|---|---|---|")
    for name in chosen.networks:
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/recipe.yaml", "w") as file:
                file.write(recipe(name, folder, {"bits": 8, "granularity": "channel"}, {"bits": 8}, ["batchnorm-folding"],
                                  ("onnx", "encodings-1.0.0")))
            call(COMMAND + ["run", f"{folder}/recipe.yaml"])
            for which, more in (("one layer", []), ("all but one", ["all-but"])):
                n, alone, group, work = call([program, f"{folder}/{name}.onnx", f"{folder}/{name}.encodings", chosen.batch,
                                              chosen.threads, chosen.rounds] + more).split()
                print(f"| {name} | {n} | {which} | {float(alone):.1f} | {float(group):.1f} | {float(alone) / float(group):.2f} "
                      f"| {100 * float(work):.0f} % |", flush=True)


if __name__ == "__main__":
    main()
