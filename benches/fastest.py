#!/usr/bin/env python3
"""The fastest sample of each bench of the last run: what is least disturbed by whatever else the machine does."""

import json
import pathlib

for file in sorted(pathlib.Path(__file__).parent.glob("target/criterion/**/new/sample.json")):
    sample = json.loads(file.read_text())
    name = json.loads((file.parent / "benchmark.json").read_text())["full_id"]
    fastest = min(time / count for time, count in zip(sample["times"], sample["iters"]))
    print(f"{name:60} {fastest:14,.0f} ns")
