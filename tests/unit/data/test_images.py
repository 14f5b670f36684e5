"""Every picture a person can bring becomes a safe RGB image, or one sentence that says why not."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from images import encoded, gradient, grained
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from coop_demo.data import images
from coop_demo.data.images import content_hash, is_picture_name, list_pictures, load_picture
from coop_demo.errors import PictureError
from coop_demo.settings import LIMITS

# Pillow's names; TGA is known by its last bytes, JPEG 2000 and AVIF lose a little
READABLE = ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "TGA", "JPEG2000", "AVIF"]


def pixel(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    value = image.getpixel((x, y))
    assert isinstance(value, tuple)
    return value


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
    notes: list[str] = []
    load_picture(data, notes=notes)
    assert notes == []
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

    def spy(image: Image.Image, *args, **options) -> Image.Image:
        decoded_sizes.append(image.size)
        return decode(image, *args, **options)

    monkeypatch.setattr(images, "_decode", spy)
    loaded = load_picture(data)
    assert decoded_sizes == [(1300, 975)]
    assert loaded.size == (640, 480)
    # Full decode and antialiased resize, the slow way, differ by rounding only.
    slow = Image.open(io.BytesIO(data)).convert("RGB").resize((640, 480), Image.Resampling.LANCZOS)
    smooth = slice(0, 2)  # the third channel of the gradient wraps around: an aliasing pattern
    difference = np.asarray(loaded).astype(int) - np.asarray(slow).astype(int)
    assert np.abs(difference[5:-5, 5:-5, smooth]).mean() < 2.0


@pytest.fixture
def undecoded(monkeypatch) -> None:
    """Fails the test when a picture is decoded."""
    monkeypatch.setattr(images, "_decode", lambda *_, **__: pytest.fail("it was decoded"))


@pytest.mark.usefixtures("undecoded")
def test_too_many_pixels_are_refused_before_they_are_decoded():
    with pytest.raises(PictureError) as refused:
        load_picture(png_header(13000, 13000), name="bomb.png")
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


@pytest.mark.parametrize("format", [f for f in READABLE if f != "TGA"])
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
    for variant in variants[:: 3 if format == "AVIF" else 1]:
        try:
            outcome = load_picture(variant, name="x").mode
        except PictureError as error:
            outcome = str(error)
        assert outcome == "RGB" or outcome.startswith('"x" ')


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is damaged or cut short"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "is damaged or cut short"),
        (b"\0\0\0\x18ftypcrx \0\0\0\0", "is a camera's raw file"),
        (b"8BPS\0\1", "is a Photoshop document"),
        (b"\xff\x0a\xfa\x1f", "is a JPEG XL picture"),
        (b"Rar!\x1a\x07\0", "is a RAR archive"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
            r"is a Git LFS pointer: a few lines of text .*git lfs pull",
        ),
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
    for format in ("PCX", "SGI", "DDS"):
        data = encoded(gradient(16, 16), format)
        Image.open(io.BytesIO(data)).load()
        with pytest.raises(PictureError, match="is not a picture in a format"):
            load_picture(data)


@pytest.mark.filterwarnings("error")
def test_reading_pictures_changes_nothing_global():
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


# --- formats of phones, cameras and other programs ----------------------------------------------


def said_of(data: bytes, name: str = "x.png") -> tuple[Image.Image, list[str]]:
    notes: list[str] = []
    return load_picture(data, name=name, notes=notes), notes


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int)).mean())


def test_a_heic_picture_is_read_and_turned_once():
    heif = pytest.importorskip("pillow_heif")
    picture = Image.new("RGB", (64, 32), "blue")
    picture.paste("red", (0, 0, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    heif.from_pillow(picture).save(stream, exif=exif.tobytes(), quality=90)
    upright, notes = said_of(stream.getvalue(), "IMG_0001.HEIC")
    assert upright.size == (32, 64)
    assert pixel(upright, 16, 8)[0] > 200 > 60 > pixel(upright, 16, 8)[2]
    assert notes == []


def test_where_heic_cannot_be_read_it_is_called_by_its_name(monkeypatch):
    for package in ("pillow_heif", "pi_heif"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PictureError, match=r'"a.heic" is a HEIC picture, which cannot .* iPhone'):
        load_picture(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", name="a.heic")


def test_heic_costs_nothing_before_the_first_one_comes():
    code = "import sys, coop_demo.data.images; sys.exit('pillow_heif' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("magic", ["P6", "P5"])
def test_the_portable_maps_of_traffic_sign_sets_are_read(magic):
    mode = "RGB" if magic == "P6" else "L"
    data = encoded(gradient(9, 7).convert(mode), "PPM")
    assert data.startswith(magic.encode())
    assert np.array_equal(load_picture(data), gradient(9, 7).convert(mode).convert("RGB"))


def test_a_tga_without_a_signature_is_known_by_its_name():
    data = encoded(gradient(9, 7), "TGA")
    old = data[: data.index(b"TRUEVISION") - 8]
    assert np.array_equal(load_picture(old, name="wall.tga"), gradient(9, 7))
    with pytest.raises(PictureError, match="is not a picture in a format"):
        load_picture(old, name="wall")


@pytest.mark.parametrize("kind", ["png", "bmp"])
def test_of_an_icon_the_largest_picture_is_taken(kind):
    icon = Image.new("RGBA", (64, 64), (200, 0, 0, 255))
    icon.paste((0, 0, 0, 0), (0, 0, 32, 64))
    data = encoded(icon, "ICO", sizes=[(16, 16), (64, 64)], bitmap_format=kind)
    loaded, notes = said_of(data, "favicon.ico")
    assert loaded.size == (64, 64)
    assert (pixel(loaded, 8, 8), pixel(loaded, 48, 8)) == ((255, 255, 255), (200, 0, 0))
    assert notes == []


def test_an_icon_that_claims_a_huge_picture_is_refused_before_it_is_decoded():
    frame = png_header(13000, 13000)
    data = struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(frame), 22) + frame
    with pytest.raises(PictureError, match="169 megapixels"):
        load_picture(data)


@pytest.mark.parametrize("suffix", [".dng", ".NEF"])
def test_a_raw_file_is_not_mistaken_for_its_thumbnail(suffix):
    with pytest.raises(PictureError, match="is a camera's raw file"):
        load_picture(encoded(gradient(16, 16), "TIFF"), name="shot" + suffix)


# --- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8064, 6048), (9248, 6936)])
def test_photographs_of_48_and_64_megapixels_are_read_at_a_sixteenth_of_their_pixels(
    size, monkeypatch
):
    decoded_sizes = []
    decode = images._decode

    def spy(image: Image.Image, *args, **options) -> Image.Image:
        decoded_sizes.append(image.size)
        return decode(image, *args, **options)

    monkeypatch.setattr(images, "_decode", spy)
    data = encoded(Image.new("RGB", size, (90, 120, 30)), "JPEG", quality=50)
    loaded, notes = said_of(data, "IMG_0001.JPG")
    assert decoded_sizes == [(size[0] // 4, size[1] // 4)]
    assert loaded.size == (640, 480)
    assert notes == []


def jpeg_claiming(width: int, height: int, *, progressive: bool) -> bytes:
    data = bytearray(encoded(gradient(64, 64), "JPEG", progressive=progressive, subsampling=0))
    at = data.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.usefixtures("undecoded")
def test_what_a_jpeg_may_have_depends_on_the_memory_it_takes():
    with pytest.raises(PictureError, match=r"2250 megapixels\); at most 200 megapixels are read"):
        load_picture(jpeg_claiming(50000, 45000, progressive=False))
    # of a progressive file libjpeg keeps six bytes a pixel, whatever size is asked for
    with pytest.raises(PictureError, match=r"100 megapixels\); at most 6\d megapixels are read"):
        load_picture(jpeg_claiming(10000, 10000, progressive=True))


def test_what_can_be_read_of_other_formats_is_said_with_the_way_out():
    with pytest.raises(PictureError, match=r"of such a file\. Make it smaller or save it as JPEG"):
        load_picture(png_header(8001, 5000))


# --- colours ------------------------------------------------------------------------------------


def icc(gamma: float, primaries: tuple[tuple[float, float, float], ...]) -> bytes:
    """A matrix profile: three XYZ columns (D50) and one gamma, as small as the format allows."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(values: tuple[float, ...]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"mine\0" + bytes(78)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    tags = [
        *(
            (name, xyz(column))
            for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
        ),
        *((b"wtpt", xyz((0.9642, 1.0, 0.8249))), (b"desc", text), (b"cprt", text)),
        *((name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")),
    ]
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags:
        data += bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data
    head = struct.pack(">I", start + len(body)) + b"lcms\2\x10\0\0mntrRGB XYZ " + bytes(12)
    head += b"acsp" + bytes(28) + fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    return head.ljust(128, b"\0") + table + body


DISPLAY_P3 = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_colours_of_display_p3_are_brought_to_srgb(format):
    plain = Image.new("RGB", (16, 16), (200, 100, 50))
    loaded, notes = said_of(encoded(plain, format, icc_profile=icc(2.2, DISPLAY_P3), quality=95))
    # by the matrices of P3 and sRGB: linear (0.586, 0.128, 0.028) -> (0.689, 0.108, 0.009)
    assert np.abs(np.array(pixel(loaded, 8, 8)) - (216, 93, 24)).max() <= 6
    assert notes == []


def test_pictures_in_srgb_keep_their_pixels_whatever_the_profile_is_called():
    plain = gradient(64, 48)
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (own, icc(2.2, SRGB)):
        loaded, notes = said_of(encoded(plain, "PNG", icc_profile=profile))
        assert content_hash(loaded) == content_hash(plain)
        assert notes == []


def test_a_profile_of_another_kind_of_colour_changes_nothing():
    grey = gradient(16, 16).convert("L")
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    loaded, notes = said_of(encoded(grey, "PNG", icc_profile=own))
    assert content_hash(loaded) == content_hash(grey)
    assert notes == []


def test_a_grey_profile_leaves_the_colours_of_a_coloured_picture():
    plain = gradient(16, 16)
    grey = bytearray(icc(1.0, SRGB))
    grey[16:20] = b"GRAY"
    at = grey.index(b"rTRC")
    grey[at : at + 4] = b"kTRC"
    loaded, _ = said_of(encoded(plain, "PNG", icc_profile=bytes(grey)))
    assert content_hash(loaded) == content_hash(plain)
    linear, notes = said_of(encoded(plain.convert("L"), "PNG", icc_profile=bytes(grey)))
    # a level of light of 0.5 is 188 in sRGB
    assert notes == []
    level = pixel(plain.convert("L").convert("RGB"), 8, 8)[0] / 255
    expected = 255 * (1.055 * level ** (1 / 2.4) - 0.055)
    assert abs(pixel(linear, 8, 8)[0] - expected) <= 2


def cmyk_profile() -> bytes:
    """A printing profile with the two corners of each ink only: magenta on yellow is a dull red."""
    corners = b""
    for at in range(16):
        cyan, magenta, yellow, black = (at >> shift & 1 for shift in (3, 2, 1, 0))
        if (cyan, magenta, yellow, black) == (0, 1, 1, 0):
            corners += bytes((round(50 * 2.55), 128 + 50, 128 + 30))  # Lab (50, 50, 30)
        else:
            corners += bytes((0 if black else 255 - 60 * (cyan + magenta + yellow), 128, 128))
    one = struct.pack(">i", 65536)
    matrix = one + bytes(12) + one + bytes(12) + one
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix
    lut += bytes(range(256)) * 4 + corners + bytes(range(256)) * 3
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"mine\0" + bytes(78)
    text += bytes(-len(text) % 4)
    start = 128 + 4 + 12 * 2
    table = struct.pack(
        ">I4sII4sII", 2, b"desc", start, len(text), b"A2B0", start + len(text), len(lut)
    )
    head = struct.pack(">I", start + len(text) + len(lut)) + b"lcms\2\x10\0\0prtrCMYKLab "
    head += bytes(12) + b"acsp" + bytes(28)
    head += b"".join(struct.pack(">i", round(v * 65536)) for v in (0.9642, 1.0, 0.8249))
    return head.ljust(128, b"\0") + table + text + lut


def test_inks_have_the_colours_of_their_profile():
    inks = Image.new("CMYK", (1300, 16), (0, 0, 0, 0))
    inks.paste((0, 255, 255, 0), (650, 0, 1300, 16))
    loaded, notes = said_of(encoded(inks, "TIFF", icc_profile=cmyk_profile()))
    assert loaded.size == (640, 8)
    assert min(pixel(loaded, 10, 4)) >= 253
    lab = Image.new("LAB", (1, 1), (round(50 * 2.55), 128 + 50, 128 + 30))
    assert np.abs(np.array(pixel(loaded, 600, 4)) - pixel(load_picture(lab), 0, 0)).max() <= 6
    assert notes == []
    plain, _ = said_of(encoded(inks, "TIFF"))
    assert pixel(plain, 600, 4) == (255, 0, 0)


def test_a_broken_profile_is_passed_over_and_that_is_said():
    plain = gradient(16, 16)
    loaded, notes = said_of(encoded(plain, "PNG", icc_profile=b"junk" * 50))
    assert content_hash(loaded) == content_hash(plain)
    assert notes == [
        '"x.png" has a colour profile that cannot be read; its colours are taken as sRGB.'
    ]


def deep_png(levels: np.ndarray) -> bytes:
    """A PNG of 16-bit colours, (H, W, 3), which Pillow does not write."""
    height, width, _ = levels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    return png_of(width, height, 16, 2, rows)


def png_of(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(("top", "bits"), [(4095, 12), (1023, 10), (255, 8)])
def test_levels_of_twelve_bits_in_sixteen_are_not_black(top, bits):
    levels = np.linspace(0, top, 64).astype(np.uint16).reshape(1, 64).repeat(4, axis=0)
    for data in (
        encoded(Image.fromarray(levels), "PNG"),
        encoded(Image.fromarray(levels), "TIFF"),
        deep_png(levels[..., None].repeat(3, axis=-1)),
    ):
        loaded, notes = said_of(data)
        expected = np.linspace(0, 255, 64)
        assert np.abs(np.asarray(loaded)[0, :, 0] - expected).max() <= 1.5
        assert notes == [
            f'"x.png" uses only the lowest {bits} of its 16 bits and would be black; it was made '
            "brighter to match."
        ]


def test_levels_of_sixteen_bits_stay_as_they_are():
    levels = np.linspace(0, 16383, 64).astype(np.uint16).reshape(1, 64, 1).repeat(3, axis=-1)
    for data in (encoded(Image.fromarray(levels[..., 0]), "PNG"), deep_png(levels)):
        loaded, notes = said_of(data)
        assert pixel(loaded, 63, 0)[0] in (63, 64)
        assert notes == []
    black, notes = said_of(encoded(Image.fromarray(np.zeros((4, 4), np.uint16)), "PNG"))
    assert (pixel(black, 0, 0), notes) == ((0, 0, 0), [])


def test_a_picture_that_is_transparent_throughout_is_white_and_that_is_said():
    indexed = Image.new("P", (8, 8), 3)
    indexed.putpalette([0] * 12)
    loaded, notes = said_of(encoded(indexed, "PNG", transparency=3))
    assert pixel(loaded, 4, 4) == (255, 255, 255)
    assert notes == ['"x.png" is transparent throughout, so it is a white picture here.']


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_ycbcr_tiffs_have_their_colours(compression):
    data = encoded(gradient(64, 48).convert("YCbCr"), "TIFF", compression=compression)
    assert mean_difference(load_picture(data), gradient(64, 48)) < 2


def test_lab_tiffs_have_their_colours():
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    data = encoded(to_lab.apply(Image.new("RGB", (8, 8), (200, 100, 50))), "TIFF")
    assert np.abs(np.array(pixel(load_picture(data), 4, 4)) - (200, 100, 50)).max() <= 4


# --- small faults -------------------------------------------------------------------------------

CUT_OFF = '"x.png" is cut off shortly before its end; what is there was used.'


def photograph() -> Image.Image:
    """Noise over a gradient, which packs like a photograph."""
    return grained(gradient(400, 300), grain=20)


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"subsampling": 0, "quality": 95}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_a_picture_without_its_last_bytes_is_read_and_that_is_said(format, options):
    whole = encoded(photograph(), format, **options)
    for lost in (1, 2, 10, len(whole) // 200):
        loaded, notes = said_of(whole[:-lost])
        assert mean_difference(loaded, load_picture(whole)) < 2
        if format == "PNG" and lost < 12:  # the end marker: every pixel is there
            assert notes == []
        else:
            assert len(notes) == 1
            assert notes[0].startswith(CUT_OFF)
    for share in (0.2, 0.5, 0.9):
        with pytest.raises(PictureError, match=r'"cut" is damaged or cut short'):
            load_picture(whole[: int(len(whole) * share)], name="cut")


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_a_huge_picture_is_not_mended(monkeypatch, format):
    whole = encoded(photograph(), format)
    monkeypatch.setattr(images, "LIMITS", replace(LIMITS, max_decode_bytes=400 * 300 * 11))
    assert load_picture(whole).size == (400, 300)
    with pytest.raises(PictureError, match="is damaged or cut short"):
        load_picture(whole[: -len(whole) // 100])


def test_a_progressive_jpeg_without_its_detail_is_refused():
    whole = encoded(photograph(), "JPEG", progressive=True, quality=95)
    last = whole.rindex(b"\xff\xda")
    with pytest.raises(PictureError, match="is damaged or cut short"):
        load_picture(whole[:last])


def test_a_png_with_one_wrong_checksum_is_shown_and_that_is_said():
    indexed = photograph().quantize(64)
    whole = encoded(indexed, "PNG")
    for kind in (b"IHDR", b"PLTE"):
        at = whole.index(kind)
        end = at + 4 + int.from_bytes(whole[at - 4 : at], "big")
        data = whole[:end] + b"\0\0\0\0" + whole[end + 4 :]
        loaded, notes = said_of(data)
        assert content_hash(loaded) == content_hash(indexed)
        assert len(notes) == 1
        assert notes[0].startswith('"x.png" has a wrong checksum; it was read all the same.')


def test_a_png_whose_pixels_are_damaged_in_the_middle_is_refused():
    whole = bytearray(encoded(photograph(), "PNG"))
    middle = len(whole) // 2
    whole[middle : middle + 40] = bytes(40)
    with pytest.raises(PictureError, match="is damaged or cut short"):
        load_picture(bytes(whole))


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("before", [b"\n", b"\xef\xbb\xbf", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_stray_bytes_before_a_picture_are_passed_over_and_that_is_said(format, before):
    whole = encoded(gradient(40, 30), format)
    loaded, notes = said_of(before + whole)
    assert content_hash(loaded) == content_hash(load_picture(whole))
    assert notes == ['"x.png" has stray bytes before the picture; they were passed over.']


@pytest.mark.parametrize("kind", ["text", "profile"])
def test_a_png_with_a_huge_addition_is_read_and_that_is_said(kind):
    # Pillow issues 2445 and 8363: "Decompressed data too large"
    if kind == "text":
        info = PngImagePlugin.PngInfo()
        info.add_text("comment", "x" * 2**21, zip=True)
        data = encoded(gradient(40, 30), "PNG", pnginfo=info)
    else:
        profile = np.random.default_rng(0).bytes(2**18) + bytes(2**21)
        data = encoded(gradient(40, 30), "PNG", icc_profile=profile)
    loaded, notes = said_of(data)
    assert content_hash(loaded) == content_hash(gradient(40, 30))
    assert notes == [
        '"x.png" has additions (a text, a colour profile) that cannot be read; the picture is '
        "whole."
    ]


def test_a_jpeg_with_an_extra_byte_between_its_parts_is_read():
    # Pillow issue 630: "Corrupt JPEG data: 1 extraneous bytes before marker 0xdb"
    whole = encoded(photograph(), "JPEG")
    at = whole.index(b"\xff\xdb")
    loaded, _ = said_of(whole[:at] + b"\x00" + whole[at:])
    assert content_hash(loaded) == content_hash(load_picture(whole))


def test_a_heic_picture_of_the_general_brand_is_read():
    # libheif issue 199: files that say mif1 only
    heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    heif.from_pillow(gradient(64, 48)).save(stream, quality=90)
    data = bytearray(stream.getvalue())
    data[8:12] = b"mif1"
    assert load_picture(bytes(data)).size == (64, 48)


def test_a_kind_of_tiff_that_is_not_read_is_not_called_damaged():
    # five samples a pixel, as satellites write them
    tags = [
        *((256, 3, 1, 4), (257, 3, 1, 2), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)),
        *((273, 4, 1, 8 + 2 + 12 * 9 + 4), (277, 3, 1, 5), (278, 3, 1, 2), (279, 4, 1, 40)),
    ]
    data = b"II*\0" + struct.pack("<IH", 8, len(tags))
    data += b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4) + bytes(range(40))
    with pytest.raises(PictureError, match=r'"map.tif" is written in a way that is not read here'):
        load_picture(data, name="map.tif")


def test_the_empty_fourth_byte_of_a_tga_hides_nothing():
    picture = gradient(20, 10).convert("RGBA")
    picture.putalpha(0)
    loaded, notes = said_of(encoded(picture, "TGA"), "wall.tga")
    assert np.array_equal(loaded, gradient(20, 10))
    assert notes == []


def test_the_hashes_that_saved_prompts_hold_are_those_of_before():
    # Made by the first version: a prompt file knows the pictures it learned from by these.
    grey = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, 256).repeat(4, axis=0)
    assert {
        "plain": content_hash(load_picture(encoded(gradient(40, 30), "PNG"))),
        "large": content_hash(load_picture(encoded(gradient(1300, 900), "PNG"))),
        "grey": content_hash(load_picture(encoded(Image.fromarray(grey), "PNG"))),
        "half": content_hash(load_picture(Image.new("RGBA", (20, 20), (9, 99, 199, 77)))),
    } == {
        "plain": "cbf41101c97a1adb227396e11d741050",
        "large": "20ac1a8ead867daef6dd3f50db466512",
        "grey": "ea05e6dd26c6f7c484deb3a5a429b10c",
        "half": "c0d3ebe4f35446a4192dc4e05ea1a747",
    }
