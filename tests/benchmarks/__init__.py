"""What the product costs: `make bench` prints it as JSON. Nothing here fails because of a slow machine."""
