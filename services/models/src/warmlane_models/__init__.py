"""The models service: weights are on the node before a lane asks for them."""
