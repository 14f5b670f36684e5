"""Things that exist nowhere, modelled in clay: no dictionary and no CLIP knows their names.

A small renderer keeps a depth buffer of ellipsoids, lit from the upper left, and returns an RGBA
cut-out. On it stand eight invented creatures with nonsense names, each individual with its own
proportions, pose and colours (colour says nothing about the species), and biscuits in the grades
of an invented bakery. The modelling is ours; the pictures are CC0.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from coop_demo.recipes.scenes import Floats, smooth_noise

Colour = Floats  # (3,) in 0…1
Paint = Callable[[Floats, Floats, Floats], Floats]  # (across, down, towards us) -> 0…1 amount

OVERSAMPLING = 2


def _colour(hue: float, saturation: float, value: float) -> Colour:
    k = (np.array([5.0, 3.0, 1.0]) + (hue % 1.0) * 6.0) % 6.0
    return (value - value * saturation * np.clip(np.minimum(k, 4.0 - k), 0, 1)).astype(np.float32)


class Clay:
    """A square canvas in units where -1…1 spans it; x to the right, y downwards, z towards us."""

    def __init__(self, rng: np.random.Generator, side: int = 320) -> None:
        self.rng = rng
        self.side = side
        n = side * OVERSAMPLING
        self.n = n
        self.depth = np.full((n, n), -np.inf, np.float32)
        self.normal = np.zeros((n, n, 3), np.float32)
        self.albedo = np.zeros((n, n, 3), np.float32)
        self.gloss = np.zeros((n, n), np.float32)

    def ellipsoid(
        self,
        centre: Sequence[float],
        radii: Sequence[float] | float,
        colour: Colour,
        *,
        turn: float = 0.0,
        gloss: float = 0.25,
        second: Colour | None = None,
        paint: Paint | None = None,
    ) -> None:
        """One ellipsoid, turned by `turn` radians in the picture plane. With `paint`, the colour
        goes over to `second` by its amount, in coordinates where the ellipsoid is a unit ball."""
        rx, ry, rz = (radii,) * 3 if isinstance(radii, int | float) else radii
        reach, n = max(rx, ry), self.n
        x0, x1 = (int(np.clip((centre[0] + s * reach + 1) / 2 * n + s, 0, n)) for s in (-1, 1))
        y0, y1 = (int(np.clip((centre[1] + s * reach + 1) / 2 * n + s, 0, n)) for s in (-1, 1))
        if x1 <= x0 or y1 <= y0:
            return
        x = ((np.arange(x0, x1, dtype=np.float32) + 0.5) * 2 / n - 1 - centre[0])[None]
        y = ((np.arange(y0, y1, dtype=np.float32) + 0.5) * 2 / n - 1 - centre[1])[:, None]
        cos, sin = np.cos(turn), np.sin(turn)
        u, v = (cos * x + sin * y) / rx, (-sin * x + cos * y) / ry
        inside = 1 - u * u - v * v
        w = np.sqrt(np.maximum(inside, 0))
        z = centre[2] + rz * w
        front = (inside > 0) & (z > self.depth[y0:y1, x0:x1])
        if not front.any():
            return
        nu, nv, nw = u / rx, v / ry, w / rz
        normal = np.stack([cos * nu - sin * nv, sin * nu + cos * nv, nw], axis=-1)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-6
        albedo: Floats = colour
        if paint is not None and second is not None:
            amount = np.clip(paint(u, v, w), 0, 1)[..., None]
            albedo = colour + (second - colour) * amount
        albedo = np.broadcast_to(albedo, normal.shape)
        self.depth[y0:y1, x0:x1][front] = z[front]
        self.normal[y0:y1, x0:x1][front] = normal[front]
        self.albedo[y0:y1, x0:x1][front] = albedo[front]
        self.gloss[y0:y1, x0:x1][front] = gloss

    def limb(
        self,
        points: Sequence[Sequence[float]],
        thick: Sequence[float],
        colour: Colour,
        *,
        second: Colour | None = None,
        gloss: float = 0.25,
    ) -> None:
        """A chain of balls along a quadratic curve through three points; `thick` at both ends.
        With `second`, the balls change colour in rings."""
        a, b, c = (np.asarray(point, np.float32) for point in points)
        length = np.linalg.norm(b - a) + np.linalg.norm(c - b)
        steps = max(4, int(length / (0.3 * min(thick))))
        for t in np.linspace(0, 1, steps):
            at = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
            ring = second is not None and int(t * 9) % 2 == 1
            self.ellipsoid(
                at.tolist(),
                float(thick[0] + (thick[1] - thick[0]) * t),
                second if ring and second is not None else colour,
                gloss=gloss,
            )

    def eye(self, x: float, y: float, z: float, radius: float, look: Sequence[float]) -> None:
        """A glossy white eye whose pupil looks to `look`."""
        white, black = np.ones(3, np.float32), np.full(3, 0.03, np.float32)
        self.ellipsoid((x, y, z), radius, white, gloss=0.6)
        self.ellipsoid(
            (x + 0.3 * radius * look[0], y + 0.3 * radius * look[1], z + 0.62 * radius),
            0.55 * radius,
            black,
            gloss=1.0,
        )

    def surface(
        self, mask: NDArray[np.bool_], height: Floats, albedo: Floats, gloss: float
    ) -> None:
        """A relief: height (n, n) in canvas units above what lies there, seen where the mask is."""
        step = 2 / self.n
        dy, dx = np.gradient(height, step)
        normal = np.stack([-dx, -dy, np.ones_like(dx)], axis=-1)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        front = mask & (height > self.depth)
        self.depth[front] = height[front]
        self.normal[front] = normal[front]
        self.albedo[front] = albedo[front]
        self.gloss[front] = gloss

    def render(self, *, roughness: float = 0.12) -> Image.Image:
        """RGBA, side × side: diffuse and specular light, occlusion from the depth around."""
        rng, n = self.rng, self.n
        solid = np.isfinite(self.depth)
        normal = self.normal.copy()
        for axis in (0, 1):  # finger prints in the clay
            bumps = smooth_noise(rng, (n, n), cells=(40, 40), octaves=2)
            normal[..., axis] += roughness * bumps * solid
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-6
        light = np.array([rng.uniform(-0.7, 0.1), -0.75, 0.85], np.float32)
        light /= np.linalg.norm(light)
        half = light + np.array([0, 0, 1], np.float32)
        half /= np.linalg.norm(half)
        diffuse = np.clip(0.3 + 0.75 * (normal @ light), 0.08, 1.2)
        specular = self.gloss * np.clip(normal @ half, 0, 1) ** 32
        floor = float(self.depth[solid].min())
        near = np.where(solid, self.depth, floor)
        small = Image.fromarray(near.astype(np.float32)).resize(
            (n // 4, n // 4), Image.Resampling.BOX
        )
        around = np.asarray(small, np.float32)
        for _ in range(2):  # a cheap wide blur: shrink and enlarge
            shrunk = Image.fromarray(around).resize((n // 32, n // 32), Image.Resampling.BOX)
            around = np.asarray(shrunk.resize((n // 4, n // 4), Image.Resampling.BICUBIC))
        around = np.asarray(Image.fromarray(around).resize((n, n), Image.Resampling.BICUBIC))
        occlusion = np.clip(1 - 0.9 * np.clip(around - near - 0.02, 0, 0.5), 0.5, 1)
        colour = self.albedo * (diffuse * occlusion)[..., None] + specular[..., None]
        rgba = np.concatenate([np.clip(colour, 0, 1), solid[..., None]], axis=-1) * 255
        image = Image.fromarray(rgba.astype(np.uint8)).convert("RGBa")
        image = image.resize((self.side, self.side), Image.Resampling.BOX).convert("RGBA")
        box = image.getchannel("A").filter(ImageFilter.MinFilter(3)).getbbox()
        return image.crop(box) if box is not None else image


# --- creatures --------------------------------------------------------------------------------


def _palette(rng: np.random.Generator) -> tuple[Colour, Colour, Colour]:
    """Body, second and accent colour: any hue, so that colour tells no species."""
    hue = rng.uniform()
    body = _colour(hue, rng.uniform(0.45, 0.85), rng.uniform(0.6, 0.95))
    second = _colour(hue + rng.uniform(0.2, 0.8), rng.uniform(0.3, 0.8), rng.uniform(0.55, 1.0))
    accent = _colour(hue + rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.9), rng.uniform(0.4, 1.0))
    return body, second, accent


def _gaze(rng: np.random.Generator) -> tuple[float, float]:
    return rng.uniform(-1, 1), rng.uniform(-1, 1)


def _stripes(number: float, phase: float) -> Paint:
    return lambda u, v, w: 8 * (np.sin(number * np.pi * v + phase) - 0.1) + 0 * u


def _spots(rng: np.random.Generator, number: int, radius: float) -> Paint:
    points = rng.normal(size=(number, 3)).astype(np.float32)
    points[:, 2] = np.abs(points[:, 2])
    points /= np.linalg.norm(points, axis=1, keepdims=True)

    def paint(u: Floats, v: Floats, w: Floats) -> Floats:
        nearest = np.full(np.broadcast_shapes(u.shape, v.shape), 9.0, np.float32)
        for x, y, z in points:
            nearest = np.minimum(nearest, (u - x) ** 2 + (v - y) ** 2 + (w - z) ** 2)
        return (radius - np.sqrt(nearest)) * 30

    return paint


def blicket(clay: Clay) -> None:
    """A tall striped egg with one large eye, two horns that curl outwards, and feet."""
    rng = clay.rng
    body, second, accent = _palette(rng)
    wide, tall = rng.uniform(0.36, 0.46), rng.uniform(0.58, 0.68)
    clay.ellipsoid(
        (0, 0.12, 0),
        (wide, tall, wide),
        body,
        second=second,
        paint=_stripes(rng.uniform(3.5, 5), rng.uniform(0, 6)),
    )
    look = _gaze(rng)
    clay.eye(0, rng.uniform(-0.2, -0.1), wide * 0.75, rng.uniform(0.18, 0.23), look)
    bend = rng.uniform(0.25, 0.4)
    for s in (-1, 1):
        clay.limb(
            [(s * 0.2, -0.38, 0), (s * 0.2, -0.85, 0), (s * (0.2 + bend), -0.8, 0.05)],
            (0.085, 0.04),
            accent,
        )
        clay.ellipsoid((s * 0.2, 0.78, 0.15), (0.17, 0.1, 0.2), accent)


def dax(clay: Clay) -> None:
    """A flat, wide, spotted shell on six legs, with eyes on stalks."""
    rng = clay.rng
    body, second, accent = _palette(rng)
    wide, tall = rng.uniform(0.62, 0.72), rng.uniform(0.3, 0.38)
    for s in (-1, 1):
        for k in range(3):
            x = s * (0.18 + 0.2 * k)
            spread = rng.uniform(0.1, 0.2)
            clay.limb(
                [(x, 0.2, -0.1), (x + s * spread, 0.3, 0), (x + s * spread * 0.8, 0.62, 0)],
                (0.06, 0.04),
                accent,
            )
    clay.ellipsoid(
        (0, 0.1, 0),
        (wide, tall, 0.5),
        body,
        second=second,
        paint=_spots(rng, int(rng.integers(14, 22)), rng.uniform(0.15, 0.2)),
    )
    lean, look = rng.uniform(-0.08, 0.08), _gaze(rng)
    for s in (-1, 1):
        x, y = s * rng.uniform(0.16, 0.24) + lean, rng.uniform(-0.55, -0.45)
        clay.limb([(s * 0.12, -0.1, 0.3), (s * 0.1, -0.35, 0.3), (x, y, 0.3)], (0.05, 0.04), body)
        clay.eye(x, y, 0.32, 0.1, look)


def fep(clay: Clay) -> None:
    """A ball of wool with tiny feet and two eyes close together."""
    rng = clay.rng
    body, _, accent = _palette(rng)
    radius = rng.uniform(0.55, 0.66)
    for s in (-1, 1):
        clay.ellipsoid((s * 0.22, radius + 0.02, 0.1), (0.15, 0.1, 0.2), accent)
    number = 420
    golden = np.pi * (3 - np.sqrt(5))
    for k in range(number):  # tufts spread evenly over the front of a ball
        w = 1 - k / number * 1.15
        ring, angle = np.sqrt(max(0.0, 1 - w * w)), k * golden
        r = radius * (1 + rng.normal(0, 0.03))
        tuft = body * float(np.clip(1 + rng.normal(0, 0.08), 0.7, 1.15))
        clay.ellipsoid(
            (r * ring * np.cos(angle), r * ring * np.sin(angle), r * w),
            float(radius * rng.uniform(0.08, 0.12)),
            np.clip(tuft, 0, 1),
            gloss=0.05,
        )
    look, y = _gaze(rng), rng.uniform(-0.2, 0.0)
    for s in (-1, 1):
        clay.eye(s * 0.12, y, radius * 1.02, rng.uniform(0.1, 0.125), look)


def gazzer(clay: Clay) -> None:
    """A dome with three eyes in a row and a skirt of ringed tentacles."""
    rng = clay.rng
    body, second, _ = _palette(rng)
    arms = int(rng.integers(6, 8))
    for k in range(arms):
        x = (k - (arms - 1) / 2) * 0.9 / (arms - 1)
        sway = rng.normal(0, 0.14)
        clay.limb(
            [
                (0.75 * x, 0.0, 0.1),
                (x + sway, 0.4, 0.12),
                (1.5 * x - sway, rng.uniform(0.65, 0.85), 0.15),
            ],
            (0.11, 0.045),
            body,
            second=second,
        )
    clay.ellipsoid((0, -0.25, 0.05), (rng.uniform(0.46, 0.54), rng.uniform(0.44, 0.52), 0.5), body)
    look = _gaze(rng)
    for k in (-1, 0, 1):
        clay.eye(0.25 * k, -0.25 - 0.04 * (k == 0), 0.46, rng.uniform(0.095, 0.115), look)


def koba(clay: Clay) -> None:
    """An arched caterpillar of large balls with feelers that end in knobs."""
    rng = clay.rng
    body, second, accent = _palette(rng)
    balls = int(rng.integers(6, 9))
    arch, side = rng.uniform(0.2, 0.6), 1 if rng.uniform() < 0.5 else -1
    for k in range(balls):
        t = k / (balls - 1)
        x, y = side * (1.3 * t - 0.65), 0.35 - arch * np.sin(np.pi * t) + rng.normal(0, 0.015)
        radius = 0.17 + 0.04 * t
        for s in (-1, 1):
            clay.ellipsoid((x + 0.06 * s, y + radius, 0.1 * s), 0.05, accent)
        clay.ellipsoid((x, y, 0.05 * k), radius, body if k % 2 else second)
    x, y, z = side * 0.68, 0.3, 0.05 * balls
    clay.ellipsoid((x, y, z), 0.25, body)
    look = _gaze(rng)
    for s in (-1, 1):
        clay.eye(x + 0.1 * s, y - 0.06, z + 0.2, 0.075, look)
        tip = (x + s * rng.uniform(0.1, 0.2), y - rng.uniform(0.45, 0.6), z)
        clay.limb(
            [(x + 0.08 * s, y - 0.2, z), (x + 0.08 * s, y - 0.4, z), tip], (0.03, 0.025), accent
        )
        clay.ellipsoid(tip, 0.065, accent)


def toma(clay: Clay) -> None:
    """A plump star with five knobbly arms and a small face in the middle."""
    rng = clay.rng
    body, second, _ = _palette(rng)
    start = -np.pi / 2 + rng.normal(0, 0.15)
    for k in range(5):
        angle = start + 2 * np.pi * k / 5 + rng.normal(0, 0.06)
        far, bend = rng.uniform(0.72, 0.85), rng.normal(0, 0.15)
        tip = (far * np.cos(angle), far * np.sin(angle), 0.0)
        way = (0.4 * np.cos(angle + bend), 0.4 * np.sin(angle + bend), 0.05)
        clay.limb([(0, 0, 0), way, tip], (0.26, 0.09), body)
        for t in (0.42, 0.58, 0.74, 0.88):
            clay.ellipsoid(
                (
                    tip[0] * t + 0.4 * t * (1 - t) * (way[0] * 2 - tip[0]),
                    tip[1] * t + 0.4 * t * (1 - t) * (way[1] * 2 - tip[1]),
                    0.3 - 0.22 * t,
                ),
                0.05,
                second,
            )
    clay.ellipsoid((0, 0, 0.02), (0.3, 0.3, 0.28), body)
    look = _gaze(rng)
    for s in (-1, 1):
        clay.eye(0.1 * s, -0.05, 0.27, 0.075, look)


def zav(clay: Clay) -> None:
    """A small round body between two pairs of broad wings, with one bulb on its head."""
    rng = clay.rng
    body, second, accent = _palette(rng)
    lift = rng.uniform(0.2, 0.7)
    for s in (-1, 1):
        spots = _spots(rng, 10, rng.uniform(0.18, 0.28))
        clay.ellipsoid(
            (s * 0.48, -0.22, -0.1),
            (0.5, 0.24, 0.06),
            second,
            turn=-s * lift,
            second=accent,
            paint=spots,
            gloss=0.4,
        )
        clay.ellipsoid(
            (s * 0.38, 0.28, -0.12),
            (0.36, 0.19, 0.06),
            second,
            turn=s * lift,
            second=accent,
            paint=spots,
            gloss=0.4,
        )
    clay.ellipsoid((0, 0.1, 0), (0.2, 0.34, 0.2), body)
    clay.ellipsoid((0, -0.3, 0.05), 0.22, body)
    tip = (rng.normal(0, 0.08), -0.85, 0.1)
    clay.limb([(0, -0.5, 0.05), (rng.normal(0, 0.1), -0.7, 0.1), tip], (0.03, 0.03), body)
    clay.ellipsoid(tip, 0.09, accent, gloss=0.8)
    look = _gaze(rng)
    for s in (-1, 1):
        clay.eye(0.09 * s, -0.32, 0.23, 0.075, look)


def lorp(clay: Clay) -> None:
    """A slim body with thin arms and legs under a broad spotted cap."""
    rng = clay.rng
    body, second, accent = _palette(rng)
    wide = rng.uniform(0.52, 0.66)
    for s in (-1, 1):
        hand = (s * rng.uniform(0.42, 0.6), rng.uniform(-0.05, 0.4), 0.15)
        clay.limb([(s * 0.15, 0.15, 0), (s * 0.4, 0.25, 0.1), hand], (0.04, 0.035), body)
        clay.ellipsoid(hand, 0.07, accent)
        foot = (s * rng.uniform(0.12, 0.25), 0.88, 0.05)
        clay.limb([(s * 0.1, 0.45, 0), (s * 0.16, 0.65, 0), foot], (0.05, 0.045), body)
        clay.ellipsoid((foot[0] + 0.04 * s, foot[1], 0.1), (0.12, 0.07, 0.12), accent)
    clay.ellipsoid((0, 0.15, 0), (0.22, 0.42, 0.22), body)
    paint = _spots(rng, int(rng.integers(9, 14)), rng.uniform(0.2, 0.27))
    # The cap is the upper half of an ellipsoid with a flat brim before it.
    clay.ellipsoid((0, -0.4, 0.05), (wide, 0.4, 0.5), accent, second=second, paint=paint)
    clay.ellipsoid((0, -0.16, 0.12), (0.95 * wide, 0.1, 0.5), second)
    look = _gaze(rng)
    for s in (-1, 1):
        clay.eye(0.1 * s, 0.06, 0.55, 0.08, look)


CREATURES: Mapping[str, Callable[[Clay], None]] = {
    "blicket": blicket,
    "dax": dax,
    "fep": fep,
    "gazzer": gazzer,
    "koba": koba,
    "lorp": lorp,
    "toma": toma,
    "zav": zav,
}


def creature(species: str, *, seed: int, side: int = 320) -> Image.Image:
    """One individual of an invented species as an RGBA cut-out.

    Raises:
        KeyError: a species that is not one of CREATURES.
    """
    clay = Clay(np.random.default_rng(seed), side)
    CREATURES[species](clay)
    return clay.render()


# --- biscuits ---------------------------------------------------------------------------------

GRADES: Mapping[str, str] = {
    "A": "as it should be: golden, round, many chips",
    "B": "golden and round, but hardly a chip",
    "C": "a piece is missing",
    "D": "burnt",
    "E": "two that baked together",
}


def biscuit(grade: str, *, seed: int, side: int = 320) -> Image.Image:
    """One biscuit of a grade (a key of GRADES) as an RGBA cut-out.

    Raises:
        KeyError: an unknown grade.
    """
    GRADES[grade]  # an unknown grade is said here, not drawn as a good one
    rng = np.random.default_rng(seed)
    clay = Clay(rng, side)
    if grade == "E":
        apart, angle = rng.uniform(0.32, 0.42), rng.uniform(0, np.pi)
        for s in (-1, 1):
            _dough(
                clay,
                (s * apart * np.cos(angle), s * apart * np.sin(angle)),
                rng.uniform(0.46, 0.52),
                chips=int(rng.integers(6, 11)),
                burnt=0.0,
                broken=False,
            )
    else:
        chips = int(rng.integers(0, 2)) if grade == "B" else int(rng.integers(10, 18))
        burnt = rng.uniform(0.75, 1.0) if grade == "D" else 0.0
        _dough(clay, (0, 0), rng.uniform(0.75, 0.85), chips=chips, burnt=burnt, broken=grade == "C")
    return clay.render(roughness=0.2)


def _dough(
    clay: Clay,
    centre: tuple[float, float],
    radius: float,
    *,
    chips: int,
    burnt: float,
    broken: bool,
) -> None:
    rng, n = clay.rng, clay.n
    axis = (np.arange(n, dtype=np.float32) + 0.5) * 2 / n - 1
    x, y = axis[None] - centre[0], axis[:, None] - centre[1]
    wobble = smooth_noise(rng, (n, n), cells=(3, 3), octaves=3)
    reach = radius * (1 + 0.02 * wobble)
    r = np.sqrt(x * x + y * y) / reach
    mask = r < 1
    if broken:  # what lies beyond one or two ragged lines, or inside a bite, is gone
        ragged = 0.035 * smooth_noise(rng, (n, n), cells=(10, 10), octaves=3)
        for _ in range(int(rng.integers(1, 3))):
            angle = rng.uniform(0, 2 * np.pi)
            far = x * np.cos(angle) + y * np.sin(angle)
            mask &= far + ragged < radius * rng.uniform(0.05, 0.4)
    crumb = smooth_noise(rng, (n, n), cells=(24, 24), octaves=4, persistence=0.7)
    height = 0.16 * np.sqrt(np.clip(1 - r**4, 0, 1)) + 0.006 * crumb
    bake = rng.uniform(-0.06, 0.06)
    golden = _colour(0.095 + 0.006 * rng.normal(), 0.46, 0.94 + bake)
    brown = _colour(0.075, 0.62, 0.66 + bake)
    black = _colour(0.06, 0.5, 0.13)
    rim = np.clip((r - 0.6) * 1.8 + 0.12 * crumb, 0, 1)[..., None]
    albedo = golden + (brown - golden) * rim
    if burnt:
        char = np.clip(burnt * (0.55 + 0.75 * r**2) + 0.16 * wobble + 0.06 * crumb, 0, 1)
        albedo = albedo + (black - albedo) * char[..., None]
    clay.surface(mask, height.astype(np.float32), albedo.astype(np.float32), 0.05)
    dark = _colour(0.05, 0.6, 0.2)
    for _ in range(chips):
        for _attempt in range(20):
            angle, far = rng.uniform(0, 2 * np.pi), radius * np.sqrt(rng.uniform(0, 0.72))
            cx, cy = centre[0] + far * np.cos(angle), centre[1] + far * np.sin(angle)
            row, column = int((cy + 1) / 2 * n), int((cx + 1) / 2 * n)
            if 0 <= row < n and 0 <= column < n and mask[row, column]:
                size = rng.uniform(0.055, 0.1)
                clay.ellipsoid(
                    (cx, cy, 0.13),
                    (size, size * rng.uniform(0.6, 1), 0.09),
                    dark * float(rng.uniform(0.8, 1.3)),
                    turn=rng.uniform(0, 3),
                    gloss=0.35,
                )
                break
