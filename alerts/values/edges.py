"""Values of the rules about edges: away, buffer filling, clock off. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from alerts.fold import Values
from alerts.frame import HOUR_US
from alerts.values.quality import dark
from park.calendar import BUCKET_US

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from alerts.frame import Frame
    from alerts.kinds import EdgeState

    Amounts = NDArray[np.float64]

_SET_RIGHT_US: Final = 24 * HOUR_US
"""A clock that stepped and says nothing more for so long is taken to have been set right."""
_SILENT_INTERVALS: Final = 3.0


def edge_state(rule: EdgeState, frame: Frame) -> Values:
    """Return minutes away, batches waiting, or seconds of clock offset, per edge and quarter hour."""
    chosen = {firm.firm_id for firm in frame.chosen_firms(rule.where)}
    edges = sorted(edge_id for edge_id, (firm_id, _) in frame.edges.items() if firm_id in chosen)
    ends = frame.ledger.ends_us if rule.what == "offline" else frame.ticks_us
    value = np.full((len(edges), len(ends)), np.nan)
    make = {"offline": _offline, "buffer": _buffer, "clock": _clock}[rule.what]
    for k, edge_id in enumerate(edges):
        value[k] = make(rule, frame, edge_id)

    def detail(k: int, _column: int) -> Mapping[str, Any]:
        return {"points": int((frame.points.edge_id == edges[k]).sum())}

    return Values(np.array(edges, np.int64), ends, value, detail=detail)


def _offline(rule: EdgeState, frame: Frame, edge_id: int) -> Amounts:
    """Minutes since it went away, by its own word or its last will, or since most of its points went silent."""
    ends = frame.ledger.ends_us
    rows = np.flatnonzero(frame.points.edge_id == edge_id)
    words = [word for word in frame.words.get(edge_id, ()) if word.event is None]
    minutes = np.full(len(ends), np.nan)
    known_until = max(
        [word.at_us for word in words] + ([int(frame.clock_us[rows].max())] if len(rows) else []), default=0
    )
    for word, following in zip(words, [*words[1:], None], strict=False):
        until = ends[-1] + 1 if following is None else following.at_us
        inside = (ends >= word.at_us) & (ends < until)
        since = word.at_us
        if not word.online:
            minutes[inside] = (ends[inside] - since) / 60e6
        else:
            minutes[inside & (ends <= known_until)] = 0.0
    unlit = dark(frame, _SILENT_INTERVALS, rule.share_of_edge).get(edge_id)
    if unlit is not None:
        begun = np.where(unlit, 0, ends)
        last_lit = np.maximum.accumulate(np.where(unlit, ends[0], begun))
        known = ends <= known_until
        silent = np.where(unlit, (ends - last_lit) / 60e6, 0.0)
        minutes = np.where(known, np.fmax(minutes, silent), minutes)
    return minutes


def _buffer(_rule: EdgeState, frame: Frame, edge_id: int) -> Amounts:
    ends = frame.ticks_us
    waiting = np.full(len(ends), np.nan)
    for word in frame.words.get(edge_id, ()):
        if word.event is None:
            column = int(np.searchsorted(ends, word.at_us))
            if column < len(ends):
                waiting[column] = max(word.buffered_batches, 0 if np.isnan(waiting[column]) else waiting[column])
    return waiting


def _clock(_rule: EdgeState, frame: Frame, edge_id: int) -> Amounts:
    """Seconds by which the clock is off: what the edge reported last, and what has stepped since."""
    ends = frame.ticks_us
    offset = np.full(len(ends), np.nan)
    words = [w for w in frame.words.get(edge_id, ()) if w.clock_offset_ms is not None or w.event == "clock_step"]
    current = 0.0
    for word, following in zip(words, [*words[1:], None], strict=False):
        if word.event == "clock_step":
            current += float(word.body.get("step_ms") or 0) / 1000
        elif word.clock_offset_ms is not None:
            current = word.clock_offset_ms / 1000
        # The quarter hour in which it is said has it already.
        first = word.at_us - BUCKET_US
        until = ends[-1] + 1 if following is None else following.at_us
        inside = (ends > first) & (ends <= max(until, word.at_us + BUCKET_US))
        offset[inside] = np.where(ends[inside] - word.at_us > _SET_RIGHT_US, 0.0, abs(current))
    return offset
