#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What sharing saved in searches: wall time, the sum of all pieces of work, and what each candidate alone would have taken.

usage: search_times.py FOLDER ...    (output folders of `halftone search`, each computed from nothing)

"one by one" is the sum over candidates of the seconds of all pieces on their way, as measured in the search; loading the model and
the evaluation in floating point, which each run alone repeats, are not in it.
"""
import json
import sys


def main():
    for folder in sys.argv[1:]:
        with open(f"{folder}/report.json") as file:
            report = json.load(file)
        search, timings = report["search"], report["timings"]
        seconds = {node["number"]: node["seconds"] for node in timings["nodes"]}
        scores = {}
        for node in search["tree"]:
            if node["kind"] == "score":
                scores[node["parent"]] = scores.get(node["parent"], 0) + seconds[node["number"]]
        alone = sum(sum(seconds[k] for k in c["path"]) + scores.get(c["path"][-1], 0) for c in search["candidates"])
        steps = sum(node["kind"] == "step" for node in search["tree"])
        best = search["candidates"][search["best"] - 1]
        print(f"{folder}: {len(search['candidates'])} candidates, {steps} steps, jobs {timings['jobs']}, wall {timings['seconds']:.1f} s, "
              f"sum of the pieces {timings['computed-seconds']:.1f} s, one by one {alone:.1f} s, samples scored {search['samples-scored']}; "
              f"best {best['description']}")


if __name__ == "__main__":
    main()
