"""Pure networks of methods that no library holds; they know nothing of prompts, files or devices."""

OWN: dict[str, str] = {
    "DiffusionPlugin": "diffusion_plugin",
    "EfficientUNet": "efficient_unet",
    "LatentDecoder": "decoder",
    "MobileUNet": "mobile_unet",
}
"""Networks in diffusers' layout that checkpoints name in their config.json: class name to module of this folder."""
