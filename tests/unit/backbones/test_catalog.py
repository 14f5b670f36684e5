"""Models are found without the network, fetched from a hub, and refused with a sentence."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import open_clip
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from coop_demo.backbones import catalog
from coop_demo.errors import BackboneError

TINY = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {
        "image_size": 32,
        "layers": 1,
        "width": 32,
        "head_width": 16,
        "patch_size": 16,
    },
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    """A folder as open_clip saves it: configuration and weights."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    model = open_clip.CLIP(**TINY)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}
    config = {"model_cfg": TINY, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


class Hub(BaseHTTPRequestHandler):
    """A stand-in for the model hub: serves one folder under every repository's name."""

    folder: Path
    requests: list[str]

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        self.requests.append(f"{self.command} {self.path}")
        repository, _, filename = self.path.partition("/resolve/main/")
        path = self.folder / filename
        if "missing" in repository:
            return self.refuse("RepoNotFound")
        if not filename or not path.is_file():
            return self.refuse("EntryNotFound")
        body = path.read_bytes()
        self.send_response(200)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)
        return None

    def refuse(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args) -> None:
        pass


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty model cache of this test's own."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def hub(model_folder, cache):
    handler = type("ThisHub", (Hub,), {"folder": model_folder, "requests": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler.requests
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_catalog_has_the_models_people_ask_for():
    names = {entry.name for entry in catalog.CATALOG}
    assert {"mini", "ViT-B-32", "ViT-B-16", "ViT-L-14", "RN50", "RN101"} <= names
    assert {"ViT-B-32-laion", "ConvNeXt-L-d-320"} <= names
    for entry in catalog.CATALOG:
        assert entry.licence
        if entry.name != "mini":
            assert "/" in entry.repository
            assert entry.download_mb > 100
            quick = open_clip.get_model_config(entry.architecture).get("quick_gelu", False)
            assert quick == (entry.tag == "openai")


def test_looking_what_is_here_asks_nobody(hub, monkeypatch):
    endpoint, requests = hub
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    status = {model.name: model.on_this_computer for model in catalog.list_models()}
    assert status.pop("mini")
    assert not any(status.values())
    assert requests == []


def test_a_hub_model_is_fetched_once_then_loaded_without_the_hub(hub):
    endpoint, requests = hub
    name = "hf-hub:someone/tiny-clip"
    assert not catalog.is_local(name)
    with pytest.raises(BackboneError, match="not on this computer yet"):
        catalog.load_backbone(name)
    catalog.fetch(name, endpoint=endpoint)
    assert catalog.is_local(name)
    asked = len(requests)
    assert asked > 0
    backbone = catalog.load_backbone(name)
    assert backbone.text_features(["a"]).shape == (1, 16)
    assert backbone.preprocess_cfg.mean == [0.5] * 3
    catalog.fetch(name, endpoint=endpoint)
    assert len(requests) == asked


def test_a_fetch_shows_its_progress(hub):
    from tqdm import tqdm

    endpoint, _ = hub
    seen = []

    class Bar(tqdm):
        def update(self, n=1):
            seen.append((self.n + n, self.total))
            return super().update(n)

    catalog.fetch("hf-hub:someone/tiny-clip", tqdm_class=Bar, endpoint=endpoint)
    assert seen
    assert seen[-1][0] > 0


def test_without_a_connection_the_message_says_that_nothing_is_lost(cache):
    with pytest.raises(BackboneError, match=r"could not be fetched: no connection.*stay as they"):
        catalog.fetch("ViT-B-32", endpoint="http://127.0.0.1:9")


def test_a_repository_that_is_not_there_is_named(hub):
    with pytest.raises(BackboneError, match='no open repository "someone/missing"'):
        catalog.fetch("hf-hub:someone/missing", endpoint=hub[0])


def test_any_pair_that_open_clip_lists_is_a_name():
    entry = catalog.find("open_clip:rn50X4/openai")
    assert entry is not None
    assert (entry.name, entry.architecture) == ("open_clip:RN50x4/openai", "RN50x4")
    assert entry.repository == "timm/resnet50x4_clip.openai"
    assert not catalog.is_local("open_clip:RN50x4/openai")
    own_file = catalog.find("open_clip:ViTamin-S/datacomp1b")
    assert own_file is not None
    assert own_file.repository == "jienengchen/ViTamin-S"
    assert own_file.weight_names[0] == "pytorch_model.bin"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("open_clip:RN50x4/laion", 'no weights "laion" of RN50x4.*"openai"'),
        ("open_clip:RN50x4", 'no weights "" of RN50x4'),
        ("open_clip:RN5Ox4/openai", "Did you mean.*RN50x4"),
    ],
)
def test_a_pair_that_open_clip_does_not_list_is_answered_with_those_it_does(name, words):
    with pytest.raises(BackboneError, match=words):
        catalog.is_local(name)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(BackboneError, match="ViT-B-32.*hf-hub"):
        catalog.is_local("ViT-Z-99")


def test_a_bad_repository_name_is_refused():
    with pytest.raises(BackboneError, match="not a repository name"):
        catalog.is_local("hf-hub:a/b/c d")


def test_a_local_folder_loads_as_it_is(model_folder):
    backbone = catalog.load_backbone(f"local-dir:{model_folder}")
    assert backbone.image_features(torch.rand(2, 3, 32, 32)).shape == (2, 16)


@pytest.mark.parametrize(("missing", "words"), [("config", "holds no"), ("weights", "no weights")])
def test_an_incomplete_folder_is_refused(tmp_path, missing, words):
    if missing == "weights":
        (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(BackboneError, match=words):
        catalog.load_backbone(f"local-dir:{tmp_path}")


def test_a_model_with_a_tokenizer_of_its_own_is_refused(model_folder, tmp_path):
    config = json.loads((model_folder / "open_clip_config.json").read_text(encoding="utf-8"))
    config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "someone/words"
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"whatever")
    with pytest.raises(BackboneError, match="tokenizer of its own.*Choose a model with CLIP"):
        catalog.load_backbone(f"local-dir:{tmp_path}")


def test_damaged_weights_are_refused_with_what_to_do(model_folder, tmp_path):
    (tmp_path / "open_clip_config.json").write_bytes(
        (model_folder / "open_clip_config.json").read_bytes()
    )
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"broken")
    with pytest.raises(BackboneError, match="could not be loaded.*fetch the model again"):
        catalog.load_backbone(f"local-dir:{tmp_path}")
