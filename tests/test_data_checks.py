"""Bad images and labels are refused before training on them begins."""

import keras
import numpy as np
import pytest
from test_model_uses import IMAGES
from test_model_uses import LABELS
from test_model_uses import make_model

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
BAD_LABELS = {
    "from one": LABELS + 1,
    "negative": LABELS - 1,
    "a column": (LABELS + 1)[:, None],
    "floats": LABELS + 0.5,
    "not a number": np.where(LABELS == 1, np.nan, LABELS),
}


class Steps(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.count = 0

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1


class Batches(keras.utils.PyDataset):
    def __init__(self, images, labels, **kwargs):
        super().__init__(**kwargs)
        self.images, self.labels, self.epochs = images, labels, 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        batch = slice(2 * index, 2 * index + 2)
        return self.images[batch], self.labels[batch]

    def on_epoch_end(self):
        self.epochs += 1


def compiled(loss=LOSS):
    model = make_model()
    model.compile("adam", loss)
    return model


def refused(model, message, *data, **options):
    steps = Steps()
    with pytest.raises(Exception, match=message):
        model.fit(*data, verbose=0, callbacks=[steps], **options)
    return steps.count


@pytest.mark.parametrize("labels", BAD_LABELS)
def test_labels_outside_the_classes(labels):
    model = compiled()
    message = r"class numbers 0\.\.2"
    assert not refused(model, message, IMAGES, BAD_LABELS[labels])
    with pytest.raises(ValueError, match="with a larger `num_classes`"):
        model.evaluate(IMAGES, BAD_LABELS[labels], verbose=0)


def test_labels_that_are_names():
    names = np.array(["cat", "dog", "cow"])[LABELS]
    refused(compiled(), "return_inverse", IMAGES, names)


@pytest.mark.once
def test_other_losses_are_left_alone():
    ignoring = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=-1
    )
    compiled(ignoring).fit(IMAGES, LABELS - 1, verbose=0)
    one_hot = keras.losses.CategoricalCrossentropy(from_logits=True)
    compiled(one_hot).fit(IMAGES, np.eye(3)[LABELS] * 2, verbose=0)
    for loss in (
        "sparse_categorical_crossentropy",
        keras.losses.sparse_categorical_crossentropy,
    ):
        refused(compiled(loss), "class numbers", IMAGES, LABELS + 1)


@pytest.mark.once
@pytest.mark.parametrize("kind", ["dataset", "generator", "torch", "tf.data"])
def test_labels_of_a_dataset(kind):
    labels = LABELS.copy()
    labels[4] = 3
    data = Batches(IMAGES, labels)
    if kind == "generator":
        batches = data
        data = (batches[index] for index in range(3))
    elif kind == "torch":
        torch = pytest.importorskip("torch")
        pairs = [*zip(IMAGES, labels, strict=True)]
        data = torch.utils.data.DataLoader(pairs, batch_size=2)
    elif kind == "tf.data":
        tensorflow = pytest.importorskip("tensorflow")
        pairs = tensorflow.data.Dataset.from_tensor_slices((IMAGES, labels))
        data = pairs.batch(2)
    model = compiled()
    assert refused(model, "class numbers", data, shuffle=False) <= 2


def test_a_dataset_is_told_of_its_epochs():
    data = Batches(IMAGES, LABELS, workers=2)
    history = compiled().fit(data, epochs=2, verbose=0, validation_data=data)
    assert len(history.history["val_loss"]) == 2
    assert data.epochs >= 2


TORN = np.where(np.arange(6)[:, None, None, None] == 5, np.nan, IMAGES * 1.0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((TORN, LABELS), "index 5"),
        ((TORN, LABELS, np.ones(6)), "index 5"),
        ([IMAGES[..., :1], LABELS], "3 channels"),
        ((IMAGES, LABELS + 1), "class numbers"),
        (Batches(IMAGES[:, :4], LABELS), "for images of shape"),
        (Batches(IMAGES, LABELS + 2), "class numbers"),
        (Batches(TORN[::-1], LABELS), "index 0"),
    ],
)
def test_validation_data_is_checked_before_training(data, message):
    steps = refused(compiled(), message, IMAGES, LABELS, validation_data=data)
    assert steps == 0
