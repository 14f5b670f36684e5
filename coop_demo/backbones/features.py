import hashlib
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import PIL
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from coop_demo.backbones.backbone import PLAIN_FORM, Backbone, TokenForm, mixed_precision
from coop_demo.backbones.batches import SHARED_BATCHES, SHORT_PASSES, encode_in_turns
from coop_demo.backbones.disk_cache import DiskCache, user_cache
from coop_demo.backbones.preparing import ahead, decoding_workers
from coop_demo.data.dataset import LabelledPicture, Picture
from coop_demo.data.images import content_hash
from coop_demo.data.near_copies import Look
from coop_demo.errors import PictureError
from coop_demo.settings import LIMITS
from coop_demo.threads import renew_in_child

"""Encode once: features of pictures and their augmented views, cached by content.

A feature is found again by what the picture looks like (content hash), the backbone's identity
and the view's number, so training with other settings, comparing and trying encode nothing twice,
and two people with the same picture share the work without sharing anything else.
"""


TEST_VIEW = 0  # resize and centre crop; views 1, 2, … are random crops
WHOLE_VIEW = -1  # all of the picture in a square: what pictures are ranked by

# What features on disk were made by. Add one whenever the same file would give other features:
# another decoding, crop, size, pooling, look or meaning of a view's number.
PREPROCESSING = 1


class PictureSource(Protocol):
    """A picture that is decoded when it is needed (`datasets.Picture`)."""

    @property
    def content(self) -> str | None:
        """`content_hash` of the decoded picture where it is known already."""
        ...

    def load(self) -> Image.Image:
        """The decoded RGB picture; PictureError when it cannot be read."""
        ...


class FeatureCache:
    """Features by (content hash, backbone, kind, view), the least recently used leave first.

    Safe to use from several threads. Holds no pictures, and nobody can list what is in it.

    Args:
        max_bytes: in memory.
        disk: where they are kept beyond this process, too.
    """

    def __init__(self, max_bytes: int = 256 * 2**20, disk: DiskCache | None = None) -> None:
        self.max_bytes = max_bytes  # 256 MB: 130,000 vectors of 512 numbers
        self.disk = disk
        self._entries: OrderedDict[tuple, Tensor] = OrderedDict()
        self._bytes = 0
        self._new_lock()
        renew_in_child(self, FeatureCache._new_lock)

    def _new_lock(self) -> None:
        self._lock = threading.Lock()

    def get(self, key: tuple) -> Tensor | None:
        with self._lock:
            value = self._entries.get(key)
            if value is not None:
                self._entries.move_to_end(key)
        if value is None and self.disk is not None:
            value = self.disk.get(_text_key(key))
            if value is not None:
                self._keep(key, value)
        return value

    def put(self, key: tuple, value: Tensor) -> None:
        if self._keep(key, value) and self.disk is not None:
            self.disk.put(_text_key(key), value)

    def flush(self) -> None:
        """Write what is kept on disk, if anything is."""
        if self.disk is not None:
            self.disk.flush()

    def _keep(self, key: tuple, value: Tensor) -> bool:
        """Whether it is new."""
        with self._lock:
            if key in self._entries:
                return False
            self._entries[key] = value
            self._bytes += value.nbytes
            while self._bytes > self.max_bytes and len(self._entries) > 1:
                _, dropped = self._entries.popitem(last=False)
                self._bytes -= dropped.nbytes
            return True

    def __len__(self) -> int:
        return len(self._entries)


def _text_key(key: tuple) -> str:
    return "|".join(str(part) for part in (PREPROCESSING, *key))


SHARED_CACHE = FeatureCache(disk=user_cache())


@dataclass(frozen=True)
class EncodeEvent:
    """Progress: views of pictures done, of how many, and what time that took."""

    done: int
    total: int
    seconds: float
    seconds_left: float


@dataclass(frozen=True)
class EncodedPictures:
    """Features of the pictures that could be read.

    Shape: features (views, K, d) unit vectors on the CPU, or (K, V, r) ranking tokens; `kept`
    lists the K positions in the given sequence, `problems` one sentence for each other picture.
    """

    features: Tensor
    kept: tuple[int, ...]
    problems: tuple[str, ...]
    seconds: float
    n_encoded: int  # views that were not in the cache
    contents: tuple[str, ...] = ()  # content hash of each of the K images
    looks: tuple[Look | None, ...] = ()  # of each, to suspect near copies; None: not known
    notes: tuple[str, ...] = ()  # what decoding guessed or mended, where it had to decode


@dataclass(frozen=True)
class _Prepared:
    """A picture ready for the tower, or what is wrong with it."""

    content: str = ""
    keys: tuple[tuple, ...] = ()  # of its views in the cache
    found: tuple[Tensor | None, ...] = ()  # what the cache had of them
    look: Look | None = None
    # pixels (H, W, 3) of each pass through the tower, and the places of the views it gives
    passes: tuple[tuple[Tensor, tuple[int, ...]], ...] = ()
    problem: str = ""
    notes: tuple[str, ...] = ()  # what decoding guessed or mended


@dataclass(frozen=True)
class _Pass:
    """One pass through the image tower that waits for its batch, and what it is wanted for."""

    index: int  # of the picture
    content: str
    pixels: Tensor  # (H, W, 3) uint8
    wanted: list[tuple[int, tuple]]  # view slots and cache keys; a key ends with the view's number


# Pictures that go through the tower at once. On a CPU a larger batch is no faster, and keeps the
# person waiting for its progress and its stop; a GPU is not busy with 16.
_BATCH_SIZE, _CUDA_BATCH_SIZE = 16, 64


def encode_pictures(
    backbone: Backbone,
    pictures: Sequence[PictureSource],
    *,
    views: Sequence[int] = (TEST_VIEW,),
    tokens: bool = False,
    form: TokenForm = PLAIN_FORM,
    cache: FeatureCache | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
) -> Generator[EncodeEvent | EncodedPictures, None, None]:
    """Features of every view of every picture; the last thing yielded is the result.

    Pictures are decoded in threads ahead of the tower, a few workers' and two batches' at most, so
    that memory does not grow with their number. Closing the generator ends the threads.

    Args:
        views: view numbers; 0 is the test-time view, −1 the whole picture, others seed random
            crops that are the same for the same picture, so that they are found in the cache. For
            a tower that pools by the mean (mini) crops are windows of its last feature map, all
            from one pass.
        tokens: `Backbone.ranking_tokens` (K, V, r) of the whole picture, whatever the views,
            instead of pooled features.
        form: of the tokens, `AdapterConfig.form` of the ranker that reads them; and of the whole
            picture's pooled feature where that comes from the same pass.
        cache: the process-wide one when None.
        batch_size: passes through the tower at once; by the device when None.
        workers: threads that decode; by the device and the cores when None, and with 0 the
            caller's own.

    A picture that cannot be read costs itself only: it is left out and named in `problems`.
    """
    cache = SHARED_CACHE if cache is None else cache
    views = (WHOLE_VIEW,) if tokens else tuple(views)
    if WHOLE_VIEW in views and len(views) > 1:
        raise ValueError("the whole picture is asked for alone: it has a pass of its own")
    device = backbone.device.type
    batch_size = batch_size or (_CUDA_BATCH_SIZE if device == "cuda" else _BATCH_SIZE)
    workers = decoding_workers(device) if workers is None else workers
    form = form if WHOLE_VIEW in views and (tokens or backbone.mean_pooled) else PLAIN_FORM
    kind = _kind(backbone, tokens=tokens, form=form)
    from_map = backbone.mean_pooled and not tokens  # one pass gives all views of a picture
    passes_each = 1 if from_map else max(1, len(views))
    began = time.perf_counter()
    rows: dict[int, list[Tensor | None]] = {}  # picture -> one feature a view
    contents: dict[int, str] = {}
    looks: dict[int, Look | None] = {}
    seen: set[str] = set()
    problems: list[str] = []
    notes: list[str] = []
    waiting: list[_Pass] = []
    total, done, n_encoded = len(pictures) * len(views), 0, 0

    def progress() -> EncodeEvent:
        seconds = time.perf_counter() - began
        left = seconds / done * (total - done) if done else 0.0
        return EncodeEvent(done, total, seconds, left)

    tower: Callable[[Tensor], Tensor]
    if tokens:
        tower = partial(backbone.ranking_tokens, form=form)
    else:
        tower = backbone.image_tokens if from_map else backbone.image_features

    def encode(pixels: list[Tensor]) -> list[Tensor]:
        given = backbone.to_pixels(_batch(pixels, device))
        return list(_in_memory(tower, given).cpu())

    def encode_waiting() -> None:
        pixels = [entry.pixels for entry in waiting]
        if len(pictures) * passes_each <= SHORT_PASSES:
            group = (id(backbone), kind, from_map, pixels[0].shape)
            results = SHARED_BATCHES.encode(group, pixels, encode)
        else:
            results = encode_in_turns(pixels, encode, on_gpu=device != "cpu")
        for entry, encoded in zip(waiting, results, strict=True):
            for slot, key in entry.wanted:
                feature = window_feature(encoded, entry.content, key[-1]) if from_map else encoded
                # a copy, not a view that keeps the whole batch alive
                rows[entry.index][slot] = feature = feature.clone()
                cache.put(key, feature)
                if tokens and backbone.mean_pooled:  # the pooled feature is there for nothing
                    joint = encoded[:, : backbone.embed_dim].float()  # (V, d)
                    pooled = window_feature(joint, entry.content, WHOLE_VIEW)
                    pooled_kind = _kind(backbone, tokens=False, form=form)
                    cache.put((*key[:2], pooled_kind, WHOLE_VIEW), pooled)
        waiting.clear()

    prepare = partial(
        _prepare,
        backbone,
        cache,
        identity=backbone.identity,  # here, once: it is found out by reading all the weights
        kind=kind,
        tokens=tokens,
        form=form,
        views=views,
    )
    # with the batch that is being gathered: the workers and two batches
    window = workers + max(1, batch_size // passes_each)
    quiet = 0  # pictures since the last event
    try:
        with ahead(prepare, pictures, workers=workers, window=window) as prepared:
            for index, one in enumerate(prepared):
                if one.problem:
                    problems.append(one.problem)
                    total -= len(views)
                    continue
                notes += one.notes
                found = list(one.found)
                if one.content in seen:  # perhaps encoded while this one was being prepared
                    found = [
                        cache.get(key) if feature is None else feature
                        for key, feature in zip(one.keys, found, strict=True)
                    ]
                seen.add(one.content)
                rows[index], contents[index], looks[index] = found, one.content, one.look
                done, quiet = done + len(views), quiet + 1
                for pixels, slots in one.passes:
                    wanted = [(slot, one.keys[slot]) for slot in slots if found[slot] is None]
                    if wanted:
                        n_encoded += len(wanted)
                        waiting.append(_Pass(index, one.content, pixels, wanted))
                if len(waiting) >= batch_size:
                    encode_waiting()
                elif quiet < batch_size:
                    continue
                quiet = 0
                yield progress()  # also where all is known, so that it can be stopped
        if waiting:
            encode_waiting()
            yield progress()
    finally:
        cache.flush()  # what was encoded before a stop is kept too

    kept = tuple(sorted(rows))
    if not kept:
        width = backbone.ranking_width(form) if tokens else backbone.embed_dim
        features = torch.empty(0 if tokens else len(views), 0, width)
    elif tokens:
        features = torch.stack([rows[i][0] for i in kept])  # type: ignore[arg-type]
    else:
        features = torch.stack(
            [torch.stack([rows[i][slot] for i in kept]) for slot in range(len(views))]  # type: ignore[arg-type]
        )
    yield EncodedPictures(
        features,
        kept,
        tuple(problems),
        time.perf_counter() - began,
        n_encoded,
        tuple(contents[i] for i in kept),
        tuple(looks[i] for i in kept),
        tuple(notes),
    )


def _prepare(
    backbone: Backbone,
    cache: FeatureCache,
    picture: PictureSource,
    *,
    identity: str,
    kind: str,
    tokens: bool,
    form: TokenForm,
    views: tuple[int, ...],
) -> _Prepared:
    """Everything about a picture that comes before the tower; runs in a thread of its own."""
    notes: list[str] = []

    def load() -> Image.Image:
        notes.clear()
        return picture.load(notes) if isinstance(picture, Picture) else picture.load()

    try:
        image, content = None, picture.content
        file = None if content or cache.disk is None else _file_key(picture)
        if file is not None and cache.disk is not None:
            content = cache.disk.content_of(file)
        if not content:
            image = load()
            content = content_hash(image)
            if file is not None and cache.disk is not None and not notes:  # else told each time
                cache.disk.put_content(file, content)
        keys = tuple((content, identity, kind, view) for view in views)
        found = tuple(cache.get(key) for key in keys)
        missing = tuple(slot for slot, feature in enumerate(found) if feature is None)
        if missing and image is None:
            image = load()
        if file is not None and image is None and cache.get((content, "look")) is None:
            image = load()  # whoever gives a file is told of near copies
        look = _look(cache, content, image)
    except PictureError as error:
        return _Prepared(problem=str(error))
    if not missing or image is None:
        return _Prepared(content, keys, found, look, notes=tuple(notes))
    if backbone.mean_pooled and not tokens:
        view = WHOLE_VIEW if views == (WHOLE_VIEW,) else TEST_VIEW
        passes = ((_view_of(backbone, image, content, view, form), missing),)
    else:
        passes = tuple(
            (_view_of(backbone, image, content, views[slot], form), (slot,)) for slot in missing
        )
    return _Prepared(content, keys, found, look, passes, notes=tuple(notes))


def _kind(backbone: Backbone, *, tokens: bool, form: TokenForm) -> str:
    """What a feature is, how it was made, and on CUDA the half precision it was computed in."""
    kind = f"tokens{form.name}" if tokens else f"pooled{TokenForm(form.side).name}"
    exact = backbone.device.type != "cuda" or (tokens and backbone.detail_stages)
    return kind if exact else f"{kind} {mixed_precision()}"


def _file_key(picture: PictureSource) -> str | None:
    """Names a picture's file by its bytes and what decodes them; None where there is no file."""
    source = getattr(picture, "source", None)
    suffix = Path(getattr(picture, "name", "")).suffix
    try:
        if isinstance(source, Path):
            if not source.is_file() or source.stat().st_size > LIMITS.max_file_bytes:
                return None  # loading says what is wrong
            suffix = suffix or source.suffix
            source = source.read_bytes()
    except OSError:
        return None
    if not isinstance(source, bytes):
        return None
    digest = hashlib.blake2b(source, digest_size=16).hexdigest()
    return f"{digest}|{suffix.lower()}|{LIMITS.working_side}|{PIL.__version__}|{PREPROCESSING}"


def _in_memory(encode: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
    """`encode` of a batch, in halves where a small GPU has no room for the whole."""
    try:
        return encode(pixels)
    except torch.OutOfMemoryError:
        if len(pixels) == 1:
            raise
    return torch.cat([_in_memory(encode, half) for half in pixels.tensor_split(2)])


def _batch(pixels: list[Tensor], device: str) -> Tensor:
    """(B, H, W, 3), for CUDA in memory that it copies from while the processor goes on."""
    if device != "cuda":
        return torch.stack(pixels)
    batch = torch.empty((len(pixels), *pixels[0].shape), dtype=pixels[0].dtype, pin_memory=True)
    return torch.stack(pixels, out=batch)


def _look(cache: FeatureCache, content: str, image: Image.Image | None) -> Look | None:
    """A picture's look, from the cache or from the picture where it has been decoded anyway."""
    key = (content, "look")
    kept = cache.get(key)
    if kept is None and image is not None:
        look = Look.of(image)
        raw = b"" if look is None else look.to_bytes()
        cache.put(key, torch.tensor(list(raw), dtype=torch.float32))
        return look
    if kept is None or not len(kept):
        return None
    return Look.from_bytes(bytes(kept.to(torch.uint8).tolist()))


def encode_all(backbone: Backbone, pictures: Sequence[PictureSource], **options) -> EncodedPictures:
    """`encode_pictures` to its end, without the progress."""
    *_, result = encode_pictures(backbone, pictures, **options)
    assert isinstance(result, EncodedPictures)
    return result


def window_feature(tokens: Tensor, content: str, view: int) -> Tensor:
    """A view of a picture out of its spatial tokens, for towers that pool by the mean.

    The mean over a random window of the last feature map is nearly the feature of that crop, and
    costs no pass through the tower. The test-time view is the mean over all, as is the whole
    picture, whose tokens come from another pass.

    Shape: tokens (V, d) of a square grid -> (d,), unit length.
    """
    if view in (TEST_VIEW, WHOLE_VIEW):
        return F.normalize(tokens.mean(dim=0), dim=-1)
    side = math.isqrt(len(tokens))
    smallest = max(1, side // 3)
    rng = np.random.default_rng(_view_seed(content, view))
    height, width = rng.integers(smallest, side + 1, size=2)
    top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
    window = tokens.view(side, side, -1)[top : top + height, left : left + width]
    return F.normalize(window.mean(dim=(0, 1)), dim=-1)


def _view_of(
    backbone: Backbone, image: Image.Image, content: str, view: int, form: TokenForm
) -> Tensor:
    """The pixels of a view by its number, before they are normalised. -> (H, W, 3), uint8"""
    if view == WHOLE_VIEW:
        return backbone.whole_pixels(image, form)
    if view != TEST_VIEW:
        image = backbone.random_crop(image, _view_seed(content, view))
    return backbone.raw_pixels(image)


def _view_seed(content: str, view: int) -> int:
    digest = hashlib.blake2b(f"{content}:{view}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def encode_and_return(
    backbone: Backbone, pictures: Sequence[PictureSource], **options
) -> Generator[EncodeEvent, None, EncodedPictures]:
    """`encode_pictures` for `yield from`: passes the progress on and returns the result."""
    for event in encode_pictures(backbone, pictures, **options):
        if isinstance(event, EncodedPictures):
            return event
        yield event
    raise AssertionError("encode_pictures ends with its result")


def encode_labelled(
    backbone: Backbone, pictures: Sequence[LabelledPicture]
) -> Generator[EncodeEvent, None, tuple[Tensor, Tensor]]:
    """For `yield from`: features (K, d) and labels (K,) of the pictures that can be read."""
    encoded = yield from encode_and_return(backbone, [item.picture for item in pictures])
    labels = torch.tensor([pictures[i].label for i in encoded.kept], dtype=torch.long)
    return encoded.features[0], labels
