"""Information-bottleneck layers, one public class a file."""

from keras_aib.layers.anchor_quantizer import AnchorQuantizer as AnchorQuantizer
from keras_aib.layers.bottleneck_attention import (
    BottleneckAttention as BottleneckAttention,
)
from keras_aib.layers.gaussian_bottleneck import (
    GaussianBottleneck as GaussianBottleneck,
)
from keras_aib.layers.priced_layer import PricedLayer as PricedLayer
from keras_aib.layers.reflect_pad_crop import ReflectPadCrop as ReflectPadCrop
from keras_aib.layers.variational_spatial_attention import (
    VariationalSpatialAttention as VariationalSpatialAttention,
)
