"""Imitate the part of ``comfy_api`` that the nodes use, with the signatures of ComfyUI 0.3.64."""
