"""The command line: one module per command, imported when it is called.

`app` holds the table of commands and the one boundary where errors become messages and exit codes. A command is a
function that returns its `ExitCode`; it raises a `SkyfloError` for everything a person has to do something about.
"""
