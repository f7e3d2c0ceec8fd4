"""Gradients that absent connections would have, from what the backward passes of a step left in their buffers."""

from ._layers import shared_places
from ._module import SparseModule


class Watch:
    """Keeps the buffers of all backward passes through a model's sparse layers while it is on: one step."""

    def __init__(self, model):
        # For each layer the chains that it is part of, and which of their weights is its own.
        self._places = {}
        for module in model.modules():
            if isinstance(module, SparseModule):
                self._places[module] = [] if module._chain is None else [(module._chain, 0)]
        for layer, chain, weight in shared_places(model):
            self._places[layer].append((chain, weight))

    def start(self):
        """Begins."""
        for chain in self._chains():
            chain.record = []

    def stop(self):
        """Lets go of all that was kept."""
        for chain in self._chains():
            chain.record = None

    def seen(self, layer):
        """The backward passes that went through a layer, each with the number of the layer's weight in it."""
        return [(ticket, weight) for chain, weight in self._places[layer] for ticket in chain.record or ()]

    def _chains(self):
        return {id(chain): chain for places in self._places.values() for chain, _ in places}.values()
