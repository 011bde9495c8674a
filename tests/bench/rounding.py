#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Accuracy and time of the techniques that round weights and correct biases, on the whole evaluation set.

usage: rounding.py [--networks A,B] [--weights 'bits: 4'] [--activations 'bits: 8' | none] [--samples N] [--batch N] [PIPELINE...]

A PIPELINE is a flow list of steps, such as 'batchnorm-folding, {adaround: {scale: joint}}'; without one, the techniques with
their defaults run. --activations none stands for 16 bits. Prints top-1 in % of the given network, quantized without a
technique (batch norms as they are), and after the pipeline, and the seconds of the pipeline. HALFTONE names the command."""
import argparse
import json
import os
import subprocess
import tempfile

from networks import NETWORKS, recipe

STEPS = ["batchnorm-folding", "batchnorm-folding, bias-correction", "batchnorm-folding, seqmse", "batchnorm-folding, adaround",
         "batchnorm-folding, {adaround: {scale: joint, bias: joint}}"]


def settings(text):
    return {key.strip(): json.loads(value) if value.strip()[0].isdigit() or value.strip() in ("true", "false") else value.strip()
            for key, value in (item.split(":") for item in text.split(","))} if text else {}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--networks", default="resnet20_cifar10")
    options.add_argument("--weights", default="bits: 4")
    options.add_argument("--activations", default="bits: 8")
    options.add_argument("--samples", type=int)
    options.add_argument("--batch", type=int)
    options.add_argument("pipelines", nargs="*", metavar="PIPELINE")
    chosen = options.parse_args()
    print("| network | pipeline | float | nearest | after | seconds |\n|---|---|---|---|---|---|")
    for name in chosen.networks.split(","):
        for pipeline in chosen.pipelines or STEPS:
            with tempfile.TemporaryDirectory() as folder:
                weights_only = chosen.activations == "none"
                text = json.loads(recipe(name, folder, settings(chosen.weights),
                                         {"bits": 16} if weights_only else settings(chosen.activations), [], ["onnx"]))
                if chosen.samples:
                    text["data"]["calibration"]["samples"] = chosen.samples
                if chosen.batch:
                    text["data"]["calibration"]["batch"] = chosen.batch
                path = os.path.join(folder, "recipe.yaml")
                body = json.dumps(text).replace('"pipeline": []', f'"pipeline": [{pipeline}]')
                with open(path, "w") as file:
                    file.write(body)
                done = subprocess.run([os.environ.get("HALFTONE", "halftone"), "run", "--json", path], capture_output=True, text=True)
                if done.returncode not in (0, 4):
                    print(f"| {name} | {pipeline} | {done.stderr.strip()} |")
                    continue
                report = json.loads(done.stdout)
                scores = {stage: values.get("top1") for stage, values in report["results"]["metrics"].items()}
                seconds = report["timings"].get("pipeline")
                score = lambda stage: f"{100 * scores[stage]:.2f}" if scores.get(stage) is not None else "-"
                print(f"| {name} | {pipeline} | {score('float')} | {score('naive')} | {score('result')} | {seconds} |", flush=True)


if __name__ == "__main__":
    main()
