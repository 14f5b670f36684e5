"""The app asks no other host for anything, whoever tells it to.

Gradio fetches an address for anybody who names one, as a file of an endpoint or behind `/file=`:
not of this network, but any public one. Nothing here needs that.
"""

from typing import Any, NoReturn

import safehttpx  # gradio's own way to other hosts


class FetchingRefusedError(Exception):
    """An address was named where a file was wanted."""


async def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise FetchingRefusedError("Addresses are not fetched here. Upload the file.")


def fetch_nothing() -> None:
    """From now on, gradio refuses every address."""
    safehttpx.get = safehttpx.async_validate_url = _refuse
