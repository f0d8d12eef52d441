"""Restore many image files, and the segments of videos."""
