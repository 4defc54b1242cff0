#!/usr/bin/env python3
"""Whole stacks side by side over TCP on 127.0.0.1: builds the bench, runs every case of every stack in a process of its own,
and prints one table. Under five minutes, once it is built.
Usage: peers.py [--quick] [--repeat N] [--seconds S] [--stacks LIST] [--openssl] [PART OF A CASE]

All cases run in turn N times (3) or until S seconds are over (270), and in each the stacks in turn, so that what disturbs
the machine falls on all of them; the best run counts. All but `two cores` runs pinned to one processor, both ends in one process, where wall time is the work. Needs
taskset; counts system calls where strace is. The last column says how many times as good as the best peer ours is."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
OURS = "sanswarm"
PEERS = ["rust-libp2p", "litep2p", "minip2p"]
FLOOR = "raw"
STACKS = [OURS, *PEERS, FLOOR]
MIB = 1 << 20
CHILD_SECONDS = 60
FAILED = set()


class Figure:
    """A row: how it follows from the figures of a run, and which way is better."""

    def __init__(self, name, value, digits=2, more_is_better=False):
        self.name, self.value, self.digits, self.more_is_better = name, value, digits, more_is_better


class Case:
    """What is run: `n` of it, on which processors, with which program, and what is read from it."""

    def __init__(self, name, case, n, figures, cores="0", counted=False, traced=False, stacks=STACKS, repeat=None):
        self.name, self.case, self.n, self.figures, self.cores = name, case, n, figures, cores
        self.counted, self.traced, self.stacks, self.repeat = counted, traced, stacks, repeat

    def threads(self):
        return str(len(self.cores.split(",")))


def rate(run):
    return run["bytes"] / run["wall_s"] / (1 << 30)


def work(run):
    return run["cpu_s"] / (run["bytes"] / (1 << 30))


def each(n, what, scale=1e6):
    return lambda run: run[what] / n * scale


def cases(quick):
    """Sizes that take about a second; a quarter of it if it has to be quick."""
    share = 4 if quick else 1
    bulk, pings, dials, streams, idle = 768 * MIB // share, 60_000 // share, 600 // share, 12_000 // share, 1000 // share
    bulk_figures = [Figure("GiB/s", rate, 3, True), Figure("cpu-s/GiB", work)]
    no_floor, no_streams = [OURS, *PEERS], [OURS, *PEERS]
    bare = [OURS, "rust-libp2p-bare", "litep2p-bare"]
    dial = [
        Figure("a second", lambda run: dials / run["wall_s"], 0, True),
        Figure("cpu-us each", each(dials, "cpu_s"), 0),
    ]
    found = [
        Case("bulk, 1 stream", "bulk-1", bulk, bulk_figures),
        Case("bulk, 100 streams", "bulk-100", bulk, bulk_figures, stacks=no_streams),
        Case("a byte there and back", "pings", pings, [
            Figure("p50, us", lambda run: run["p50_us"], 1),
            Figure("p99, us", lambda run: run["p99_us"], 1),
            Figure("cpu-us each", each(pings, "cpu_s")),
        ]),
        Case("dial, stream, echo, close", "connections", dials, dial),
        Case("the same, without identify and ping where that goes", "connections", dials, dial, stacks=bare),
        Case("open, negotiate, echo, close a stream", "streams", streams, [
            Figure("a second", lambda run: streams / run["wall_s"], 0, True),
            Figure("cpu-us each", each(streams, "cpu_s"), 1),
        ], stacks=no_streams),
        Case("2 connections, one core", "many-2", bulk, bulk_figures[:1], stacks=no_floor),
        Case("2 connections, two cores", "many-2", bulk, bulk_figures[:1], "0,1", stacks=no_floor),
        Case("8 connections, one core", "many-8", bulk, bulk_figures[:1], stacks=no_floor),
        Case("8 connections, two cores", "many-8", bulk, bulk_figures[:1], "0,1", stacks=no_floor),
        Case(f"{idle} idle connections", "idle", idle, [
            Figure("KiB RSS each, both ends", lambda run: run["rss_bytes"] / 1024, 1),
        ], stacks=no_floor, repeat=1),
        Case(f"{idle} idle connections", "idle", idle, [
            Figure("KiB heap each, both ends", lambda run: run["heap_bytes"] / 1024, 1),
        ], counted=True, stacks=no_floor, repeat=1),
    ]
    small, few = bulk // 4, pings // 8
    mib, calls = lambda run: run["allocations"] / (run["bytes"] / MIB), Figure("system calls", lambda run: run["calls"], 1)
    found += [
        Case("bulk, a MiB", "bulk-1", small, [Figure("allocations", mib, 1)], counted=True, repeat=1),
        Case("a byte there and back", "pings", few, [Figure("allocations", each(few, "allocations", 1), 1)],
             counted=True, repeat=1),
        Case("a stream", "streams", 1000, [Figure("allocations", each(1000, "allocations", 1), 0)],
             counted=True, stacks=no_streams, repeat=1),
        Case("a connection", "connections", 200, [Figure("allocations", each(200, "allocations", 1), 0)],
             counted=True, stacks=no_streams, repeat=1),
    ]
    if shutil.which("strace") and not quick:
        found += [
            Case("bulk, a MiB", "bulk-1", 64, [calls], traced=True, repeat=1),
            Case("a byte there and back", "pings", 1000, [calls], traced=True, repeat=1),
            Case("a stream", "streams", 300, [calls], traced=True, stacks=no_streams, repeat=1),
            Case("a connection", "connections", 50, [calls], traced=True, stacks=no_streams, repeat=1),
        ]
    return found


def build(features):
    """The paths of both programs."""
    command = ["cargo", "build", "--quiet", "--profile", "bench", "-p", "sanswarm-benches-peers", "--bins", *features]
    messages = subprocess.run([*command, "--message-format", "json"], cwd=HERE, check=True, capture_output=True).stdout
    found = [json.loads(line) for line in messages.splitlines()]
    return {m["target"]["name"]: m["executable"] for m in found if m.get("executable")}


def child(command):
    """The figures that a process prints; none if it failed."""
    try:
        done = subprocess.run(command, timeout=CHILD_SECONDS, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        print(f"{' '.join(command[-4:])}: not done in {CHILD_SECONDS} s", file=sys.stderr)
        return None
    if done.returncode:
        print(f"{' '.join(command[-4:])}: {done.stderr.strip()[-400:]}", file=sys.stderr)
        return None
    return {name: float(value) for name, value in (line.split("\t") for line in done.stdout.splitlines())}


def calls(program, case, stack, n):
    """System calls of a process, all threads."""
    with tempfile.NamedTemporaryFile("r") as out:
        trace = ["strace", "-f", "-c", "-o", out.name, "taskset", "-c", case.cores]
        if child([*trace, program, stack, case.case, str(n), case.threads()]) is None:
            return None
        rows = [line.split() for line in out]
    return sum(int(row[3]) for row in rows if len(row) >= 5 and row[3].isdigit() and row[-1] != "total")


def run(programs, case, stack):
    if case.traced:
        unit = MIB if case.case.startswith("bulk") else 1
        once, twice = (calls(programs["peers"], case, stack, n * unit) for n in (case.n, 2 * case.n))
        # An eighth more is moved before, to warm up.
        return None if once is None or twice is None else {"calls": (twice - once) / case.n / 1.125}
    program = programs["peers-counted" if case.counted else "peers"]
    return child(["taskset", "-c", case.cores, program, stack, case.case, str(case.n), case.threads()])


def measure(programs, case, stack, best):
    """Of each figure keeps the best of all runs."""
    figures = run(programs, case, stack)
    if figures is None:
        FAILED.add(stack)
        return
    for figure in case.figures:
        value, place = figure.value(figures), (figure.name, stack.removesuffix("-bare"))
        better = max if figure.more_is_better else min
        best[place] = better(value, best.get(place, value))


def measure_all(programs, chosen, stacks, repeat, until):
    """What was best, case by case. What there was no time for is missing."""
    best = [{} for _ in chosen]
    for turn in range(repeat):
        for case, results in zip(chosen, best):
            if turn >= (case.repeat or repeat):
                continue
            for stack in case.stacks:
                if stack.removesuffix("-bare") in stacks and time.monotonic() < until:
                    measure(programs, case, stack, results)
        print(f"run {turn + 1} of {repeat}: {max(0, until - time.monotonic()):.0f} s are left", file=sys.stderr)
    return best


def print_row(case, figure, best):
    def cell(stack):
        value = best.get((figure.name, stack))
        return "" if value is None else f"{value:,.{figure.digits}f}"

    ours, peers = best.get((figure.name, OURS)), [best[figure.name, p] for p in PEERS if (figure.name, p) in best]
    ratio = ""
    if ours and peers:
        ratio = ours / max(peers) if figure.more_is_better else min(peers) / ours
        ratio = f"{ratio:.2f}"
    print(f"| {case.name} | {figure.name} | {' | '.join(map(cell, STACKS))} | {ratio} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a quarter of each case, once, and no strace")
    parser.add_argument("--openssl", action="store_true", help="ours with the ciphers of OpenSSL")
    parser.add_argument("--repeat", type=int)
    parser.add_argument("--seconds", type=float, default=270)
    parser.add_argument("--stacks", default=",".join(STACKS))
    parser.add_argument("part", nargs="?", default="")
    options = parser.parse_args()
    if not shutil.which("taskset"):
        sys.exit("peers.py needs taskset (util-linux)")
    programs = build(["--features", "openssl"] if options.openssl else [])
    start, load = time.monotonic(), os.getloadavg()[0]
    chosen = [case for case in cases(options.quick) if options.part in f"{case.case} {case.name}"]
    repeat = options.repeat or (1 if options.quick else 3)
    found = measure_all(programs, chosen, options.stacks.split(","), repeat, start + options.seconds)
    print("| case | figure | sanswarm | rust-libp2p | litep2p | minip2p | TCP alone | times the best peer |")
    print("|---|---|---|---|---|---|---|---|")
    for case, best in zip(chosen, found):
        for figure in case.figures:
            print_row(case, figure, best)
    took = time.monotonic() - start
    print(f"\n{took:.0f} s; load {load:.1f} before and {os.getloadavg()[0]:.1f} after, on {os.cpu_count()} processors",
          file=sys.stderr)
    sys.exit(1 if any(stack.startswith(OURS) for stack in FAILED) else 0)


if __name__ == "__main__":
    main()
