"""What people read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from alerts import rules
from alerts.cost import cost_of
from alerts.engine import Sample, State, finish, step
from alerts.message import cause_key, charted, compose, dedupe_key
from store.samples import Subject

T0 = datetime(2025, 11, 20, 8, 0, tzinfo=UTC)
SUBJECT = Subject(
    "firm", 7, 1, 7, "Asia/Shanghai", "p", "铜梁园区", "Tongliang", "a", "甲厂", "Works A", None, None, None
)
POINT = replace(SUBJECT, scope="point", scope_id=9, point_code="w", point_zh="取水表", point_en="Intake")
SHIPPED = rules.load()


def worst(rule: rules.Rule) -> list[Sample]:
    """Samples that open and then clear the rule."""
    bad = rule.open.limit + (-1 if rule.open.below is not None else 1)
    good = rule.clear.limit + (1 if rule.clear.above is not None else -1)
    detail = {"unit": "m3/h", "period": T0.isoformat()}
    return [Sample(T0 + timedelta(seconds=60 * k), bad if k < 40 else good, 0.97, detail=detail) for k in range(80)]


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
@pytest.mark.parametrize("rule", SHIPPED, ids=lambda rule: rule.id)
def test_every_shipped_rule_can_be_told(rule: rules.Rule, locale: str) -> None:
    """Open, resolved and retracted: each names firm, limit, coverage and link, and is plain JSON."""
    subject = POINT if isinstance(rule, rules.Rate | rules.Silence) else SUBJECT
    rule = msgspec.structs.replace(rule, max_gap_s=3600.0, hold_open_s=0.0, hold_clear_s=0.0)
    *_, opened, resolved = step(rule, None, worst(rule)).transitions
    assert (opened.to_state, resolved.to_state) == (State.OPEN, State.RESOLVED)
    retracted = finish(resolved.after, State.RETRACTED, T0, "disproved")
    for transition in (opened, resolved, retracted):
        body = compose(rule, subject, transition, episode_id=5, locale=locale, public_url="https://x/")
        assert msgspec.json.decode(msgspec.json.encode(body)) == body
        assert f"{rule.open.limit:g}" in body["text"]
        assert "97 %" in body["text"]
        assert ("甲厂" if locale == "zh-CN" else "Works A") in body["text"]
        assert "{" not in body["text"]
        assert body["link"] == "https://x/episodes/5"
        assert body["event"] == transition.to_state.value
    assert compose(rule, subject, opened, episode_id=5, locale=locale, public_url="")["link"] is None


def test_an_english_text_is_english_and_a_chinese_one_chinese() -> None:
    """No text of one language is left in the other's message; times are the park's."""
    rule = rules.load()[0]
    opened = step(rule, None, worst(rule)).transitions[1]
    texts = {
        locale: compose(rule, SUBJECT, opened, episode_id=5, locale=locale, public_url="")["text"]
        for locale in ("zh-CN", "en")
    }
    assert not any("\u4e00" <= letter <= "\u9fff" for letter in texts["en"])
    assert "below" not in texts["zh-CN"]
    assert all("2025-11-20 16:00:00" in text for text in texts.values())


def test_a_key_names_one_message() -> None:
    """Keys differ by recipient, state and episode, and are the same when the same is told again."""
    rule = msgspec.structs.replace(rules.load()[0], max_gap_s=3600.0, hold_open_s=0.0, hold_clear_s=0.0)
    cause = cause_key(rule, SUBJECT)
    first = step(rule, None, worst(rule)).transitions
    again = step(rule, None, worst(rule)).transitions
    keys = {dedupe_key(cause, 5, transition, person) for transition in first for person in (1, 2)}
    assert len(keys) == 6
    assert {dedupe_key(cause, 5, transition, person) for transition in again for person in (1, 2)} == keys
    assert {dedupe_key(cause, 6, transition, person) for transition in again for person in (1, 2)}.isdisjoint(keys)
    assert all(key.isascii() for key in keys)


def test_an_episode_that_goes_on_after_all_is_news_and_so_is_its_second_end() -> None:
    """Opened again, and over at another time: both have keys of their own."""
    rule = msgspec.structs.replace(rules.load()[0], max_gap_s=3600.0, hold_open_s=0.0, hold_clear_s=0.0)
    _, opened, resolved = step(rule, None, worst(rule)).transitions
    again = replace(opened, from_state=State.RESOLVED, at=resolved.at + timedelta(minutes=1))
    over = replace(resolved, at=resolved.at + timedelta(minutes=9))
    assert len({dedupe_key("c", 5, transition, 1) for transition in (opened, resolved, again, over)}) == 4


def test_a_message_tells_cost_cover_and_the_severity_that_it_has_come_to() -> None:
    """What the evidence keeps of excess, storm and chart is told, in the words of the reader's language."""
    rule = msgspec.structs.replace(rules.load()[0], max_gap_s=3600.0, hold_open_s=0.0, hold_clear_s=0.0)
    opened = step(rule, None, worst(rule)).transitions[1]
    chart = {"t0": T0.isoformat(), "step_s": 900, "values": [90.0, None, 70.0], "limit": 88}
    evidence = {**opened.after.evidence, "excess": {"quantity": 1234.0, "unit": "kWh"}, "covered": 7, "chart": chart}
    opened = replace(opened, after=replace(opened.after, evidence=evidence))
    for locale, words in (
        ("zh-CN", ("影响：1,234 kWh", "涉及 7 个计量点", "紧急")),
        ("en", ("cost: 1,234 kWh", "covers 7 points", "critical")),
    ):
        body = compose(
            rule,
            SUBJECT,
            opened,
            episode_id=5,
            locale=locale,
            public_url="",
            severity=rules.Severity.CRITICAL,
            series=charted(evidence),
        )
        assert all(word in body["text"] for word in words), body["text"]
        assert body["severity"] == "critical"
        assert [value for _, value in body["series"]] == [90.0, None, 70.0]
        assert body["cost"] == {"kWh": 1234.0}


def test_an_excess_is_told_in_its_unit_and_in_co2_where_a_factor_holds() -> None:
    """Per hour where it is per hour; a carrier without a factor has its quantity alone."""
    day = T0.date()
    power = cost_of({"quantity": 100.0, "unit": "kWh/h"}, "electricity", day)
    assert power["kWh/h"] == 100
    assert 0.04 < power["tCO2/h"] < 0.07
    assert cost_of({"quantity": 3.0, "unit": "m3"}, "fresh_water", day) == {"m3": 3.0}
    gas = cost_of({"quantity": 1000.0, "unit": "m3"}, "natural_gas", day)
    assert gas["tCO2"] == pytest.approx(2.16, rel=0.01)
    assert cost_of(None, "electricity", day) == cost_of({"quantity": None}, None, day) == {}


def sample(rule: rules.Rule, value: float, **detail: object) -> str:
    """The text of an opening with one sample."""
    rule = msgspec.structs.replace(rule, hold_open_s=0.0, hold_clear_s=0.0)
    first = Sample(T0, value, 1.0, detail={"period": T0.isoformat(), **detail})
    opened = next(t for t in step(rule, None, [first]).transitions if t.to_state is State.OPEN)
    found: str = compose(rule, SUBJECT, opened, episode_id=5, locale="en", public_url="")["text"]
    return found


def test_a_share_of_a_permit_is_told_with_the_permit_itself() -> None:
    """The value is a percentage, the permit has its own unit: neither is taken for the other."""
    rule = next(rule for rule in SHIPPED if rule.id == "emission_exceedance")
    text = sample(rule, 120.0, mean=60.0, limit=50.0, limit_unit="mg/m3", source_en="the permit of 2024")
    assert f"120 %, above the limit of {rule.open.limit:g} %" in text
    assert "Hourly mean 60 mg/m3, Permitted 50 mg/m3" in text
    assert "(the permit of 2024)" in text


def test_a_standing_is_told_in_words_with_its_sentence() -> None:
    """No reader knows what a standing of 3 is."""
    rule = msgspec.convert(
        {
            "kind": "standing",
            "id": "s",
            "severity": "warning",
            "open": {"above": 1.5},
            "clear": {"below": 1.5},
            "title_zh": "{firm}",
            "title_en": "{firm}",
        },
        rules.Rule,
    )
    text = sample(rule, 3.0, sentence_en="It needs 4 % a year.", target_value=0.5, projection=0.7)
    assert "off" in text
    assert "It needs 4 % a year." in text
    assert "Target 0.5" in text
