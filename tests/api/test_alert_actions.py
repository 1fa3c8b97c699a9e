"""Handing over, putting off and remarks over HTTP: under the token's label, and only what the tenant sees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .test_api import check_problem, get

pytestmark = pytest.mark.stack


async def test_actions_are_kept_under_the_tokens_label(served: Any) -> None:
    """An alert is handed over, put off and remarked upon, and stays open."""
    async with served.client("writer of a") as client:
        episode = (await get(client, "/v1/episodes", state="open"))["items"][0]
        path = f"/v1/episodes/{episode['episode_id']}"
        until = (datetime.now(UTC) + timedelta(days=400)).isoformat()
        for action, body in (("assign", {"to": "值班员"}), ("snooze", {"until": until}), ("snooze", {"until": None})):
            answer = await client.post(f"{path}/{action}", json=body)
            assert (answer.status_code, answer.json()["state"]) == (200, "open"), answer.text
        answer = await client.post(f"{path}/comments", json={"text": "阀门已订购"})
        assert answer.status_code == 200
        said = (await get(client, f"{path}/comments"))["items"]
        assert [(one["by"], one["text"]) for one in said if one["by"] != "specimen"] == [("writer of a", "阀门已订购")]


async def test_actions_need_the_right_to_write_and_an_episode_that_is_seen(served: Any) -> None:
    """403 for a reading token, 404 for another's episode, 409 for one that is over, 422 for a time that has passed."""
    async with served.client("a") as reader, served.client("b") as other, served.client("writer of a") as writer:
        open_, ended = [
            (await get(reader, "/v1/episodes", state=state))["items"][0]["episode_id"] for state in ("open", "resolved")
        ]
        answers = [
            await reader.post(f"/v1/episodes/{open_}/assign", json={"to": "x"}),
            await other.get(f"/v1/episodes/{open_}/comments"),
            await writer.post(f"/v1/episodes/{ended}/assign", json={"to": "x"}),
            await writer.post(f"/v1/episodes/{open_}/snooze", json={"until": "2001-01-01T00:00:00Z"}),
        ]
        assert [answer.status_code for answer in answers] == [403, 404, 409, 422]
        for answer in answers:
            check_problem(answer)
