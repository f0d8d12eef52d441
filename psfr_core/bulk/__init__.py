"""Restoration of many image files."""
