"""Information-bottleneck vision for Keras 3."""

from keras_aib import callbacks as callbacks
from keras_aib import data as data
from keras_aib import export as export
from keras_aib import layers as layers
from keras_aib import models as models
from keras_aib import ops as ops
from keras_aib import visualization as visualization
from keras_aib._version import __version__ as __version__
