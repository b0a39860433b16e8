"""Weightings and aggregators: how the objectives of a turn become one direction."""

from gan_mtl.mtl.equal import equal as equal
from gan_mtl.mtl.gramian import combine as combine
from gan_mtl.mtl.gramian import from_weighting as from_weighting
from gan_mtl.mtl.gramian import gramian as gramian
