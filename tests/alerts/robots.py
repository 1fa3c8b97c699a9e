"""A stand-in for the robots and the SMS gateway, which checks signatures with its own code and answers as they do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

DINGTALK_SECRET = "SECdingtalk0123456789"
FEISHU_SECRET = "feishuSecret0123456789"
SMS_SECRET = "smsSecret0123"


@dataclass
class Service:
    """What was asked, and what is answered; `answer` overrides the check."""

    url: str = ""
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    """Path, query and body."""
    answer: tuple[int, bytes, float] | None = None
    """Status, body and seconds to wait."""

    def reply(self, path: str, query: dict[str, str], body: Any) -> tuple[int, bytes, float]:
        self.requests.append((path, query, body))
        if self.answer is not None:
            return self.answer
        check = {"/robot/send": self._dingtalk, "/cgi-bin/webhook/send": self._wecom, "/": self._sms}.get(path)
        found = self._feishu(body) if check is None else check(query, body)
        return 200, json.dumps(found).encode(), 0.0

    def _dingtalk(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        text = query.get("timestamp", "") + "\n" + DINGTALK_SECRET
        right = base64.b64encode(hmac.digest(DINGTALK_SECRET.encode(), text.encode(), "sha256")).decode()
        fresh = abs(int(query.get("timestamp", 0)) / 1000 - time.time()) < 3600
        ok = query.get("sign") == right and fresh and body["msgtype"] == "markdown" and body["markdown"]["title"]
        return {"errcode": 0, "errmsg": "ok"} if ok else {"errcode": 310000, "errmsg": "sign not match"}

    def _wecom(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        size = len(body["markdown"]["content"].encode())
        ok = query.get("key") == "wecom-key" and body["msgtype"] == "markdown"
        return {"errcode": (0 if size <= 4096 else 40058) if ok else 93000, "errmsg": ""}

    def _feishu(self, body: Any) -> dict[str, Any]:
        key = (str(body.get("timestamp")) + "\n" + FEISHU_SECRET).encode()
        right = base64.b64encode(hmac.HMAC(key, digestmod=hashlib.sha256).digest()).decode()
        fresh = abs(int(body.get("timestamp", 0)) - time.time()) < 3600
        ok = body.get("sign") == right and fresh and body["msg_type"] == "interactive"
        return (
            {"code": 0, "msg": "success"} if ok else {"code": 19021, "msg": "sign match fail or timestamp is not valid"}
        )

    def _sms(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        given = dict(query)
        signature = given.pop("Signature", "")
        pairs = sorted(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in given.items())
        text = "POST&%2F&" + quote("&".join(pairs), safe="-_.~")
        right = base64.b64encode(hmac.digest((SMS_SECRET + "&").encode(), text.encode(), "sha1")).decode()
        return {"Code": "OK" if signature == right else "SignatureDoesNotMatch", "RequestId": "r"}


def serve(service: Service) -> ThreadingHTTPServer:
    """Start the service on loopback in a thread of its own; `shutdown` ends it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0) or 0))
            body = json.loads(raw) if raw else None
            status, content, wait_s = service.reply(parts.path, dict(parse_qsl(parts.query)), body)
            time.sleep(wait_s)
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                pass  # the sender has gone: that is what some tests are about

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server
