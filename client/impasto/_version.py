"""The one place that knows the version of Impasto."""

__version__ = "0.1.0"
