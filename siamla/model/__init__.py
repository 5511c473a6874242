"""The network: backbones, correlation, heads, LAFA."""
