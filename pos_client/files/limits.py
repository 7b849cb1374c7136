"""The limits of reading files, each with its unit and reason."""

CELL_LENGTH_MAX = 60
"""Longest cell shown in an error message, in characters: a longer one would hide the rest of the message."""
CELL_CHARS_MAX = 16 * 1024 * 1024
"""Longest quoted cell, in characters: an unclosed quote reads the rest of the file as one, which has to end."""
HEADER_LINES_MAX = 30
"""In how many lines from the start the header is looked for: reports begin with a title, dates and a filter."""
HEAD_BYTES = 4_096
"""How many bytes the kind and the encoding of a file are recognised by."""
EARLIEST_YEAR = 1990
"""The first year of a sale: an earlier one is a date read with the wrong format, as 1900 and 1970 are."""
AHEAD_SECONDS = 24 * 60 * 60
"""How far a sale may be ahead of this machine's clock: a zone that is left out shifts times by up to 14 hours, which HQ
flags; what is later is a date read with the wrong format."""
PART_LINES = 100
"""Lines in each posting of a longer receipt. Fixed, because it decides what each part's id stands for: no headquarters
accepts fewer."""
LINES_KEPT_MAX = 100_000
"""Different lines that are kept to be used again: 20 MB, and most of what a shop sells."""
BODY_BYTES_IN_MEMORY = 16 * 1024 * 1024
"""Bytes of postings that are kept in memory; a million rows have 100 MB, which go to a temporary file."""
TEXTS_KEPT_MAX = 20_000
"""Different texts of a column whose readings are kept: a few MB, and more than repeat within a day."""
UNIT_LENGTH_MAX = 3
"""Letters of a unit that an error advises to leave out of numbers: a longer one is a word that may say more."""
VALUES_MAX = 8
"""How many values of a column are listed in a message."""
ORDER_DIGITS_MAX = 18
"""Digits of the number of a line that is kept as a number: so many fit 64 bits, whatever they are."""
SPREADSHEET_DIGITS = 15
"""Digits of a number that a spreadsheet keeps: it takes the rest for zeros."""
