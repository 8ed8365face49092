"""The Kubernetes tools and their transport."""
