"""What users do with a Keras model, done with ours: nothing gets lost."""

import copy
import pickle

import keras
import numpy as np
import pytest

from keras_aib.layers import GaussianBottleneck
from keras_aib.models import AIBClassifier
from keras_aib.models import BottleneckModel

# Keras says of each layer that `quantize` leaves as it is.
pytestmark = pytest.mark.filterwarnings("ignore:Layer .* does not have a")
layers = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype("uint8")
LABELS = np.arange(6) % 3


def make_backbone(name="first", size=(8, 8, 3)):
    images = keras.Input(size)
    x = layers.Conv2D(4, 3, strides=2, padding="same", name=name)(images)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="middle")(x)
    x = layers.Conv2D(4, 3, padding="same", name="last")(x) + x
    return keras.Model(images, x)


def make_model(backbone=None, **options):
    options = {
        "attention_layer": "middle",
        "num_anchors": 3,
        "latent_dim": 4,
        "preprocessor": layers.Rescaling(1 / 255, name="scaled"),
        "seed": 0,
        **options,
    }
    return AIBClassifier(backbone or make_backbone(), 3, **options)


def train(model):
    model.compile("adam", LOSS)
    model.fit(IMAGES, LABELS, verbose=0)
    return model


def assert_same(model, other, atol=1e-5):
    np.testing.assert_allclose(
        other.predict(IMAGES, verbose=0),
        model.predict(IMAGES, verbose=0),
        atol=atol,
    )


def reload(model, tmp_path):
    model.save(tmp_path / "model.keras")
    return keras.saving.load_model(tmp_path / "model.keras")


@pytest.mark.parametrize("reloaded", [False, True])
def test_the_output_of_every_layer_makes_a_model(tmp_path, reloaded):
    model = make_model()
    if reloaded:
        model = reload(model, tmp_path)
    logits = model.predict(IMAGES, verbose=0)
    tensors = {
        layer.name: keras.tree.flatten(layer.output)[0]
        for layer in model.layers
        if not isinstance(layer, layers.InputLayer)
    }
    assert {"scaled", "first", "norm", "middle", "last"} < set(tensors)
    cam = keras.Model(model.inputs, [tensors, model.output])
    features, again = cam.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(again, logits, atol=1e-6)
    # Behind the attention the features are those it lets through.
    attended = features["bottleneck_attention"]
    last = model.get_layer("last")
    expected = keras.ops.convert_to_numpy(last(attended))
    np.testing.assert_allclose(features["last"], expected, atol=1e-5)
    # The backbone keeps its own graph, without attention.
    plain = model.backbone
    for name in ("first", "last"):
        keras.Model(plain.inputs, plain.get_layer(name).output)
    tail = keras.Model(last.input, model.output)
    outputs = tail.predict(attended, verbose=0)
    assert outputs.shape == logits.shape


def test_layers_are_those_of_the_backbone():
    backbone = make_backbone()
    model, other = make_model(backbone), make_model(backbone)
    layer = model.get_layer("first")
    assert isinstance(layer, layers.Conv2D)
    config = keras.saving.serialize_keras_object(layer)
    assert isinstance(
        keras.saving.deserialize_keras_object(config), layers.Conv2D
    )
    backbone.get_layer("first").trainable = False
    assert not layer.trainable
    layer.trainable = True
    assert backbone.get_layer("first").trainable
    kernel, bias = layer.get_weights()
    other.get_layer("first").set_weights([kernel + 1, bias])
    np.testing.assert_array_equal(layer.get_weights()[0], kernel + 1)
    assert len({id(w) for w in model.weights}) == len(model.weights)


def test_part_of_one_model_is_the_backbone_of_the_next(tmp_path):
    model = make_model()
    part = keras.Model(model.inputs, model.get_layer("last").output)
    other = make_model(part, attention_layer=None, preprocessor=None)
    assert_same(other, reload(other, tmp_path))
    assert other.get_layer("bottleneck_attention_1") is other.attention_block


def test_a_branch_that_the_output_does_not_need_comes_back(tmp_path):
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="middle")(images)
    side = layers.Conv2D(2, 3)(x)
    top = layers.Conv2D(2, 3)(layers.Conv2D(2, 3)(x))
    model = make_model(keras.Model(images, {"P3": side, "P4": top}))
    again = reload(model, tmp_path)
    assert_same(model, again)
    np.testing.assert_allclose(
        again.backbone.predict(IMAGES, verbose=0)["P3"],
        model.backbone.predict(IMAGES, verbose=0)["P3"],
        atol=1e-6,
    )


def quantized(mode):
    def change(model):
        model.quantize(mode)
        return model

    return change


def low_rank(model):
    model = train(model)
    for layer in model._flatten_layers():
        if hasattr(layer, "enable_lora") and layer.built:
            layer.enable_lora(2)
    return train(model)


def priced(model):
    model.bottleneck.beta.assign(0.25)
    return model


CHANGES = {
    "int8": quantized("int8"),
    "int4": quantized("int4"),
    "float8": quantized("float8"),
    "low rank": low_rank,
    "price": priced,
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_model_comes_back(tmp_path, change):
    model = CHANGES[change](make_model())
    beta = float(keras.ops.convert_to_numpy(model.bottleneck.beta))
    again = reload(model, tmp_path)
    model.save_to_preset(tmp_path / "preset")
    preset = AIBClassifier.from_preset(tmp_path / "preset")
    for other in (again, reload(again, tmp_path), preset):
        assert_same(model, other)
        assert float(keras.ops.convert_to_numpy(other.bottleneck.beta)) == beta
        assert len(other.trainable_weights) == len(model.trainable_weights)
    again.predict_samples(IMAGES, 2)


def test_half_a_preset_keeps_integers(tmp_path):
    model = quantized("int8")(make_model())
    model.save_to_preset(tmp_path / "preset", half_precision=True)
    assert_same(model, AIBClassifier.from_preset(tmp_path / "preset"), 0.02)
    with pytest.raises(ValueError, match="before `quantize`"):
        AIBClassifier.from_preset(tmp_path / "preset", num_classes=5)


def test_layers_outside_our_classifier_come_back_changed(tmp_path):
    inputs = keras.Input((4,))
    outputs = GaussianBottleneck(latent_dim=2)(inputs)
    model = BottleneckModel(inputs, layers.Dense(2)(outputs))
    model.quantize("int8")
    model.layers[1].beta.assign(0.5)
    again = reload(model, tmp_path)
    features = np.ones((2, 4), "float32")
    np.testing.assert_allclose(
        again.predict(features, verbose=0),
        model.predict(features, verbose=0),
        atol=1e-6,
    )
    assert float(keras.ops.convert_to_numpy(again.layers[1].beta)) == 0.5
    assert again.layers[1].get_config()["beta"] == 1e-4


def through_json(model, folder):
    other = keras.models.model_from_json(model.to_json())
    other.set_weights(model.get_weights())
    return other


def through_weights(model, folder):
    model.save_weights(folder / "model.weights.h5")
    other = make_model()
    other.load_weights(folder / "model.weights.h5")
    return other


def through_folder(model, folder):
    model.save(folder / "model", zipped=False)
    return keras.saving.load_model(folder / "model")


def cloned(model, folder):
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    price = other.get_layer("gaussian_bottleneck").beta
    assert float(keras.ops.convert_to_numpy(price)) == 0.25
    return other


def nested(model, folder):
    outer = keras.Sequential([keras.Input((8, 8, 3)), model])
    return reload(outer, folder)


WAYS = {
    "json": through_json,
    "weights": through_weights,
    "folder": through_folder,
    "clone": cloned,
    "nested": nested,
    "deepcopy": lambda model, folder: copy.deepcopy(model),
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_copy_a_model(tmp_path, way):
    model = priced(make_model())
    assert_same(model, WAYS[way](model, tmp_path))


def test_a_model_around_ours_keeps_its_losses_and_rates():
    model = make_model()
    images = keras.Input((8, 8, 3))
    outer = BottleneckModel(images, layers.Softmax()(model(images)))
    outer.compile("adam", "sparse_categorical_crossentropy")
    history = outer.fit(IMAGES, LABELS, verbose=0).history
    assert {"task_loss", "kl_bits", "anchors_used"} < set(history)
    assert history["loss"][0] > history["task_loss"][0]


def test_what_is_frozen_stays_frozen(tmp_path):
    model = make_model()
    model.get_layer("first").trainable = False
    model.backbone.get_layer("norm").trainable = False
    again = reload(train(model), tmp_path)
    frozen = [x.name for x in again.layers if x.weights and not x.trainable]
    assert frozen == ["first", "norm"]
    assert len(again.trainable_weights) == len(model.trainable_weights)
    whole = make_model()
    whole.backbone.trainable = False
    again = reload(whole, tmp_path)
    assert len(again.trainable_weights) == len(whole.trainable_weights)
    whole.trainable = False
    assert not reload(whole, tmp_path).trainable_weights


@pytest.mark.parametrize(
    "name",
    [
        *("pooling", "decoder", "images", "bottleneck_attention", "scaled"),
        *("gaussian_bottleneck", "score_noise", "latent_noise"),
    ],
)
def test_a_layer_of_the_backbone_may_have_any_name(tmp_path, name):
    model = make_model(make_backbone(name))
    assert model.predict_samples(IMAGES, 1).shape == (1, 6, 3)
    assert_same(model, reload(model, tmp_path))
    assert model.get_layer(name).filters == 4
    assert make_model().get_layer("pooling")


@pytest.mark.parametrize("attention_layer", ["tokens", None])
def test_names_of_operations_do_not_clash(tmp_path, attention_layer):
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 4, strides=4, name="get_item")(images)
    x = layers.Reshape((4, 4), name="reshape")(x)
    x = layers.ZeroPadding1D((1, 0), name="reshape_1")(x)
    x = layers.LayerNormalization(name="tokens")(x)
    x = layers.Dense(4, name="get_item_1")(x)
    backbone = keras.Model(images, x)
    keras.utils.clear_session()
    model = make_model(backbone, attention_layer=attention_layer)
    assert_same(model, reload(model, tmp_path))


@pytest.mark.parametrize("integer", [np.int64, np.int8, np.uint16])
def test_numbers_of_numpy(tmp_path, integer):
    model = AIBClassifier(
        make_backbone(),
        integer(3),
        num_anchors=integer(5),
        latent_dim=integer(4),
        hidden_units=integer(3),
        kernel_size=(integer(3), integer(3)),
        seed=integer(1),
        beta=np.float32(1e-3),
        codebook_weight=np.float32(0.5),
    )
    assert isinstance(model.num_classes, int)
    model.save_to_preset(tmp_path / "preset")
    again = AIBClassifier.from_preset(tmp_path / "preset")
    assert_same(model, reload(model, tmp_path))
    assert_same(model, again)
    assert again.predict_samples(IMAGES, integer(2)).shape == (2, 6, 3)
    with pytest.raises(ValueError, match="positive integer"):
        AIBClassifier(make_backbone(), True)


@pytest.mark.parametrize("name", ["model.h5", "model.hdf5"])
def test_a_format_that_cannot_be_read_is_not_written(tmp_path, name):
    with pytest.raises(ValueError, match=r"model\.keras"):
        make_model().save(str(tmp_path / name))
    assert not [*tmp_path.iterdir()]
