"""The sample sets that ship in assets/samples, as the page offers them."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import ImageOps

from coop_demo.data.dataset import Dataset
from coop_demo.data.folders import read_folder
from coop_demo.data.images import data_uri, list_pictures, load_picture
from coop_demo.errors import DatasetError
from coop_demo.prompts.templates import DEFAULT_TEMPLATE
from coop_demo.settings import ASSETS_DIR


@dataclass(frozen=True)
class SampleSet:
    """One set.json with the folder it describes."""

    name: str
    folder: Path
    title: str
    description: str
    kind: str  # classes, ranking or scenes
    template: str
    expect: str
    source: str
    licence: str

    @property
    def teaches(self) -> bool:
        """Whether a prompt can be trained on it: it has named classes with training pictures."""
        return self.kind == "classes" and (self.folder / "train").is_dir()


@cache
def sample_sets(folder: Path = ASSETS_DIR / "samples") -> tuple[SampleSet, ...]:
    """All sample sets, sorted by folder name; none when the assets are not there."""
    found = []
    for path in sorted(folder.glob("*/set.json")):
        about = json.loads(path.read_text(encoding="utf-8"))
        found.append(
            SampleSet(
                name=path.parent.name,
                folder=path.parent,
                title=about["title"],
                description=about["description"],
                kind=about["kind"],
                template=about.get("template", DEFAULT_TEMPLATE),
                expect=about.get("expect", ""),
                source=about.get("source", ""),
                licence=about.get("licence", ""),
            )
        )
    return tuple(found)


def find_sample(name: str) -> SampleSet:
    """Raises DatasetError when there is none of that name; the message lists them."""
    for sample in sample_sets():
        if sample.name == name:
            return sample
    known = ", ".join(sample.name for sample in sample_sets() if sample.teaches)
    raise DatasetError(f'There is no sample set "{name}". Choose one of {known}.')


@cache
def read_sample(name: str) -> Dataset:
    """A sample set with every picture checked; read once a process."""
    return read_folder(find_sample(name).folder)


def mosaic(sample: SampleSet, *, n: int = 4, side: int = 96) -> list[str]:
    """Pictures of its first classes, one each, as data URIs of small square JPEGs."""
    folders = sorted(path for path in (sample.folder / "train").iterdir() if path.is_dir())
    uris = []
    for folder in folders[:n]:
        pictures = list_pictures(folder)
        if not pictures:
            continue
        image = ImageOps.fit(load_picture(pictures[0]), (side, side))
        uris.append(data_uri(image))
    return uris
