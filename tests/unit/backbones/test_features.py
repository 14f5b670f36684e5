"""Pictures are decoded ahead of the tower: in order, within bounds, and the same features."""

import threading
from dataclasses import dataclass, field

import pytest
import torch
from PIL import Image
from tiny import MadePicture, tiny_backbone

from coop_demo.backbones import preparing
from coop_demo.backbones.backbone import PLAIN_FORM, Backbone, TokenForm
from coop_demo.backbones.features import (
    TEST_VIEW,
    WHOLE_VIEW,
    EncodedPictures,
    EncodeEvent,
    FeatureCache,
    encode_all,
    encode_pictures,
)
from coop_demo.backbones.preparing import ahead, decoding_workers

WAIT = 60  # seconds until a test that hangs says so


@pytest.fixture
def backbone() -> Backbone:
    return tiny_backbone()


def made(n: int) -> list[MadePicture]:
    return [MadePicture((40 * (i % 6), 20, 10 * i % 256), i) for i in range(n)]


@dataclass
class Counted:
    """Counts how many pictures have been decoded, and lets others wait for a number."""

    n: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self) -> None:
        with self.changed:
            self.n += 1
            self.changed.notify_all()

    def reaches(self, n: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.n >= n, timeout=WAIT)


@dataclass(frozen=True)
class CountedPicture:
    picture: MadePicture
    counted: Counted
    content: None = None

    def load(self) -> Image.Image:
        image = self.picture.load()
        self.counted.add()
        return image


def decoding_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("decode")]


@pytest.mark.parametrize("mean_pooled", [False, True])
@pytest.mark.parametrize(
    "options",
    [{"views": (TEST_VIEW,)}, {"views": (0, 1, 2)}, {"views": (WHOLE_VIEW,)}, {"tokens": True}],
    ids=str,
)
def test_threads_give_what_the_callers_own_thread_gives(backbone, options, mean_pooled):
    backbone.mean_pooled = mean_pooled
    pictures = made(11)
    pictures += [pictures[0], MadePicture((0, 0, 0), broken=True), pictures[9], *made(3)]
    serial, threaded = (
        encode_all(
            backbone, pictures, cache=FeatureCache(), batch_size=4, workers=workers, **options
        )
        for workers in (0, 3)
    )
    assert torch.equal(serial.features, threaded.features)
    for name in ("kept", "problems", "n_encoded", "contents", "looks"):
        assert getattr(serial, name) == getattr(threaded, name)
    assert threaded.kept == (*range(12), *range(13, 17))


def test_features_are_bit_for_bit_those_of_the_batch(backbone):
    pictures = made(8)
    found = encode_all(backbone, pictures, cache=FeatureCache(), batch_size=4, workers=2)
    batches = [
        backbone.image_features(torch.stack([backbone.preprocess(p.load()) for p in batch]))
        for batch in (pictures[:4], pictures[4:])
    ]
    assert torch.equal(found.features[0], torch.cat(batches))


def test_no_more_is_decoded_than_workers_and_two_batches(backbone, monkeypatch):
    counted = Counted()
    n, workers, batch_size = 40, 3, 4
    most = workers + 2 * batch_size
    waiting: list[int] = []  # pictures decoded and not encoded, as each batch is encoded
    image_features = backbone.image_features

    def slow_tower(pixels):
        encoded = batch_size * len(waiting)
        assert counted.reaches(min(n, encoded + most))  # the threads went as far as they may
        waiting.append(counted.n - encoded)
        return image_features(pixels)

    monkeypatch.setattr(backbone, "image_features", slow_tower)
    pictures = [CountedPicture(picture, counted) for picture in made(n)]
    encode_all(backbone, pictures, cache=FeatureCache(), batch_size=batch_size, workers=workers)
    assert max(waiting) == most
    assert len(waiting) == n / batch_size


def test_stopping_cancels_what_waits_and_leaves_no_thread(backbone):
    counted = Counted()
    pictures = [CountedPicture(picture, counted) for picture in made(60)]
    events = encode_pictures(backbone, pictures, cache=FeatureCache(), batch_size=4, workers=2)
    assert isinstance(next(events), EncodeEvent)
    events.close()
    assert decoding_threads() == []
    decoded = counted.n
    assert decoded <= 2 + 2 * 4
    again = encode_all(backbone, pictures, cache=FeatureCache(), batch_size=4, workers=2)
    assert len(again.kept) == 60
    assert counted.n == decoded + 60  # nobody went on decoding meanwhile
    assert decoding_threads() == []


def test_an_error_of_our_own_is_raised_and_leaves_no_thread(backbone):
    class Faulty(MadePicture):
        def load(self) -> Image.Image:
            raise KeyError("a fault in the program")

    pictures = [*made(3), Faulty((0, 0, 0)), *made(20)]
    with pytest.raises(KeyError, match="a fault"):
        encode_all(backbone, pictures, cache=FeatureCache(), batch_size=2, workers=2)
    assert decoding_threads() == []


def test_two_jobs_side_by_side_give_what_each_gives_alone(backbone):
    cache = FeatureCache()
    sets = made(20), made(30)[10:]
    alone = [encode_all(backbone, one, cache=FeatureCache(), batch_size=4) for one in sets]
    jobs = [encode_pictures(backbone, one, cache=cache, batch_size=4, workers=2) for one in sets]
    results: list[EncodedPictures | None] = [None, None]
    while any(result is None for result in results):
        for place, job in enumerate(jobs):
            event = next(job, None)
            if isinstance(event, EncodedPictures):
                results[place] = event
    for one, result in zip(alone, results, strict=True):
        assert torch.allclose(one.features, result.features, atol=1e-6)
        assert one.contents == result.contents


def test_work_ahead_comes_back_in_order_whichever_is_done_first():
    first_may_end = threading.Event()

    def work(n: int) -> int:
        if n == 0:
            assert first_may_end.wait(WAIT)
        if n == 3:
            first_may_end.set()  # three others were done before the first
        return n * n

    with ahead(work, range(9), workers=2, window=4) as results:
        assert list(results) == [n * n for n in range(9)]


def test_what_does_not_fit_on_the_gpu_is_encoded_in_halves(backbone, monkeypatch):
    pictures = made(7)
    whole = encode_all(backbone, pictures, cache=FeatureCache()).features
    image_features = backbone.image_features

    def small_gpu(pixels):
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("no room")
        return image_features(pixels)

    monkeypatch.setattr(backbone, "image_features", small_gpu)
    halved = encode_all(backbone, pictures, cache=FeatureCache()).features
    assert torch.allclose(halved, whole, atol=1e-6)


def test_a_set_that_is_all_known_can_be_stopped_too(backbone):
    cache = FeatureCache()
    pictures = made(9)
    encode_all(backbone, pictures, cache=cache)
    *events, result = encode_pictures(backbone, pictures, cache=cache, batch_size=4)
    assert [event.done for event in events if isinstance(event, EncodeEvent)] == [4, 8]
    assert isinstance(result, EncodedPictures)
    assert result.n_encoded == 0


def test_there_is_a_worker_on_every_computer(monkeypatch):
    monkeypatch.setattr(preparing, "_decoders_in_memory", lambda: 99)
    for cores, device, workers in (
        (1, "cpu", 1), (2, "cpu", 2), (4, "cpu", 4), (64, "cpu", 8), (None, "cpu", 1),
        (1, "cuda", 1), (2, "cuda", 1), (8, "cuda", 7), (96, "cuda", 16),
    ):  # fmt: skip
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        assert decoding_workers(device) == workers
    monkeypatch.setattr(preparing, "_decoders_in_memory", lambda: 0)
    assert decoding_workers("cuda") == 1


def test_tokens_of_two_forms_are_kept_apart(backbone):
    cache, pictures = FeatureCache(), made(2)
    for form, encoded in ((PLAIN_FORM, 2), (TokenForm(cells=True), 2), (PLAIN_FORM, 0)):
        found = encode_all(backbone, pictures, tokens=True, form=form, cache=cache)
        assert found.n_encoded == encoded


def test_a_picture_pooled_in_a_rankers_form_comes_with_its_tokens(backbone):
    backbone.mean_pooled = True
    cache, pictures, form = FeatureCache(), made(2), TokenForm(cells=True)
    tokens = encode_all(backbone, pictures, tokens=True, form=form, cache=cache)
    pooled = encode_all(backbone, pictures, views=(WHOLE_VIEW,), form=form, cache=cache)
    assert pooled.n_encoded == 0
    joint = tokens.features[..., : backbone.embed_dim].float().mean(dim=1)
    torch.testing.assert_close(pooled.features[0], torch.nn.functional.normalize(joint, dim=-1))
