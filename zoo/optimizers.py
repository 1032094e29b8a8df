"""The optimizers where they stood before `keras_aib.optimizers`."""

from keras_aib.optimizers import GroupedAdam as GroupedAdam
from keras_aib.optimizers import GroupedSGD as GroupedSGD
