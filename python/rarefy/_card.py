"""Model cards."""

import json
from math import prod

import numpy as np

# The metric that stands in the front matter first, by the names that the Hub knows.
_HUB_NAMES = {"accuracy": "accuracy", "f1": "f1", "auc": "roc_auc", "r2": "r_squared", "rmse": "rmse", "mae": "mae"}
_PIPELINES = {"classification": "tabular-classification", "regression": "tabular-regression"}
_ROWS = (
    ("test_accuracy", "test accuracy", "{:.4f}"),
    ("test_r2", "test R2", "{:.4f}"),
    ("test_rmse", "test RMSE", "{:.5g}"),
    ("nnz", "connections", "{:,}"),
    ("parameters", "parameters", "{:,}"),
    ("flops", "FLOP of a prediction", "{:,}"),
    ("model_bytes", "bytes of the model file", "{:,}"),
    ("training_bytes", "bytes while training", "{:,}"),
    ("step_ms", "milliseconds of a training step", "{:.3f}"),
    ("inference_1_ms", "milliseconds of a prediction", "{:.4f}"),
)


def front_matter(model, license=None):
    """What the Hub reads of a card: JSON, which is YAML too."""
    matter = {
        "library_name": "rarefy",
        "tags": ["rarefy", "sparse", "pruning", "model_hub_mixin"],
        "pipeline_tag": _PIPELINES.get(model.task),
    }
    if license:
        matter["license"] = license
    found = (model.summary or {}).get("test_metrics") or {}
    metrics = {_HUB_NAMES[name]: value for name, value in found.items() if name in _HUB_NAMES and value is not None}
    if metrics:
        matter["metrics"] = list(metrics)
        task = {"type": matter["pipeline_tag"] or model.task}
        results = [{"type": name, "value": value} for name, value in metrics.items()]
        result = {"task": task, "dataset": {"type": "test", "name": "the run's test part"}, "metrics": results}
        matter["model-index"] = [{"name": "rarefy", "results": [result]}]
    lines = [f"{key}: {json.dumps(value)}" for key, value in matter.items() if value is not None]
    return "\n".join(["---", *lines, "---"])


def card(model, license=None):
    """The card as Markdown."""
    features = prod(np.atleast_1d(model.config["preparation"]["inputs"]).tolist())
    text = [
        front_matter(model, license),
        "",
        "# A sparse neural network by rarefy",
        "",
        f"For {model.task}, from {features} inputs, by {model.nnz:,} connections: "
        f"{100 * model.sparsity:.2f} % of those of the dense network do not exist.",
        "",
        "```python",
        "import rarefy",
        "",
        'model = rarefy.Model.from_pretrained("USER/NAME")  # or rarefy.load(folder)',
        "model.predict(X)",
        "```",
        "",
        "## Beside the dense network",
        "",
        *_beside(model),
        "",
        "## Layers",
        "",
        "| weights | shape | connections | density |",
        "|---|---|---|---|",
    ]
    for layer in model.inspect()["layers"]:
        shape = f"{layer['outputs']} x {layer['inputs']}"
        text.append(f"| {layer['name']} | {shape} | {layer['nnz']:,} | {100 * layer['density']:.2f} % |")
    return "\n".join([*text, ""])


def _beside(model):
    """The table of figures beside the dense twin's; what is not known has no row."""
    inspection = model.inspect()
    ours = model.summary or {key: inspection[key] for key in ("nnz", "model_bytes")}
    dense = ours.get("dense_twin") or {"nnz": inspection["cells"]}
    lines = ["| | this model | dense |", "|---|---|---|"]
    for key, name, form in _ROWS:
        if ours.get(key) is not None:
            twin = form.format(dense[key]) if dense.get(key) is not None else "-"
            lines.append(f"| {name} | {form.format(ours[key])} | {twin} |")
    return lines
