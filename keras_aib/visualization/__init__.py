"""Maps drawn over the photos they explain."""

from keras_aib.visualization.plots import overlay_attention as overlay_attention
from keras_aib.visualization.plots import plot_attention as plot_attention
from keras_aib.visualization.plots import plot_explanations as plot_explanations
