"""What notebooks show of a fitted network: its layers, sizes beside the dense network, and the loss curve."""

from html import escape


def network_html(estimator):
    """A fitted estimator's network as HTML, without a script."""
    model = estimator._model
    layers = model.layers()
    connections, cells = model.connections()
    biases = sum(len(numbers) for _, numbers in model.vectors())
    rows = "".join(layer_row(*layer) for layer in layers)
    return (
        "<div style='font-family:sans-serif;font-size:small;margin-top:0.6em'>"
        f"<table>{LAYER_HEAD}{rows}</table>"
        "<table><tr><th></th><th>this network</th><th>dense</th></tr>"
        f"{_pair('connections', f'{connections:,}', f'{cells:,}')}"
        f"{_pair('bytes of the model', f'{len(model.to_bytes()):,}', f'{4 * (cells + biases):,}')}"
        "</table>"
        f"{_curves(estimator.loss_curve_, estimator.validation_loss_curve_)}</div>"
    )


LAYER_HEAD = "<tr><th>layer</th><th>inputs</th><th>outputs</th><th>connections</th><th colspan=2>density</th></tr>"


def layer_row(name, outputs, inputs, connections):
    """A weight matrix as a row of a table, with a bar for its density."""
    density = connections / (outputs * inputs)
    bar = f"<div style='background:#4c78a8;height:0.8em;width:{max(1, round(120 * density))}px'></div>"
    cells = f"<td>{inputs:,}</td><td>{outputs:,}</td><td>{connections:,}</td><td>{density:.1%}</td>"
    return f"<tr><td>{escape(name)}</td>{cells}<td><div style='background:#ddd;width:120px'>{bar}</div></td></tr>"


def _pair(name, ours, dense):
    return f"<tr><td>{name}</td><td>{ours}</td><td>{dense}</td></tr>"


def _curves(train, validation, width=320, height=120):
    """The losses over epochs, as lines."""
    curves = [("train", "#4c78a8", train), ("validation", "#f58518", validation)]
    curves = [curve for curve in curves if curve[2]]
    if not train or len(train) < 2:
        return ""
    values = [value for *_, curve in curves for value in curve]
    low, high = min(values), max(values)
    scale = (height - 20) / ((high - low) or 1.0)
    lines = ""
    for at, (name, colour, curve) in enumerate(curves):
        step = (width - 20) / (len(curve) - 1)
        points = " ".join(
            f"{10 + step * i:.1f},{height - 10 - scale * (value - low):.1f}" for i, value in enumerate(curve)
        )
        lines += f"<polyline fill='none' stroke='{colour}' points='{points}'/>"
        place = f"x='{width - 10}' y='{20 + 12 * at}' text-anchor='end' font-size='11'"
        lines += f"<text {place} fill='{colour}'>{name} loss</text>"
    title = f"<title>losses from {low:.4g} to {high:.4g} over {len(train)} epochs</title>"
    return f"<svg width='{width}' height='{height}' role='img'>{title}{lines}</svg>"
