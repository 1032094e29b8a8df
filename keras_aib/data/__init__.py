"""Labelled images for `fit`, `evaluate` and `predict`, on any backend.

An image folder, a TensorFlow Datasets name, the published files of a benchmark
and arrays all become one `ImageDataset`: batches of float32 pixels 0..255 with
int32 labels. Nothing here imports TensorFlow.
"""

from keras_aib.data.arrays import from_arrays as from_arrays
from keras_aib.data.cifar10 import CIFAR10_CLASS_NAMES as CIFAR10_CLASS_NAMES
from keras_aib.data.cifar10 import load_cifar10 as load_cifar10
from keras_aib.data.folder import from_folder as from_folder
from keras_aib.data.image_dataset import ImageDataset as ImageDataset
from keras_aib.data.published import PUBLISHED_NAMES as PUBLISHED_NAMES
from keras_aib.data.published import from_published as from_published
from keras_aib.data.spec import from_spec as from_spec
from keras_aib.data.tfds import from_tfds as from_tfds
