"""The card of the shipped CIFAR-10 classifier, with a picture.

Command:  python -m keras_aib.zoo.recipes.model_card
Cost:     under a minute on 2 CPU cores, after `cifar10_model`.
Result:   README.md and attention.png beside the weights.
"""

import argparse
from pathlib import Path

import keras

from keras_aib import data
from keras_aib.metrics import class_probabilities
from keras_aib.models import AIBClassifier
from keras_aib.utils.files import written_whole
from keras_aib.visualization import plot_attention
from keras_aib.zoo.recipes.cifar10_model import NAME
from keras_aib.zoo.recipes.cifar10_model import resize
from keras_aib.zoo.recipes.results import read_rows
from keras_aib.zoo.registry import info
from keras_aib.zoo.weight_files import WEIGHTS_FOLDER

NUM_PICTURES = 12

CARD = """# {name}

EfficientNet-Lite0 with bottleneck attention at level P4 (6 x 6 scores at 96
pixels, 20 anchors), for the ten classes of CIFAR-10. Made to try the library
with, and as the start of the examples; not meant for use on anything that
matters.

```python
from keras_aib import zoo

model = zoo.load("{name}")  # 96 x 96 pixels 0..255 -> 10 logits
five_classes = zoo.load("{name}", num_classes=5)  # a new head
```

![Twelve test images and where the model looks](attention.png)

- **Recipe.** `{command}`: everything up to P4 frozen with its ImageNet weights
  (`efficientnet_lite0.imagenet`), the rest trained on {train_images} CIFAR-10
  training images, resized to 96 px, without augmentation; {epochs} epochs of
  Adam, {setting} falling to 0 as a cosine; `beta=1e-4`, raised from 0 over the
  first epoch. {seconds} s on {device}, {backend} backend, Keras {keras}.
- **Data.** [CIFAR-10](https://www.cs.toronto.edu/~kriz/cifar.html), Krizhevsky
  2009, 32 x 32 pixels; ImageNet before that.
- **Licence.** {licence}, as the ImageNet weights it started from. CIFAR-10 has
  no stated licence.
- **Parameters.** {parameters:,} trainable. Kernels are stored in float16.
- **Classes.** {classes}.

Results on {test_images} test images, one seed:

| figure | value |
|---|---|
{results}

`accuracy_float16` is that of the stored weights, the others are from before
rounding. `nll` is in nats, `kl_bits` in bits per image.

What the attention does and does not: [the zoo's page](../../README.md).
"""


def main(arguments: list[str] | None = None) -> None:
    """Write the card and its picture."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--folder", type=Path, default=WEIGHTS_FOLDER / NAME)
    folder = parser.parse_args(arguments).folder
    draw(AIBClassifier.from_preset(folder), folder / "attention.png")
    rows = [row for row in read_rows() if row["experiment"] == "shipped"]
    figures = [f"| {row['metric']} | {row['value']} |" for row in rows]
    config = info(NAME)
    card = CARD.format(
        **{
            **rows[0],
            "name": NAME,
            "licence": config.licence,
            "parameters": config.parameters,
            "classes": ", ".join(data.CIFAR10_CLASS_NAMES),
            "results": "\n".join(figures),
        }
    )
    with written_whole(folder / "README.md") as path:
        path.write_text(card, encoding="utf-8")


def draw(model: AIBClassifier, path: Path) -> None:
    """The first test images with their maps, and what the model says."""
    pictures, labels = data.load_cifar10()[1]
    images = resize(pictures[:NUM_PICTURES], model.input_shape[1])
    outputs = model.predict(images, verbose=0)
    plot_attention(
        images,
        model.attention(images)["quantized"],
        path=path,
        labels=labels[:NUM_PICTURES],
        probabilities=class_probabilities(model, outputs),
        class_names=data.CIFAR10_CLASS_NAMES,
        title=f"{NAME} on Keras's {keras.config.backend()} backend",
    )


if __name__ == "__main__":
    main()
