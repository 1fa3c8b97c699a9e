"""`greenpark simulate`: list what can be simulated, mark the platform against it, put load on it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer

app = typer.Typer(help="Simulated parks with ground truth: list, score, load.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]


@app.command("list")
def list_all(json_output: Json = False) -> None:
    """List firm profiles, faults and scenarios."""
    from simulators.catalogue import listing  # noqa: PLC0415

    found = listing()
    if json_output:
        print(json.dumps(found, ensure_ascii=False))
        return
    for section, entries in found.items():
        print(f"\n{section}")
        for entry in entries:
            print(f"  {entry['name']:<26} {entry['description']}")


@app.command()
def score(
    scenario: Annotated[
        str, typer.Option(help="A shipped scenario (`simulate list`), a scenario's YAML, or a stream from `write`.")
    ] = "everyday",
    seed: Annotated[int | None, typer.Option(help="Instead of the scenario's own.")] = None,
    var: Annotated[Path, typer.Option("--var", help="The stack it starts lives in VAR/score.")] = Path("var"),
    json_output: Json = False,
) -> None:
    """Run a scenario against a fresh stack of its own, and compare what it holds with the truth.

    Exit status 1 where a stated bound is broken: a reading lost, doubled, altered or made up; a ledger error above
    1 ppm where the truth is recoverable; an indicator error above 1e-6.
    """
    from cli.score.running import as_dict, broken, run_score, show  # noqa: PLC0415

    found = asyncio.run(run_score(scenario, var.resolve(), seed=seed))
    if json_output:
        print(json.dumps(as_dict(found), ensure_ascii=False))
    else:
        show(found)
    if broken(found):
        raise typer.Exit(1)


@app.command()
def quiet(
    firms: Annotated[int, typer.Option(help="Firms of the park: the shipped trades in turn.", min=1, max=999)] = 100,
    days: Annotated[int, typer.Option(help="Days in which nothing goes wrong.", min=1, max=365)] = 30,
    start: Annotated[str, typer.Option(help="First day.")] = "2026-04-07",
    seed: Annotated[int | None, typer.Option(help="Of the noise.")] = None,
    var: Annotated[Path, typer.Option("--var", help="The stack it starts lives in VAR/score.")] = Path("var"),
    json_output: Json = False,
) -> None:
    """Run a park in which nothing goes wrong and count the alerts: each is false.

    Exit status 1 where a firm has more than one.
    """
    from datetime import date  # noqa: PLC0415

    from cli.score.quiet import run_quiet  # noqa: PLC0415

    found = asyncio.run(run_quiet(firms, days, date.fromisoformat(start), var.resolve(), seed=seed))
    if json_output:
        print(msgspec.json.encode(found).decode())
    else:
        print(
            f"{found.firms} firms, {found.days} days: {found.false} false alerts ({found.per_firm:.3f} per firm, at "
            f"most {found.worst_firm} at one), {found.retracted} taken back"
        )
        for line in found.episodes:
            print(f"  {line}")
    if found.worst_firm > 1:
        raise typer.Exit(1)


@app.command()
def write(
    scenario: Annotated[str, typer.Argument(help="A shipped scenario, or a scenario's YAML file.")],
    out: Annotated[Path, typer.Option(help="Directory for NAME.jsonl and NAME.truth.npz.")] = Path(),
    seed: Annotated[int | None, typer.Option(help="Instead of the scenario's own.")] = None,
) -> None:
    """Write a scenario's messages to a file, and the truth beside it; the same seed gives the same bytes."""
    from cli.score.running import write_stream  # noqa: PLC0415

    stream, truth, messages = write_stream(scenario, out, seed)
    print(f"{stream}: {messages:,} messages; {truth}: what truly happened")


@app.command()
def load(
    edges: Annotated[int, typer.Option(help="How many edges.", min=1)] = 100,
    points: Annotated[int, typer.Option(help="Points of each edge.", min=1)] = 100,
    interval: Annotated[float, typer.Option(help="Seconds between two batches of an edge.", min=0.01)] = 1.0,
    seconds: Annotated[float, typer.Option(help="How long.", min=1)] = 30.0,
    null: Annotated[bool, typer.Option("--null", help="Send nowhere: how fast is the generator itself?")] = False,
    var: Annotated[Path, typer.Option("--var", help="The stack it starts lives in VAR/load.")] = Path("var"),
    json_output: Json = False,
) -> None:
    """Put load on a fresh stack (database, broker, ingest), and report what became of it.

    Open loop: it does not slow down because the platform does; what the platform cannot take waits or is counted.
    """
    from cli.loading import LoadOptions, as_text, run_load  # noqa: PLC0415
    from simulators.load import LoadPlan  # noqa: PLC0415

    plan = LoadPlan(edges=edges, points=points, interval_s=interval, seconds=seconds)
    report = asyncio.run(run_load(LoadOptions(plan, var.resolve(), null)))
    print(msgspec.json.encode(report).decode() if json_output else as_text(report))
    if report.failure:
        raise typer.Exit(1)
