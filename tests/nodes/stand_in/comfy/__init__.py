"""A small stand-in for the part of ``comfy`` that the nodes use."""
