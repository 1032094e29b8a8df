"""What maps say, and how to judge them."""

from keras_aib.attribution import metrics as metrics
