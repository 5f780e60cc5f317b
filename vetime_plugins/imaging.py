"""Images of series under their public name; they are made in `vetime_plugins.series.imaging`."""

from __future__ import annotations

from vetime_plugins.series.imaging import ImageGeometry, image_to_series, series_to_image

__all__ = ["ImageGeometry", "image_to_series", "series_to_image"]
