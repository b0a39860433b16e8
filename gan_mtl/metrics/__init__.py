"""Metrics: pure functions on arrays, in float64 on the host."""

from gan_mtl.metrics.classification import Averages as Averages
from gan_mtl.metrics.classification import ClassificationReport as ClassificationReport
from gan_mtl.metrics.classification import accuracy as accuracy
from gan_mtl.metrics.classification import classification_report as classification_report
from gan_mtl.metrics.frechet import Moments as Moments
from gan_mtl.metrics.frechet import frechet_distance as frechet_distance
from gan_mtl.metrics.frechet import moments as moments
from gan_mtl.metrics.kernel import KernelDistance as KernelDistance
from gan_mtl.metrics.kernel import kernel_distance as kernel_distance
from gan_mtl.metrics.kernel import polynomial_mmd2 as polynomial_mmd2
from gan_mtl.metrics.prdc import Prdc as Prdc
from gan_mtl.metrics.prdc import prdc as prdc
from gan_mtl.metrics.scores import Protocol as Protocol
from gan_mtl.metrics.scores import Score as Score
from gan_mtl.metrics.scores import compare as compare
from gan_mtl.metrics.scores import weights_hash as weights_hash
