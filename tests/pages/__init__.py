"""The gateway's own pages: what they show, and what a browser does with them."""
