"""Metrics: pure functions on arrays, in float64 on the host (`relations` also on the device)."""

from gan_mtl.metrics.classification import Averages as Averages
from gan_mtl.metrics.classification import ClassificationReport as ClassificationReport
from gan_mtl.metrics.classification import accuracy as accuracy
from gan_mtl.metrics.classification import classification_report as classification_report
from gan_mtl.metrics.conditional import IntraClassFrechet as IntraClassFrechet
from gan_mtl.metrics.conditional import (
    classification_accuracy_score as classification_accuracy_score,
)
from gan_mtl.metrics.conditional import intra_class_frechet as intra_class_frechet
from gan_mtl.metrics.frechet import Moments as Moments
from gan_mtl.metrics.frechet import frechet_distance as frechet_distance
from gan_mtl.metrics.frechet import moments as moments
from gan_mtl.metrics.inception_score import InceptionScore as InceptionScore
from gan_mtl.metrics.inception_score import inception_score as inception_score
from gan_mtl.metrics.kernel import KernelDistance as KernelDistance
from gan_mtl.metrics.kernel import kernel_distance as kernel_distance
from gan_mtl.metrics.kernel import polynomial_mmd2 as polynomial_mmd2
from gan_mtl.metrics.modes import ClassCoverage as ClassCoverage
from gan_mtl.metrics.modes import ModeCoverage as ModeCoverage
from gan_mtl.metrics.modes import class_coverage as class_coverage
from gan_mtl.metrics.modes import mode_coverage as mode_coverage
from gan_mtl.metrics.multitask import delta_m as delta_m
from gan_mtl.metrics.multitask import hypervolume_2d as hypervolume_2d
from gan_mtl.metrics.multitask import mean_rank as mean_rank
from gan_mtl.metrics.multitask import relative_changes as relative_changes
from gan_mtl.metrics.multitask import task_means as task_means
from gan_mtl.metrics.parzen import ParzenScore as ParzenScore
from gan_mtl.metrics.parzen import choose_sigma as choose_sigma
from gan_mtl.metrics.parzen import parzen_log_likelihood as parzen_log_likelihood
from gan_mtl.metrics.parzen import parzen_score as parzen_score
from gan_mtl.metrics.perceptual_path import path_distances as path_distances
from gan_mtl.metrics.perceptual_path import perceptual_path_length as perceptual_path_length
from gan_mtl.metrics.prdc import Prdc as Prdc
from gan_mtl.metrics.prdc import PrecisionRecall as PrecisionRecall
from gan_mtl.metrics.prdc import improved_precision_recall as improved_precision_recall
from gan_mtl.metrics.prdc import prdc as prdc
from gan_mtl.metrics.relations import Grouping as Grouping
from gan_mtl.metrics.relations import affinities as affinities
from gan_mtl.metrics.relations import best_grouping as best_grouping
from gan_mtl.metrics.relations import condition_number as condition_number
from gan_mtl.metrics.relations import cosines as cosines
from gan_mtl.metrics.relations import magnitude_similarity as magnitude_similarity
from gan_mtl.metrics.relations import task_covariance as task_covariance
from gan_mtl.metrics.scores import Protocol as Protocol
from gan_mtl.metrics.scores import Score as Score
from gan_mtl.metrics.scores import compare as compare
from gan_mtl.metrics.scores import weights_hash as weights_hash
from gan_mtl.metrics.streaming import PredictionSums as PredictionSums
from gan_mtl.metrics.streaming import Reservoir as Reservoir
from gan_mtl.metrics.streaming import accumulate as accumulate
