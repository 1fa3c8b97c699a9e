"""Pictures of a running board for the documentation: `python -m tests.api.pictures http://127.0.0.1:PORT/ docs`.

The machine needs Chinese fonts of the usual weight, such as Debian's fonts-noto-cjk.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from cli.stack.components import bring_browser
from cli.stack.places import open_places
from tests.api.browser import started
from tests.conftest import CHECKOUT

PICTURES = {
    "board.zh-CN.png": (1920, 1080, "?lang=zh-CN&theme=light", False),
    "board.en.png": (1920, 1080, "?lang=en&theme=dark", False),
    "board-phone.zh-CN.png": (390, 844, "?lang=zh-CN&theme=light", True),
}


async def main(url: str, directory: Path) -> None:
    """Take each picture once the board is live."""
    found = bring_browser(open_places(CHECKOUT / "var").components)
    async with started(found.program, dict(os.environ)) as browser:
        for name, (width, height, query, phone) in PICTURES.items():
            async with browser.page(width, height, phone=phone) as page:
                await page.open(url + query)
                await page.until("document.querySelector('#live').dataset.state === 'live'")
                await asyncio.sleep(3)  # charts have come to rest
                await page.picture(directory / name, whole=phone)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
