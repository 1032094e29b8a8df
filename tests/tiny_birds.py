"""A tiny TFDS dataset with the features of `caltech_birds2011`."""

import numpy as np
import pytest


def prepare_birds(directory, counts):
    """Prepare `tiny_birds` there, `counts` images a split; return its spec.

    Image i is 20 wide and 12 high and black but for the box, columns 4 to 11
    and rows 2 to 7, whose left half is i + 1 and whose right half is i + 101.
    """
    builder(counts)(
        data_dir=directory, file_format="array_record"
    ).download_and_prepare()
    return "tfds:tiny_birds"


def bird(index):
    pixels = np.zeros((12, 20, 3), "uint8")
    pixels[2:8, 4:8] = index + 1
    pixels[2:8, 8:12] = index + 101
    return pixels


def builder(counts):
    tfds = pytest.importorskip("tensorflow_datasets")

    if "tiny_birds" in tfds.core.registered.list_imported_builders():
        found = tfds.builder_cls("tiny_birds")
        found.counts = counts
        return found
    real = tfds.builder_cls("caltech_birds2011")

    class TinyBirds(real):
        pkg_dir_path = None

        def _split_generators(self, dl_manager):
            return {
                split: self._generate_examples(split, count)
                for split, count in self.counts.items()
            }

        def _generate_examples(self, split, count):
            for i in range(count):
                yield (
                    f"{split}{i}",
                    {
                        "image": bird(i),
                        "image/filename": f"{i}.png",
                        "label": i,
                        "label_name": str(i),
                        "bbox": tfds.features.BBox(
                            ymin=2 / 12, xmin=4 / 20, ymax=8 / 12, xmax=12 / 20
                        ),
                        "segmentation_mask": bird(i)[..., :1],
                    },
                )

    TinyBirds.counts = counts
    return TinyBirds
