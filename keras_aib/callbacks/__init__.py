"""Keras callbacks for training with an information bottleneck."""

from keras_aib.callbacks.attention_pictures import (
    AttentionPictures as AttentionPictures,
)
from keras_aib.callbacks.beta_warmup import BetaWarmup as BetaWarmup
