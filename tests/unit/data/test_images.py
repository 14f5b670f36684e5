"""Every picture a person can bring becomes a safe RGB image, or one sentence that says why not."""

from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from coop_demo.data import images
from coop_demo.data.images import content_hash, is_picture_name, list_pictures, load_picture
from coop_demo.errors import PictureError
from coop_demo.settings import LIMITS

READABLE = ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"]


def encoded(image: Image.Image, format: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def pixel(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    value = image.getpixel((x, y))
    assert isinstance(value, tuple)
    return value


def gradient(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    channels = (x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x + y) % 256)
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that promises width x height grey pixels and holds none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("format", READABLE)
def test_each_readable_format_gives_the_same_picture_from_bytes_path_and_image(tmp_path, format):
    original = gradient(40, 30)
    data = encoded(original, format)
    # The name lies about the format on purpose: the content decides.
    path = tmp_path / "picture.dat"
    path.write_bytes(data)

    from_bytes = load_picture(data, name="picture")
    assert (from_bytes.mode, from_bytes.size) == ("RGB", (40, 30))
    reference = Image.open(io.BytesIO(data)).convert("RGB")
    assert np.array_equal(np.asarray(from_bytes), np.asarray(reference))
    assert content_hash(load_picture(path)) == content_hash(from_bytes)
    assert content_hash(load_picture(str(path))) == content_hash(from_bytes)
    with Image.open(path) as opened:
        assert content_hash(load_picture(opened)) == content_hash(from_bytes)


def test_the_image_given_is_left_as_it_was_and_the_result_is_its_own():
    given = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    result = load_picture(given)
    result.putpixel((0, 0), (1, 2, 3))
    assert given.mode == "RGBA"
    assert pixel(given, 0, 0) == (255, 0, 0, 0)
    plain = Image.new("RGB", (8, 8), "red")
    load_picture(plain).putpixel((0, 0), (1, 2, 3))
    assert pixel(plain, 0, 0) == (255, 0, 0)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_taken_sideways_is_turned_upright_once(format):
    picture = Image.new("RGB", (32, 16), "blue")
    picture.paste("red", (0, 0, 16, 16))  # left half red; turned by EXIF 6 it is at the top
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = load_picture(encoded(picture, format, exif=exif))
    assert upright.size == (16, 32)
    red_top, blue_bottom = pixel(upright, 8, 4), pixel(upright, 8, 28)
    assert red_top[0] > 200 > 60 > red_top[2]
    assert blue_bottom[2] > 200 > 60 > blue_bottom[0]
    assert content_hash(load_picture(upright)) == content_hash(upright)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's own remark
def test_damaged_exif_costs_the_rotation_only():
    data = encoded(gradient(16, 16), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage")
    assert load_picture(data).size == (16, 16)


def test_metadata_such_as_the_place_is_dropped():
    exif = Image.Exif()
    exif[0x010E] = "my garden"
    loaded = load_picture(encoded(gradient(16, 16), "JPEG", exif=exif))
    assert not loaded.info
    assert not loaded.getexif()


def test_sixteen_bit_grey_keeps_its_tones():
    levels = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, 256).repeat(4, axis=0)
    loaded = np.asarray(load_picture(encoded(Image.fromarray(levels), "PNG")))
    assert loaded.shape == (4, 256, 3)
    assert np.abs(loaded[0, :, 0].astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 100.0, 255.0]], np.float32), [0, 100, 255]),
        (np.array([[-2.0, 0.0, 2.0]], np.float32), [0, 128, 255]),
        (np.array([[np.nan, 0.0, np.inf]], np.float32), [0, 0, 255]),
        (np.array([[0, 100, 255]], np.int32), [0, 100, 255]),
        (np.array([[0, 32768, 65535]], np.int32), [0, 128, 255]),
        (np.array([[7, 7, 7]], np.int32), [7, 7, 7]),
    ],
)
def test_integer_and_float_tiffs_are_scaled_not_clipped(levels, expected):
    loaded = load_picture(encoded(Image.fromarray(levels), "TIFF"))
    got = np.asarray(loaded)[0, :, 0]
    if np.isinf(levels).any():  # all finite levels are 0; what is infinite is the brightest
        assert (got[0], got[1], got[2]) == (0, 0, 255)
    else:
        assert np.abs(got.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
def test_what_is_transparent_becomes_white_and_hidden_colours_stay_hidden(mode):
    rgba = Image.new("RGBA", (4, 2), (0, 0, 0, 0))  # black, but not to be seen
    rgba.paste((0, 0, 0, 255), (2, 0, 4, 2))
    if mode == "P":
        indexed = Image.new("P", (4, 2), 0)
        indexed.putpalette([0, 0, 0, 0, 0, 0])
        indexed.paste(1, (2, 0, 4, 2))
        loaded = load_picture(encoded(indexed, "PNG", transparency=b"\x00\xff"))
    else:
        loaded = load_picture(rgba.convert(mode))
    assert pixel(loaded, 0, 0) == (255, 255, 255)
    assert pixel(loaded, 3, 1) == (0, 0, 0)


def test_a_transparent_colour_of_a_png_becomes_white():
    plain = Image.new("RGB", (2, 1), (10, 20, 30))
    plain.putpixel((1, 0), (200, 0, 0))
    loaded = load_picture(encoded(plain, "PNG", transparency=(10, 20, 30)))
    assert [pixel(loaded, x, 0) for x in (0, 1)] == [(255, 255, 255), (200, 0, 0)]
    deep = Image.fromarray(np.array([[0, 30000]], np.uint16))
    loaded = load_picture(encoded(deep, "PNG", transparency=0))
    assert pixel(loaded, 0, 0) == (255, 255, 255)
    assert pixel(loaded, 1, 0) == (117, 117, 117)


def test_half_transparent_is_mixed_with_white():
    loaded = load_picture(Image.new("RGBA", (2, 2), (0, 0, 0, 128)))
    assert abs(pixel(loaded, 0, 0)[0] - 127) <= 1


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "YCbCr", "HSV"])
def test_other_colour_modes_become_rgb(mode):
    assert load_picture(Image.new(mode, (3, 2))).mode == "RGB"
    if mode == "CMYK":
        red = Image.new("RGB", (8, 8), "red").convert("CMYK")
        assert pixel(load_picture(encoded(red, "JPEG")), 4, 4)[0] > 200


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert pixel(load_picture(data), 4, 4) == (255, 0, 0)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1280, 960), (640, 480)),
        ((300, 2560), (75, 640)),
        ((6400, 1), (640, 1)),
        ((20, 9), (20, 9)),
    ],
)
def test_the_longer_side_is_bounded_and_small_pictures_are_not_blown_up(size, expected):
    assert LIMITS.working_side == 640
    assert load_picture(Image.new("RGB", size)).size == expected


def test_a_large_photograph_is_decoded_at_reduced_size_and_looks_the_same(monkeypatch):
    data = encoded(gradient(2600, 1950), "JPEG", quality=90)
    decoded_sizes = []
    decode = images._decode

    def spy(image: Image.Image, label: str) -> Image.Image:
        decoded_sizes.append(image.size)
        return decode(image, label)

    monkeypatch.setattr(images, "_decode", spy)
    loaded = load_picture(data)
    assert decoded_sizes == [(1300, 975)]
    assert loaded.size == (640, 480)
    # Full decode and antialiased resize, the slow way, differ by rounding only.
    slow = Image.open(io.BytesIO(data)).convert("RGB").resize((640, 480), Image.Resampling.LANCZOS)
    smooth = slice(0, 2)  # the third channel of the gradient wraps around: an aliasing pattern
    difference = np.asarray(loaded).astype(int) - np.asarray(slow).astype(int)
    assert np.abs(difference[5:-5, 5:-5, smooth]).mean() < 2.0


def test_too_many_pixels_are_refused_before_they_are_decoded():
    started = time.process_time()
    with pytest.raises(PictureError) as refused:
        load_picture(png_header(13000, 13000), name="bomb.png")
    assert time.process_time() - started < 0.2
    assert '"bomb.png"' in str(refused.value)
    assert "13000 × 13000 pixels (169 megapixels); at most 40 megapixels" in str(refused.value)


def test_far_too_many_pixels_are_refused_like_too_many():
    with pytest.raises(PictureError, match="at most 40 megapixels"):
        load_picture(png_header(60000, 60000), name="bomb.png")


def test_exactly_the_largest_allowed_size_is_still_opened():
    # The header is allowed, its missing pixels are what is complained about.
    with pytest.raises(PictureError, match="damaged or cut short"):
        load_picture(png_header(8000, 5000))
    with pytest.raises(PictureError, match="at most 40 megapixels"):
        load_picture(png_header(8001, 5000))


def test_a_file_that_is_too_long_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "long.png"
    with path.open("wb") as stream:
        stream.truncate(LIMITS.max_file_bytes + 1)  # sparse: takes no room
    with pytest.raises(PictureError, match=r'"long.png" is a file of 64 MB; at most 64 MB'):
        load_picture(path)


@pytest.mark.parametrize("format", READABLE)
def test_a_truncated_picture_is_refused_by_name(format):
    data = encoded(gradient(200, 200), format)
    with pytest.raises(PictureError, match=r'"cut" is damaged or cut short'):
        load_picture(data[: len(data) // 2], name="cut")


@pytest.mark.parametrize("format", READABLE)
def test_no_prefix_and_no_flipped_byte_raises_anything_but_our_error(format):
    data = encoded(gradient(24, 24), format)
    generator = np.random.default_rng(0)
    variants = [data[:length] for length in range(0, len(data), max(1, len(data) // 40))]
    for _ in range(60):
        broken = bytearray(data)
        for position in generator.integers(0, len(data), 4):
            broken[position] = int(generator.integers(0, 256))
        variants.append(bytes(broken))
    for variant in variants:
        try:
            outcome = load_picture(variant, name="x").mode
        except PictureError as error:
            outcome = str(error)
        assert outcome == "RGB" or outcome.startswith('"x" ')


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC picture.*JPEG"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "is an AVIF picture"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "is a video"),
        (b'<?xml version="1.0"?><svg xmlns="x"></svg>', "is an SVG drawing"),
        (b"%PDF-1.7 ...", "is a PDF document"),
        (b"PK\x03\x04abc", "is a zip archive"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"hello, world", "is not a picture in a format that can be read here"),
        (b"GIF89a", "is damaged or cut short"),
        (b"\xff\xd8\xff", "is damaged or cut short"),
        (b"BMW is a car", "is damaged or cut short"),
    ],
)
def test_what_is_no_readable_picture_is_refused_with_its_name_and_advice(data, says):
    with pytest.raises(PictureError, match=f'^"thing.jpg" {says}') as refused:
        load_picture(data, name="thing.jpg")
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith(".")


def test_paths_that_lead_nowhere_are_refused_by_name(tmp_path):
    with pytest.raises(PictureError, match=r'"gone\.jpg" does not exist'):
        load_picture(tmp_path / "gone.jpg")
    with pytest.raises(PictureError, match="is a folder"):
        load_picture(tmp_path)
    with pytest.raises(PictureError, match="cannot be opened"):
        load_picture("x" * 5000)


def test_formats_off_the_list_are_refused_though_pillow_could_read_them():
    for format in ("PPM", "ICO", "PCX", "TGA"):
        data = encoded(gradient(16, 16), format)
        Image.open(io.BytesIO(data)).load()
        with pytest.raises(PictureError, match="is not a picture in a format"):
            load_picture(data)


@pytest.mark.filterwarnings("error")
def test_nothing_global_changes_and_nothing_is_warned_about():
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    for data in (png_header(13000, 13000), png_header(60000, 60000), b"junk"):
        with pytest.raises(PictureError):
            load_picture(data)
    load_picture(encoded(gradient(30, 20), "PNG"))
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


def test_the_content_hash_depends_on_pixels_and_size_only(tmp_path):
    picture = gradient(30, 20)
    png = encoded(picture, "PNG")
    bmp = encoded(picture, "BMP")
    assert content_hash(load_picture(png)) == content_hash(load_picture(bmp))
    changed = picture.copy()
    changed.putpixel((3, 3), (1, 1, 1))
    assert content_hash(changed) != content_hash(picture)
    flat = Image.new("RGB", (6, 4), "red")
    assert content_hash(flat) != content_hash(Image.new("RGB", (4, 6), "red"))
    assert content_hash(flat.convert("P")) == content_hash(flat)
    assert len(content_hash(flat)) == 32


def test_pictures_of_a_folder_are_listed_by_name_without_hidden_and_other_files(tmp_path: Path):
    for name in ("b.PNG", "a.jpg", ".c.jpg", "notes.txt", "phone.heic", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in list_pictures(tmp_path)] == ["a.jpg", "b.PNG", "phone.heic"]
    with pytest.raises(PictureError, match="cannot be read"):
        list_pictures(tmp_path / "gone")
    assert not is_picture_name(".hidden.png")
    assert not is_picture_name("sound.mp3")
