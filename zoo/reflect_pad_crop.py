"""The layer where it stood before `keras_aib.layers`."""

from keras_aib.layers import ReflectPadCrop as ReflectPadCrop
