"""Trained models as files for a phone, a server or a browser."""

from keras_aib.export.export import export as export
from keras_aib.export.export_error import ExportError as ExportError
from keras_aib.export.export_result import ExportResult as ExportResult
