"""Who is told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alerts.routing import Matter, recipients_of
from alerts.rules import Severity
from store.recipients import RecipientRow


def _recipient(number: int, park: int, firm: int | None, severity: str) -> RecipientRow:
    return RecipientRow(number, park, firm, "n", "webhook", "http://secret", "en", severity)


people = st.lists(
    st.builds(
        _recipient,
        st.integers(1, 99),
        st.integers(1, 2),
        st.one_of(st.none(), st.integers(1, 3)),
        st.sampled_from([s.value for s in Severity]),
    ),
    max_size=12,
)


@given(people, st.integers(1, 2), st.one_of(st.none(), st.integers(1, 3)), st.sampled_from(list(Severity)))
def test_a_firm_hears_only_of_itself(
    everybody: list[RecipientRow], park: int, firm: int | None, severity: Severity
) -> None:
    """Nobody of another park or firm is chosen, and nobody whom it concerns is left out."""
    chosen = recipients_of(Matter(park, firm, severity), everybody)
    for person in everybody:
        concerned = person.park_id == park and (person.firm_id is None or (firm is not None and person.firm_id == firm))
        heard = severity.rank >= Severity(person.min_severity).rank
        assert (person in chosen) == (concerned and heard)


def test_addresses_are_not_shown() -> None:
    """A recipient's address stays out of logs."""
    assert "secret" not in repr(_recipient(1, 1, None, "info"))
