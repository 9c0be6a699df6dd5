"""Makes steps down an objective at one scale: on CUDA one is recorded and then replayed."""

import logging

import torch
from torch import Tensor

from impasto_server.recipes import Recipe

from .marks import Reading
from .memory import release
from .objective import Objective
from .state import State
from .steering import Weights

log = logging.getLogger(__name__)

_STEPS_BEFORE_RECORDING = 3
"""Kernels are chosen and scratch memory is found in the first ones."""


class Recorder:
    """Changes a state step by step.

    What differs between steps, weights and the optimiser's numbers, lies in two small tensors on the device. So a step
    is always the same sequence of kernels: on CUDA it is recorded as a graph, and replayed without Python's time.
    """

    def __init__(self, state: State, objective: Objective, recipe: Recipe, *, recorded: bool) -> None:
        self._state = state
        self._objective = objective
        self._recipe = recipe
        picture = state.picture
        self._gradient = torch.empty_like(picture)
        self._terms, self._weights, self._numbers = (picture.new_zeros(count) for count in (3, 3, 2))
        self._known: Weights | None = None
        self._steps_made = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        # In tiles a step is long enough for Python to keep ahead of the device.
        self._recordable = recorded and objective.network.in_one_piece(picture)

    def step(self, weights: Weights) -> Reading:
        """Asks the device for a step; the weighted content, style and total variation losses before it, (3)."""
        if weights != self._known:
            self._known = weights
            _fill(self._weights, (weights.content, weights.style, weights.tv))
        _fill(self._numbers, self._state.step_numbers(self._recipe))
        if self._is_to_be_recorded():
            self._record()
        if self._graph:
            self._graph.replay()
        else:
            self._make()
        self._state.made_step()
        self._steps_made += 1
        return Reading(self._terms)

    @torch.no_grad()
    def _make(self) -> None:
        terms = self._objective.loss_and_gradient(self._state.picture, self._weights, self._gradient)
        self._state.step(self._gradient, self._numbers, self._recipe)
        self._terms.copy_(terms)

    def _is_to_be_recorded(self) -> bool:
        return self._recordable and self._graph is None and self._steps_made >= _STEPS_BEFORE_RECORDING

    def _record(self) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            # Another thread may be fetching a preview, and allocate for it, while this one records.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._make()
        except RuntimeError as error:
            # Recording changes nothing, and takes memory of its own: steps are made as before, only not as fast.
            log.warning("steps can't be recorded as a CUDA graph: %s", error)
            self._recordable = False
        else:
            self._graph = graph
            return
        del graph
        release(self._state.picture.device)


def _fill(tensor: Tensor, values: tuple[float, ...]) -> None:
    # A pageable copy is taken in before the call returns, and waits for nothing on the device.
    tensor.copy_(torch.tensor(values, dtype=tensor.dtype), non_blocking=True)
