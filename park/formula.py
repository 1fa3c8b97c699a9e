"""Formulas of virtual points: sums, differences and factors of other points, such as `E-001 - E-002 - 0.5 * E-003`.

    sum     = product { ("+" | "-") product }
    product = factor { ("*" | "/") factor }
    factor  = number | code | '"' any code '"' | ("+" | "-") factor | "(" sum ")"

A hyphen between letters and digits belongs to the code, so a minus after a code needs a space before it. What comes
out is a sum of points with a factor each: two quantities are not multiplied, and no number is added to a quantity.
Units of one dimension are converted, others refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from park.errors import FormulaError, UnitError
from park.units import conversion

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST: Final = 1_000
_DEEPEST: Final = 40
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])
        | "(?P<quoted>[^"]+)"
        | (?P<code>[^\W\d]\w*(?:[.\-:]\w+)*)
        | (?P<sign>[-+*/()]))""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Term:
    """One point of a formula: what it moved counts `factor` times. `column` is where it first stands."""

    code: str
    factor: float
    column: int


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula as written, and the sum it comes to; each point stands in it once."""

    text: str
    terms: tuple[Term, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the points it names."""
        return tuple(term.code for term in self.terms)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


@dataclass(frozen=True, slots=True)
class _Value:
    """A number, or (with terms) a quantity."""

    number: float
    terms: dict[str, Term]


def parse(text: str) -> Formula:
    """Read a formula, or raise `FormulaError` naming the column."""
    if len(text) > LONGEST:
        raise FormulaError(f"{len(text)} characters; at most {LONGEST} are read")
    parser = _Parser(_tokens(text))
    value = parser.sum(0)
    parser.expect_end()
    if not value.terms:
        raise FormulaError("names no point: a number alone is no quantity")
    return Formula(text, tuple(value.terms.values()))


def bind(formula: Formula, unit: str, units: Mapping[str, str]) -> dict[str, float]:
    """Return what each point's quantity (in its own unit) is multiplied with, to add up to `unit`.

    Raises:
        FormulaError: a point is unknown, or its unit measures something else.
    """
    factors = {}
    for term in formula.terms:
        if term.code not in units:
            hint = "; a minus after a code needs a space before it" if "-" in term.code else ""
            raise FormulaError(f"no point {term.code!r} here{hint}", term.column)
        try:
            factors[term.code] = term.factor * conversion(units[term.code], unit)
        except UnitError as error:
            raise FormulaError(f"{term.code}: {error}", term.column) from None
    return factors


def resolve(formulas: Mapping[str, Formula], units: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return every virtual point as a sum of points that are measured: code to `{measured code: factor}`.

    Args:
        formulas: by the code of the virtual point; they may name each other.
        units: of every point, virtual or not.

    Raises:
        FormulaError: as `bind` does, or virtual points go in a circle; the message names it.
    """
    done: dict[str, dict[str, float]] = {}

    def visit(code: str, path: tuple[str, ...]) -> dict[str, float]:
        if code in path:
            raise FormulaError(f"goes in a circle: {' -> '.join((*path[path.index(code) :], code))}")
        if code not in done:
            total: dict[str, float] = {}
            for name, factor in bind(formulas[code], units[code], units).items():
                leaves = visit(name, (*path, code)) if name in formulas else {name: 1.0}
                for leaf, inner in leaves.items():
                    total[leaf] = total.get(leaf, 0.0) + factor * inner
            done[code] = total
        return done[code]

    for code in formulas:
        visit(code, ())
    return done


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            column = at + len(text[at:]) - len(text[at:].lstrip()) + 1
            hint = "; a code that is no plain name stands in quotes" if text[column - 1].isalnum() else ""
            raise FormulaError(f"{text[column - 1]!r} is not understood{hint}", column)
        kind = match.lastgroup
        found.append(_Token("code" if kind == "quoted" else kind, match[kind], match.start(kind) + 1))
        at = match.end()
    found.append(_Token("end", "the end", len(text) + 1))
    return found


class _Parser:
    """Recursive descent over tokens; a method for each rule of the grammar."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def _take(self, *signs: str) -> _Token | None:
        token = self._tokens[self._at]
        if token.kind == "sign" and token.text in signs:
            self._at += 1
            return token
        return None

    def expect_end(self) -> None:
        token = self._tokens[self._at]
        if token.kind != "end":
            raise FormulaError(f"{token.text!r} stands where an operator is expected", token.column)

    def sum(self, depth: int) -> _Value:
        left = self._product(depth)
        while sign := self._take("+", "-"):
            right = self._product(depth)
            if bool(left.terms) != bool(right.terms):
                raise FormulaError("a number without a unit cannot be added to a quantity", sign.column)
            left = _added(left, right, -1.0 if sign.text == "-" else 1.0)
        return left

    def _product(self, depth: int) -> _Value:
        left = self._factor(depth)
        while sign := self._take("*", "/"):
            right = self._factor(depth)
            if right.terms and (sign.text == "/" or left.terms):
                what = "divided by a quantity" if sign.text == "/" else "two quantities multiplied"
                raise FormulaError(f"{what}: only numbers are factors", sign.column)
            if sign.text == "/" and right.number == 0:
                raise FormulaError("divided by zero", sign.column)
            if sign.text == "/":
                left = _scaled(left, 1 / right.number, sign)
            else:
                left = (
                    _scaled(left, right.number, sign)
                    if left.terms or not right.terms
                    else _scaled(right, left.number, sign)
                )
        return left

    def _factor(self, depth: int) -> _Value:
        if depth > _DEEPEST:
            raise FormulaError(f"nested deeper than {_DEEPEST}", self._tokens[self._at].column)
        token = self._tokens[self._at]
        if sign := self._take("+", "-"):
            return _scaled(self._factor(depth + 1), -1.0 if sign.text == "-" else 1.0, sign)
        if opened := self._take("("):
            inner = self.sum(depth + 1)
            if not self._take(")"):
                raise FormulaError("this bracket is not closed", opened.column)
            return inner
        self._at += 1
        if token.kind == "number":
            number = float(token.text)
            if not math.isfinite(number):
                raise FormulaError(f"{token.text} is too large", token.column)
            return _Value(number, {})
        if token.kind == "code":
            return _Value(0.0, {token.text: Term(token.text, 1.0, token.column)})
        raise FormulaError(f"a point or a number is expected, not {token.text!r}", token.column)


def _added(left: _Value, right: _Value, sign: float) -> _Value:
    terms = dict(left.terms)
    for code, term in right.terms.items():
        before = terms.get(code)
        factor = sign * term.factor + (0.0 if before is None else before.factor)
        terms[code] = Term(code, factor, term.column if before is None else before.column)
    return _Value(left.number + sign * right.number, terms)


def _scaled(value: _Value, by: float, at: _Token) -> _Value:
    scaled = {code: Term(code, term.factor * by, term.column) for code, term in value.terms.items()}
    number = value.number * by
    if not all(math.isfinite(n) for n in (number, *(term.factor for term in scaled.values()))):
        raise FormulaError("a factor is too large", at.column)
    return _Value(number, scaled)
