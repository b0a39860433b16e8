"""Host-side data: sets by name, few visible labels, and batches as a function of the step."""

from gan_mtl.data.arrays import (
    HIDDEN,
    Dataset,
    Source,
    Split,
    carve,
    draw_labels,
    hide_labels,
    take,
)
from gan_mtl.data.binarised import binarised
from gan_mtl.data.catalogue import load, names
from gan_mtl.data.convert import from_arrays, to_float, to_uint8
from gan_mtl.data.digits import digits
from gan_mtl.data.generated import grid, ring
from gan_mtl.data.idx import read_idx
from gan_mtl.data.joined import joined, joined_stream, part
from gan_mtl.data.lazy import Pictures, Records, lazy_stream, prefetch
from gan_mtl.data.manifest import assemble, front_end_hashes, verify
from gan_mtl.data.order import permutation as shuffled
from gan_mtl.data.overlaid import overlaid
from gan_mtl.data.protocol import with_fraction, with_labels, with_validation, with_visible
from gan_mtl.data.resize import resize
from gan_mtl.data.scenes import Layout, digit_scenes, scenes
from gan_mtl.data.stacked import stacked
from gan_mtl.data.stream import Stream, stream
from gan_mtl.data.targets import IGNORE, check_targets, hide_targets
from gan_mtl.data.tfds import prepare

__all__ = [
    "HIDDEN",
    "IGNORE",
    "Dataset",
    "Layout",
    "Pictures",
    "Records",
    "Source",
    "Split",
    "Stream",
    "assemble",
    "binarised",
    "carve",
    "check_targets",
    "digit_scenes",
    "digits",
    "draw_labels",
    "from_arrays",
    "front_end_hashes",
    "grid",
    "hide_labels",
    "hide_targets",
    "joined",
    "joined_stream",
    "lazy_stream",
    "load",
    "names",
    "overlaid",
    "part",
    "prefetch",
    "prepare",
    "read_idx",
    "resize",
    "ring",
    "scenes",
    "shuffled",
    "stacked",
    "stream",
    "take",
    "to_float",
    "to_uint8",
    "verify",
    "with_fraction",
    "with_labels",
    "with_validation",
    "with_visible",
]
