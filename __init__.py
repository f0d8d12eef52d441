"""PSFR-GAN for ComfyUI. The library is ``psfr_core``; this file makes the folder a ComfyUI node pack."""
