"""The yardsticks beside QUALS."""
