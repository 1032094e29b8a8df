"""The zoo: pretrained models, ready to fine-tune."""

from keras_aib.zoo.loading import load as load
from keras_aib.zoo.model_config import ModelConfig as ModelConfig
from keras_aib.zoo.pretrained import load_backbone as load_backbone
from keras_aib.zoo.pretrained import load_classifier as load_classifier
from keras_aib.zoo.pretrained import preprocessor as preprocessor
from keras_aib.zoo.pretrained_config import PretrainedConfig as PretrainedConfig
from keras_aib.zoo.registry import info as info
from keras_aib.zoo.registry import list_models as list_models
