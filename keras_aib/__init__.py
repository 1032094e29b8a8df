"""Information-bottleneck vision for Keras 3."""

from keras_aib._version import __version__ as __version__
