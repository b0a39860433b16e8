r"""mu-law: 8 bits of a wave where the ear hears them.

:math:`F(x) = \mathrm{sgn}(x) \frac{\ln(1 + \mu |x|)}{\ln(1 + \mu)}` with mu = 255 maps [-1, 1] to
itself and spends its steps on quiet samples: 256 levels of F(x) have a signal-to-noise ratio of
about 38 dB at any loudness, where 256 equal steps have next to none in a quiet recording. It is the
law of ITU-T G.711, in its continuous form.
"""

from __future__ import annotations

import math

from jaxtyping import Float

from gan_mtl.audio.spectra import AnyArray, namespace

MU = 255.0


def compress(x: Float[AnyArray, " *dims"], mu: float = MU) -> Float[AnyArray, " *dims"]:
    """Waves in [-1, 1] to companded ones in [-1, 1]; what lies outside is cut off.

    Example:
        >>> import numpy as np
        >>> compress(np.array([0.0, 1.0, -2.0])).tolist()
        [0.0, 1.0, -1.0]
    """
    xp = namespace(x)
    return xp.sign(x) * xp.log1p(mu * xp.minimum(xp.abs(x), 1)) / math.log1p(mu)


def expand(y: Float[AnyArray, " *dims"], mu: float = MU) -> Float[AnyArray, " *dims"]:
    """The inverse of `compress` on [-1, 1]."""
    xp = namespace(y)
    return xp.sign(y) * xp.expm1(xp.abs(y) * math.log1p(mu)) / mu
