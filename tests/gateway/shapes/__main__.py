"""See the package."""

from tests.gateway.shapes import main

if __name__ == "__main__":
    main()
