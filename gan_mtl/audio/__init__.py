"""Audio: pure functions on arrays, that jit may trace, and one front end with a hash."""

from gan_mtl.audio.companding import compress as compress
from gan_mtl.audio.companding import expand as expand
from gan_mtl.audio.front_end import FrontEnd as FrontEnd
from gan_mtl.audio.front_end import digest as digest
from gan_mtl.audio.front_end import from_pictures as from_pictures
from gan_mtl.audio.front_end import log_mel as log_mel
from gan_mtl.audio.front_end import magnitudes as magnitudes
from gan_mtl.audio.front_end import pictures as pictures
from gan_mtl.audio.front_end import to_pictures as to_pictures
from gan_mtl.audio.front_end import waves as waves
from gan_mtl.audio.griffin_lim import griffin_lim as griffin_lim
from gan_mtl.audio.griffin_lim import spectral_convergence as spectral_convergence
from gan_mtl.audio.mel import from_mel as from_mel
from gan_mtl.audio.mel import hz_to_mel as hz_to_mel
from gan_mtl.audio.mel import mel_filterbank as mel_filterbank
from gan_mtl.audio.mel import mel_to_hz as mel_to_hz
from gan_mtl.audio.mel import to_mel as to_mel
from gan_mtl.audio.spectra import hann as hann
from gan_mtl.audio.spectra import istft as istft
from gan_mtl.audio.spectra import num_frames as num_frames
from gan_mtl.audio.spectra import stft as stft
