"""How a network is run fast: its inference graphs, and the engines that run them."""
