"""An image classifier that attends through an information bottleneck."""

import os
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

from keras_aib.graph.retrace import as_functional
from keras_aib.graph.retrace import layer_position
from keras_aib.layers.adapted_parts import adapted_parts
from keras_aib.layers.adapted_parts import is_adapted
from keras_aib.layers.adapted_parts import with_parts
from keras_aib.models.bottleneck_model import BottleneckModel
from keras_aib.models.data_checks import DataCheck
from keras_aib.models.monte_carlo import MonteCarlo
from keras_aib.models.presets import load_preset
from keras_aib.models.presets import save_preset
from keras_aib.models.trainable_state import frozen_layers
from keras_aib.models.trainable_state import restore_frozen_layers
from keras_aib.models.wiring import check_preprocessor
from keras_aib.models.wiring import make_wiring
from keras_aib.utils.checks import check_positive_integer
from keras_aib.utils.checks import plain
from keras_aib.utils.map_batches import map_batches


@keras.saving.register_keras_serializable(package="keras_aib")
class AIBClassifier(BottleneckModel):
    """A backbone with bottleneck attention inside and a bottleneck on top.

    The attention multiplies one feature map of the backbone by a score per
    position; what the rest of the backbone makes of it is pooled, encoded as a
    Gaussian latent whose rate costs `beta` per nat, and decoded to logits. So
    every prediction comes with the map of where the model looked. From
    [Lai et al., 2021](https://arxiv.org/abs/2108.03418).

    The backbone is traced again with its own layers: weights are shared with
    `backbone`, and freezing its layers freezes them here.

    Args:
        backbone: A functional Keras model from images to a feature map, tokens
            or a vector: KerasHub, KerasCV, keras.applications or your own.
        num_classes: Number of classes.
        attention_layer: Where the attention goes: a level of the backbone
            (`"P4"`), a layer name, or `None` for its output.
        num_anchors: Number of anchor values of the scores, or `None` for
            continuous scores.
        latent_dim: Width of the latent.
        beta: Price of the latent's rate, in loss per nat.
        pooling: How the last map becomes a vector: "avg", "max" or "flatten".
        activation: Activation of the output. `None` gives logits.
        preprocessor: Layer from pixels 0..255 to what the backbone expects,
            made part of the model. `None` if the backbone takes pixels.
        score_network: See `layers.VariationalSpatialAttention`.
        kernel_size: See `layers.VariationalSpatialAttention`.
        stddev_offset: See `layers.VariationalSpatialAttention` and
            `layers.GaussianBottleneck`.
        codebook_weight: See `layers.AnchorQuantizer`.
        commitment_weight: See `layers.AnchorQuantizer`.
        anchor_gradient_scale: See `layers.AnchorQuantizer`.
        kl_scale: See `layers.GaussianBottleneck`.
        num_prefix_tokens: For vision transformers: class, distillation and
            register tokens before the patches. `None` to infer it.
        data_format: Where the channels of images and feature maps are. `None`
            to ask the backbone, else `keras.config.image_data_format()`.
        seed: Integer for reproducible draws.
        hidden_units: Width of the hidden layer between latent and logits.
            `None` for `latent_dim`, 0 for no such layer.

    Call arguments:
        images: Pixels 0..255, integers or floats.
        training: In training scores and latent are sampled.

    Input shape:
        `(batch, height, width, channels)`, sizes as the backbone takes them.

    Output shape:
        `(batch, num_classes)`.

    Raises:
        TypeError: If `backbone` is no Keras model or images are no numbers.
        ValueError: If the backbone cannot be traced, `attention_layer` does
            not exist or does not feed the output, or an option is wrong.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_aib.models import AIBClassifier

    backbone = keras.applications.MobileNetV2(
        input_shape=(64, 64, 3), include_top=False, weights=None, alpha=0.35
    )
    model = AIBClassifier(
        backbone,
        num_classes=3,
        attention_layer="block_13_expand_relu",
        preprocessor=keras.layers.Rescaling(1 / 127.5, offset=-1.0),
    )
    images = np.random.uniform(0, 255, size=(2, 64, 64, 3))
    logits = model.predict(images)  # (2, 3)
    maps = model.attention(images)  # {"mean": (2, 4, 4), ...}
    ```
    """

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int,
        attention_layer: str | None = None,
        num_anchors: int | None = 20,
        latent_dim: int = 256,
        beta: float = 1e-4,
        pooling: str = "avg",
        activation: Any = None,
        preprocessor: keras.layers.Layer | None = None,
        score_network: keras.layers.Layer | None = None,
        kernel_size: int | tuple[int, int] = 3,
        stddev_offset: float = -5.0,
        codebook_weight: float = 0.4,
        commitment_weight: float = 0.1,
        anchor_gradient_scale: float = 1e-4,
        kl_scale: str = "stddev",
        num_prefix_tokens: int | None = None,
        data_format: str | None = None,
        seed: int | None = None,
        hidden_units: int | None = None,
        **kwargs: Any,
    ) -> None:
        arguments = {
            name: plain(value)
            for name, value in locals().items()
            if name not in ("self", "kwargs", "__class__")
        }
        check_preprocessor(preprocessor)
        check_positive_integer("num_classes", num_classes)
        policy = keras.dtype_policies.get(kwargs.pop("dtype", None))
        wiring = make_wiring(arguments, policy, kwargs.pop("adapted_parts", {}))
        images = wiring.images()
        connections = wiring.connect(images)
        outputs = wiring.decoder(wiring.bottleneck(connections.pooled))
        super().__init__(inputs=images, outputs=outputs, **kwargs)
        if not any(layer is wiring.attention for layer in self.layers):
            raise ValueError(
                f"`attention_layer` {attention_layer!r} does not feed the "
                f"output of backbone {backbone.name!r}, so attention there "
                "would change nothing. Use None for the output, or a layer on "
                "the way to it."
            )
        self.num_classes = int(num_classes)
        self.activation = keras.activations.get(activation)
        self.attention_block = wiring.attention
        self.bottleneck = wiring.bottleneck
        self.decoder = wiring.decoder
        self._policy = policy
        self._arguments = SimpleNamespace(**arguments)
        # A namespace, so that Keras does not take them for layers of this one.
        self._derived = SimpleNamespace(
            wiring=wiring, connections=connections, maps=None, monte_carlo=None
        )
        if not wiring.share_layers:
            self._whole_backbone = backbone

    @property
    def backbone(self) -> keras.Model:
        """The backbone as it was passed."""
        return self._arguments.backbone

    @property
    def attention_layer(self) -> str | None:
        """Where in the backbone the attention is; `None` for the output."""
        return self._arguments.attention_layer

    @property
    def preprocessor(self) -> keras.layers.Layer | None:
        """The layer from pixels to what the backbone expects."""
        return self._arguments.preprocessor

    def __dir__(self) -> list[str]:
        # Keras saves the weights of whatever it finds here. Those of the
        # backbone are in this model's own layers, except where it has outputs
        # that this model does not need.
        hidden = {"_whole_backbone"}
        if self._derived.wiring.share_layers:
            hidden = {"backbone", "preprocessor"}
        return [name for name in super().__dir__() if name not in hidden]

    @property
    def _data_check(self) -> DataCheck:
        channels_first = self._derived.wiring.data_format == "channels_first"
        return DataCheck(
            (None, *self.input_shape[1:]),
            1 if channels_first else -1,
            self.num_classes,
            getattr(self, "loss", None),
        )

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Train as `keras.Model.fit` does, on data that was looked at.

        Images that are not finite or of a wrong shape and labels that are no
        class are refused before the first step, in `validation_data` too. Of a
        dataset labels are checked as they come.
        """
        return super().fit(**self._data_check.fit_options(*args, **kwargs))

    def evaluate(
        self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Evaluate as `keras.Model.evaluate`, on data checked as in `fit`."""
        x = self._data_check.data(x, y)
        return super().evaluate(x, y, *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Predict as `keras.Model.predict`; refuses NaN in arrays first."""
        self._data_check.images(x)
        return super().predict(x, *args, **kwargs)

    @property
    def symbolic_maps(self) -> dict[str, Any]:
        """Keras tensors of the attention's maps, to build models with."""
        return dict(self._derived.connections.maps)

    def attention(
        self, images: Any, batch_size: int = 32
    ) -> dict[str, np.ndarray]:
        """Maps of where the model looks.

        Args:
            images: Pixels 0..255: an array, a list, or a dataset that ends.
            batch_size: Images at once.

        Returns:
            `"mean"` and `"stddev"` of the scores, with anchors `"quantized"`,
            what the features were multiplied with: each `[images, height,
            width]`, at the resolution of the feature map.
        """
        derived = self._derived
        if derived.maps is None:
            maps = self.symbolic_maps
            del maps["scores"]
            derived.maps = keras.Model(self.input, maps)
        maps = map_batches(
            derived.maps.predict_on_batch,
            images,
            batch_size,
            self.input_shape,
            self._data_check.images,
        )
        axis = -1 if self.attention_block.data_format == "channels_last" else 1
        return {name: np.squeeze(x, axis=axis) for name, x in maps.items()}

    def predict_samples(
        self,
        images: Any,
        num_samples: int = 12,
        batch_size: int = 32,
        seed: int | None = None,
    ) -> np.ndarray:
        """Monte-Carlo predictions: how sure the model is, noise included.

        Each sample draws the noise of scores and latent. Where the attended
        features cut the model in two, what is before them runs only once.

        Args:
            images: As for `attention`.
            num_samples: Number of samples.
            batch_size: Images at once.
            seed: Integer for reproducible draws.

        Returns:
            `[num_samples, images, num_classes]`: the mean over the first axis
            is the prediction, the spread its uncertainty.

        Raises:
            ValueError: If `num_samples` is no positive integer, or for images
                that do not fit.
        """
        check_positive_integer("num_samples", num_samples)
        derived = self._derived
        if derived.monte_carlo is None:
            derived.monte_carlo = MonteCarlo(
                self.input, derived.wiring, derived.connections
            )
        # One seed per batch, or all batches would share their noise.
        seeds = np.random.SeedSequence(seed)
        sample = derived.monte_carlo.sample
        return map_batches(
            lambda batch: sample(batch, num_samples, *seeds.spawn(1)),
            images,
            batch_size,
            self.input_shape,
            self._data_check.images,
            axis=1,
        )

    def get_config(self) -> dict[str, Any]:
        config = dict(vars(self._arguments))
        for name in ("backbone", "preprocessor", "score_network"):
            config[name] = keras.saving.serialize_keras_object(config[name])
        config["activation"] = keras.activations.serialize(self.activation)
        config["dtype"] = keras.dtype_policies.serialize(self._policy)
        config["name"] = self.name
        config["attention_position"] = layer_position(
            as_functional(self.backbone), config["attention_layer"]
        )
        config["frozen_layers"] = frozen_layers(self)
        beta = self.bottleneck.get_config().get("current_beta")
        if beta is not None:
            config["current_beta"] = beta
        config |= adapted_parts(
            attention=self.attention_block,
            bottleneck=self.bottleneck,
            decoder=self.decoder,
        )
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "AIBClassifier":
        config = with_parts(config)
        frozen = config.pop("frozen_layers", [])
        beta = config.pop("current_beta", None)
        for name in ("backbone", "preprocessor", "score_network"):
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
        position = config.pop("attention_position", None)
        if position is not None:
            layers = as_functional(config["backbone"]).layers
            config["attention_layer"] = layers[position].name
        model = cls(**config)
        if beta is not None:
            model.bottleneck.beta.assign(beta)
        restore_frozen_layers(model, frozen)
        return model

    def save_to_preset(
        self, directory: str | os.PathLike, half_precision: bool = False
    ) -> None:
        """Write configuration and weights to a folder for `from_preset`.

        Args:
            directory: Folder; the files of an earlier preset there are
                replaced, and stay if writing fails. Other files stay anyway.
            half_precision: Whether to store kernels in float16, for half of
                the space and about three digits.

        Raises:
            ValueError: If the folder holds something else.
        """
        save_preset(self, directory, half_precision)

    @classmethod
    def from_preset(
        cls,
        preset: str | os.PathLike,
        num_classes: int | None = None,
        load_weights: bool = True,
    ) -> "AIBClassifier":
        """Load a model that `save_to_preset` wrote, ready to fine-tune.

        Args:
            preset: Folder, or name of a preset of the zoo.
            num_classes: Number of classes of a new task: everything but the
                last layer keeps its weights. `None` to keep that as well.
            load_weights: `False` for fresh weights.

        Returns:
            The model, not compiled.

        Raises:
            ValueError: If the preset is unknown, was written by a newer
                version, or a file is missing, truncated or changed; for other
                classes, if the model was quantized or has LoRA.
        """
        model = load_preset(preset, load_weights)
        if num_classes is None or num_classes == model.num_classes:
            return model
        if any(map(is_adapted, (model.bottleneck, model.decoder))):
            raise ValueError(
                f"Preset {str(preset)!r} was quantized or has LoRA, so its "
                f"decoder cannot be made anew for num_classes={num_classes}. "
                "Save a preset before `quantize` or `enable_lora`, and start "
                "from that."
            )
        arguments = {**vars(model._arguments), "num_classes": num_classes}
        renewed = cls(**arguments, name=model.name, dtype=model._policy)
        if load_weights:
            for name in ("attention_block", "bottleneck"):
                trained = getattr(model, name)
                getattr(renewed, name).set_weights(trained.get_weights())
            hidden = model.decoder.layers[0]
            renewed.decoder.layers[0].set_weights(hidden.get_weights())
            renewed.bottleneck.beta.assign(model.bottleneck.beta)
        return renewed
