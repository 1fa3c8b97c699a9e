"""The ledger's benchmarks as commands of `greenpark bench`."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]
Var = Annotated[Path, typer.Option("--var", help="The stack lives below VAR, components in VAR/components.")]


def bench_ledger(
    points: Annotated[int, typer.Option(help="Points.", min=1)] = 200,
    days: Annotated[int, typer.Option(help="Days of raw readings.", min=1)] = 30,
    interval: Annotated[int, typer.Option(help="Seconds from one reading to the next.", min=1)] = 900,
    repeats: Annotated[int, typer.Option(help="How often it is measured; the median counts.", min=1)] = 5,
    var: Var = Path("var"),
    json_output: Json = False,
) -> None:
    """Buckets a second and core from raw, as a ratio to reading the same raw rows with nothing computed."""
    from cli.bench.ledger import LedgerBench, run_ledger_bench, show  # noqa: PLC0415

    result = asyncio.run(run_ledger_bench(LedgerBench(points, days, interval, repeats), var.resolve()))
    print(json.dumps(asdict(result)) if json_output else show(result))


def bench_late(
    firms: Annotated[int, typer.Option(help="Firms.", min=1)] = 20,
    points: Annotated[int, typer.Option(help="Points of each firm.", min=1)] = 50,
    days: Annotated[int, typer.Option(help="Days that arrive late.", min=1)] = 30,
    interval: Annotated[int, typer.Option(help="Seconds from one reading to the next.", min=1)] = 900,
    workers: Annotated[int, typer.Option(help="Processes of streams.", min=1)] = 2,
    var: Var = Path("var"),
    json_output: Json = False,
) -> None:
    """Readings that arrive 30 days late, and a corrected multiplier: seconds until all of it is visible.

    Exit status 1 if what is stored differs from a computation from scratch.
    """
    from cli.bench.late import LateBench, run_late_bench, show  # noqa: PLC0415

    result = asyncio.run(run_late_bench(LateBench(firms, points, days, interval, workers), var.resolve()))
    print(json.dumps(asdict(result)) if json_output else show(result))
    if not result.equals_from_scratch:
        raise typer.Exit(1)


def bench_fresh(
    firms: Annotated[int, typer.Option(help="Firms, one edge each.", min=1)] = 100,
    points: Annotated[int, typer.Option(help="Points of each firm; a multiple of SIZE.", min=1)] = 100,
    interval: Annotated[float, typer.Option(help="Seconds from one reading of a point to the next.")] = 10.0,
    seconds: Annotated[float, typer.Option(help="Measured time, after the warm-up.", min=1)] = 60.0,
    warm_up: Annotated[float, typer.Option(help="Seconds before measuring; two intervals at least.")] = 25.0,
    size: Annotated[int, typer.Option(help="Readings per message.", min=1)] = 10,
    workers: Annotated[int, typer.Option(help="Processes of streams.", min=1)] = 1,
    var: Var = Path("var"),
    json_output: Json = False,
) -> None:
    """Time from a reading being taken to its bucket, hour, day and month, with everything on this machine.

    Exit status 1 if what is stored in the end differs from a computation from scratch.
    """
    from cli.bench.fresh import FreshBench, run_fresh_bench, show  # noqa: PLC0415

    if points % size:
        raise typer.BadParameter(f"points ({points}) must be a multiple of size ({size})")
    plan = FreshBench(firms, points, interval, seconds, warm_up, size, workers, min(200, firms * points))
    result = asyncio.run(run_fresh_bench(plan, var.resolve()))
    print(json.dumps(asdict(result)) if json_output else show(result))
    if not result.equals_from_scratch:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the ledger's benchmarks to `greenpark bench`."""
    app.command("ledger")(bench_ledger)
    app.command("late")(bench_late)
    app.command("fresh")(bench_fresh)
