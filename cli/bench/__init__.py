"""`greenpark bench`: what the platform carries on this machine, measured on a stack of its own below VAR/bench.

One module for each benchmark; `python -m benchmarks` runs them one after another.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cli.bench import ledgers

app = typer.Typer(help="Benchmarks on a stack of their own below VAR/bench.", no_args_is_help=True)
ledgers.register(app)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]
Var = Annotated[Path, typer.Option("--var", help="The stack lives in VAR/bench, components in VAR/components.")]


@app.command("ingest")
def bench_ingest(
    seconds: Annotated[float, typer.Option(help="Measured time of each cell of the grid, after its warm-up.")] = 60.0,
    warm_up: Annotated[float, typer.Option(help="Seconds before measuring, each time.")] = 5.0,
    sizes: Annotated[str, typer.Option(help="Readings per message.")] = "100,10,1",
    workers: Annotated[str, typer.Option(help="Numbers of ingest workers, ascending.")] = "1,2,4",
    edges: Annotated[int, typer.Option(help="Edges that send.")] = 20,
    points: Annotated[int, typer.Option(help="Points of each edge; a multiple of every size.")] = 100,
    var: Var = Path("var"),
    json_output: Json = False,
) -> None:
    """Sustained readings/s from edge to committed row, as a ratio to the fastest plain COPY of the same rows.

    Acknowledged after commit, duplicates recognised, no TLS. Then the time from device to queryable at half of the
    maximum.
    """
    from cli.bench.ingest import IngestBench, run_ingest_bench, show  # noqa: PLC0415

    plan = IngestBench(_numbers(sizes), _numbers(workers), seconds, warm_up, edges, points)
    result = asyncio.run(run_ingest_bench(plan, var.resolve()))
    print(json.dumps(asdict(result)) if json_output else show(result))


@app.command("overload")
def bench_overload(
    seconds: Annotated[float, typer.Option(help="How long the overload lasts.")] = 60.0,
    factor: Annotated[float, typer.Option(help="How many times the sustainable rate is offered.")] = 10.0,
    calibrate: Annotated[float, typer.Option(help="Seconds in which the sustainable rate is measured.")] = 15.0,
    size: Annotated[int, typer.Option(help="Readings per message.")] = 1,
    workers: Annotated[int, typer.Option(help="Ingest workers.")] = 1,
    edges: Annotated[int, typer.Option(help="Edges that send.")] = 200,
    points: Annotated[int, typer.Option(help="Points of each edge; a multiple of SIZE.")] = 10,
    var: Var = Path("var"),
    json_output: Json = False,
) -> None:
    """Offer many times what can be taken, then wait until all of it is committed.

    The senders ignore the window that an edge keeps, so that the flood reaches the broker; like an edge they keep what
    the watermark does not cover and send it again. Exit status 1 if a reading is lost or doubled.
    """
    from cli.bench.overload import OverloadBench, run_overload_bench, show  # noqa: PLC0415

    plan = OverloadBench(seconds, factor, calibrate, size, workers, edges, points)
    result = asyncio.run(run_overload_bench(plan, var.resolve()))
    print(json.dumps(asdict(result)) if json_output else show(result))
    if result.lost or result.doubled:
        raise typer.Exit(1)


@app.command("crash")
def bench_crash(
    kills: Annotated[int, typer.Option(help="How often a process is killed with -9.", min=1)] = 100,
    cuts: Annotated[int, typer.Option(help="How often connections are cut or held.", min=0)] = 30,
    gap: Annotated[float, typer.Option(help="Mean seconds from one to the next.", min=0.1)] = 2.0,
    seed: Annotated[int, typer.Option(help="Names the order and the instants.")] = 1,
    poll: Annotated[float, typer.Option(help="Seconds between two polls of each of 6 edges.", min=0.05)] = 0.2,
    points: Annotated[int, typer.Option(help="Points of each edge.", min=1)] = 50,
    resend: Annotated[float, typer.Option(help="Seconds until an edge sends again.", min=1)] = 30.0,
    var: Var = Path("var"),
    json_output: Json = False,
) -> None:
    """Kill edges, broker, ingest workers and database at random under load; compare what is stored with what was read.

    Exit status 1 if a reading is lost, doubled or altered, or if the edges' buffers do not drain.
    """
    from cli.bench.crash import Options, run_crash  # noqa: PLC0415
    from cli.bench.rig import Load  # noqa: PLC0415

    load = Load(points=points, poll_s=poll, resend_after_s=resend)
    result = asyncio.run(run_crash(Options(var.resolve(), kills, cuts, gap, seed, load)))
    print(json.dumps(result.as_dict()) if json_output else result.as_text())
    if not result.passed:
        raise typer.Exit(1)


@app.command("outage")
def bench_outage(
    seconds: Annotated[float, typer.Option(help="How long database and broker are away, each.", min=1)] = 30.0,
    hours: Annotated[float, typer.Option(help="What the edges gathered while they were offline.", min=0.1)] = 24.0,
    edges: Annotated[int, typer.Option(help="How many edges were offline.", min=1)] = 4,
    points: Annotated[int, typer.Option(help="Points of each edge.", min=1)] = 50,
    resend: Annotated[float, typer.Option(help="Seconds until an edge sends again.", min=1)] = 30.0,
    var: Var = Path("var"),
    json_output: Json = False,
) -> None:
    """Take the database away, then the broker, then bring back edges that were offline; compare each time.

    `--seconds 300` are the five minutes that are promised. Exit status as for `crash`.
    """
    from cli.bench.outage import Options, run_outages  # noqa: PLC0415
    from cli.bench.rig import Load  # noqa: PLC0415

    load = Load(points=points, resend_after_s=resend, late=edges)
    result = asyncio.run(run_outages(Options(var.resolve(), seconds, hours, load)))
    print(json.dumps(result.as_dict()) if json_output else result.as_text())
    if not result.passed:
        raise typer.Exit(1)


@app.command("alerts")
def bench_alerts(
    points: Annotated[int, typer.Option(help="Points of the park.", min=1)] = 10_000,
    per_firm: Annotated[int, typer.Option(help="Points of each firm, all at one gateway.", min=7)] = 500,
    days: Annotated[int, typer.Option(help="Days of history behind the rules.", min=1)] = 25,
    hours: Annotated[int, typer.Option(help="Measured hours, four quarter hours each.", min=1)] = 6,
    var: Var = Path("var"),
    json_output: Json = False,
) -> None:
    """Seconds to evaluate all default rules over all points for one quarter hour, by one worker; then a storm.

    Exit status 1 if the quiet past opened an episode, or an edge that goes dark made other than one.
    """
    from cli.bench.alerts import AlertsBench, run_alerts_bench, show  # noqa: PLC0415

    result = asyncio.run(run_alerts_bench(AlertsBench(points, per_firm, days, hours), var.resolve()))
    print(json.dumps(asdict(result)) if json_output else show(result))
    if result.false_episodes or result.storm_episodes != 1:
        raise typer.Exit(1)


@app.command("indicators")
def bench_indicators(
    sizes: Annotated[str, typer.Option(help="Numbers of firms, each a park of its own, ascending.")] = "1,10,100",
    days: Annotated[int, typer.Option(help="Days of 15-minute buckets of each point.", min=1, max=365)] = 365,
    fine_hours: Annotated[
        float, typer.Option(help="Hours and buckets are computed for so long, as by streams.")
    ] = 48.0,
    repeats: Annotated[int, typer.Option(help="How often the single firm is measured; the median counts.", min=1)] = 3,
    workers: Annotated[int, typer.Option(help="Processes that compute the firms of a park.", min=1)] = 2,
    var: Var = Path("var"),
    json_output: Json = False,
) -> None:
    """Seconds from the ledger to the standing: one firm-year of 20 points on one core, and parks of many firms.

    All indicators and grains. The ledger is written directly; what computes is what runs in streams. A park of 100
    firms takes about 10 GB of disk and some minutes to lay down.
    """
    from cli.bench.indicators import IndicatorBench, run_indicator_bench, show  # noqa: PLC0415

    plan = IndicatorBench(_numbers(sizes), days, fine_hours=fine_hours, repeats=repeats, workers=workers)
    result = asyncio.run(run_indicator_bench(plan, var.resolve()))
    print(json.dumps(asdict(result)) if json_output else show(result))


@app.command("dashboards")
def bench_dashboards(
    firms: Annotated[int, typer.Option(help="Firms.", min=1, max=999)] = 100,
    points: Annotated[int, typer.Option(help="Points of each firm.", min=1, max=20)] = 20,
    days: Annotated[int, typer.Option(help="Days of the ledger.", min=1)] = 365,
    repeats: Annotated[int, typer.Option(help="How often each query runs, after once for the caches.", min=1)] = 10,
    var: Var = Path("var"),
    json_output: Json = False,
) -> None:
    """Every query of every dashboard on a park's year, as the park's role: all firms and one, up to a year at once.

    The park is made in a database of its own and taken away; the default is 70 million buckets and some 20 GB of disk.
    Exit status 1 if a query's 95th percentile is above 300 ms.
    """
    from cli.bench.dashboards import DashboardsBench, run_dashboards_bench, show  # noqa: PLC0415

    plan = DashboardsBench(firms, points, days, repeats)
    result = asyncio.run(run_dashboards_bench(plan, var.resolve()))
    print(json.dumps(msgspec.to_builtins(result)) if json_output else show(result))
    if not result.passed:
        raise typer.Exit(1)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise typer.BadParameter(f"{text!r}: expected positive whole numbers, separated by commas")
    return found
