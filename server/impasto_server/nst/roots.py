"""Square roots of covariances by matrix products only, so that a GPU need not wait for an eigensolver."""

import torch
from torch import Tensor

from .products import times, times_and

_TINY = 1e-12

_ITERATIONS = 6

_SMALLEST = 1 / 16
"""Of the root's eigenvalues, over the root of the Frobenius norm. Smaller ones are only partly reached: of a product of
covariances these are the directions whose gradient is least stable."""


def roots_of(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """A^½ and A^-½ of symmetric, positive semidefinite matrices A, (L, n, n).

    By coupled Newton-Schulz iterations (Higham 2008, eq. 6.35), with the cubics that do most in so many of them (Amsel,
    Persson, Musco & Gower 2025, "The Polar Express"): six get closer than ten of the usual ones, and what is not left
    out they reach to seven digits. Products that commute in exact numbers are taken as if they did in these.
    """
    scale = torch.linalg.vector_norm(matrices, dim=(1, 2), keepdim=True).clamp_min_(_TINY)
    root = matrices / scale
    linear, cubic = _CUBICS[0]  # in the first iteration A^-½ is still the identity
    inverse = -cubic * root
    inverse.diagonal(dim1=1, dim2=2).add_(linear)
    both = torch.cat((times(root, inverse), inverse), 1)
    side = matrices.shape[1]
    for linear, cubic in _CUBICS[1:]:
        both = times_and(both, times(both[:, side:], both[:, :side]), factor=-cubic, own=linear)
    root_scale = scale.sqrt()
    return both[:, :side] * root_scale, both[:, side:] / root_scale


def _best_cubics(smallest: float, count: int) -> tuple[tuple[float, float], ...]:
    """a and b of the cubics a x - b x³ that, one after the other, take all from `smallest` to 1 closest to 1."""
    least, most, cubics = smallest, 1.0, []
    for _ in range(count):
        # Farthest off to the same extent at three places: both ends, and √(a / 3 b) between them.
        ratio = most**2 + most * least + least**2
        peak, end = 2 / 3 * ratio * (ratio / 3) ** 0.5, ratio * least - least**3
        scale = 2 / (peak + end)
        cubics.append((scale * ratio, scale))
        least, most = scale * end, scale * peak
    return tuple(cubics)


_CUBICS = _best_cubics(_SMALLEST, _ITERATIONS)
