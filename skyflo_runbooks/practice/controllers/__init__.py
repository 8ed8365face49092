"""The controllers of the practice cluster: each sees one object and brings it one step further."""
