"""What the interface says about business inputs, as OpenAPI shows it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from api.models import Model, WrongPart
from park.business import Finality, InputKind, PriceBasis, ReportPeriod, Status, parse_report_period
from park.errors import BusinessInputError


def read_period(text: str) -> ReportPeriod:
    """Read a period.

    Raises:
        ValueError: it is none; after a semicolon, what to do.
    """
    try:
        return parse_report_period(text)
    except BusinessInputError as error:
        raise ValueError(error.problem) from None


def _period(text: str) -> str:
    return str(read_period(text))


PeriodText = Annotated[
    str,
    Field(max_length=20, description="`2025-03`, `2025Q1` or `2025`.", examples=["2025-03"]),
    AfterValidator(_period),
]
Short = Annotated[str, Field(max_length=128)]


class BusinessEntry(Model):
    """One input as it is entered."""

    kind: InputKind
    period: PeriodText
    key: Short = Field(
        "",
        description="Product, carrier, pollutant, material, or `category/destination` of solid waste.",
        examples=["car"],
    )
    amount: float | None = Field(
        description="Null takes the input back: unknown, which is not zero.", examples=[1200.0]
    )
    unit: Short = Field(examples=["piece"])
    price_basis: PriceBasis | None = Field(None, description="Of output value and value added.")
    price_year: int | None = Field(None, description="Base year of constant prices.", examples=[2020])
    finality: Finality = Field(Finality.FINAL, description="Provisional: a revision is expected.")
    workshop: Short | None = Field(None, description="Code of a unit of the firm; null: the whole firm.")
    reason: Annotated[str, Field(max_length=400)] = Field(
        "",
        description="Why it replaces another version; needed where that one is frozen.",
        examples=["one shift was left out"],
    )


class BusinessEntries(Model):
    """Inputs to enter; each is taken or refused by itself."""

    inputs: Annotated[list[BusinessEntry], Field(min_length=1, max_length=1000)]


class BusinessOutcome(Model):
    """What became of the inputs: stored as new versions, found unchanged, or refused."""

    new: list[int] = Field(description="Numbers of the versions that were stored.", examples=[[4711]])
    unchanged: int = Field(description="Inputs that say what holds already.", examples=[0])
    refused: list[WrongPart] = Field(description="What is wrong with the others.")


class BusinessInputVersion(Model):
    """One version of one input, as it was entered."""

    input_id: int = Field(examples=[4711])
    park_id: int = Field(examples=[1])
    firm_id: int = Field(examples=[3])
    kind: InputKind
    period: str = Field(examples=["2025-03"])
    key: str = Field(examples=[""])
    amount: float | None = Field(description="Null: taken back.", examples=[1250.0])
    unit: str = Field(examples=["10^4CNY"])
    price_basis: PriceBasis | None
    price_year: int | None = Field(examples=[None])
    workshop: str | None = Field(examples=[None])
    finality: Finality
    status: Status
    version: int = Field(examples=[1])
    newest: bool = Field(description="False: a later version was entered.", examples=[True])
    author: str = Field(examples=["statistics office of the firm"])
    source: str = Field(description="File and row, or the interface.", examples=["api"])
    reason: str = Field(examples=[""])
    entered: datetime


class StatusChange(Model):
    """Versions to audit or freeze."""

    input_ids: Annotated[list[Annotated[int, Field(ge=1, le=2**63 - 1)]], Field(min_length=1, max_length=1000)]
    status: Literal["audited", "frozen"]
    reason: Annotated[str, Field(min_length=1, max_length=400, pattern=r"\S", examples=["checked against the ledger"])]


class StatusChanged(Model):
    """Versions that were not so before."""

    changed: list[int]


class Group(Model):
    """A zone, industry, chain or panel of a park; `scope_id` of its indicator values is `group_id`."""

    kind: Literal["zone", "industry", "chain", "panel"]
    group_id: int = Field(examples=[2])
    code: str = Field(examples=["new-energy"])
    name_zh: str = Field(examples=["新能源材料产业区"])
    name_en: str = Field(examples=["New energy and materials"])


class Groups(Model):
    """The groups of a park."""

    items: list[Group]
