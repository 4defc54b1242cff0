#!/usr/bin/env python3
"""What a listener holds: builds the command, lets `sanswarm crowd` connect to `sanswarm listen` many times over 127.0.0.1,
each connection of a peer of its own, and prints one table. Under two minutes, once it is built. Linux.
Usage: crowd.py [--rate R] [--seconds S] [CONNECTIONS...]

One run for each number of connections (1000 10000), each with a listener of its own. While they stay, for S seconds (20),
the listener pings each of them every 15 s, as it does by default, and one of them pings the listener ten times a second.
CPU is the listener's, in user and system time; memory is what is resident (VmRSS)."""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMAND = ROOT / "target/release/sanswarm"
TICKS = os.sysconf("SC_CLK_TCK")
# So long after the last has come, nothing of its coming is left: buffers are given back, identify is done.
SETTLE = 3


def resident(pid):
    """In KiB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("no VmRSS")


def cpu(pid):
    """In seconds."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def run(connections, rate, seconds):
    """The figures of one listener and its crowd."""
    command = [COMMAND, "listen", "--max-connections", str(connections)]
    listener = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = listener.stdout.readline().strip()
        if not address:
            sys.exit(listener.wait())
        return measure(listener.pid, address, connections, rate, seconds)
    finally:
        listener.terminate()
        listener.wait()


def measure(pid, address, connections, rate, seconds):
    empty, before = resident(pid), cpu(pid)
    stay = ["--connections", str(connections), "--rate", str(rate), "--seconds", str(seconds), "--json"]
    crowd = subprocess.Popen([COMMAND, "crowd", address, *stay], stdout=subprocess.PIPE, text=True)
    figures, told = {}, (json.loads(line) for line in crowd.stdout)
    for event in told:
        if event.get("event") == "limit":
            print(f"crowd: {event['descriptors']} descriptors allowed", file=sys.stderr)
        elif event.get("event") == "established":
            figures["coming"] = event
            figures["cpu_coming"] = cpu(pid) - before
            time.sleep(SETTLE)
            idle, start = cpu(pid), time.monotonic()
            time.sleep(seconds - SETTLE - 1)
            figures["cpu_idle"] = (cpu(pid) - idle) / (time.monotonic() - start)
            figures["kib"], figures["descriptors"] = resident(pid), descriptors(pid)
            figures["kib_each"] = (figures["kib"] - empty) / connections
        elif "ok" in event:
            figures["staying"] = event
        else:
            print(f"crowd: {event}", file=sys.stderr)
    if crowd.wait() != 0:
        sys.exit(f"the crowd of {connections} is not whole")
    time.sleep(SETTLE)
    figures["kib_left"], figures["descriptors_left"] = resident(pid), descriptors(pid)
    return figures


def pings(event):
    return f"{event['ping_p50_ms']:.2f}, {event['ping_p99_ms']:.2f} ms"


ROWS = [
    ("established; failed; lost", lambda f, n: f"{f['coming']['connections']}; {f['coming']['failed']}; {f['staying']['lost']}"),
    ("seconds until all have come", lambda f, n: f"{f['coming']['seconds']:.1f}"),
    ("a handshake, p50, p99", lambda f, n: f"{f['coming']['connect_p50_ms']:.2f}, {f['coming']['connect_p99_ms']:.2f} ms"),
    ("listener's CPU for each", lambda f, n: f"{f['cpu_coming'] / n * 1e6:.0f} µs"),
    ("ping while they come, p50, p99", lambda f, n: pings(f["coming"])),
    ("ping while they stay, p50, p99", lambda f, n: pings(f["staying"])),
    ("listener's memory", lambda f, n: f"{f['kib'] / 1024:.1f} MiB"),
    ("for each connection", lambda f, n: f"{f['kib_each']:.1f} KiB"),
    ("listener's CPU while they stay", lambda f, n: f"{f['cpu_idle'] * 100:.1f} % of a core"),
    ("listener's descriptors", lambda f, n: str(f["descriptors"])),
    ("crowd's memory for each", lambda f, n: f"{f['staying']['bytes_each'] / 1024:.1f} KiB"),
    ("after they have left: memory; descriptors", lambda f, n: f"{f['kib_left'] / 1024:.1f} MiB; {f['descriptors_left']}"),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("connections", nargs="*", type=int, default=[1000, 10000])
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    if options.seconds < SETTLE + 2:
        parser.error(f"at least {SETTLE + 2} seconds")
    build = ["cargo", "build", "--release", "--quiet", "-p", "sanswarm-cli"]
    subprocess.run(build, cwd=ROOT, check=True)
    runs = [(n, run(n, options.rate, options.seconds)) for n in options.connections]
    print("| connections | " + " | ".join(f"{n:,}" for n, _ in runs) + " |")
    print("|---|" + "---|" * len(runs))
    for name, value in ROWS:
        print(f"| {name} | " + " | ".join(value(figures, n) for n, figures in runs) + " |")


main()
