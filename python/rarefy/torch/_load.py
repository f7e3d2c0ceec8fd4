"""State dicts that sparse layers load: of other connections, and of dense layers."""

import torch

PARTS = ["values", "crow_indices", "col_indices"]


def prepare_load(layer, state_dict, prefix, error_messages):
    """Before a sparse layer loads: gives it the pattern that is to be loaded, or finds its values in a dense weight."""
    if prefix + "weight" in state_dict and prefix + "values" not in state_dict:
        weight = state_dict.pop(prefix + "weight")
        if weight.shape != layer.shape:
            error_messages.append(
                f"size mismatch for {prefix}weight: copying a dense weight with shape {weight.shape} from checkpoint, "
                f"the sparse layer has shape {layer.shape}."
            )
            weight = layer.to_dense().detach()
        state_dict[prefix + "values"] = at_connections(weight, layer.crow_indices, layer.col_indices)
        state_dict[prefix + "crow_indices"] = layer.crow_indices
        state_dict[prefix + "col_indices"] = layer.col_indices
        return
    found = [part for part in PARTS if isinstance(state_dict.get(prefix + part), torch.Tensor)]
    if found == PARTS:
        _take(layer, state_dict, prefix, error_messages)
    elif found not in ([], ["values"]):
        error_messages.append(f"pattern mismatch for {prefix}values: there are {' and '.join(found)} alone.")
        _keep(layer, state_dict, prefix, found)


def _take(layer, state_dict, prefix, error_messages):
    """Gives the layer the pattern of a state dict."""
    values, crow, col = (state_dict[prefix + part] for part in PARTS)
    had = layer.crow_indices, layer.col_indices
    is_same = not had[0].is_meta and torch.equal(crow, had[0]) and torch.equal(col, had[1])
    try:
        if not is_same:
            layer.set_pattern_(crow, col, values)
    except (TypeError, ValueError) as error:
        error_messages.append(f"pattern mismatch for {prefix}values: {error}.")
        _keep(layer, state_dict, prefix, PARTS)
    else:
        # Not those of the state dict: load_state_dict(assign=True) would take over their type.
        _keep(layer, state_dict, prefix, PARTS[1:])


def _keep(layer, state_dict, prefix, parts):
    for part in parts:
        state_dict[prefix + part] = getattr(layer, part).detach()


def at_connections(weight, crow, col):
    """The numbers of a dense weight at the connections of a pattern of its rows."""
    rows = torch.repeat_interleave(torch.arange(len(crow) - 1), crow.diff().long())
    return weight.detach().reshape(len(crow) - 1, -1)[rows, col.long()]
