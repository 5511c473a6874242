"""The backbones, one a module: named as in the settings, its class as `BACKBONE`."""
