"""Imitate the part of ``comfy`` that the nodes use."""
