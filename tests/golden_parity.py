"""Our layers beside the authors' arrays: prints the errors as JSON.

`python tests/golden_parity.py float64 float32`, in a process of its own because
JAX decides on float64 when it starts.
"""

import json
import math
import os
import sys
from pathlib import Path

os.environ["JAX_ENABLE_X64"] = "1"

import keras
import numpy as np
from gradients import gradients
from keras import ops

from keras_aib import layers
from keras_aib.ops import kl_to_standard_normal

GOLDEN = Path(__file__).parent / "golden"
LN2 = math.log(2.0)


def dense(kernel, bias, activation=None):
    layer = keras.layers.Dense(len(bias), activation=activation)
    layer.build((None, len(kernel)))
    layer.set_weights([kernel, bias])
    return layer


def compare(path: Path) -> dict[str, float]:
    """Largest error of every array, relative to its largest entry."""
    golden = dict(np.load(path, allow_pickle=False))
    weight = {k[7:]: v for k, v in golden.items() if k.startswith("weight/")}
    anchors = weight.get("emb.weight")

    block = layers.BottleneckAttention(
        num_anchors=None if anchors is None else len(anchors),
        codebook_weight=0.4 * LN2,
        commitment_weight=0.1 * LN2,
        anchor_gradient_scale=1.0,
    )
    block.build(golden["features"].shape)
    attention = block.attention
    if anchors is not None:
        block.quantizer.anchors.assign(anchors)
    attention.score_network.set_weights(
        [weight["att_module_mu.0.weight"], weight["att_module_mu.0.bias"]]
    )
    attention.stddev_convolution.set_weights(
        [weight["att_module_std.0.weight"], weight["att_module_std.0.bias"]]
    )
    latent_dim = golden["latent_mean"].shape[-1]
    bottleneck = layers.GaussianBottleneck(
        latent_dim, beta=5e-3, kl_scale="exp_stddev"
    )
    bottleneck.build((None, golden["features"].shape[-1]))
    bottleneck.encoder.set_weights(
        [weight["encode.2.weight"], weight["encode.2.bias"]]
    )
    hidden = dense(weight["decode.0.weight"], weight["decode.0.bias"], "relu")
    num_classes = golden["logits"].shape[-1]
    final = dense(weight["decode.2.weight"], weight["decode.2.bias"])
    features = keras.Variable(golden["features"])
    score_noise = golden["attention_noise"][..., None]
    made = {}

    def total_loss():
        attended, maps = block(
            features.value, noise=score_noise, return_attention_scores=True
        )
        # Samples of the attention become rows of the batch.
        rows = ops.reshape(attended, (-1, *attended.shape[2:]))
        pooled = ops.mean(rows, axis=(1, 2))
        mean, stddev = bottleneck.encode(pooled)
        latent = bottleneck(pooled, noise=golden["latent_noise"])
        num_samples = latent.shape[0] * score_noise.shape[0]
        logits = final(hidden(latent))
        logits = ops.mean(
            ops.reshape(logits, (num_samples, -1, num_classes)), axis=0
        )
        cross_entropy = ops.mean(
            keras.losses.sparse_categorical_crossentropy(
                golden["labels"], logits, from_logits=True
            )
        )
        losses = [*block.losses, *bottleneck.losses]
        made.update(
            attention_mean=maps["mean"],
            attention_stddev=maps["stddev"],
            attention_quantized=maps["scores"][..., 0],
            attended_features=attended[0],
            latent_mean=mean,
            latent_stddev=stddev,
            logits=logits,
            latent_kl_reference=ops.mean(bottleneck.kl(mean, stddev)),
            latent_kl_closed_form=ops.mean(
                ops.sum(kl_to_standard_normal(mean, stddev), axis=-1)
            ),
            cross_entropy_nats=cross_entropy,
        )
        if anchors is None:
            made["attention_sample"] = maps["scores"][..., 0]
        else:
            sampled, _, _ = attention(features.value, noise=score_noise)
            made["attention_sample"] = sampled[..., 0]
            made["codebook_loss"] = block.quantizer.losses[0] / (0.4 * LN2)
            made["commitment_loss"] = block.quantizer.losses[1] / (0.1 * LN2)
        made["total_loss"] = (cross_entropy + sum(losses)) / LN2
        return made["total_loss"]

    total_loss()
    ours = {
        k: ops.convert_to_numpy(ops.stop_gradient(v)) for k, v in made.items()
    }
    if anchors is None:
        ours["codebook_loss"] = ours["commitment_loss"] = np.zeros(())
    variables = {
        "features": features,
        "att_module_mu.0.weight": attention.score_network.kernel,
        "att_module_mu.0.bias": attention.score_network.bias,
        "att_module_std.0.weight": attention.stddev_convolution.kernel,
        "att_module_std.0.bias": attention.stddev_convolution.bias,
        "encode.2.weight": bottleneck.encoder.kernel,
        "encode.2.bias": bottleneck.encoder.bias,
        "decode.0.weight": hidden.kernel,
        "decode.0.bias": hidden.bias,
        "decode.2.weight": final.kernel,
        "decode.2.bias": final.bias,
    }
    if anchors is not None:
        variables["emb.weight"] = block.quantizer.anchors
    values = gradients(total_loss, list(variables.values()))
    for name, value in zip(variables, values, strict=True):
        ours[f"grad/{name}"] = value

    given = {"features", "labels", "attention_noise", "latent_noise"}
    expected = {
        k: v
        for k, v in golden.items()
        if k not in given and not k.startswith("weight/")
    }
    return {
        name: relative_error(ours[name], value)
        for name, value in expected.items()
    }


def relative_error(ours, expected) -> float:
    error = np.abs(np.asarray(ours) - expected).max()
    return float(error / max(np.abs(expected).max(), 1e-12))


def report(dtype: str) -> dict[str, dict[str, float]]:
    keras.config.set_floatx(dtype)
    return {path.stem: compare(path) for path in sorted(GOLDEN.glob("*.npz"))}


if __name__ == "__main__":
    reports = {dtype: report(dtype) for dtype in sys.argv[1:]}
    sys.stdout.write(json.dumps(reports) + "\n")
