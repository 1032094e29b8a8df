"""One reader for what users have: every source gives the same images."""

import collections
import importlib
import itertools

import keras
import numpy as np
import pytest
from explained_models import SIZE
from explained_models import pixels
from explained_models import residual_model
from explained_models import statistics_of

from keras_aib import attribution
from keras_aib import data
from keras_aib.attribution import estimate_statistics
from keras_aib.models import AIBClassifier
from keras_aib.utils.image_batches import ImageBatches

# The package holds a function of this name.
module = importlib.import_module("keras_aib.attribution.estimate_statistics")

COUNT = 11
PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, 6, 5, 3), "uint8")
LABELS = np.arange(COUNT) % 2
ONE_HOT = np.eye(2)[LABELS]
MASKS = PIXELS[..., 0] > 127

Sample = collections.namedtuple("Sample", "label image")
Pair = collections.namedtuple("Pair", "x y")


def read(source, batch_size=4, **options):
    return np.concatenate(
        list(ImageBatches(source, batch_size).first(**options))
    )


def pieces(size=3):
    for start in range(0, COUNT, size):
        yield PIXELS[start : start + size], LABELS[start : start + size]


class InBatches(keras.utils.PyDataset):
    """Keras calls hooks around each pass."""

    def __init__(self, count=4):
        super().__init__()
        self.count, self.hooks = count, []

    @property
    def num_batches(self):
        return self.count

    def __getitem__(self, index):
        return list(pieces())[index % 4]

    def on_epoch_begin(self):
        self.hooks.append("begin")

    def on_epoch_end(self):
        self.hooks.append("end")


class Indexed:
    """Has a length and items, and neither iterates nor ends by an error."""

    def __len__(self):
        return COUNT

    def __getitem__(self, index):
        return {"img": PIXELS[index % COUNT], "label": LABELS[index % COUNT]}


class InFile:
    """An array of which only slices are read, as of h5py."""

    shape, dtype = PIXELS.shape, PIXELS.dtype

    def __array__(self, *args, **kwargs):
        raise AssertionError("The whole file was read.")

    def __getitem__(self, index):
        assert isinstance(index, slice)
        return PIXELS[index]


def pillow_images():
    from PIL import Image

    return [Image.fromarray(image) for image in PIXELS]


SOURCES = {
    "array": lambda: PIXELS,
    "file": InFile,
    "array of objects": lambda: np.array([*PIXELS, None], object)[:-1],
    "nested numbers": lambda: PIXELS.tolist(),
    "list of images": lambda: list(PIXELS),
    "tuple of images": lambda: tuple(PIXELS),
    "list of Pillow's": pillow_images,
    "(images, labels)": lambda: (PIXELS, LABELS),
    "[images, labels]": lambda: [PIXELS, LABELS.tolist()],
    "(images, one-hot labels)": lambda: (PIXELS, ONE_HOT),
    "(images, labels, weights)": lambda: (PIXELS, LABELS, np.ones(COUNT)),
    "(images, labels, none)": lambda: (PIXELS, LABELS, None),
    "(images, masks)": lambda: (PIXELS, MASKS),
    "(list of images, labels)": lambda: (list(PIXELS), list(LABELS)),
    "dictionary of arrays": lambda: {"label": LABELS, "photo": PIXELS},
    "list of two batches": lambda: [PIXELS[:5], PIXELS[5:]],
    "list of batches with labels": lambda: list(pieces()),
    "list of batches as lists": lambda: [list(piece) for piece in pieces(6)],
    "list of samples": lambda: list(zip(PIXELS, LABELS, strict=True)),
    "list of samples as lists": lambda: [
        [image, label] for image, label in zip(PIXELS, LABELS, strict=True)
    ],
    "generator of batches": pieces,
    "generator of images": lambda: (image for image in PIXELS),
    "generator of lists of images": lambda: iter(
        [list(PIXELS[:4]), list(PIXELS[4:])]
    ),
    "generator of dictionaries": lambda: (
        {"image": images, "mask": images[..., :1]} for images, _ in pieces()
    ),
    "dictionaries with labels": lambda: (
        ({"pixels": images}, labels) for images, labels in pieces()
    ),
    "named tuples": lambda: (
        Sample(label, image)
        for image, label in zip(PIXELS, LABELS, strict=True)
    ),
    "named pairs": lambda: (Pair(images, images) for images, _ in pieces()),
    "one batch": lambda: iter([PIXELS]),
    "an empty batch too": lambda: iter([PIXELS[:3], PIXELS[:0], PIXELS[3:]]),
    "PyDataset": InBatches,
    "indexed": Indexed,
    "keras_aib.data": lambda: data.from_arrays(
        PIXELS, LABELS, batch_size=3, shuffle=False
    ),
}


@pytest.mark.once
def test_masks_are_no_images_where_channels_come_first():
    channels_first = np.moveaxis(PIXELS, -1, 1)
    for source in ((channels_first, MASKS), (list(channels_first), MASKS)):
        np.testing.assert_array_equal(read(source), channels_first)


@pytest.mark.once
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_every_source_gives_its_images(source):
    np.testing.assert_array_equal(read(source()), PIXELS)
    batches = list(ImageBatches(source(), 4).first(9))
    assert [len(batch) for batch in batches] == [4, 4, 1]
    np.testing.assert_array_equal(np.concatenate(batches), PIXELS[:9])


def test_tensors_of_the_backend_in_use():
    tensor = keras.ops.convert_to_tensor(PIXELS)
    for source in (
        tensor,
        list(tensor),
        (tensor, keras.ops.convert_to_tensor(LABELS)),
        iter([keras.ops.cast(tensor, "bfloat16")]),
        keras.Variable(PIXELS, trainable=False, dtype="uint8"),
    ):
        np.testing.assert_array_equal(read(source), PIXELS)


def tf_sources(tf):
    pairs = tf.data.Dataset.from_tensor_slices((PIXELS, LABELS))
    named = tf.data.Dataset.from_tensor_slices(
        {"label": LABELS, "image": PIXELS}
    )
    return {
        "batched": (pairs.batch(3), PIXELS),
        "one by one": (pairs, PIXELS),
        "without labels": (pairs.map(lambda image, _: image), PIXELS),
        "weights": (pairs.map(lambda x, y: (x, y, 1.0)).batch(3), PIXELS),
        "unknown length": (
            pairs.filter(lambda _, label: label < 1).batch(3),
            PIXELS[LABELS < 1],
        ),
        "dictionaries": (named.batch(3), PIXELS),
        "dictionaries one by one": (named, PIXELS),
        "numpy iterator": (pairs.batch(3).as_numpy_iterator(), PIXELS),
        "bfloat16": (
            pairs.map(lambda x, y: (tf.cast(x, tf.bfloat16), y)),
            PIXELS,
        ),
        "(tensor, tensor)": (
            (tf.constant(PIXELS), tf.constant(LABELS)),
            PIXELS,
        ),
    }


@pytest.mark.once
def test_tf_data_on_any_backend():
    tf = pytest.importorskip("tensorflow")
    for name, (source, expected) in tf_sources(tf).items():
        np.testing.assert_array_equal(read(source), expected, err_msg=name)
    endless = tf.data.Dataset.from_tensor_slices(PIXELS).repeat()
    assert not ImageBatches(endless, 4).ends
    assert len(read(endless, num_images=30)) == 30
    ragged = tf.ragged.stack([PIXELS[0], PIXELS[0, :3]])
    for source in (ragged, tf.data.Dataset.from_tensors(ragged)):
        with pytest.raises(ValueError, match=r"one size.*Resize"):
            read(source)


@pytest.mark.once
def test_torch_data_on_any_backend():
    torch = pytest.importorskip("torch")
    utils = torch.utils.data
    tensors = torch.tensor(PIXELS), torch.tensor(LABELS)
    pairs = utils.TensorDataset(*tensors)

    class Stream(utils.IterableDataset):
        def __iter__(self):
            return itertools.cycle(tensors[0])

    class Wrapped(utils.Dataset):
        def __len__(self):
            return COUNT

        def __getitem__(self, index):
            return pairs[index % COUNT]

    sources = {
        "loader": utils.DataLoader(pairs, 3),
        "loader of one by one": utils.DataLoader(pairs, None),
        "loader of tensors": utils.DataLoader(tensors[0], 3),
        "loader of two lists": list(utils.DataLoader(pairs, 6)),
        "loader of dictionaries": utils.DataLoader(Indexed(), 3),
        "dataset": pairs,
        "dataset without an end": Wrapped(),
        "subset": utils.Subset(Wrapped(), range(COUNT)),
        "with gradient": tensors[0].float().requires_grad_(),
        "bfloat16": tensors[0].to(torch.bfloat16),
        "(tensor, tensor)": tensors,
    }
    for name, source in sources.items():
        np.testing.assert_array_equal(read(source), PIXELS, err_msg=name)
    endless = utils.DataLoader(Stream(), 3)
    assert not ImageBatches(endless, 4).ends
    assert len(read(endless, num_images=30)) == 30


@pytest.mark.once
def test_grain_on_any_backend():
    grain = pytest.importorskip("grain")
    samples = [
        {"image": image, "label": label}
        for image, label in zip(PIXELS, LABELS, strict=True)
    ]
    dataset = grain.MapDataset.source(samples)
    for source in (dataset, dataset.batch(3), dataset.to_iter_dataset()):
        np.testing.assert_array_equal(read(source), PIXELS)
    loader = grain.load(samples, num_epochs=1, shuffle=False)
    np.testing.assert_array_equal(read(loader), PIXELS)
    endless = dataset.repeat()
    assert not ImageBatches(endless, 4).ends
    assert len(read(endless, num_images=30)) == 30


@pytest.mark.once
def test_a_limit_reads_no_more_and_leaves_the_rest():
    taken = []

    def endless():
        for index in itertools.count():
            taken.append(index)
            yield PIXELS[:4], LABELS[:4]

    source = endless()
    assert len(read(source, num_images=6)) == 6
    assert taken == [0, 1]
    assert len(read(source, num_images=4)) == 4
    assert taken == [0, 1, 2]


@pytest.mark.once
def test_keras_datasets_begin_and_end_their_pass():
    for count, num_images in ((4, None), (4, 2), (None, 30)):
        source = InBatches(count)
        assert ImageBatches(source, 4).ends == (count is not None)
        assert len(read(source, num_images=num_images)) == (num_images or COUNT)
        assert source.hooks == ["begin", "end"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "must be an array"),
        (3, "of type int"),
        ("photos", "from_folder"),
        (pieces, "Call it"),
        ([1, 2, 3], "4. Received: an array of shape \\(3,\\)"),
        (["a.png", "b.png"], "from_folder"),
        (iter([{"label": 3}]), "cannot be told.*label.*int"),
        ({"train": [PIXELS], "test": [PIXELS]}, "cannot be told.*train.*list"),
        (PIXELS[..., 0, 0], "shape \\(11, 6\\)"),
        (
            [PIXELS[0], PIXELS[0, :3]],
            "(?s)\\(6, 5, 3\\) and \\(3, 5, 3\\).*Res",
        ),
        ([PIXELS, PIXELS[:, :3]], "(?s)\\(6, 5, 3\\) and \\(3, 5, 3\\).*Res"),
        ((PIXELS, PIXELS[..., :1]), "images, masks"),
        (iter([PIXELS, PIXELS[:, :3]]), "Resize"),
        (iter([[PIXELS[0], PIXELS[0, :3]]]), "Resize"),
        (iter([None]), "NoneType"),
    ],
)
def test_what_gives_no_images_is_refused_in_words(source, message):
    with pytest.raises((TypeError, ValueError), match=message):
        read(source)


@pytest.fixture(scope="module")
def model():
    return residual_model()


def test_statistics_of_what_may_have_no_end(model, monkeypatch):
    monkeypatch.setattr(module, "MOST_OF_UNKNOWN_LENGTH", 20)
    images = pixels(8)

    def endless():
        while True:
            yield images, np.zeros(8)

    with pytest.warns(UserWarning, match="first 20 images.*`num_images`"):
        found = estimate_statistics(model, "stem", endless(), verbose=0)
    assert found.count == 20
    found = estimate_statistics(
        model, "stem", endless(), verbose=0, num_images=24
    )
    assert found.count == 24
    np.testing.assert_allclose(
        found.mean("stem"),
        estimate_statistics(model, "stem", images, verbose=0).mean("stem"),
        atol=1e-5,
    )
    for source in (np.tile(images, (3, 1, 1, 1)), [images] * 3):
        found = estimate_statistics(model, "stem", source, verbose=0)
        assert found.count == 24


def test_statistics_of_a_model_with_a_fixed_batch(model):
    expected = estimate_statistics(model, "stem", pixels(7), verbose=0)
    for size in (1, 3):
        inputs = keras.Input(batch_shape=(size, SIZE, SIZE, 3))
        x = model.get_layer("stem")(inputs)
        pooled = keras.layers.GlobalAveragePooling2D()(x)
        found = estimate_statistics(
            keras.Model(inputs, pooled), "stem", pixels(7), verbose=0
        )
        assert found.count == 7
        np.testing.assert_allclose(
            found.mean("stem"), expected.mean("stem"), atol=1e-5
        )
        np.testing.assert_allclose(
            found.stddev("stem"), expected.stddev("stem"), atol=1e-5
        )


@pytest.mark.parametrize("size", [None, 1, 4])
def test_attention_and_samples_of_any_source_and_batch(size):
    inputs = keras.Input(batch_shape=(size, 6, 5, 3))
    features = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    model = AIBClassifier(
        keras.Model(inputs, features), num_classes=2, stddev_offset=-80.0
    )
    expected = model.attention(PIXELS)["mean"]
    assert expected.shape == (COUNT, 4, 3)
    np.testing.assert_allclose(
        expected[-1], model.attention(PIXELS[-1:])["mean"][0], atol=1e-6
    )
    for source in (list(PIXELS), pieces(), InBatches()):
        found = model.attention(source, batch_size=5)["mean"]
        np.testing.assert_allclose(found, expected, atol=1e-6)
    logits = model.predict(PIXELS[:8], batch_size=size or 8, verbose=0)
    for source in (list(PIXELS[:8]), (PIXELS[:8], LABELS[:8])):
        samples = model.predict_samples(source, 2, batch_size=3)
        np.testing.assert_allclose(samples, [logits] * 2, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="index 9"):
        model.attention(np.where(np.arange(COUNT) == 9, np.nan, PIXELS.T).T)
    with pytest.raises(ValueError, match="gave no images"):
        model.attention([])


@pytest.mark.once
def test_a_search_takes_arrays_and_lists(model):
    statistics = statistics_of(model, ["stem"])
    explain = attribution.IBA(model, "stem", statistics, steps=1, copies=1)
    found = explain(list(pixels(2)), verbose=0)
    expected = explain(pixels(2), verbose=0)
    np.testing.assert_array_equal(found.bits, expected.bits)
    inputs = keras.Input(batch_shape=(3, SIZE, SIZE, 3))
    fixed = keras.models.clone_model(model, input_tensors=inputs)
    fixed.set_weights(model.get_weights())
    explain = attribution.IBA(fixed, "stem", statistics, steps=1, copies=1)
    found = explain(pixels(2), verbose=0)
    np.testing.assert_allclose(found.bits, expected.bits, rtol=1e-5)
    for source in (iter(pixels(2)), (pixels(2), [0, 1]), InBatches()):
        with pytest.raises(TypeError, match=r"one batch.*`targets`"):
            explain(source, verbose=0)


@pytest.mark.once
@pytest.mark.parametrize("verbose", [0, 1, 2])
@pytest.mark.parametrize("known", [True, False])
def test_the_bar_ends_its_line(model, capsys, verbose, known):
    source = list(pixels(6)) if known else iter(pixels(6))
    estimate_statistics(model, "stem", source, 4, verbose)
    shown = capsys.readouterr().out
    assert shown.endswith("\n") if verbose else shown == ""
    assert ("6/6" in shown.replace("\x1b[1m", "")) == bool(verbose)
