"""Options of `python app.py`."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import app
from coop_demo.errors import UserError
from coop_demo.recipes.serving import running_app


@pytest.mark.slow
def test_the_endpoints_are_tools_for_language_models_when_asked(tmp_path: Path) -> None:
    mcp = pytest.importorskip("mcp")
    http = pytest.importorskip("mcp.client.streamable_http")

    async def tools(address: str) -> tuple[set[str], str]:
        async with (
            http.streamablehttp_client(f"{address}gradio_api/mcp/") as (read, write, _),
            mcp.ClientSession(read, write) as client,
        ):
            await client.initialize()
            names = {tool.name for tool in (await client.list_tools()).tools}
            models = await client.call_tool("models", {})
            return names, models.content[0].text

    # in a thread of its own: the browser's tests may hold a loop in this one
    with running_app(tmp_path, "--mcp") as address, ThreadPoolExecutor(1) as pool:
        names, models = pool.submit(lambda: asyncio.run(tools(address))).result(120)
    assert {"models", "teach", "predict", "compare", "rank", "teach_ranker", "explain"} <= names
    assert "mini" in models


def test_mcp_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install"):
        app.launch(None, mcp=True)  # type: ignore[arg-type]
