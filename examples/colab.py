# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Where does it look? keras_aib in ten minutes
#
# A trained classifier with bottleneck attention, its map, an explanation in
# bits, and a file to ship. A CPU will do.
#
# This notebook is made from `examples/colab.py` by `make notebook`.

# %%
# %pip install --quiet "keras-aib[tensorflow,hub,data,plot,export] @ file:///content/keras_aib"

# %% [markdown]
# `keras-aib` is in no index: put a copy of the repository where the line above
# looks for it, or change the address.

# %%
import keras

from keras_aib import attribution
from keras_aib import data
from keras_aib import visualization
from keras_aib import zoo
from keras_aib.export import export

NUM_IMAGES = 1000
MODEL = "aib_efficientnet_lite0.cifar10"
SIZE = zoo.info(MODEL).image_size

# %% [markdown]
# ## A trained model and pictures it has not seen
#
# Its weights come with the package. `zoo.list_models()` names the others; for
# photos of your own see `docs/guides/fine_tune.md`.

# %%
(train, train_labels), (test, test_labels) = data.load_cifar10()
pictures = data.from_arrays(
    test[:NUM_IMAGES],
    test_labels[:NUM_IMAGES],
    image_size=SIZE,
    shuffle=False,
    class_names=data.CIFAR10_CLASS_NAMES,
)
model = zoo.load(MODEL)
model.compile(
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
figures = model.evaluate(pictures, return_dict=True)
print(f"{figures['accuracy']:.1%} right")

# %% [markdown]
# ## Where it looks, in its own words

# %%
images, labels = pictures[0]
images, labels = images[:4], labels[:4]
visualization.plot_attention(
    images,
    model.attention(images)["mean"],
    labels=labels,
    probabilities=keras.ops.softmax(model.predict(images)),
    class_names=data.CIFAR10_CLASS_NAMES,
)

# %% [markdown]
# ## What the decision needs, in bits
#
# IBA replaces features by noise as far as the decision allows. The statistics
# are of training images.

# %%
statistics = attribution.estimate_statistics(
    model,
    ["P4"],
    data.from_arrays(
        train[:NUM_IMAGES],
        train_labels[:NUM_IMAGES],
        image_size=SIZE,
        shuffle=False,
    ),
)
explain = attribution.IBA(model, layer="P4", statistics=statistics)
result = explain(images)
print(result.total_bits.round(), result.kept_probability.round(2))
result.plot(images)

# %% [markdown]
# ## A file that needs neither Keras nor this package
#
# Pixels in, probabilities and the map out, compared with the model.

# %%
print(export(model, "model.onnx", class_names=data.CIFAR10_CLASS_NAMES))
