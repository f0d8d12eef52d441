"""A small stand-in for the part of ComfyUI's ``comfy_api`` that the nodes use; signatures are those of ComfyUI 0.3.64."""
