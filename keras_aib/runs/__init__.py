"""Training runs that survive being killed: what `keras-aib train` drives."""

from keras_aib.runs.run_config import RunConfig as RunConfig
from keras_aib.runs.training_run import TrainingRun as TrainingRun
