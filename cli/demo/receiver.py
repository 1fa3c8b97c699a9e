"""A webhook receiver for the demonstration: writes each message once, by its key, to a file of JSON lines.

python -m cli.demo.receiver PORT FILE
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response


def receiver(file: Path) -> FastAPI:
    """Return the receiving application; a repeated `Idempotency-Key` is answered and not written again."""
    app = FastAPI(openapi_url=None)
    seen = {json.loads(line)["key"] for line in file.read_text("utf-8").splitlines()} if file.exists() else set()

    @app.post("/alerts")
    async def take(request: Request) -> Response:
        key = request.headers.get("idempotency-key", "")
        body = await request.json()
        if key not in seen:
            seen.add(key)
            with file.open("a", encoding="utf-8") as out:
                out.write(json.dumps({"key": key, "message": body}, ensure_ascii=False) + "\n")
        return Response(status_code=204)

    return app


def received(file: Path) -> list[dict[str, object]]:
    """Return the messages that have arrived."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.endswith("}")]


def main() -> None:
    """Serve on a loopback port until a signal."""
    uvicorn.run(receiver(Path(sys.argv[2])), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
