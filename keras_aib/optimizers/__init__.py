"""Optimizers with parameter groups."""

from keras_aib.optimizers.grouped_adam import GroupedAdam as GroupedAdam
from keras_aib.optimizers.grouped_sgd import GroupedSGD as GroupedSGD
