"""What one asks a trained generator and discriminator for: pure functions on arrays."""

from gan_mtl.sampling.directions import Directions as Directions
from gan_mtl.sampling.directions import latent_directions as latent_directions
from gan_mtl.sampling.discriminator import Gap as Gap
from gan_mtl.sampling.discriminator import input_gradients as input_gradients
from gan_mtl.sampling.discriminator import logit_gap as logit_gap
from gan_mtl.sampling.grad_cam import centre_score as centre_score
from gan_mtl.sampling.grad_cam import class_score as class_score
from gan_mtl.sampling.grad_cam import grad_cam as grad_cam
from gan_mtl.sampling.grad_cam import head_on_features as head_on_features
from gan_mtl.sampling.grad_cam import pixel_score as pixel_score
from gan_mtl.sampling.latents import interpolation_grid as interpolation_grid
from gan_mtl.sampling.latents import lerp as lerp
from gan_mtl.sampling.latents import slerp as slerp
from gan_mtl.sampling.latents import traverse as traverse
from gan_mtl.sampling.latents import truncated_normal as truncated_normal
from gan_mtl.sampling.neighbours import nearest as nearest
from gan_mtl.sampling.statistics import standing_statistics as standing_statistics
