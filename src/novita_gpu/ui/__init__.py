"""The dashboard: pages made of templates, live by scripts that use the public API and nothing else."""

from novita_gpu.ui.views import PAGES

__all__ = ["PAGES"]
