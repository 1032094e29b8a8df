"""Models that train with a bottleneck inside."""

from keras_aib.models.aib_classifier import AIBClassifier as AIBClassifier
from keras_aib.models.bottleneck_model import BottleneckModel as BottleneckModel
