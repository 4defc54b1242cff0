#!/usr/bin/env python3
"""Instructions and heap allocations of what the benches do, by callgrind and a counting allocator: figures that do not
depend on how busy the machine is. Usage: count.py [PART OF AN ID] [--functions ID]

A figure is the difference of a run of 2 N rounds and one of N rounds, divided by N: what is done once cancels out.
`--functions` prints where one bench's instructions go, by function, each with what it calls left out."""

import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
COPIES = re.compile(r"mem(cpy|move|set)")


def build():
    """The paths of both programs."""
    command = ["cargo", "build", "--quiet", "--profile", "bench", "-p", "sanswarm-benches-layers", "--bins"]
    messages = subprocess.run([*command, "--message-format", "json"], cwd=HERE, check=True, capture_output=True).stdout
    found = [json.loads(line) for line in messages.splitlines()]
    return {m["target"]["name"]: m["executable"] for m in found if m.get("executable")}


def callgrind(program, bench, rounds):
    """Instructions by function."""
    with tempfile.NamedTemporaryFile("r") as out:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", program, bench, str(rounds)]
        subprocess.run(command, check=True, capture_output=True)
        return functions(out)


def functions(lines):
    """Self costs from callgrind's format: `fn=(id) name` once, then `fn=(id)`; a line behind `calls=` is the callee's."""
    names, costs, name, is_callee = {}, collections.Counter(), "", False
    for line in lines:
        if line.startswith("fn="):
            number, _, text = line[3:].strip().partition(" ")
            name = names.setdefault(number, text)
        elif line.startswith(("cfn=", "cfi=", "cob=")):
            number, _, text = line[4:].strip().partition(" ")
            if line.startswith("cfn=") and text:
                names.setdefault(number, text)
        elif line.startswith("calls="):
            is_callee = True
        elif line[:1] in "0123456789+-*" and line.strip():
            if not is_callee:
                costs[name] += int(line.split()[-1])
            is_callee = False
    return costs


def instructions(program, bench, rounds, unit):
    """By function, of one unit: a round, or the part of it that moves a MiB."""
    once, twice = callgrind(program, bench, rounds), callgrind(program, bench, 2 * rounds)
    twice.subtract(once)
    return {name: cost / rounds * unit for name, cost in twice.items() if cost}


def heap(program, part):
    lines = subprocess.run([program, part], check=True, capture_output=True, text=True).stdout.splitlines()
    return {bench: (float(count), float(size)) for bench, count, size in (line.split("\t") for line in lines)}


def listed(program):
    lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()
    return {bench: (int(rounds), float(unit)) for bench, rounds, unit in (line.split("\t") for line in lines)}


def print_functions(programs, bench):
    costs = instructions(programs["count"], bench, *listed(programs["count"])[bench])
    for name, cost in sorted(costs.items(), key=lambda item: -item[1])[:40]:
        print(f"{cost:12,.1f}  {name}")
    print(f"{sum(costs.values()):12,.1f}  all")


def print_table(programs, part):
    allocations, ours = heap(programs["heap"], part), {}
    print("| case | whose | instructions | of them in memcpy, memset | times ours | allocations | bytes allocated |")
    print("|---|---|---|---|---|---|---|")
    for bench, (rounds, unit) in listed(programs["count"]).items():
        if part not in bench:
            continue
        costs = instructions(programs["count"], bench, rounds, unit)
        case, _, who = bench.rpartition("/")
        total = sum(costs.values())
        copies = sum(cost for name, cost in costs.items() if COPIES.search(name))
        ours.setdefault(case, total)  # of each case ours is the first
        count, size = allocations.pop(bench)
        figures = f"{total:,.0f} | {copies:,.0f} | {total / ours[case]:.1f} | {count:.4g} | {size:,.0f}"
        print(f"| {case} | {who} | {figures} |", flush=True)
    for bench, (count, size) in allocations.items():  # what is held, not done
        case, _, who = bench.rpartition("/")
        print(f"| {case} | {who} | | | | {count:.4g} | {size:,.0f} |")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--functions", bench]:
            print_functions(build(), bench)
        case [] | [_]:
            print_table(build(), "".join(sys.argv[1:]))
        case _:
            sys.exit(__doc__)
