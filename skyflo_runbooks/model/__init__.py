"""Values that every part agrees on: frozen, validated, without I/O and without a clock.

Nothing here imports a cluster client, a web framework or a notebook library, so that the kernel can
import it in milliseconds. Values are `msgspec.Struct`: `msgspec.to_builtins` and `msgspec.convert`
carry them through JSON.
"""
