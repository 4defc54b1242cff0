#!/usr/bin/env python3
"""The fastest sample of each bench, and how many times as fast ours are as the best peer of the same case. The fastest
is what is least disturbed by whatever else the machine does.
Usage: fastest.py [--run BENCH TIMES] [PART OF A CASE]. Without --run it reads the last run of `cargo bench`; with it,
it runs that bench so many times, so that a disturbance of seconds does not fall on one stack alone."""

import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
OURS = "sanswarm"


def add_samples(cases, since=0.0):
    """To `cases`, from runs since then: of each case and whose bench it is, the fewest nanoseconds, and the bytes if it
    moves any."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))
    for file in sorted(target.glob("criterion/**/new/sample.json")):
        if file.stat().st_mtime < since:
            continue  # of a bench that is no more
        sample = json.loads(file.read_text())
        bench = json.loads((file.parent / "benchmark.json").read_text())
        fastest = min(nanos / count for nanos, count in zip(sample["times"], sample["iters"]))
        moved = (bench["throughput"] or {}).get("Bytes")
        rows = cases.setdefault(bench["group_id"], {})
        who = bench["function_id"] or bench["value_str"]
        rows[who] = (min(fastest, rows.get(who, (fastest,))[0]), moved)


def print_case(case, rows):
    peers = [nanos for who, (nanos, _) in rows.items() if not who.startswith((OURS, "floor"))]
    for who, (nanos, moved) in sorted(rows.items(), key=lambda row: (not row[0].startswith(OURS), row[1][0])):
        rate = f"{moved / nanos / 1.073741824:6.2f} GiB/s" if moved else ""
        ratio = f"{min(peers) / nanos:6.2f} x the best peer" if peers and who.startswith(OURS) else ""
        print(f"{case:32} {who:28} {nanos:14,.1f} ns {rate:12} {ratio}".rstrip())


def main():
    args, cases = sys.argv[1:], {}
    if args[:1] == ["--run"] and len(args) > 2:
        command = ["cargo", "bench", "-p", "sanswarm-benches-layers", "--bench", args[1], "--", "--noplot"]
        since = time.time()
        for _ in range(int(args[2])):
            subprocess.run(command, cwd=HERE, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            add_samples(cases, since)
        args = args[3:]
    else:
        add_samples(cases)
    for case, rows in cases.items():
        if "".join(args) in case:
            print_case(case, rows)


if __name__ == "__main__":
    main()
