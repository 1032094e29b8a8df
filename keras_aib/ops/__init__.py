"""Stateless maths on `keras.ops`: float32 or wider inside, rates in nats."""

from keras_aib.ops.gaussian import (
    kl_to_standard_normal as kl_to_standard_normal,
)
from keras_aib.ops.gaussian import reparameterize as reparameterize
from keras_aib.ops.precision import at_least_float32 as at_least_float32
from keras_aib.ops.quantization import nearest_anchor as nearest_anchor
from keras_aib.ops.quantization import select_anchors as select_anchors
from keras_aib.ops.quantization import straight_through as straight_through
