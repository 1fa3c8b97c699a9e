"""A headless Chromium driven over its debugging pipe: no driver program, no port, no library."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import tempfile
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

_FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-sandbox",  # the only page is ours, and root has no sandbox
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider",
    "--hide-scrollbars",
    "--mute-audio",
    "--force-color-profile=srgb",
    "about:blank",
)


class PageError(Exception):
    """The page threw, or the browser refused a command."""


@dataclass(slots=True)
class Pipe:
    """Commands to one browser, and who waits for what."""

    process: asyncio.subprocess.Process
    writer: asyncio.StreamWriter
    waiting: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    pages: dict[str, Page] = field(default_factory=dict)
    count: int = 0

    async def call(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """Send a command and return its result."""
        self.count += 1
        number = self.count
        message = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        self.waiting[number] = asyncio.get_running_loop().create_future()
        self.writer.write(json.dumps(message).encode() + b"\0")
        return await asyncio.wait_for(self.waiting[number], 20)

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Hand answers to who asked and events to their page."""
        with suppress(asyncio.IncompleteReadError):
            while True:
                message = json.loads((await reader.readuntil(b"\0"))[:-1])
                if "id" in message:
                    asked = self.waiting.pop(message["id"])
                    if asked.done():
                        continue
                    if "error" in message:
                        asked.set_exception(PageError(str(message["error"])))
                    else:
                        asked.set_result(message["result"])
                elif message.get("sessionId") in self.pages:
                    self.pages[message["sessionId"]].happened(message["method"], message["params"])


@dataclass(slots=True)
class Page:
    """One tab in a window of its own (own cookies), with what it asked for and what it complained of."""

    pipe: Pipe
    session: str
    target: str
    context: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def happened(self, method: str, what: Mapping[str, Any]) -> None:
        """Keep what a test asks about."""
        if method == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = what["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and what["type"] in {"error", "warning", "assert"}:
            self.complaints.append(" ".join(str(a.get("value", a.get("description"))) for a in what["args"]))
        elif method == "Log.entryAdded" and what["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(f"{what['entry']['text']} {what['entry'].get('url', '')}")

    async def call(self, method: str, **parameters: Any) -> Any:
        """Send a command to this page."""
        return await self.pipe.call(method, self.session, **parameters)

    async def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """Make the screen so large, in CSS pixels."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )
        await self.call("Emulation.setTouchEmulationEnabled", enabled=phone)

    async def media(self, **features: str) -> None:
        """Set what the visitor prefers: `prefers_reduced_motion="reduce"`."""
        asked = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        await self.call("Emulation.setEmulatedMedia", features=asked)

    async def open(self, url: str) -> None:
        """Go to an address."""
        found = await self.call("Page.navigate", url=url)
        if "errorText" in found:
            raise PageError(f"{url}: {found['errorText']}")

    async def run(self, script: str) -> Any:
        """Evaluate an expression in the page and return its value."""
        found = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise PageError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    async def until(self, script: str, limit_s: float = 15.0) -> None:
        """Evaluate an expression until it is true."""
        deadline = asyncio.get_running_loop().time() + limit_s
        while True:
            with suppress(PageError):  # between two pages there is nothing to ask
                if await self.run(f"Boolean({script})"):
                    return
            if asyncio.get_running_loop().time() > deadline:
                shown = await self.run("document.body.innerText")
                raise AssertionError(f"not within {limit_s} s: {script}\ncomplaints: {self.complaints}\n{shown[:2000]}")
            await asyncio.sleep(0.05)

    async def press(self, key: str) -> None:
        """Press a key; one letter types itself."""
        more = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        code = {"Tab": 9, "Enter": 13, "Escape": 27}.get(key, 0)
        common = {"key": key, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **common, **more)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    async def write(self, text: str) -> None:
        """Type text where the focus is."""
        await self.call("Input.insertText", text=text)

    async def picture(self, file: Path, *, whole: bool = False) -> None:
        """Keep a picture of what is seen, or of the whole page."""
        found = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        await asyncio.to_thread(file.write_bytes, base64.b64decode(found["data"]))

    async def names(self) -> list[tuple[str, str]]:
        """Return role and name of everything that the accessibility tree holds."""
        nodes = (await self.call("Accessibility.getFullAXTree"))["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"] and "role" in node
        ]


@dataclass(slots=True)
class Browser:
    """A running browser."""

    pipe: Pipe

    @asynccontextmanager
    async def page(self, width: int = 1280, height: int = 800, *, phone: bool = False) -> AsyncIterator[Page]:
        """Open a tab that shares nothing with any other."""
        context = (await self.pipe.call("Target.createBrowserContext"))["browserContextId"]
        target = (await self.pipe.call("Target.createTarget", url="about:blank", browserContextId=context))["targetId"]
        session = (await self.pipe.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = self.pipe.pages[session] = Page(self.pipe, session, target, context)
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            await page.call(f"{domain}.enable")
        await page.size(width, height, phone=phone)
        try:
            yield page
        finally:
            del self.pipe.pages[session]
            await self.pipe.call("Target.disposeBrowserContext", browserContextId=context)


@asynccontextmanager
async def started(program: Path, environ: Mapping[str, str]) -> AsyncIterator[Browser]:
    """Start a browser for the length of a block, with a profile that is thrown away."""
    profile = tempfile.mkdtemp(prefix="greenpark-browser-")
    to_browser, commands = os.pipe()
    answers, from_browser = os.pipe()
    loop = asyncio.get_running_loop()

    def hand_over() -> None:  # the browser reads commands from 3 and answers on 4
        read, write = os.dup(to_browser), os.dup(from_browser)
        os.dup2(read, 3)
        os.dup2(write, 4)

    process = await asyncio.create_subprocess_exec(
        program,
        f"--user-data-dir={profile}",
        *_FLAGS,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        close_fds=False,
        preexec_fn=hand_over,
        env={**environ, "HOME": profile},
    )
    os.close(to_browser)
    os.close(from_browser)
    reader = asyncio.StreamReader(limit=2**26)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(answers, "rb"))
    out, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(commands, "wb"))
    pipe = Pipe(process, asyncio.StreamWriter(out, protocol, None, loop))
    listening = asyncio.create_task(pipe.listen(reader), name="browser")
    try:
        yield Browser(pipe)
    finally:
        with suppress(PageError, TimeoutError, OSError):
            await asyncio.wait_for(pipe.call("Browser.close"), 5)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 5)
        if process.returncode is None:
            process.kill()
            await process.wait()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        out.close()
        transport.close()
        shutil.rmtree(profile, ignore_errors=True)


def hosts(requests: list[str]) -> set[str]:
    """Return the hosts that were asked; what is in the page itself has none."""
    return {found[1] for url in requests if (found := re.match(r"\w+://([^/]+)", url))}
