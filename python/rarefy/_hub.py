"""Models on the Hugging Face Hub, by its own mixin."""

import json
from pathlib import Path

try:
    from huggingface_hub import ModelCard, ModelHubMixin, snapshot_download
except ImportError:
    raise ImportError("this needs huggingface_hub: pip install huggingface_hub") from None

from ._model import Model


class HubModel(Model, ModelHubMixin, library_name="rarefy", tags=["rarefy", "sparse"]):
    """A model with the methods of huggingface_hub's ``ModelHubMixin``."""

    license = None

    @classmethod
    def of(cls, model):
        """The same model with these methods."""
        made = cls(model._compiled)
        made.summary = model.summary
        return made

    def save_pretrained(self, folder, *, license=None, **options):
        self.license = license or self.license
        return ModelHubMixin.save_pretrained(self, folder, **options)

    def push_to_hub(self, repo_id, *, license=None, **options):
        self.license = license or self.license
        return ModelHubMixin.push_to_hub(self, repo_id, **options)

    def _save_pretrained(self, save_directory):
        folder = Path(save_directory)
        self.save(folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(self.config, indent=2))
        if self.summary is not None:
            (folder / "summary.json").write_text(json.dumps(self.summary, indent=2))

    def generate_model_card(self, *args, **kwargs):
        return ModelCard(self.card(self.license))

    @classmethod
    def from_pretrained(cls, name, **options):
        folder = Path(name)
        if not folder.is_dir():
            folder = snapshot_download(str(name), allow_patterns=["*.safetensors", "*.json"], **options)
        return cls.open(folder)
