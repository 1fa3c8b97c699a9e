"""Run the benchmarks one after another: `python -m benchmarks [--short] [NAME …]`, results as JSON below `var/`.

Each is a command of its own, `greenpark bench NAME`; this only runs them all, in the long form that docs/performance.md
gives figures of, or in a short one that says whether they work at all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

# name: (long, short, about how many minutes the long form takes)
BENCHMARKS: dict[str, tuple[list[str], list[str], int]] = {
    "ingest": ([], ["--seconds", "5", "--warm-up", "2", "--workers", "1,2"], 16),
    "overload": ([], ["--seconds", "5", "--calibrate", "3", "--factor", "3"], 20),
    "crash": ([], ["--kills", "4", "--cuts", "2"], 6),
    "outage": (["--seconds", "300"], ["--seconds", "5", "--hours", "0.1"], 18),
    "ledger": ([], ["--points", "20", "--days", "3"], 2),
    "late": ([], ["--firms", "2", "--points", "5", "--days", "3"], 4),
    "fresh": (["--workers", "2"], ["--firms", "5", "--seconds", "10", "--warm-up", "20"], 3),
}


def main() -> int:
    """Run what was asked for; the exit status is that of the first that failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; without: all")
    parser.add_argument("--short", action="store_true", help="a minute each: do they work?")
    parser.add_argument("--var", type=Path, default=Path("var"), help="where the stacks and the results go")
    asked = parser.parse_args()
    for name in asked.names:
        if name not in BENCHMARKS:
            parser.error(f"no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    names = asked.names or list(BENCHMARKS)
    results = asked.var / "benchmarks"
    results.mkdir(parents=True, exist_ok=True)
    failed = 0
    for number, name in enumerate(names):
        long, short, _ = BENCHMARKS[name]
        left_min = sum(BENCHMARKS[other][2] for other in names[number:])
        print(f"== {name}" + ("" if asked.short else f" (about {left_min} min for this and what follows)"), flush=True)
        began = time.monotonic()
        argv = [sys.executable, "-m", "cli.main", "bench", name, "--json", "--var", str(asked.var)]
        done = subprocess.run([*argv, *(short if asked.short else long)], stdout=subprocess.PIPE, check=False)
        failed = failed or done.returncode
        took_s = time.monotonic() - began
        if done.stdout.strip():
            file = results / f"{name}.json"
            file.write_bytes(done.stdout)
            found = json.loads(done.stdout)
            figures = {key: value for key, value in found.items() if isinstance(value, int | float)}
            print("\n".join(f"{key:>32} {value:,}" for key, value in figures.items()))
            print(f"{'all of it':>32} {file}")
        print(f"{'took':>32} {took_s:.0f} s; status {done.returncode}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
