"""A project file: one zip of everything in a session, to go on with on another computer.

It holds what a `Keeper` writes, with the pictures. Opening one checks everything before anything
of the session is touched.
"""

import tempfile
import zipfile
from pathlib import Path

from coop_demo.data.archives import read_archive
from coop_demo.data.dataset import Picture
from coop_demo.errors import DatasetError, PictureError, UserError
from coop_demo.languages import keeping as strings
from coop_demo.languages import page as page_strings
from coop_demo.settings import LIMITS
from coop_demo.ui.keeping.sections import SECTIONS, Found, Keeper, drop_strays, read_sections
from coop_demo.ui.keeping.shelf import folder_bytes
from coop_demo.ui.keeping.values import PICTURES, PROMPTS, RANKERS, is_picture_file
from coop_demo.ui.session import Session, link_or_copy

_MUST_HAVE = {"classes", "settings"}
_SUFFIX = ".safetensors"


def save_project(session: Session, path: Path) -> Path:
    """Write a session as a project file.

    Raises:
        UserError: it cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(dir=session.folder) as scratch:
            folder = Path(scratch)
            keeper = Keeper(folder)
            keeper.write(session)
            # stored, not packed: pictures and numbers do not shrink, and our own file is no bomb
            with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
                for file in sorted(folder.rglob(f"*{_SUFFIX}")):
                    archive.write(file, file.relative_to(folder).as_posix())
                for place in sorted(keeper.needed):
                    if place.startswith(f"{PICTURES}/"):
                        archive.write(session.pictures_folder / Path(place).name, place)
    except OSError as error:
        raise UserError(strings.not_saved(error.strerror or str(error))) from error
    return path


def open_project(session: Session, path: Path) -> None:
    """Put what a project file holds in place of everything in a session.

    Raises:
        UserError: it is no project file, or anything in it cannot be used; the session is then as
            it was.
    """
    with tempfile.TemporaryDirectory(dir=session.folder) as scratch:
        folder = Path(scratch)
        _unpack(path, folder)
        pictures = _checked_pictures(folder, path.name)
        taken: list[Path] = []
        if not session.room(sum(picture.stat().st_size for picture in pictures)):
            raise UserError(page_strings.SERVER_FULL)
        try:
            session.pictures_folder.mkdir(exist_ok=True)
            for picture in pictures:
                target = session.pictures_folder / picture.name
                if not target.exists():
                    link_or_copy(picture, target)
                    taken.append(target)
            found = read_sections(folder, pictures_at=session.pictures_folder)
            if found.problems or not {one.name for one, _, _ in found.values} >= _MUST_HAVE:
                raise UserError(strings.project_damaged(path.name))
            _take(session, found)
        except OSError as error:
            _remove(taken)
            raise UserError(strings.not_opened(error.strerror or str(error))) from error
        except UserError:
            _remove(taken)
            raise


def _unpack(path: Path, folder: Path) -> None:
    """The zip's files where a `Keeper` would have put them."""
    with tempfile.TemporaryDirectory(dir=folder) as loose:
        try:
            contents = read_archive(path, wanted=_is_wanted, into=Path(loose))
        except DatasetError as error:
            raise UserError(strings.no_project(path.name, str(error))) from error
        if contents.problems or not contents.files:
            raise UserError(strings.project_damaged(path.name))
        for parts, source in contents.files:
            assert isinstance(source, Path)
            if not _is_place(parts):
                raise UserError(strings.project_damaged(path.name))
            target = folder.joinpath(*parts)
            target.parent.mkdir(exist_ok=True)
            if target.exists():
                raise UserError(strings.project_damaged(path.name))
            source.replace(target)


def _is_wanted(name: str) -> bool:
    return name.endswith(_SUFFIX) or is_picture_file(name)


def _is_place(parts: tuple[str, ...]) -> bool:
    """Whether a `Keeper` puts a file there; what is in it is checked when it is read."""
    *folders, name = parts
    if not folders:
        known = {section.name for section in SECTIONS}
        return name.removesuffix(_SUFFIX).partition("-")[0] in known and name.endswith(_SUFFIX)
    if folders == [PICTURES]:
        return is_picture_file(name)
    return folders in ([PROMPTS], [RANKERS]) and name.endswith(_SUFFIX)


def _checked_pictures(folder: Path, called: str) -> list[Path]:
    """The pictures, each decoded within limits and found to be what its name says."""
    pictures = sorted((folder / PICTURES).iterdir()) if (folder / PICTURES).is_dir() else []
    for path in pictures:
        try:
            if path.stat().st_size > LIMITS.max_file_bytes:
                raise UserError(strings.project_damaged(called))
            content = Picture(path.name, path).checked().content
        except PictureError as error:
            raise UserError(strings.project_damaged(called)) from error
        if content != path.name.partition(".")[0]:
            raise UserError(strings.project_damaged(called))
    return pictures


def _take(session: Session, found: Found) -> None:
    with session.lock:
        if session.training:
            raise UserError(strings.STILL_WORKING)
        session.empty()
        found.put(session)
        session.problems = (*session.problems, *found.problems)
        drop_strays(session)
        session.disk_bytes = folder_bytes(session.pictures_folder)


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
