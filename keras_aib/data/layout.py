"""How people lay out image folders: classes, and sides of a split."""

import dataclasses
import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path

from keras_aib.data.decoding import printable
from keras_aib.data.image_files import is_hidden

TRAINING = "training"
VALIDATION = "validation"
TEST = "test"
_WORDS = {
    TRAINING: ("train", "training", "trn", "trainval"),
    VALIDATION: ("validation", "val", "valid", "validate", "dev"),
    TEST: ("test", "testing", "tests", "tst"),
}
# As in `training_set`, `testset` and `val_images`.
_FILLERS = "set|sets|data|dataset|split|images|image|imgs|img|photos|folder"


@dataclasses.dataclass(frozen=True)
class Layout:
    """The class folders that images are in.

    Args:
        directory: Folder that they were found in.
        sides: By `"training"`, `"validation"` and `"test"` the folder of each
            class; by `""` those that belong to no side.
    """

    directory: Path
    sides: dict[str, dict[str, Path]]


def find_layout(directory: Path) -> Layout:
    """Recognise how a folder of images is laid out.

    | folders | what they are |
    |---|---|
    | `cat/`, `dog/` | classes |
    | `train/cat/`, `train/dog/`, `val/cat/`, ... | sides, then classes |
    | `cat/train/`, `cat/val/`, `dog/train/`, ... | classes, then sides |
    | `photos/` alone, in a folder `photos/` | what is in it |

    Sides may be called `Training`, `VALID`, `test_set` or `seg_train`. What
    systems leave behind, such as `.git` and `__MACOSX`, counts for nothing.

    Raises:
        ValueError: If the folder does not tell; names the call to make.
    """
    directory = _unwrap(directory)
    folders = visible_folders(directory)
    inner = {name: visible_folders(path) for name, path in folders.items()}
    roles = _find_roles(folders)
    nested = {name: role for name, role in roles.items() if inner[name]}
    if roles and not nested and len(roles) == len(folders):
        raise ValueError(
            f"The folders {_list(roles)} of {directory} are called as sides of "
            "a split, and each class needs its own folder inside them. If "
            "they are the classes, say so: `from_folder(..., class_names="
            f"{sorted(roles)})`."
        )
    if len(set(roles.values())) > 1:
        return _sides_above(directory, folders, roles)
    if nested and len(folders) > 1:
        (name,) = nested
        raise ValueError(
            f"{directory} has a folder {name!r}, called as a side of a split, "
            f"among others: {_list(folders)}. If the classes are inside it, "
            f"pass {str(folders[name])!r}; if it is a class, say so: "
            f"`from_folder(..., class_names={sorted(folders)})`."
        )
    split = {
        name: _find_roles(folders) for name, folders in inner.items() if folders
    }
    if any(len(set(roles.values())) > 1 for roles in split.values()):
        return _sides_below(directory, folders, inner)
    return Layout(directory, {"": folders})


def visible_folders(directory: Path) -> dict[str, Path]:
    """Return the subfolders, links included, by name in sorted order.

    Raises:
        ValueError: If a link leads nowhere.
    """
    found = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if entry.is_dir():
                found[entry.name] = Path(entry.path)
            elif entry.is_symlink() and not os.path.exists(entry.path):
                raise ValueError(
                    f"{printable(entry.path)} is a link to "
                    f"{printable(os.readlink(entry.path))}, which is not "
                    "there. Mount or restore that, or remove the link."
                )
    return dict(sorted(found.items()))


def _find_roles(folders: dict[str, Path]) -> dict[str, str]:
    """Return the role of the folders that are sides, by their names."""
    found = {name: _role_and_rest(name) for name in folders}
    roles: dict[str, str] = {}
    for name, (role, rest) in found.items():
        # `seg_train` is a side beside `seg_test`, and else any class.
        siblings = {other for other, tail in found.values() if tail == rest}
        if role and (not rest or len(siblings - {None}) > 1):
            roles[name] = role
    return roles


def _role_and_rest(name: str) -> tuple[str | None, tuple[str, ...]]:
    words = [
        re.sub(rf"(?<=.)({_FILLERS})$|\d+$", "", word)
        for word in re.split(r"[^a-z0-9]+", name.lower())
    ]
    words = [word for word in words if not re.fullmatch(_FILLERS, word)]
    for role, known in _WORDS.items():
        rest = [word for word in words if word not in known]
        if len(rest) == len(words) - 1:
            return role, tuple(filter(None, rest))
    return None, ()


def _unwrap(directory: Path) -> Path:
    """Go into `photos/photos`, as archives unpack."""
    folders = visible_folders(directory)
    while len(folders) == 1:
        (name,) = folders
        inner = visible_folders(folders[name])
        if name.lower() != directory.absolute().name.lower() or not inner:
            break
        directory, folders = folders[name], inner
    return directory


def _sides_above(
    directory: Path, folders: dict[str, Path], roles: dict[str, str]
) -> Layout:
    by_role: dict[str, list[str]] = {}
    for name, role in roles.items():
        by_role.setdefault(role, []).append(name)
    for role, names in by_role.items():
        if len(names) > 1:
            raise ValueError(
                f"{directory} has several folders for {role}: {_list(names)}. "
                "Rename or remove all but one."
            )
    sides = {}
    left_out = [name for name in folders if name not in roles]
    for role, (name,) in by_role.items():
        side = visible_folders(_unwrap(folders[name]))
        if side:
            sides[role] = side
        elif role == TEST:
            # As competitions hand it out.
            left_out.append(name)
        else:
            raise ValueError(
                f"{folders[name]} has no subfolders, and each class needs its "
                "own. Move its images into one subfolder per class, or remove "
                "it."
            )
    if left_out:
        warnings.warn(
            f"{directory} holds the sides {_list(sorted(sides))}, and other "
            f"folders without labelled images, which are left out: "
            f"{_list(left_out)}.",
            stacklevel=4,
        )
    return Layout(directory, sides)


def _sides_below(
    directory: Path,
    folders: dict[str, Path],
    inner: dict[str, dict[str, Path]],
) -> Layout:
    sides: dict[str, dict[str, Path]] = {}
    for name in folders:
        roles = _find_roles(inner[name])
        if not inner[name] or len(roles) != len(inner[name]):
            raise ValueError(
                f"Some class folders of {directory} hold sides of a split, and "
                f"{printable(str(folders[name]))} does not, or holds other "
                f"folders too: {_list(inner[name])}. Lay them out alike, such "
                f"as {directory / TRAINING / name} and "
                f"{directory / VALIDATION / name}."
            )
        for side, role in roles.items():
            classes = sides.setdefault(role, {})
            if name in classes:
                raise ValueError(
                    f"{folders[name]} has several folders for {role}: "
                    f"{_list(inner[name])}. Rename or remove all but one."
                )
            classes[name] = inner[name][side]
    return Layout(directory, sides)


def _list(names: Iterable[str]) -> str:
    return str([printable(name) for name in names])
