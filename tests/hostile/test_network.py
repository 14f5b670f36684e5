"""Who may reach the app, and what the app reaches: nobody but those asked in, and nothing."""

from __future__ import annotations

import ipaddress
import json
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client, handle_file

import app
from coop_demo.errors import UserError
from coop_demo.settings import ASSETS_DIR
from coop_demo.ui.theme import launch_options

PICTURE = ASSETS_DIR / "samples" / "scenes" / "pictures" / "01.jpg"


@pytest.fixture
def calls_elsewhere(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every host but this one that something here asked for; nobody is reached."""
    asked: list[str] = []
    connect, lookup = socket.socket.connect, socket.getaddrinfo

    def is_here(host: object) -> bool:
        try:
            return ipaddress.ip_address(str(host)).is_loopback
        except ValueError:
            return host in (None, "", "localhost")

    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and not is_here(address[0]):
            asked.append(str(address))
            raise OSError("no way out of this test")
        return connect(self, address)

    def looked_up(host, *args, **kwargs):
        if not is_here(host):
            asked.append(str(host))
            raise OSError("no way out of this test")
        return lookup(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    return asked


@pytest.fixture
def served(calls_elsewhere, tmp_path, monkeypatch) -> Iterator[str]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    demo = app.build_demo("mini")
    demo.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    assert demo.local_url
    yield demo.local_url
    demo.close()


def status_of(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


ADDRESSES = (
    "http://127.0.0.1:{port}/secret.png",
    "http://localhost:{port}/secret.png",
    "http://[::1]:{port}/secret.png",
    "http://0x7f000001:{port}/secret.png",
    "http://10.0.0.1/secret.png",
    "http://169.254.169.254/latest/meta-data/",
    "https://example.com/picture.png",
    "https://huggingface.co/x.png",
    "file:///etc/passwd",
    "/etc/passwd",
    "/proc/self/environ",
    "../../../../etc/passwd",
)


def predict(address: str, where: dict) -> str:
    body = json.dumps({"data": [None, where]}).encode()
    request = urllib.request.Request(
        f"{address}gradio_api/call/predict", body, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            event = json.load(answer)["event_id"]
        with urllib.request.urlopen(
            f"{address}gradio_api/call/predict/{event}", timeout=30
        ) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


@pytest.mark.slow
def test_nothing_is_fetched_for_anybody_and_all_works_without(
    served, calls_elsewhere, tmp_path, monkeypatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as secret:
        secret.settimeout(0.2)
        port = secret.getsockname()[1]
        for form in ADDRESSES:
            where = form.format(port=port)
            for given in (
                {"path": where, "meta": {"_type": "gradio.FileData"}},
                {"path": "x.png", "url": where, "meta": {"_type": "gradio.FileData"}},
            ):
                said = predict(served, given)
                assert "root:" not in said
                assert "PATH=" not in said
                assert '"status": "done"' not in said
            shown = f"{served}gradio_api/file={urllib.parse.quote(where, safe=':/[]')}"
            assert status_of(shown) in (403, 404), where
        with pytest.raises(TimeoutError):
            secret.accept()
    assert calls_elsewhere == []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # gradio's client asks it
    client = Client(served, verbose=False, download_files=str(tmp_path))
    answer, saved = client.predict(sample="biscuits", shots=2, steps=3, api_name="/teach")
    assert answer["status"] == "done", answer
    said = client.predict(handle_file(saved), handle_file(str(PICTURE)), api_name="/predict")
    assert said["status"] == "done", said
    order, _ = client.predict(
        sample="counting", instruction="Rank the numbers of apples.", api_name="/rank"
    )
    assert order["status"] == "done", order
    assert calls_elsewhere == []


# --- who may come in


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        ("anna:secret-1\nbob secret-2\n", "Line 2"),
        ("anna:\n", "Line 1"),
        (":secret-3\n", "Line 1"),
        ("anna:secret-4\nanna:secret-5\n", "twice"),
        ("# nobody\n\n", "Nobody"),
    ],
)
def test_a_wrong_class_list_is_told_without_a_password(tmp_path, lines, part) -> None:
    path = tmp_path / "class.txt"
    path.write_text(lines, encoding="utf-8")
    with pytest.raises(UserError, match=part) as told:
        app.class_list(str(path))
    assert "secret" not in str(told.value)


def test_a_class_list_that_is_no_text_is_told_without_its_bytes(tmp_path) -> None:
    path = tmp_path / "class.txt"
    path.write_bytes(b"anna:secret\xff\xfe\n")
    with pytest.raises(UserError, match="cannot be read") as told:
        app.class_list(str(path))
    assert "secret" not in str(told.value)
    with pytest.raises(UserError, match="cannot be read"):
        app.class_list(str(tmp_path))


def test_a_class_list_is_read(tmp_path) -> None:
    path = tmp_path / "class.txt"
    path.write_text("\ufeff# the class\nanna: pass:word \n\n  bob:x\n", encoding="utf-8")
    assert app.class_list(str(path)) == [("anna", "pass:word"), ("bob", "x")]


@pytest.mark.slow
def test_with_a_class_list_nobody_else_comes_in(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    demo = app.build_demo("mini")
    people = [("anna", "pass:word")]
    demo.launch(prevent_thread_lock=True, quiet=True, auth=people, **launch_options())
    try:
        page = str(demo.local_url)
        for path in ("config", "gradio_api/info", "gradio_api/file=app.py"):
            assert status_of(page + path) == 401, path
        said = predict(page, {"path": "x", "meta": {"_type": "gradio.FileData"}})
        assert "Not authenticated" in said
        with pytest.raises(Exception, match=r"."):
            Client(page, verbose=False, auth=("anna", "wrong"))
        inside = Client(page, verbose=False, auth=people[0], download_files=str(tmp_path))
        assert any(one["name"] == "mini" for one in inside.predict(api_name="/models"))
    finally:
        demo.close()


def test_it_listens_on_this_computer_unless_told(monkeypatch) -> None:
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    seen: dict = {}

    class Page:
        def launch(self, **given) -> None:
            seen.update(given)

        def block_thread(self) -> None:
            pass

    app.launch(Page())  # type: ignore[arg-type]
    assert seen["server_name"] is None
    assert seen["auth"] is None
    assert not seen["share"]
    from gradio import http_server

    assert http_server.LOCALHOST_NAME == "127.0.0.1"
    app.launch(Page(), host="0.0.0.0")  # type: ignore[arg-type]
    assert seen["server_name"] == "0.0.0.0"


def test_the_readme_names_the_options() -> None:
    text = (Path(app.__file__).parent / "README.md").read_text(encoding="utf-8")
    assert "--auth" in text
